"""Models that somebody made to do harm: nothing of them runs, nothing outside of them is read.

Each case makes a folder whose loading would make a folder named `canary`, or hand out a file named
`secret`; then everything that takes a model is tried on it.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

import runstone
from runstone import pyfunc, sklearn
from runstone._flavors import labels
from runstone._models import trust
from runstone._models.model import Model
from runstone.exceptions import (
    FlavorNotFound,
    ModelFormatError,
    RunstoneException,
    UntrustedModel,
)
from runstone.models import get_model_info, import_model
from support.binaries import REPOSITORY

PYFUNC = "mlflow.pyfunc.model"
SCRIPT = "mlflow.pyfunc.loaders.code_model"
OWN = "evil_loader"
EVIL_CODE = "import os\nos.mkdir({canary!r})\n"


class Payload:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


class Scene:
    """A folder for a model, beside it what it must not touch."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "model"
        self.folder.mkdir()
        self.canary = root / "canary"
        self.secret = root / "secret"
        self.secret.write_text("the-secret")
        (root / "evil.pkl").write_bytes(self.pickled())
        (root / "evil.py").write_text(self.code())
        (root / "evilcode").mkdir()
        (root / "evilcode" / "evil_loader.py").write_text(self.code())

    def pickled(self) -> bytes:
        return pickle.dumps(Payload(self.canary))

    def code(self) -> str:
        return EVIL_CODE.format(canary=str(self.canary))

    def write(self, **flavors: Any) -> None:
        """The MLmodel file, of these flavors."""
        self.raw(yaml.safe_dump({"flavors": flavors, "model_uuid": "0" * 32}))

    def raw(self, text: str) -> None:
        (self.folder / "MLmodel").write_text(text.replace("CANARY", str(self.canary)))

    def file(self, name: str, content: bytes | str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def link(self, name: str, to: str) -> str:
        (self.folder / name).symlink_to(self.root / to)
        return name

    def sklearn(self, path: Any, form: str | None = "skops", **more: Any) -> None:
        """A model of scikit-learn, which pyfunc can load as well."""
        kind = {} if form is None else {"serialization_format": form}
        function = {"loader_module": "mlflow.sklearn", "model_path": path, "predict_fn": "predict"}
        self.write(sklearn={"pickled_model": path, **kind, **more}, python_function=function | more)

    def function(self, **configuration: Any) -> None:
        """A model for pyfunc alone."""
        self.write(python_function={"loader_module": PYFUNC, **configuration})

    def honest(self, name: str = "model.skops") -> str:
        """A file of skops in the folder that is what it says."""
        import skops.io

        skops.io.dump(LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0]), self.folder / name)
        return name


Case = Callable[[Scene], None]

UNTRUSTED: dict[str, Case] = {}
"""Loading runs code, as the author meant it: refused until somebody says that it may."""

DAMAGED: dict[str, Case] = {}
"""Refused whatever anybody says."""


def case(kind: dict[str, Case]) -> Callable[[Case], Case]:
    def added(make: Case) -> Case:
        kind[make.__name__] = make
        return make

    return added


def _each(kind: dict[str, Case], name: str, values: dict[str, Any], make: Any) -> None:
    for key, value in values.items():
        kind[f"{name}_{key}"] = functools.partial(make, value=value)


# ------------------------------------------------------------------ code that runs on load


def _sklearn_pickle(scene: Scene, value: str | None) -> None:
    scene.sklearn(scene.file("model.pkl", scene.pickled()), value)


_each(
    UNTRUSTED,
    "sklearn_pickle",
    {
        "pickle": "pickle",
        "cloudpickle": "cloudpickle",
        "joblib": "joblib",
        "unsaid": None,
        "unknown": "onnx",
        "spelled": "SKOPS",
    },
    _sklearn_pickle,
)


def _compressed(scene: Scene, value: tuple[str | None, Callable[[bytes], bytes]]) -> None:
    name, compress = value
    path = scene.file("python_model.pkl", compress(scene.pickled()))
    scene.function(python_model=path, **({"python_model_compression": name} if name else {}))


_each(
    UNTRUSTED,
    "python_model",
    {
        "plain": (None, bytes),
        "gzip": ("gzip", gzip.compress),
        "lzma": ("lzma", lzma.compress),
        "bzip2": ("bzip2", bz2.compress),
    },
    _compressed,
)


def _script(scene: Scene, value: str) -> None:
    scene.file("script.py", scene.code())
    scene.function(loader_module=SCRIPT, model_code_path=value)


_each(
    UNTRUSTED,
    "script",
    {"here": "script.py", "of_another_machine": "/home/x/script.py", "windows": "C:\\x\\script.py"},
    _script,
)


@case(UNTRUSTED)
def script_by_the_loader_of_pickles(scene: Scene) -> None:
    scene.file("script.py", scene.code())
    scene.function(model_code_path="script.py", python_model=scene.file("p.pkl", scene.pickled()))


def _loader(scene: Scene, value: str) -> None:
    scene.file("code/evil_loader.py", scene.code())
    scene.file("code/evil_package/__init__.py", scene.code())
    scene.file("code/evil_package/part.py", "")
    scene.write(python_function={"loader_module": value, "code": "code"})


_each(
    UNTRUSTED,
    "loader",
    {"module": OWN, "in_a_package": "evil_package.part", "like_ours": "runstone.evil"},
    _loader,
)


@case(UNTRUSTED)
def loader_beside_an_honest_flavor(scene: Scene) -> None:
    scene.file("code/evil_loader.py", scene.code())
    path = scene.honest()
    scene.write(
        sklearn={"pickled_model": path, "serialization_format": "skops", "code": "code"},
        python_function={"loader_module": OWN, "code": "code"},
    )


@case(UNTRUSTED)
def code_in_place_of_a_library(scene: Scene) -> None:
    scene.file("code/sklearn/__init__.py", scene.code())
    scene.sklearn(scene.honest(), code="code")


@case(UNTRUSTED)
def skops_that_names_a_function(scene: Scene) -> None:
    import skops.io

    skops.io.dump(FunctionTransformer(os.mkdir), scene.folder / "model.skops")
    scene.write(
        sklearn={"pickled_model": "model.skops", "serialization_format": "skops"},
        python_function={"loader_module": "mlflow.sklearn", "predict_fn": "transform"},
    )


# ---------------------------------------------------------- files that are not what they say


@case(DAMAGED)
def skops_that_is_a_pickle(scene: Scene) -> None:
    scene.sklearn(scene.file("model.skops", scene.pickled()))


@case(DAMAGED)
def skops_without_schema(scene: Scene) -> None:
    with zipfile.ZipFile(scene.folder / "model.skops", "w") as archive:
        archive.writestr("evil.pkl", scene.pickled())
    scene.sklearn("model.skops")


@case(DAMAGED)
def skops_that_is_deep(scene: Scene) -> None:
    with zipfile.ZipFile(scene.folder / "model.skops", "w") as archive:
        archive.writestr("schema.json", '{"content":' * 100_000 + "1" + "}" * 100_000)
    scene.sklearn("model.skops")


@case(DAMAGED)
def skops_that_is_a_bomb(scene: Scene) -> None:
    with zipfile.ZipFile(scene.folder / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"{}" + b" " * 18 * 2**20)
    scene.sklearn("model.skops")


@case(DAMAGED)
def skops_with_members_outside(scene: Scene) -> None:
    with zipfile.ZipFile(scene.folder / "model.skops", "w") as archive:
        archive.writestr("../canary/evil.npy", b"x")
        archive.writestr("schema.json", "[]")
    scene.sklearn("model.skops")


@case(DAMAGED)
def compression_that_is_not_known(scene: Scene) -> None:
    path = scene.file("python_model.pkl", scene.pickled())
    scene.function(python_model=path, python_model_compression="zstd")


@case(DAMAGED)
def method_of_pickling(scene: Scene) -> None:
    path = scene.honest()
    function = {"loader_module": "mlflow.sklearn", "predict_fn": "__reduce__"}
    scene.write(
        sklearn={"pickled_model": path + "x", "serialization_format": "skops"},
        python_function=function,
    )


# ------------------------------------------------------------------ paths that lead outside

OUTSIDE = {
    "above": "../evil.pkl",
    "far_above": "a/../../evil.pkl",
    "windows": "..\\evil.pkl",
    "drive": "C:\\evil.pkl",
    "share": "\\\\host\\evil.pkl",
    "nul": "evil\0.pkl",
    "empty": "",
    "folder": ".",
    "list": ["../evil.pkl"],
    "number": 7,
    "nothing": None,
    "home": "~/evil.pkl",
    "url": "file:///etc/passwd",
}


def _sklearn_path(scene: Scene, value: Any) -> None:
    scene.sklearn(value, "pickle")


def _python_model_path(scene: Scene, value: Any) -> None:
    scene.function(python_model=value)


_each(DAMAGED, "sklearn_path", OUTSIDE, _sklearn_path)
_each(DAMAGED, "python_model_path", OUTSIDE, _python_model_path)


@case(DAMAGED)
def sklearn_path_absolute(scene: Scene) -> None:
    scene.sklearn(str(scene.root / "evil.pkl"), "pickle")


@case(DAMAGED)
def python_model_path_absolute(scene: Scene) -> None:
    scene.function(python_model=str(scene.root / "evil.pkl"))


@case(DAMAGED)
def sklearn_path_of_a_link(scene: Scene) -> None:
    scene.sklearn(scene.link("model.pkl", "evil.pkl"), "pickle")


@case(DAMAGED)
def sklearn_path_through_a_linked_folder(scene: Scene) -> None:
    scene.link("inner", ".")
    scene.sklearn("inner/evil.pkl", "pickle")


@case(DAMAGED)
def python_model_path_of_a_link(scene: Scene) -> None:
    scene.function(python_model=scene.link("model.pkl", "evil.pkl"))


@case(DAMAGED)
def python_model_path_of_a_pipe(scene: Scene) -> None:
    os.mkfifo(scene.folder / "model.pkl")
    scene.function(python_model="model.pkl")


@case(DAMAGED)
def any_link_that_leads_outside(scene: Scene) -> None:
    scene.link("requirements.txt", "secret")
    scene.sklearn(scene.honest())


def _script_path(scene: Scene, value: Any) -> None:
    scene.function(loader_module=SCRIPT, model_code_path=value)


_each(
    DAMAGED,
    "script_path",
    {"above": "../evil.py", "list": ["../evil.py"], "parent": "..", "empty": "", "here": "."},
    _script_path,
)


@case(DAMAGED)
def script_path_absolute(scene: Scene) -> None:
    _script_path(scene, str(scene.root / "evil.py"))


@case(DAMAGED)
def script_path_of_a_link(scene: Scene) -> None:
    _script_path(scene, scene.link("script.py", "evil.py"))


def _artifacts(scene: Scene, value: Any) -> None:
    # Were it unpickled before its paths are looked at, there would be a canary.
    scene.function(python_model=scene.file("p.pkl", scene.pickled()), artifacts=value)


_each(
    DAMAGED,
    "artifacts",
    {
        "above": {"a": {"path": "../secret", "uri": "x"}},
        "windows": {"a": {"path": "..\\secret", "uri": "x"}},
        "absolute": {"a": {"path": "/etc/passwd", "uri": "x"}},
        "without_path": {"a": {"uri": "../secret"}},
        "texts": {"a": "../secret"},
        "list": ["../secret"],
    },
    _artifacts,
)


@case(DAMAGED)
def artifacts_of_a_link(scene: Scene) -> None:
    _artifacts(scene, {"a": {"path": scene.link("inner", "secret"), "uri": "x"}})


def _code_path(scene: Scene, value: Any) -> None:
    scene.write(python_function={"loader_module": OWN, "code": value})


_each(
    DAMAGED,
    "code",
    {"above": "../evilcode", "list": ["../evilcode"], "windows": "..\\evilcode"},
    _code_path,
)


@case(DAMAGED)
def code_absolute(scene: Scene) -> None:
    _code_path(scene, str(scene.root / "evilcode"))


@case(DAMAGED)
def code_of_a_link(scene: Scene) -> None:
    _code_path(scene, scene.link("code", "evilcode"))


@case(DAMAGED)
def data_of_a_loader_above(scene: Scene) -> None:
    scene.file("code/evil_loader.py", scene.code())
    scene.write(python_function={"loader_module": OWN, "code": "code", "data": "../secret"})


# ------------------------------------------------------------------ descriptions


def _described(scene: Scene, value: str) -> None:
    scene.honest()
    scene.raw(value)


_each(
    DAMAGED,
    "yaml",
    {
        "tag": "!!python/object/apply:os.mkdir [CANARY]\n",
        "tag_of_a_flavor": "flavors: !!python/object/apply:os.mkdir [CANARY]\n",
        "tag_inside": "flavors: {sklearn: !!python/object/new:os.mkdir {args: [CANARY]}}\n",
        "name": "flavors: !!python/name:os.mkdir\n",
        "module": "flavors: {a: !!python/module:antigravity }\n",
        "laughs": "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
        + "flavors: *a9\n",
        "of_itself": "flavors: &a [*a]\n",
        "deep": "flavors: " + "[" * 5_000 + "]" * 5_000,
        "list": "- flavors\n",
        "text": "flavors\n",
        "flavors_list": "flavors: [sklearn]\n",
        "flavor_text": "flavors: {sklearn: model.pkl, python_function: model.pkl}\n",
        "nothing": "",
        "binary": "\x00\x01\x02",
        "signature_text": "flavors: {sklearn: {}}\nsignature: '!!python/name:os.mkdir'\n",
        "loader_list": "flavors: {python_function: {loader_module: [os]}}\n",
        "run_id_list": "flavors: {sklearn: {}}\nrun_id: [1]\n",
    },
    _described,
)


@case(DAMAGED)
def mlmodel_of_a_link(scene: Scene) -> None:
    scene.link("MLmodel", "secret")


@case(DAMAGED)
def mlmodel_that_is_a_folder(scene: Scene) -> None:
    (scene.folder / "MLmodel").mkdir()


@case(DAMAGED)
def mlmodel_that_is_a_pipe(scene: Scene) -> None:
    os.mkfifo(scene.folder / "MLmodel")


@case(DAMAGED)
def mlmodel_that_is_missing(scene: Scene) -> None:
    scene.honest()


@case(DAMAGED)
def mlmodel_that_is_huge(scene: Scene) -> None:
    scene.raw("flavors: {}\nmetadata: " + "x" * 2**24)


# ------------------------------------------------------------------ what is tried on them


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    before = list(sys.path), set(sys.modules)
    made = Scene(tmp_path)
    yield made
    sys.path[:] = before[0]
    for name in set(sys.modules) - before[1]:
        if name.startswith("evil"):
            del sys.modules[name]


def refused(load: Callable[[], Any], scene: Scene) -> RunstoneException:
    with pytest.raises(RunstoneException) as caught:
        load()
    assert not scene.canary.exists()
    assert "the-secret" not in str(caught.value)
    return caught.value


def looked_at(scene: Scene) -> None:
    """What only reads descriptions: an answer or a clear error, and nothing else."""
    path = str(scene.folder)
    for look in (
        lambda: Model.load(path),
        lambda: get_model_info(path),
        lambda: labels.of_folder(scene.folder),
        lambda: trust.is_own_folder(scene.folder),
    ):
        try:
            told = repr(look())
        except RunstoneException as error:
            told = str(error)
        assert "the-secret" not in told
    # What cannot be read is registered as any files are, without a label.
    labels.labelled(None, path, {})  # type: ignore[arg-type]
    assert not scene.canary.exists()


@pytest.mark.parametrize("make", UNTRUSTED.values(), ids=UNTRUSTED)
def test_code_of_strangers_is_not_run(
    make: Case, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(scene)
    path = str(scene.folder)
    looked_at(scene)
    label = labels.labelled(None, path, {})["runstone.unsafe"]  # type: ignore[arg-type]
    error = refused(lambda: pyfunc.load_model(path), scene)
    assert isinstance(error, UntrustedModel)
    assert "allow_pickle=True" in str(error)
    assert label
    assert isinstance(
        refused(lambda: sklearn.load_model(path), scene), UntrustedModel | FlavorNotFound
    )
    for said in ("false", "0", "no", ""):
        monkeypatch.setenv("RUNSTONE_ALLOW_PICKLE", said)
        refused(lambda: pyfunc.load_model(path), scene)
    monkeypatch.setenv("RUNSTONE_ALLOW_PICKLE", "true")
    refused(lambda: pyfunc.load_model(path, allow_pickle=False), scene)
    monkeypatch.setenv("RUNSTONE_ALLOW_PICKLE", "perhaps")
    refused(lambda: pyfunc.load_model(path), scene)


# Code of these runs when it may, which shows that the others would be seen.
ARMED = [name for name in UNTRUSTED if name not in {"sklearn_pickle_joblib", "loader_like_ours"}]


@pytest.mark.parametrize("name", ARMED)
def test_it_is_run_when_somebody_says_so(name: str, scene: Scene) -> None:
    UNTRUSTED[name](scene)
    if name in {"code_in_place_of_a_library", "skops_that_names_a_function"}:
        loaded = pyfunc.load_model(str(scene.folder), allow_pickle=True)
        if name.startswith("skops"):
            loaded.predict(scene.canary)
            assert scene.canary.exists()
        return
    try:
        pyfunc.load_model(str(scene.folder), allow_pickle=True)
    except (RunstoneException, AttributeError):
        pass  # what was unpickled is no model
    assert scene.canary.exists()


@pytest.mark.parametrize("allow_pickle", [None, True])
@pytest.mark.parametrize("make", DAMAGED.values(), ids=DAMAGED)
def test_what_is_not_what_it_says_is_refused(
    make: Case, scene: Scene, allow_pickle: bool | None
) -> None:
    make(scene)
    path = str(scene.folder)
    looked_at(scene)
    errors = [
        refused(lambda: pyfunc.load_model(path, allow_pickle=allow_pickle), scene),
        refused(lambda: sklearn.load_model(path, allow_pickle=allow_pickle), scene),
    ]
    if allow_pickle:
        assert all(isinstance(each, ModelFormatError | FlavorNotFound) for each in errors)
    assert all(str(each) for each in errors)
    assert not any(str(scene.root / "evilcode") in each for each in sys.path)


def test_there_are_many_of_them() -> None:
    assert len(UNTRUSTED) + len(DAMAGED) >= 80


def test_an_input_example_outside_is_not_read(scene: Scene) -> None:
    from runstone._models import example

    for info in (
        {"artifact_path": "../secret", "type": "json_object"},
        {"artifact_path": str(scene.secret), "type": "json_object"},
        {"artifact_path": scene.link("inner.json", "secret"), "type": "json_object"},
    ):
        refused(lambda info=info: example.load(scene.folder, info), scene)
        serving = {"serving_input_path": info["artifact_path"]}
        refused(lambda serving=serving: example.load_serving(scene.folder, serving), scene)


def test_importing_runs_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from runstone._flavors import importing

    told: list[dict[str, Any]] = []
    client = type("Client", (), {"user": "somebody"})()
    monkeypatch.setattr(importing._state, "client", lambda: client)
    monkeypatch.setattr(importing, "register_model", lambda *_, tags: told.append(tags))
    for name in ("evil.pkl", "evil.joblib"):
        (scene.root / name).write_bytes(scene.pickled())
        import_model(scene.root / name, "imported")
    hub = scene.root / "hub"
    hub.mkdir()
    (hub / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}')
    (hub / "evil.py").write_text(scene.code())
    import_model(hub, "imported")
    assert all(tags["runstone.unsafe"] for tags in told)
    assert len(told) == 3
    (hub / "weights").symlink_to(scene.secret)
    refused(lambda: import_model(hub, "imported"), scene)
    assert not scene.canary.exists()


UNPICKLES = re.compile(
    r"^\s*(import|from) (pickle|cloudpickle|joblib|skops|dill|marshal)\b", re.MULTILINE
)


def test_services_have_nothing_that_unpickles() -> None:
    services = [
        path for path in (REPOSITORY / "services").rglob("*.py") if "demo" not in path.parts
    ]
    for path in services:
        assert not UNPICKLES.search(path.read_text("utf-8")), path


def test_honest_models_load(scene: Scene) -> None:
    estimator = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    for form in ("skops", "pickle", "cloudpickle"):
        folder = scene.root / form
        sklearn.save_model(estimator, folder, serialization_format=form)
        trust._own_folders.clear()  # as another process would see it
        allow = None if form == "skops" else True
        assert pyfunc.load_model(folder, allow_pickle=allow).predict([[3.0]]).round(6) == [6.0]
        if form != "skops":
            refused(lambda folder=folder: pyfunc.load_model(folder), scene)


def test_a_model_is_its_makers_own_until_it_is_changed(scene: Scene) -> None:
    estimator = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    folder = scene.root / "own"
    sklearn.save_model(estimator, folder, serialization_format="pickle")
    assert runstone.sklearn.load_model(folder).coef_.round(6) == [2.0]
    other = scene.root / "other"
    folder.rename(scene.root / "moved")
    other.mkdir()
    other.rename(folder)
    scene.sklearn(scene.file("model.pkl", scene.pickled()), "pickle")
    for file in scene.folder.iterdir():
        file.rename(folder / file.name)
    refused(lambda: sklearn.load_model(folder), scene)

"""Models that somebody made to do harm.

Each case makes a folder whose loading would make a folder named `canary`, or hand out a file named
`secret`, beside it.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

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
        from sklearn.linear_model import LinearRegression

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
    from sklearn.preprocessing import FunctionTransformer

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
def any_pipe(scene: Scene) -> None:
    os.mkfifo(scene.folder / "conda.yaml")
    scene.sklearn(scene.honest())


@case(DAMAGED)
def link_to_nothing(scene: Scene) -> None:
    scene.link("conda.yaml", "model/nothing")
    scene.sklearn(scene.honest())


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
        "deep": "flavors: " + "[" * 100_000 + "]" * 100_000,
        "deep_by_references": "a0: &a0 [x]\n"
        + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300))
        + "flavors: *a299\n",
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

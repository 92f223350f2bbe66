"""Nothing of a model that somebody made to do harm runs, and nothing outside of it is read.

Everything that takes a model is tried on each case of `support.malicious_models`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

import runstone
from runstone import pyfunc, sklearn
from runstone._flavors import labels, registry
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
from support.malicious_models import DAMAGED, UNTRUSTED, Case, Scene


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


KEYS = (
    *("data", "pickled_model", "python_model", "model_code_path", "model_binary", "model_data"),
    *("model_data_path", "model_path", "saved_model_dir", "pr_model", "extra_files", "components"),
)
"""By which a flavor's configuration names files."""


@pytest.mark.parametrize("name", registry.OURS)
def test_no_flavor_opens_what_is_outside_or_a_pickle(name: str, scene: Scene) -> None:
    """Of the frameworks that are not installed here, by their absence; so it is without them."""
    inside, path = scene.file("model.pkl", scene.pickled()), str(scene.folder)
    for value in ("../evil.pkl", str(scene.root / "evil.pkl"), "..\\evil.pkl", inside):
        configuration = dict.fromkeys(KEYS, value) | {"serialization_format": "pickle"}
        loader = registry.flavor(name).loader_module
        function = configuration | {"loader_module": loader}
        scene.write(**({name: configuration} | {"python_function": function}))
        looked_at(scene)
        refused(lambda: pyfunc.load_model(path, allow_pickle=False), scene)
        refused(lambda: registry.loaded(name, path, None, allow_pickle=False), scene)


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

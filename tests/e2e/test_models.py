"""Models as users live with them: logged, registered, named by an alias, loaded by every URI."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import runstone
from runstone import models, pyfunc, sklearn
from runstone._models import trust
from runstone.exceptions import (
    FailedPrecondition,
    FlavorNotFound,
    InvalidField,
    ModelFormatError,
    UntrustedModel,
)
from support import fluent
from support.suites import clean_environment

PICKLED = "runstone.unsafe"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("models")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def session(data_dir: Path, tmp_path: Path) -> Iterator[None]:
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        yield


def as_another_process() -> None:
    """Forget what this process made."""
    trust._own_folders.clear()
    trust._own_files.clear()


class Payload:
    def __reduce__(self) -> Any:
        return os.mkdir, ("canary",)


def estimator(factor: float = 2.0) -> LinearRegression:
    return LinearRegression().fit([[1.0], [2.0]], [factor, 2 * factor])


def predicted(uri: Any, **given: Any) -> float:
    return round(float(pyfunc.load_model(uri, **given).predict(np.array([[3.0]]))[0]), 6)


def test_a_model_is_found_by_every_uri() -> None:
    with runstone.start_run() as run:
        info = sklearn.log_model(
            estimator(),
            name="doubling",
            registered_model_name="found",
            input_example=np.array([[1.0]]),
        )
    client = runstone.Client()
    client.set_registered_model_alias("found", "champion", 1)
    client.transition_model_version_stage("found", 1, "Production")
    local = runstone.artifacts.download_artifacts(info.model_uri)
    assert info.registered_model_version == 1
    for uri in (
        info.model_uri,
        f"models:/{info.model_id}",
        f"runs:/{run.info.run_id}/doubling",
        "models:/found/1",
        "models:/found/latest",
        "models:/found/Production",
        "models:/found@champion",
        local,
        Path(local),
        Path(local).as_uri(),
    ):
        assert predicted(uri) == 6.0
        assert sklearn.load_model(uri).coef_.round(6).tolist() == [2.0]
        assert models.get_model_info(uri).model_id == info.model_id
    assert client.get_run(run.info.run_id).outputs is not None


def test_an_alias_moves_to_the_next_version() -> None:
    for factor in (2.0, 3.0):
        sklearn.log_model(estimator(factor), name="m", registered_model_name="moving")
    client = runstone.Client()
    client.set_registered_model_alias("moving", "champion", 1)
    assert predicted("models:/moving@champion") == 6.0
    client.set_registered_model_alias("moving", "champion", 2)
    assert predicted("models:/moving@champion") == 9.0


def test_a_logged_model_is_found_among_the_runs_files() -> None:
    with runstone.start_run() as run:
        sklearn.log_model(estimator(), name="named")
        runstone.log_text("x", "other/x.txt")
    uri = f"runs:/{run.info.run_id}/named"
    assert (Path(runstone.artifacts.download_artifacts(uri)) / "MLmodel").is_file()
    file = runstone.artifacts.download_artifacts(f"{uri}/MLmodel")
    assert "flavors" in yaml.safe_load(Path(file).read_text("utf-8"))
    assert runstone.artifacts.load_text(f"{uri}/requirements.txt").startswith("runstone==")
    assert "MLmodel" in [each.path for each in runstone.artifacts.list_artifacts(uri)]
    assert runstone.artifacts.list_artifacts(f"runs:/{run.info.run_id}/none") == []
    with pytest.raises(runstone.exceptions.ArtifactNotFound):
        runstone.artifacts.download_artifacts(f"runs:/{run.info.run_id}/none")


def test_a_model_of_code_of_ones_own() -> None:
    class Adding(pyfunc.PythonModel):
        def load_context(self, context: pyfunc.PythonModelContext) -> None:
            self.number = int(Path(context.artifacts["number"]).read_text("utf-8"))

        def predict(self, context: Any, model_input: list[int]) -> list[int]:
            return [each + self.number for each in model_input]

    with runstone.start_run() as run:
        runstone.log_text("7", "numbers/seven.txt")
        info = pyfunc.log_model(
            name="adding",
            python_model=Adding(),
            artifacts={"number": f"runs:/{run.info.run_id}/numbers/seven.txt"},
            registered_model_name="adding",
            params={"number": 7},
            tags={"team": "risk"},
        )
    assert info.params == {"number": "7"}
    assert info.tags["team"] == "risk"
    assert info.signature is not None
    assert pyfunc.load_model("models:/adding/1").predict([1]) == [8]
    version = runstone.Client().get_model_version("adding", 1)
    assert version.tags[PICKLED] == "a pickle (python_model.pkl)"


def test_what_somebody_else_logged_is_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Another account of the machine or of a server on this folder, by the name of this one.
    own_state = os.environ["XDG_STATE_HOME"]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "theirs"))
    monkeypatch.setenv("RUNSTONE_USER", "alice")
    with runstone.start_run() as run:
        info = sklearn.log_model(
            estimator(),
            name="theirs",
            serialization_format="pickle",
            registered_model_name="theirs",
        )
    safe = sklearn.log_model(estimator(), name="safe", serialization_format="skops")
    monkeypatch.setenv("XDG_STATE_HOME", own_state)
    as_another_process()
    for uri in (info.model_uri, "models:/theirs/1", f"runs:/{run.info.run_id}/theirs"):
        with pytest.raises(UntrustedModel, match=r"a pickle \(model.pkl\)"):
            pyfunc.load_model(uri)
        with pytest.raises(UntrustedModel):
            sklearn.load_model(uri)
        assert predicted(uri, allow_pickle=True) == 6.0
    assert predicted(safe.model_uri) == 6.0


def test_a_later_process_loads_what_its_user_logged() -> None:
    with runstone.start_run() as run:
        info = sklearn.log_model(
            estimator(),
            name="mine",
            serialization_format="pickle",
            registered_model_name="mine",
        )
    client = runstone.Client()
    client.copy_model_version(client.get_model_version("mine", 1), "mine-elsewhere")
    models.set_signature(info.model_uri, models.infer_signature([1.5], [2.5]))
    as_another_process()
    for uri in (
        info.model_uri,
        f"runs:/{run.info.run_id}/mine",
        "models:/mine/1",
        "models:/mine-elsewhere/1",
        runstone.artifacts.download_artifacts(info.model_uri),
    ):
        assert sklearn.load_model(uri).coef_.round(6).tolist() == [2.0]


LOADS = """
import multiprocessing.util, os, pathlib, sys, time, runstone
runstone.set_tracking_uri(sys.argv[2])
runstone.pyfunc.load_model(sys.argv[1])
kept = runstone.pyfunc.get_model_dependencies(sys.argv[1])
if os.fork() == 0:
    sys.exit()
os.wait()

def count(wait):
    time.sleep(wait)
    print(len(list(pathlib.Path(os.environ["TMPDIR"]).glob("runstone-model-*"))), flush=True)

print(kept)
count(0)
# Python waits for it, after what is registered later.
multiprocessing.get_context("fork").Process(target=count, args=[0.5]).start()
"""


def test_what_was_fetched_to_be_loaded_goes_when_its_process_ends(tmp_path: Path) -> None:
    with runstone.start_run():
        info = sklearn.log_model(estimator(), name="m", serialization_format="skops")
    (scratch := tmp_path / "scratch").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LOADS, info.model_uri, runstone.get_tracking_uri()],
        env={**clean_environment(), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    kept, before, child = done.stdout.split()
    assert before == child == "2"
    [left] = scratch.glob("runstone-model-*")
    assert Path(kept).is_relative_to(left), "its path was told, to be used later"


def test_ones_own_model_with_other_files_is_not_run(tmp_path: Path) -> None:
    info = sklearn.log_model(
        estimator(), name="replaced", serialization_format="pickle", registered_model_name="before"
    )
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Payload()))
    runstone.Client(user="mallory").upload(
        tmp_path / "model.pkl", "", logged_model_id=info.model_id
    )
    with pytest.raises(UntrustedModel):
        sklearn.load_model(info.model_uri)
    models.set_signature(info.model_uri, models.infer_signature([1.5], [2.5]))
    with pytest.raises(UntrustedModel):
        pyfunc.load_model(info.model_uri)
    assert not Path("canary").exists()
    assert predicted("models:/before/1") == 6.0


def test_versions_that_run_code_are_labelled_however_they_are_registered(tmp_path: Path) -> None:
    for form, label in (("pickle", "a pickle (model.pkl)"), ("skops", None)):
        folder = tmp_path / form
        sklearn.save_model(estimator(), folder, serialization_format=form)
        with runstone.start_run() as run:
            runstone.log_artifacts(str(folder), "model")
            logged = sklearn.log_model(estimator(), name="logged", serialization_format=form)
        for source in (
            str(folder),
            f"runs:/{run.info.run_id}/model",
            f"runs:/{run.info.run_id}/logged",
            logged.model_uri,
        ):
            version = runstone.register_model(source, f"labelled-{form}", tags={"a": "b"})
            assert version.tags.get(PICKLED) == label
            assert version.tags["a"] == "b"
        copied = runstone.register_model(f"models:/labelled-{form}/1", f"labelled-{form}")
        assert copied.tags.get(PICKLED) == label


def test_a_malicious_model_is_registered_and_downloaded_and_never_run(tmp_path: Path) -> None:
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(Payload()))
    flavors = {
        "sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle"},
        "python_function": {"loader_module": "mlflow.sklearn"},
    }
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
    version = runstone.register_model(str(folder), "evil")
    assert version.tags[PICKLED] == "a pickle (model.pkl)"
    with runstone.start_run() as run:
        runstone.log_artifacts(str(folder), "model")
    runstone.register_model(f"runs:/{run.info.run_id}/model", "evil")
    models.import_model(folder / "model.pkl", "evil")
    as_another_process()
    for uri in ("models:/evil/1", "models:/evil/2", "models:/evil/3", folder):
        with pytest.raises((UntrustedModel, FlavorNotFound)):
            pyfunc.load_model(uri)
        models.get_model_info(uri)
    assert not Path("canary").exists()


def test_a_signature_is_set_on_what_is_logged() -> None:
    info = sklearn.log_model(estimator(), name="unsigned", registered_model_name="unsigned")
    assert models.get_model_info(info.model_uri).signature is None
    signature = models.infer_signature([1.5], [2.5])
    models.set_signature(info.model_uri, signature)
    assert models.get_model_info(info.model_uri).signature == signature
    with pytest.raises(FailedPrecondition, match="never change"):
        models.set_signature("models:/unsigned/1", signature)
    assert models.get_model_info("models:/unsigned/1").signature is None


def test_requests_are_answered_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    info = sklearn.log_model(estimator(), name="asked", input_example=np.array([[1.0]]))
    request = models.convert_input_example_to_serving_input([[3.0]])
    assert request is not None
    assert models.validate_serving_input(info.model_uri, request).round(6).tolist() == [6.0]
    models.predict(info.model_uri, [[3.0]])
    assert json.loads(capsys.readouterr().out) == {"predictions": [pytest.approx(6.0)]}
    for wrong in ("{", "[1]", "{}", '{"inputs": 1, "instances": 2}', '{"inputs": 1, "params": 2}'):
        with pytest.raises(InvalidField, match="serving_input"):
            models.validate_serving_input(info.model_uri, wrong)
    Path("in.csv").write_text("x\n3.0\n")
    with pytest.raises(InvalidField, match="content_type"):
        models.predict(info.model_uri, input_path="in.csv", content_type="xml")
    with pytest.raises(InvalidField, match="env_manager"):
        models.predict(info.model_uri, [[1.0]], env_manager="conda")


def test_predictions_from_csv_to_a_file() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    model = LinearRegression().fit(frame, [2.0, 4.0])
    info = sklearn.log_model(model, name="csv", input_example=frame)
    Path("in.csv").write_text("x\n3.0\n")
    models.predict(info.model_uri, input_path="in.csv", content_type="csv", output_path="out.json")
    assert json.loads(Path("out.json").read_text()) == {"predictions": [pytest.approx(6.0)]}


def test_what_is_wrong_leaves_no_logged_model() -> None:
    experiment = runstone.set_experiment("wrong")
    for given in (
        {"python_model": 7},
        {"python_model": len, "artifacts": {"a": "no.txt"}},
        {"python_model": len, "artifacts": {"a": "runs:/" + "0" * 32 + "/x"}},
        {"python_model": len, "code_paths": ["no"]},
    ):
        with pytest.raises(runstone.RunstoneException):
            pyfunc.log_model(name="wrong", **given)
    found = runstone.Client().search_logged_models([experiment.experiment_id])
    assert list(found) == []


def test_what_is_no_model_says_so() -> None:
    with runstone.start_run() as run:
        runstone.log_text("x", "text/x.txt")
    with pytest.raises(ModelFormatError, match="no MLmodel"):
        pyfunc.load_model(f"runs:/{run.info.run_id}/text")
    with pytest.raises(ModelFormatError, match="no MLmodel"):
        models.get_model_info(f"runs:/{run.info.run_id}/text")
    with pytest.raises(ModelFormatError, match="no folder"):
        pyfunc.load_model("nowhere")


class Wrapper(pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.inner = pyfunc.load_model(context.artifacts["inner"])

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return self.inner.predict(model_input)


def wrapped(inner: str) -> str:
    """A model of one's own around another one."""
    artifacts = {"inner": inner}
    return pyfunc.log_model(name="outer", python_model=Wrapper(), artifacts=artifacts).model_uri


def test_a_wrapper_loads_the_own_model_within_it() -> None:
    with runstone.start_run():
        inner = sklearn.log_model(
            estimator(),
            name="inner",
            serialization_format="pickle",
            input_example=np.array([[1.0]]),
        )
        outer = wrapped(inner.model_uri)
    [kept] = models.Model.load(outer).flavors["python_function"]["artifacts"].values()
    assert kept["path"] == f"artifacts/{inner.model_id}"
    as_another_process()
    assert predicted(outer) == 6.0
    as_another_process()
    assert pyfunc.load_model(inner.model_uri).input_example.tolist() == [[1.0]]


def inherited(name: str) -> str:
    """A version of a model that somebody else made."""
    sklearn.save_model(estimator(), name, serialization_format="pickle")
    models.import_model(name, name)
    as_another_process()
    return f"models:/{name}/1"


def test_a_wrapper_does_not_vouch_for_a_strangers_model() -> None:
    with runstone.start_run():
        outer = wrapped(inherited("strange"))
    as_another_process()
    with pytest.raises(UntrustedModel):
        pyfunc.load_model(outer)


def test_whoever_allows_a_wrapper_allows_what_is_in_it() -> None:
    outer = wrapped(inherited("theirs"))
    as_another_process()
    assert predicted(outer, allow_pickle=True) == 6.0

"""Model folders: their description, environment and examples; half of one is never seen."""

from __future__ import annotations

import hashlib
import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import sparse

from runstone import pyfunc
from runstone._flavors import importing, labels
from runstone._models import environment, example, imports, logging, paths, trust, writing
from runstone._models.flavor import Flavor, Predictor, Written
from runstone._models.info import info_of
from runstone._models.model import Model
from runstone._version import __version__
from runstone.exceptions import InvalidArgument, InvalidField, ModelFormatError, UntrustedModel
from runstone.models import ModelSignature, get_model_info, infer_signature, set_signature

# ------------------------------------------------------------------ the MLmodel file


def test_a_description_is_the_same_when_read_again(tmp_path: Path) -> None:
    model = Model(
        artifact_path="a",
        run_id="r" * 32,
        model_id=f"m-{'0' * 32}",
        signature=infer_signature([1.0], [2.0]),
        metadata={"a": (1, np.float64(2.5))},
        future_key={"b": [1]},
    )
    model.add_flavor("custom", weights="w.bin")
    model.save(tmp_path)
    again = Model.load(tmp_path)
    assert again.to_dict() == {**model.to_dict(), "metadata": {"a": [1, 2.5]}}
    assert again.signature == model.signature
    assert again.others["future_key"] == {"b": [1]}
    assert Model.load(tmp_path / "MLmodel") == again


def test_what_made_the_signature_is_kept(tmp_path: Path) -> None:
    def predict(model_input: list[str]) -> list[str]:
        return model_input

    pyfunc.save_model(tmp_path / "model", python_model=predict)
    signature = Model.load(tmp_path / "model").signature
    assert isinstance(signature, ModelSignature)
    assert signature.is_signature_from_type_hint
    assert not signature.is_type_hint_from_example


def test_info_names_the_model() -> None:
    logged = info_of(Model(model_id=f"m-{'1' * 32}", run_id="r"))
    assert logged.model_uri == f"models:/m-{'1' * 32}"
    assert info_of(Model(run_id="r", artifact_path="p")).model_uri == "runs:/r/p"
    assert info_of(Model()).signature_dict is None


def test_a_signature_is_set_afterwards(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "model", python_model=len)
    signature = infer_signature(["a"], [1.0])
    set_signature(tmp_path / "model", signature)
    assert get_model_info(tmp_path / "model").signature == signature
    # It is still one's own, and whole.
    assert pyfunc.load_model(tmp_path / "model").metadata.signature == signature
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        *("MLmodel", "python_model.pkl", "conda.yaml", "python_env.yaml", "requirements.txt")
    }
    with pytest.raises(InvalidField, match="signature"):
        set_signature(tmp_path / "model", "x")  # type: ignore[arg-type]
    with pytest.raises(ModelFormatError, match="no MLmodel file"):
        set_signature(tmp_path, signature)


def test_setting_a_signature_of_somebody_elses_model_does_not_make_it_ones_own(
    tmp_path: Path,
) -> None:
    pyfunc.save_model(tmp_path / "model", python_model=len)
    trust._own_folders.clear()
    set_signature(tmp_path / "model", infer_signature(["a"], [1.0]))
    with pytest.raises(UntrustedModel):
        pyfunc.load_model(tmp_path / "model")


# ------------------------------------------------------------------ the environment


def test_lines_of_requirements_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("# a comment\n\nscipy>=1 # why\nnumpy\\\n  ==1.0\n")
    (tmp_path / "limits.txt").write_text("numpy<3\n")
    (tmp_path / "all.txt").write_text("-r more.txt\n--constraint=limits.txt\npkg[extra]==1\n")
    found = environment.captured([], pip_requirements=str(tmp_path / "all.txt"))
    assert found.requirements[0].startswith("runstone==")
    assert [line.replace(" ", "") for line in found.requirements[1:]] == [
        *("scipy>=1", "numpy==1.0", "pkg[extra]==1")
    ]
    assert found.constraints == ("numpy<3",)
    found.write(tmp_path)
    assert (tmp_path / "requirements.txt").read_text().endswith("-c constraints.txt\n")
    assert (tmp_path / "constraints.txt").read_text() == "numpy<3\n"


def test_what_is_given_besides_stands_before_what_is_found() -> None:
    found = environment.captured(["numpy", "pandas"], extra_pip_requirements=["NumPy<9", "other"])
    names = [line.partition("==")[0] for line in found.requirements]
    assert names == ["runstone", "pandas", "NumPy<9", "other"]


def test_a_conda_environment_stands_for_itself(tmp_path: Path) -> None:
    conda = {"name": "x", "dependencies": ["python=3.11", {"pip": ["numpy==1.0"]}]}
    (tmp_path / "conda.yaml").write_text(yaml.safe_dump(conda))
    for given in (conda, tmp_path / "conda.yaml"):
        found = environment.captured(["pandas"], conda_env=given)
        assert found.requirements == ("numpy==1.0",)
        assert found.conda == conda


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"conda_env": {}, "pip_requirements": []}, "conda_env"),
        ({"conda_env": {"name": "x"}}, "conda_env"),
        ({"conda_env": "no.yaml"}, "conda_env"),
        ({"pip_requirements": [], "extra_pip_requirements": []}, "extra_pip_requirements"),
        ({"pip_requirements": "no.txt"}, "pip_requirements"),
        ({"pip_requirements": [1]}, "pip_requirements"),
        ({"extra_pip_requirements": {"a": 1}}, "extra_pip_requirements"),
    ],
)
def test_wrong_environments_are_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField, match=field):
        environment.captured([], **given)


def test_pickles_are_read_without_being_run(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps([np.float64(1), pd.Series([1])], protocol))
        named = environment.modules_of_pickle(path)
        assert {"numpy", "pandas"} <= environment.distributions_of(named)
    path.write_bytes(path.read_bytes()[:-40])
    assert environment.modules_of_pickle(path)
    path.write_bytes(b"none")
    assert environment.modules_of_pickle(path) == set()
    assert environment.modules_of_pickle(tmp_path / "missing") == set()


def test_what_files_import_is_read_without_running_them(tmp_path: Path) -> None:
    package = tmp_path / "own"
    package.mkdir()
    (package / "__init__.py").write_text("import numpy.linalg\nfrom . import part\n")
    (package / "part.py").write_text("def f():\n    from pandas import Series\n    import own\n")
    (tmp_path / "alone.py").write_text("import own, yaml\n")
    (tmp_path / "broken.py").write_text("import (\n")
    found = imports.of_files([package, tmp_path / "alone.py", tmp_path / "broken.py"])
    assert found == {"numpy.linalg", "pandas", "yaml"}


def test_other_versions_are_told(tmp_path: Path) -> None:
    lines = ["numpy==0.1", "not-there==1.0", f"runstone=={__version__}1", "pandas>=1", "scipy"]
    (tmp_path / "requirements.txt").write_text("\n".join(lines))
    told = environment.mismatches(tmp_path)
    assert [each.split(",")[0] for each in told] == ["numpy 0.1", "not-there 1.0"]
    assert "not installed" in told[1]
    assert environment.mismatches(tmp_path / "none") == []


# ------------------------------------------------------------------ input examples

EXAMPLES: list[Any] = [
    pd.DataFrame({"x": [1.5, 2.5], "name": ["a", "b"]}),
    pd.DataFrame([[1, 2], [3, 4]]),
    np.array([[1.0, 2.0]]),
    {"x": np.array([1, 2]), "y": np.array([[3]])},
    sparse.csr_matrix([[0, 1], [2, 0]]),
    sparse.csc_matrix([[0, 1], [2, 0]]),
    ["text", None, 1.5],
    {"question": "why", "more": [1, {"a": True}]},
    "text",
    7,
]


@pytest.mark.parametrize("given", EXAMPLES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("params", [None, {"by": 2}])
def test_an_example_is_read_as_it_was_given(
    given: Any, params: dict[str, Any] | None, tmp_path: Path
) -> None:
    kept = example.example_of(given if params is None else (given, params))
    kept.write(tmp_path)
    found = example.load(tmp_path, kept.info)
    if params is not None:
        found, again = found
        assert again == params
        assert json.loads(kept.serving_json())["params"] == params
    assert _plain(found) == _plain(given)
    assert json.loads(example.load_serving(tmp_path, kept.info) or "") == kept.serving


def _plain(value: Any) -> Any:
    if sparse.issparse(value):
        return value.format, value.toarray().tolist()
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="split")
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("given", [object(), {"x": np.array([1]), "y": 2}, {1, object()}])
def test_what_cannot_be_an_example_is_refused(given: Any) -> None:
    with pytest.raises(InvalidField, match="input_example"):
        example.example_of(given)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"data": 1}'])
def test_a_damaged_example_is_a_format_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "input_example.json").write_text(content)
    info = {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"}
    with pytest.raises(ModelFormatError, match="example"):
        example.load(tmp_path, info)
    assert example.load(tmp_path, None) is None


# ------------------------------------------------------------------ writing


class Failing(Flavor):
    """Writes a part, and ends as it is told."""

    name: ClassVar[str] = "failing"
    loader_module: ClassVar[str] = "runstone.failing"
    distributions: ClassVar[tuple[str, ...]] = ()

    def write(self, model: Any, folder: Path, **options: Any) -> Written:
        (folder / "weights.bin").write_bytes(b"half")
        if model is not None:
            raise model
        return Written({"weights": "weights.bin"}, "weights.bin")

    def read(self, folder: Path, configuration: Mapping[str, Any], **options: Any) -> Any:
        return paths.inside(folder, configuration["weights"], "weights").read_bytes()

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        return "a test" if configuration.get("code") else None

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        return lambda data, params: data


@pytest.mark.parametrize(
    "error", [OSError(28, "no space left on device"), KeyboardInterrupt(), InvalidArgument("no")]
)
def test_half_a_model_is_never_seen(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        writing.save(Failing(), error, tmp_path / "model", writing.About(), {})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_at_the_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Model, path: Any) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Model, "save", full)
    with pytest.raises(OSError, match="no space"):
        writing.save(Failing(), None, tmp_path / "model", writing.About(), {})
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from runstone._models import writing
from runstone._models.flavor import Flavor

class Dying(Flavor):
    name, loader_module, distributions = "dying", "runstone.dying", ()
    def write(self, model, folder, **options):
        (folder / "weights.bin").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    read = unsafe = predictor = write

writing.save(Dying(), None, sys.argv[1], writing.About(), {})
"""


def test_a_kill_leaves_no_model(tmp_path: Path) -> None:
    target = tmp_path / "model"
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    writing.save(Failing(), None, target, writing.About(), {})
    assert Model.load(target).flavors


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    writing.save(Failing(), None, target, writing.About(), {})  # an empty folder will do
    before = (target / "MLmodel").read_text("utf-8")
    with pytest.raises(InvalidField, match="new or empty"):
        writing.save(Failing(), None, target, writing.About(), {})
    with pytest.raises(InvalidField, match="new or empty"):
        writing.save(Failing(), None, target / "MLmodel", writing.About(), {})
    assert (target / "MLmodel").read_text("utf-8") == before


# ------------------------------------------------------------------ trust


def test_a_model_is_own_until_its_description_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert not trust.is_own_folder(folder)
    writing.save(Failing(), None, folder, writing.About(), {})
    assert trust.is_own_folder(folder)
    moved = folder.rename(tmp_path / "moved")
    assert trust.is_own_folder(moved)
    text = (moved / "MLmodel").read_text("utf-8")
    (moved / "MLmodel").unlink()
    (moved / "MLmodel").write_text(text)
    assert not trust.is_own_folder(moved)


def test_who_may_run_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*, own: bool, allow: bool | None, unsafe: str | None = "a pickle") -> None:
        trust.check(unsafe, "model", own=own, allow_pickle=allow)

    check(own=False, allow=None, unsafe=None)
    check(own=True, allow=None)
    check(own=False, allow=True)
    for own, allow in ((False, None), (False, False), (True, False)):
        with pytest.raises(UntrustedModel, match="allow_pickle=True"):
            check(own=own, allow=allow)
    with pytest.raises(InvalidField, match="allow_pickle"):
        check(own=True, allow="yes")  # type: ignore[arg-type]
    monkeypatch.setenv("RUNSTONE_ALLOW_PICKLE", "1")
    check(own=False, allow=None)


# ------------------------------------------------------------------ logging


class Server:
    """A client whose upload fails."""

    tracking_uri = "grpc://nowhere"

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.ended: list[str] = []

    def create_logged_model(self, *_: Any) -> Any:
        return type("Logged", (), {"model_id": "m", "source_run_id": "", "artifact_location": "a"})

    def log_model_artifacts(self, model_id: str, folder: Path) -> None:
        assert (folder / "MLmodel").is_file()
        if self.error is not None:
            raise self.error

    def finalize_logged_model(self, model_id: str, status: str) -> None:
        self.ended.append(status)
        if self.error is not None and isinstance(self.error, KeyboardInterrupt):
            raise ConnectionError("gone, too")


@pytest.mark.parametrize("error", [ConnectionError("gone"), KeyboardInterrupt()])
def test_a_model_whose_files_did_not_arrive_is_failed(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    server = Server(error)
    monkeypatch.setattr(logging._state, "client", lambda: server)
    monkeypatch.setattr(logging._state, "experiment_id", lambda: "0")
    with pytest.raises(type(error)) as caught:
        logging.log(Failing(), None, logging.Place("name"), writing.About(), {})
    assert server.ended == ["FAILED"]
    notes = getattr(caught.value, "__notes__", [])
    assert bool(notes) == isinstance(error, KeyboardInterrupt)


def test_what_fails_before_the_server_leaves_nothing_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(None)
    monkeypatch.setattr(logging._state, "client", lambda: server)
    with pytest.raises(OSError, match="full"):
        logging.log(Failing(), OSError("full"), logging.Place("n"), writing.About(), {})
    with pytest.raises(InvalidField, match="artifact_path"):
        logging.log(Failing(), None, logging.Place("n", "n"), writing.About(), {})
    assert server.ended == []


# ------------------------------------------------------------------ versions made elsewhere


def test_labels_by_description_alone() -> None:
    def told(**flavors: Any) -> str | None:
        return labels.by_description(Model(flavors=flavors))

    assert told(sklearn={"serialization_format": "joblib"}) == "a joblib"
    assert told(sklearn={"serialization_format": "skops"}) == labels.NOT_SEEN
    assert told(sklearn={"code": "code"}) == "a model with Python files of its own"
    assert told(python_function={"loader_module": "x"}) == "a model of its author's own code"
    skops = {"serialization_format": "skops"}
    assert told(python_function={"loader_module": "mlflow.sklearn"}, sklearn=skops) == (
        labels.NOT_SEEN
    )


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[dict[str, Any], Any]]:
    """What was registered: the tags, and the description."""
    told: list[tuple[dict[str, Any], Any]] = []
    client = type("Client", (), {"user": "somebody"})()
    monkeypatch.setattr(importing._state, "client", lambda: client)

    def registered(path: str, name: str, tags: dict[str, Any]) -> None:
        told.append((tags, Model.load(path)))

    monkeypatch.setattr(importing, "register_model", registered)
    return told


def test_an_onnx_file_is_imported(imported: Any, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"onnx")
    importing.import_model(tmp_path / "net.onnx", "net", source="https://example.org/net.onnx")
    tags, model = imported[0]
    assert tags["runstone.import.source"] == "https://example.org/net.onnx"
    assert tags["runstone.import.by"] == "somebody"
    assert tags["runstone.import.sha256"] == hashlib.sha256(b"onnx").hexdigest()
    assert "runstone.unsafe" not in tags
    assert model.flavors["onnx"]["data"] == "model.onnx"
    assert model.flavors["python_function"]["loader_module"] == "mlflow.onnx"


def test_a_hugging_face_folder_is_imported(imported: Any, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    config = {"architectures": ["BertForSequenceClassification"], "transformers_version": "4.0"}
    (hub / "config.json").write_text(json.dumps(config))
    (hub / "model.safetensors").write_bytes(b"x")
    importing.import_model(hub, "bert")
    tags, model = imported[0]
    assert "runstone.unsafe" not in tags
    assert model.flavors["transformers"]["task"] == "text-classification"
    assert model.flavors["transformers"]["components"] == []
    (hub / "tokenizer.json").write_text("{}")
    (hub / "pytorch_model.bin").write_bytes(b"x")
    importing.import_model(hub, "bert")
    again, other = imported[1]
    assert other.flavors["transformers"]["components"] == ["tokenizer"]
    assert "pytorch_model.bin" in again["runstone.unsafe"]
    assert again["runstone.import.sha256"] != tags["runstone.import.sha256"]


def test_a_pickle_of_something_else_is_imported(imported: Any, tmp_path: Path) -> None:
    (tmp_path / "some.pickle").write_bytes(pickle.dumps({"a": np.array([1])}))
    importing.import_model(tmp_path / "some.pickle", "some")
    tags, model = imported[0]
    assert tags["runstone.unsafe"] == "a pickle (some.pickle)"
    assert model.flavors == {}


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("none.pkl", {}, "not there"),
        ("model.bin", {}, "must end in"),
        ("model.bin", {"format": "torch"}, "must be one of"),
        ("model.bin", {"format": "mlmodel"}, "must end in"),
        (".", {}, "MLmodel file or a config.json"),
    ],
)
def test_what_is_no_model_is_not_imported(
    imported: Any, tmp_path: Path, name: str, given: dict[str, Any], message: str
) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(InvalidField, match=message):
        importing.import_model(tmp_path / name, "x", **given)
    assert imported == []


def test_paths_with_links_inside_are_fine(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("x")
    (tmp_path / "link").symlink_to("weights")
    paths.refuse_links_outside(tmp_path)
    assert paths.inside(tmp_path, "link", "field").read_text() == "x"

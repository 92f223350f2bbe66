"""Model folders are MLflow's: each loads, predicts and understands what the other saved."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from runstone import models, pyfunc, sklearn
from support.binaries import REPOSITORY
from support.compat import CLIENT_SETTINGS
from support.suites import clean_environment

SCRIPT = Path(__file__).parent / "scripts" / "model_files.py"
RUN_SECONDS = 240.0

CODE = """
from runstone import pyfunc
from runstone.models import ModelConfig, set_model

class Scripted(pyfunc.PythonModel):
    mark = ModelConfig(development_config={"mark": "?"}).get("mark")

    def predict(self, context, model_input, params=None):
        return [each + self.mark for each in model_input]

set_model(Scripted())
"""

INPUTS: dict[str, Any] = {
    "class": ["you"],
    "hinted": ["a", "b"],
    "function": [1, 2],
    "script": ["a"],
    "loader": ["you"],
    "skops": {"x": [3.0]},
    "cloudpickle": {"x": [3.0]},
}
PREDICTIONS: dict[str, Any] = {
    "class": ["hello you!"],
    "hinted": ["A", "B"],
    "function": [2, 4],
    "script": ["a!"],
    "loader": ["helloyou"],
    "skops": pytest.approx([6.0]),
    "cloudpickle": pytest.approx([6.0]),
}
LOADER = """
from pathlib import Path

class Loaded:
    def __init__(self, path):
        self.text = Path(path).read_text()

    def predict(self, model_input, params=None):
        return [self.text + each for each in model_input]

def _load_pyfunc(path):
    return Loaded(path)
"""


def save_ours(folder: Path) -> None:
    # Made here, for what a module has is pickled by its name, and MLflow's Python lacks this one.
    class Greeting(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            self.word = Path(context.artifacts["word"]).read_text("utf-8")

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [f"{self.word} {each}{context.model_config['mark']}" for each in model_input]

    class Hinted(pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[str]:
            return [each.upper() for each in model_input]

    def doubled(model_input: list[int]) -> list[int]:
        return [2 * each for each in model_input]

    (folder / "word.txt").write_text("hello", "utf-8")
    (folder / "script.py").write_text(CODE, "utf-8")
    (folder / "our_loader.py").write_text(LOADER, "utf-8")
    pyfunc.save_model(
        folder / "class",
        python_model=Greeting(),
        artifacts={"word": folder / "word.txt"},
        model_config={"mark": "!"},
    )
    pyfunc.save_model(folder / "hinted", python_model=Hinted(), input_example=["a"])
    pyfunc.save_model(folder / "function", python_model=doubled)
    pyfunc.save_model(
        folder / "script", python_model=folder / "script.py", model_config={"mark": "!"}
    )
    pyfunc.save_model(
        folder / "loader",
        loader_module="our_loader",
        data_path=folder / "word.txt",
        code_paths=[folder / "our_loader.py"],
    )
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    model = LinearRegression().fit(frame, [2.0, 4.0])
    for form in ("skops", "cloudpickle"):
        sklearn.save_model(model, folder / form, serialization_format=form, input_example=frame)
    (folder / "inputs.json").write_text(json.dumps(INPUTS), "utf-8")


class Both:
    """The folder of MLflow's models, and what MLflow said of ours."""

    def __init__(self, ours: Path, theirs: Path, outcomes: dict[str, Any]) -> None:
        self.ours = ours
        self.theirs = theirs
        self.outcomes = outcomes


@pytest.fixture(scope="module")
def both(mlflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    ours, theirs = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    save_ours(ours)
    outcomes = theirs / "outcomes.json"
    settings = {**CLIENT_SETTINGS, "PYTHONPATH": str(REPOSITORY / "clients/python/src")}
    done = subprocess.run(
        [str(mlflow_python), str(SCRIPT), str(ours), str(theirs), str(outcomes)],
        cwd=theirs,
        env=clean_environment() | settings,
        check=False,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return Both(ours, theirs, json.loads(outcomes.read_text("utf-8")))


@pytest.mark.parametrize("name", INPUTS)
def test_mlflow_loads_ours(both: Both, name: str) -> None:
    outcome = both.outcomes[name]
    assert outcome["predictions"] == PREDICTIONS[name]
    assert outcome["requirements"]
    signature = models.get_model_info(both.ours / name).signature
    assert outcome["inputs"] == (
        signature.inputs.to_json() if signature and signature.inputs else None
    )


@pytest.mark.parametrize("name", [name for name in INPUTS if name != "script"])
def test_ours_loads_what_mlflow_saved(both: Both, name: str) -> None:
    """Without MLflow, which is not installed beside us; its scripts import it."""
    given = INPUTS[name]
    data = pd.DataFrame(given) if isinstance(given, dict) else given
    model = pyfunc.load_model(both.theirs / name, suppress_warnings=True, allow_pickle=True)
    assert list(model.predict(data)) == PREDICTIONS[name]


def test_what_mlflow_saved_is_understood(both: Both) -> None:
    model = pyfunc.load_model(both.theirs / "class", suppress_warnings=True, allow_pickle=True)
    assert model.predict(["you"], params=None) == ["hello you!"]
    assert list(model.predict_stream("you")) == ["hello you!"]
    assert type(model.unwrap_python_model()).__name__ == "Greeting"
    hinted = models.get_model_info(both.theirs / "hinted").signature
    ours = models.get_model_info(both.ours / "hinted").signature
    assert hinted == ours
    assert hinted is not None
    assert hinted.is_signature_from_type_hint
    for name in ("skops", "cloudpickle"):
        theirs = models.get_model_info(both.theirs / name)
        mine = models.get_model_info(both.ours / name)
        assert theirs.signature == mine.signature
        assert theirs.saved_input_example_info == mine.saved_input_example_info
        kept = both.theirs / name / "serving_input_example.json"
        assert json.loads(kept.read_text("utf-8")) == json.loads(
            (both.ours / name / "serving_input_example.json").read_text("utf-8")
        )

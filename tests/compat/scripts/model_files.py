"""Run by the Python that has MLflow: saves its models, and loads those of Runstone.

    python model_files.py <folder of ours> <folder for theirs> <outcomes.json>

Runstone's client must be importable, for pickles name its classes; what it needs to speak to a
server is not there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from sklearn.linear_model import LinearRegression

SCRIPT = """
import mlflow

class Scripted(mlflow.pyfunc.PythonModel):
    mark = mlflow.models.ModelConfig(development_config={"mark": "?"}).get("mark")

    def predict(self, context, model_input, params=None):
        return [each + self.mark for each in model_input]

mlflow.models.set_model(Scripted())
"""

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


class Greeting(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.word = Path(context.artifacts["word"]).read_text("utf-8")

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        mark = (params or {}).get("mark", context.model_config["mark"])
        return [f"{self.word} {each}{mark}" for each in model_input]

    def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Any:
        yield from self.predict(context, [model_input], params)


class Hinted(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [each.upper() for each in model_input]


def doubled(model_input: list[int]) -> list[int]:
    return [2 * each for each in model_input]


def save(folder: Path) -> None:
    """The models that Runstone is to load."""
    (folder / "word.txt").write_text("hello", "utf-8")
    (folder / "script.py").write_text(SCRIPT, "utf-8")
    (folder / "their_loader.py").write_text(LOADER, "utf-8")
    given: dict[str, dict[str, Any]] = {
        "class": {
            "python_model": Greeting(),
            "artifacts": {"word": str(folder / "word.txt")},
            "model_config": {"mark": "!"},
        },
        "hinted": {"python_model": Hinted(), "input_example": ["a"]},
        "function": {"python_model": doubled},
        "script": {"python_model": str(folder / "script.py"), "model_config": {"mark": "!"}},
        "loader": {
            "loader_module": "their_loader",
            "data_path": str(folder / "word.txt"),
            "code_paths": [str(folder / "their_loader.py")],
        },
    }
    for name, more in given.items():
        mlflow.pyfunc.save_model(folder / name, pip_requirements=["mlflow"], **more)
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    model = LinearRegression().fit(frame, [2.0, 4.0])
    for form in ("skops", "cloudpickle"):
        mlflow.sklearn.save_model(
            model,
            folder / form,
            serialization_format=form,
            input_example=frame,
            pip_requirements=["scikit-learn"],
        )


def load(folder: Path) -> dict[str, Any]:
    """What MLflow makes of each of Runstone's models; the inputs stand beside them."""
    found = {}
    for name, given in json.loads((folder / "inputs.json").read_text("utf-8")).items():
        model = mlflow.pyfunc.load_model(str(folder / name))
        data = pd.DataFrame(given) if isinstance(given, dict) else given
        signature = model.metadata.signature
        found[name] = {
            "predictions": list(model.predict(data)),
            "inputs": signature.inputs.to_json() if signature and signature.inputs else None,
            "requirements": mlflow.pyfunc.get_model_dependencies(str(folder / name)) is not None,
        }
    return found


def main() -> None:
    ours, theirs, outcomes = map(Path, sys.argv[1:])
    save(theirs)
    outcomes.write_text(json.dumps(load(ours)), "utf-8")


if __name__ == "__main__":
    main()

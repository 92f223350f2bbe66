"""Models of one's own code behind HTTP: parameters, conversations, and who may load a pickle."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.exceptions import UntrustedModel
from runstone.models import ModelSignature
from runstone.types import ColSpec, ParamSchema, ParamSpec, Schema
from support.serving import Serving, ask, predictions, serving


class Scaled(runstone.pyfunc.PythonModel):
    """Multiplies by a parameter; answers a conversation with its last word."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        factor = (params or {}).get("factor", 0)
        if isinstance(model_input, dict):
            return {"said": model_input["messages"][-1], "factor": factor}
        return (model_input["x"] * factor).tolist()


SIGNATURE = ModelSignature(
    Schema([ColSpec("double", "x")]),
    params=ParamSchema([ParamSpec("factor", "double", 2.0)]),
)


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "scaled"
    runstone.pyfunc.save_model(
        folder, python_model=Scaled(), signature=SIGNATURE, pip_requirements=[]
    )
    return folder


@pytest.fixture(scope="module")
def served(scaled: Path) -> Iterator[Serving]:
    with serving(scaled, allow_pickle=True) as started:
        yield started


def body(**more: Any) -> dict[str, Any]:
    return {"dataframe_records": [{"x": 1.5}, {"x": 2.0}], **more}


def test_parameters(served: Serving) -> None:
    assert predictions(served.port, body()) == [3.0, 4.0]
    assert predictions(served.port, body(params={"factor": 10})) == [15.0, 20.0]
    assert predictions(served.port, body(params={})) == [3.0, 4.0]


def test_parameters_that_are_not_of_their_type(served: Serving) -> None:
    answer = ask(served.port, "/invocations", body(params={"factor": "much"}))
    assert answer.status == 400
    assert "param 'factor'" in answer.json["message"]


def test_parameters_of_the_open_inference_protocol(served: Serving) -> None:
    inputs = [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1.5, 2.0]}]
    asked = {"inputs": inputs, "parameters": {"factor": 3.0, "content_type": "pd"}}
    answer = ask(served.port, f"/v2/models/{served.engine.name}/infer", asked)
    assert answer.json["outputs"][0]["data"] == [4.5, 6.0]


def test_a_conversation_is_answered_without_a_wrapper(tmp_path: Path) -> None:
    folder = tmp_path / "chat"
    runstone.pyfunc.save_model(folder, python_model=Scaled(), pip_requirements=[])
    with serving(folder, allow_pickle=True) as started:
        answer = ask(started.port, "/invocations", {"messages": ["hello", "you"]})
        assert (answer.status, answer.json) == (200, {"said": "you", "factor": 0})


def test_a_pickle_of_somebody_else_is_not_served(scaled: Path, tmp_path: Path) -> None:
    shutil.copytree(scaled, tmp_path / "copy")
    with pytest.raises(UntrustedModel, match="allow_pickle"), serving(tmp_path / "copy"):
        pass
    with serving(tmp_path / "copy", allow_pickle=True) as started:
        assert predictions(started.port, body()) == [3.0, 4.0]

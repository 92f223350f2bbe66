"""Models of their users' own code: saved, and loaded as somebody else would."""

from __future__ import annotations

import datetime as dt
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import yaml

from runstone import models, pyfunc
from runstone._flavors import hinted
from runstone._flavors.python_model import FunctionModel
from runstone._models import trust
from runstone.exceptions import (
    InvalidArgument,
    InvalidField,
    ModelFormatError,
    SchemaMismatch,
    UntrustedModel,
)


class Greeting(pyfunc.PythonModel):
    def load_context(self, context: pyfunc.PythonModelContext) -> None:
        self.word = Path(context.artifacts["word"]).read_text("utf-8")

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[str]:
        mark = (params or {}).get("mark", context.model_config["mark"])
        return [f"{self.word} {each}{mark}" for each in model_input]


class Plain(pyfunc.PythonModel):
    def predict(self, model_input: Any) -> Any:
        return model_input


class OtherName(pyfunc.PythonModel):
    def predict(self, ctx: Any, data: Any) -> Any:
        return type(ctx).__name__, data


class Counting(pyfunc.PythonModel):
    def predict(self, model_input: Any, params: Any = None) -> Any:
        return list(self.predict_stream(model_input, params))

    def predict_stream(self, model_input: Any, params: Any = None) -> Any:
        yield from range(model_input * (params or {}).get("times", 1))


class Hinted(pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [each.upper() for each in model_input]


def doubled(model_input: list[int]) -> list[int]:
    return [2 * each for each in model_input]


def scaled(model_input: Any, params: Any = None) -> Any:
    return model_input * (params or {}).get("by", 1)


def saved(folder: Path, **given: Any) -> Any:
    """A model as another process loads it."""
    pyfunc.save_model(folder, **given)
    trust._own_folders.clear()
    with pytest.raises(UntrustedModel):
        pyfunc.load_model(folder)
    return pyfunc.load_model(folder, allow_pickle=True)


def described(folder: Path) -> dict[str, Any]:
    found = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def test_artifacts_and_configuration_reach_the_model(tmp_path: Path) -> None:
    (tmp_path / "word.txt").write_text("hello")
    model = saved(
        tmp_path / "model",
        python_model=Greeting(),
        artifacts={"word": str(tmp_path / "word.txt")},
        model_config={"mark": "!"},
    )
    (tmp_path / "word.txt").unlink()
    assert model.predict(["you"]) == ["hello you!"]
    assert model.predict(["you"], params={"mark": "?"}) == ["hello you?"]
    function = described(tmp_path / "model")["flavors"]["python_function"]
    assert function["artifacts"] == {
        "word": {"path": "artifacts/word.txt", "uri": str(tmp_path / "word.txt")}
    }
    assert function["config"] == {"mark": "!"}
    assert function["loader_module"] == "mlflow.pyfunc.model"
    assert function["python_model"] == "python_model.pkl"
    other = pyfunc.load_model(tmp_path / "model", model_config={"mark": "."}, allow_pickle=True)
    assert other.predict(["you"]) == ["hello you."]


def test_artifacts_of_one_name_stand_beside_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "files").mkdir(parents=True)
        (tmp_path / name / "files" / "w.txt").write_text(name)
        (tmp_path / name / "w.txt").write_text(name)
    given = {
        "one": tmp_path / "a" / "w.txt",
        "two": tmp_path / "b" / "w.txt",
        "three": tmp_path / "a" / "files",
        "four": tmp_path / "b" / "files",
    }

    class Reading(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any) -> Any:
            path = Path(context.artifacts[model_input])
            return (path if path.is_file() else path / "w.txt").read_text("utf-8")

    model = saved(tmp_path / "model", python_model=Reading(), artifacts=given)
    assert [model.predict(name) for name in given] == ["a", "b", "a", "b"]


def test_predict_may_do_without_context_and_params(tmp_path: Path) -> None:
    assert saved(tmp_path / "plain", python_model=Plain()).predict([1]) == [1]
    named = saved(tmp_path / "named", python_model=OtherName()).predict(1)
    assert named == ("PythonModelContext", 1)
    assert saved(tmp_path / "function", python_model=scaled).predict(2, {"by": 3}) == 6
    assert saved(tmp_path / "builtin", python_model=len).predict([1, 2]) == 2


def test_streams(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", python_model=Counting())
    assert list(model.predict_stream(2, {"times": 2})) == [0, 1, 2, 3]
    assert described(tmp_path / "model")["flavors"]["python_function"]["streamable"] is True
    whole = saved(tmp_path / "whole", python_model=Plain())
    with pytest.raises(InvalidArgument, match="use predict"):
        list(whole.predict_stream(1))


def test_type_hints_are_the_signature(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", python_model=Hinted())
    found = described(tmp_path / "model")
    assert found["signature"]["inputs"] == '[{"type": "string", "required": true}]'
    assert found["is_signature_from_type_hint"] is True
    assert model.predict(["a"]) == ["A"]
    assert model.predict(pd.DataFrame({"text": ["a", "b"]})) == ["A", "B"]
    with pytest.raises(SchemaMismatch, match=r"input\[1\] must be str, not int"):
        model.predict(["a", 1])
    function = saved(tmp_path / "function", python_model=doubled)
    assert function.predict([1]) == [2]
    with pytest.raises(SchemaMismatch, match="must be int, not str"):
        function.predict(["1"])


def test_the_example_tells_the_signature_where_hints_do_not(tmp_path: Path) -> None:
    model = saved(
        tmp_path / "model", python_model=Plain(), input_example=pd.DataFrame({"x": [1.5]})
    )
    assert model.input_schema.input_names() == ["x"]
    none = saved(tmp_path / "none", python_model=Plain(), input_example=[1.5], signature=False)
    assert none.metadata.signature is None


def test_a_model_that_cannot_predict_its_example_is_kept(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="could not predict its input_example"):
        pyfunc.save_model(
            tmp_path / "model", python_model=lambda given: given["x"], input_example=[1.0]
        )
    assert models.Model.load(str(tmp_path / "model")).signature is None


def test_the_raw_model_is_the_one_that_was_saved(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", python_model=Plain())
    assert isinstance(model.unwrap_python_model(), Plain)
    assert model.get_raw_model() is model.unwrap_python_model()
    assert isinstance(
        saved(tmp_path / "f", python_model=doubled).unwrap_python_model(), FunctionModel
    )
    with pytest.raises(TypeError, match="pass its URI"):
        pickle.dumps(model)


SCRIPT = """
import dataclasses
import runstone
from runstone.models import ModelConfig, set_model

@dataclasses.dataclass
class Row:
    text: str

class Shouting(runstone.pyfunc.PythonModel):
    mark = ModelConfig(development_config={"mark": "?"}).get("mark")
    def predict(self, model_input: list[str]) -> list[str]:
        import sklearn
        return [Row(each).text.upper() + self.mark for each in model_input]

set_model(Shouting())
"""


def test_a_script_is_a_model(tmp_path: Path) -> None:
    script = tmp_path / "shout.py"
    script.write_text(SCRIPT)
    model = saved(tmp_path / "model", python_model=str(script), model_config={"mark": "!"})
    script.unlink()
    assert model.predict(["a"]) == ["A!"]
    function = described(tmp_path / "model")["flavors"]["python_function"]
    assert function["model_code_path"] == "shout.py"
    assert function["loader_module"] == "mlflow.pyfunc.loaders.code_model"
    assert not list((tmp_path / "model").glob("*.pkl"))
    needed = (tmp_path / "model" / "requirements.txt").read_text("utf-8")
    assert "scikit-learn==" in needed
    assert "cloudpickle" not in needed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "must call set_model"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("def (\n", "SyntaxError"),
        ("from runstone.models import set_model\nset_model(7)\n", "InvalidField"),
    ],
)
def test_a_script_without_a_model_is_refused(tmp_path: Path, text: str, message: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(text)
    with pytest.raises(InvalidField, match=message):
        pyfunc.save_model(tmp_path / "model", python_model=script)
    assert not (tmp_path / "model").exists()


def test_a_loader_module_loads_the_data(tmp_path: Path) -> None:
    (tmp_path / "own_loader_a.py").write_text(
        "import pathlib\n"
        "class Model:\n"
        "    def __init__(self, path): self.text = pathlib.Path(path).read_text()\n"
        "    def predict(self, data, params=None): return self.text + data\n"
        "def _load_pyfunc(path): return Model(path)\n"
    )
    (tmp_path / "weights.txt").write_text("w")
    model = saved(
        tmp_path / "model",
        loader_module="own_loader_a",
        data_path=tmp_path / "weights.txt",
        code_paths=[str(tmp_path / "own_loader_a.py")],
    )
    assert model.predict("x") == "wx"
    function = described(tmp_path / "model")["flavors"]["python_function"]
    assert (function["data"], function["code"]) == ("data/weights.txt", "code")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "python_model"),
    "class": ({"python_model": Plain}, r"must be an instance: Plain\(\)"),
    "number": ({"python_model": 7}, "not int"),
    "missing_script": ({"python_model": "no.py"}, "no Python script"),
    "both": ({"python_model": Plain(), "loader_module": "m"}, "give one of them"),
    "data": ({"python_model": Plain(), "data_path": "x"}, "goes with loader_module"),
    "artifacts": ({"python_model": Plain(), "artifacts": ["x"]}, "dict of names"),
    "artifact": ({"python_model": Plain(), "artifacts": {"a": "no.txt"}}, "artifacts.a"),
    "config": ({"python_model": Plain(), "model_config": [1]}, "model_config"),
    "config_file": ({"python_model": Plain(), "model_config": "no.yaml"}, "model_config"),
    "arguments": ({"python_model": lambda a, b, c: a}, "must take"),
    "no_arguments": ({"python_model": lambda: 1}, "must take"),
    "unpicklable": ({"python_model": FunctionModel((each for each in "x").__next__)}, "kept"),
    "example": ({"python_model": Plain(), "input_example": object()}, "input_example"),
    "code": ({"python_model": Plain(), "code_paths": ["no"]}, "code_paths"),
    "code_text": ({"python_model": Plain(), "code_paths": "no"}, "code_paths"),
    "requirements": ({"python_model": Plain(), "pip_requirements": 7}, "pip_requirements"),
    "half_a_hint": ({"python_model": lambda model_input: 1, "signature": 7}, "signature"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_and_nothing_written(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        pyfunc.save_model(tmp_path / "model", **given)
    assert not (tmp_path / "model").exists()
    assert not list(tmp_path.glob(".model.*"))


def test_a_damaged_pickle_is_a_format_error(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "model", python_model=Plain())
    path = tmp_path / "model" / "python_model.pkl"
    for content in (b"", b"no pickle", path.read_bytes()[:-20]):
        path.write_bytes(content)
        with pytest.raises(ModelFormatError, match="cannot be unpickled"):
            pyfunc.load_model(tmp_path / "model", allow_pickle=True)


class Row(pydantic.BaseModel):
    x: float
    name: str = "none"


HINTS: list[tuple[Any, Any, Any]] = [
    (list[float], [1, 2.5], [1.0, 2.5]),
    (list[float], np.array([1.5]), [1.5]),
    (list[int], [np.int64(3)], [3]),
    (list[dict[str, int]], [{"a": 1}], [{"a": 1}]),
    (list[dict[str, int]], pd.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
    (list[Row], [{"x": 1.0}, Row(x=2.0)], [Row(x=1.0), Row(x=2.0)]),
    (list[Row], pd.DataFrame({"x": [1.0]}), [Row(x=1.0)]),
    (list[str | None], ["a", None], ["a", None]),
    (list[Any], ["a", 1], ["a", 1]),
    (list[list[int]], [[1], []], [[1], []]),
    (
        list[dt.datetime],
        ["2026-01-02T03:04:05"],
        [dt.datetime.fromisoformat("2026-01-02T03:04:05")],
    ),
    (pd.DataFrame, [1], [1]),
    (None, "x", "x"),
]


@pytest.mark.parametrize(("hint", "given", "made"), HINTS)
def test_input_becomes_what_its_hint_says(hint: Any, given: Any, made: Any) -> None:
    assert hinted.converted(given, hint) == made


NOT: list[tuple[Any, Any, str]] = [
    (list[int], [True], r"input\[0\] must be int, not bool"),
    (list[int], "text", "input must be list"),
    (list[int], [1.5], "must be int, not float"),
    (list[dict[str, int]], [{1: 1}], "must be dict"),
    (list[dict[str, int]], [{"a": "b"}], r"input\[0\]\['a'\] must be int"),
    (list[Row], [{"y": 1}], "is no Row"),
    (list[Row], [7], "is no Row"),
    (list[str], pd.DataFrame({"a": [1], "b": [2]}), "one column"),
    (list[dt.datetime], ["yesterday"], "must be datetime"),
    (list[int], ["x"] * 9, "and 4 more"),
]


@pytest.mark.parametrize(("hint", "given", "message"), NOT)
def test_input_that_is_not_what_its_hint_says(hint: Any, given: Any, message: str) -> None:
    with pytest.raises(SchemaMismatch, match=message):
        hinted.converted(given, hint)


def test_imports_inside_functions_are_needed(tmp_path: Path) -> None:
    def helped(given: Any) -> Any:
        import sklearn.linear_model

        return sklearn.linear_model, given

    class Needing(pyfunc.PythonModel):
        helper: Callable[[Any], Any] = staticmethod(helped)

        def predict(self, model_input: Any) -> Any:
            return helped(np.asarray(model_input))

        @property
        def other(self) -> Any:
            from yaml import safe_load

            return safe_load

    pyfunc.save_model(tmp_path / "model", python_model=Needing())
    needed = (tmp_path / "model" / "requirements.txt").read_text("utf-8").splitlines()
    names = {line.partition("==")[0] for line in needed}
    assert {"runstone", "cloudpickle", "scikit-learn", "numpy", "PyYAML"} <= names
    assert "pandas" not in names

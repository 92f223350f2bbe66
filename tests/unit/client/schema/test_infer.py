"""Signatures of examples and of type hints. What MLflow makes of the same: compat/test_schemas."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pydantic
import pytest

from runstone._schema.enforce import enforce_inputs
from runstone._schema.infer import infer_schema
from runstone.exceptions import InvalidArgument, SchemaMismatch
from runstone.models import ModelSignature, infer_signature
from runstone.models.signature import signature_from_type_hints
from runstone.types.schema import AnyType, Array, ColSpec, DataType, Schema

if TYPE_CHECKING:
    from typing import List  # noqa: UP035


class Pet(pydantic.BaseModel):
    """What a model may be told to take."""

    name: str
    age: int | None = None


@dataclasses.dataclass
class Answer:
    """What a model may be said to give."""

    text: str
    scores: list[float]
    at: dt.date | None = None


def shown(data: Any) -> str:
    """The inputs of a signature, warnings left aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return repr(infer_signature(data).inputs)


def test_whole_numbers_warn_once_at_the_callers_line() -> None:
    frame = pd.DataFrame({"n": [1, 2]})
    with pytest.warns(UserWarning, match="integer columns") as caught:
        infer_signature(frame, frame)
    assert [each.filename for each in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        infer_signature(pd.DataFrame({"n": [1.5]}), np.array([1, 2]))
        # What a classifier gives is whole, and is never checked.
        infer_signature(pd.DataFrame({"n": [1.5]}), pd.Series([1, 2]))


def test_a_missing_value_makes_a_column_optional() -> None:
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", None], "c": [True, False]})
    assert (
        shown(frame) == "['a': double (optional), 'b': string (optional), 'c': boolean (required)]"
    )
    rows = [{"a": {"k": 1, "l": None}, "b": ["x"]}, {"a": {"k": 2, "m": b"x"}}]
    assert shown(rows) == (
        "['a': {k: long (required), l: Any (optional), m: binary (optional)} (required),"
        " 'b': Array(string) (optional)]"
    )


def test_what_has_no_schema_is_anything_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="runstone"):
        signature = infer_signature([{"a": 1}, {"a": "x"}])
    assert signature.inputs == Schema([ColSpec(AnyType())])
    assert "inputs: no schema of list, so it is Any: long and string have no type" in caplog.text


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ([1, "x"], "values that should have one type do not: long and string"),
        ({"a": np.array([]), "b": 1}, "an empty array says nothing"),
        (np.array(3), "an array of no dimension"),
        ({1: "x"}, "keys must be strings, not int 1"),
        ({"a": object()}, "is of none of the types of a schema"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one is called 'a'"),
        (pd.DataFrame({"a": np.ones(2, "complex64")}), "complex64 is none of the types"),
    ],
)
def test_why_there_is_no_schema_is_told(data: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        infer_schema(data)


def test_endless_nesting_ends() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidArgument, match="more than 100 levels deep"):
        infer_schema({"a": deep})


def test_an_object_of_pydantic_needs_a_hint() -> None:
    with pytest.raises(InvalidArgument, match=r"give predict the type hint list\[Pet\]"):
        infer_signature([Pet(name="a")])


def test_faults_of_all_params_are_told() -> None:
    with pytest.raises(InvalidArgument, match=r"params: 'a': .*'c': must be a scalar"):
        infer_signature(params={"a": [[1]], "b": 1, "c": (1,)})
    with pytest.raises(InvalidArgument, match="needs inputs, outputs or params"):
        infer_signature()


def test_a_dataclass_stands_for_its_fields() -> None:
    expected = (
        "['text': string (required), 'scores': Array(float) (required), 'at': datetime (optional)]"
    )
    assert repr(infer_signature("x", Answer).outputs) == expected
    assert repr(ModelSignature(Answer("a", [])).inputs) == expected

    @dataclasses.dataclass
    class Wrong:
        found: set[int]

    with pytest.raises(InvalidArgument, match=r"field 'found' of Wrong: set.*is not supported"):
        ModelSignature(Wrong)


class Model:
    """Ways to write predict."""

    def with_context(self, context: Any, model_input: list[Pet], params: Any = None) -> list[str]:
        """As MLflow documents it."""
        return [f"{context}{params}" for _ in model_input]

    def plain(self, model_input: list[int]) -> dict[str, float]:
        """Without a context."""
        return {str(model_input): 1.0}

    def __call__(self, model_input: list[bytes]) -> set[int]:
        """As a function."""
        return {len(model_input)}


PET = "{age: long (optional), name: string (required)}"


@pytest.mark.parametrize(
    ("func", "inputs", "outputs"),
    [
        (Model.with_context, f"[{PET} (required)]", "[string (required)]"),
        (Model().with_context, f"[{PET} (required)]", "[string (required)]"),
        (Model().plain, "[long (required)]", "[Map(str -> DataType.double) (required)]"),
        (Model(), "[binary (required)]", "[Any (required)]"),
    ],
)
def test_hints_of_every_way_to_write_predict(
    func: Callable[..., Any], inputs: str, outputs: str
) -> None:
    signature = signature_from_type_hints(func)
    assert signature is not None
    assert (repr(signature.inputs), repr(signature.outputs)) == (inputs, outputs)
    assert signature.is_signature_from_type_hint


def test_a_hint_that_is_imported_for_checkers_only_is_understood() -> None:
    def predict(model_input: List[str]) -> None:  # noqa: UP006
        assert model_input

    signature = signature_from_type_hints(predict)
    assert signature is not None
    assert signature.inputs == Schema([ColSpec(DataType.string)])


def hinted(hint: Any) -> Callable[..., Any]:
    """A predict of a hint."""

    def predict(model_input: Any) -> Any:
        return model_input

    predict.__annotations__ = {} if hint is None else {"model_input": hint}
    return predict


@pytest.mark.parametrize("hint", [None, pd.DataFrame, np.ndarray, "Nowhere"])
def test_hints_without_a_schema_give_no_signature(hint: Any) -> None:
    assert signature_from_type_hints(hinted(hint)) is None
    assert signature_from_type_hints(lambda: None) is None


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        (str, r"predict takes many at once: list\[str\]"),
        (list[np.int64], "int64 is not supported; list"),
        (list[str] | None, "may not be optional"),
    ],
)
def test_hints_that_are_not_supported_warn(hint: Any, told: str) -> None:
    with pytest.warns(UserWarning, match=told):
        assert signature_from_type_hints(hinted(hint)) is None


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        (list, "needs one type"),
        (list[str | None], "an input may not be optional"),
        (list[dict[int, str]], "keys must be str"),
        (list[list], "needs the type of what is in it"),  # type: ignore[type-arg]
    ],
)
def test_half_hints_are_refused(hint: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        signature_from_type_hints(hinted(hint))
    with pytest.raises(InvalidArgument, match="func: must be a function"):
        signature_from_type_hints(hint and 3)  # type: ignore[arg-type]


class SparkType:
    """A type as Spark tells it."""

    def __init__(self, name: str, **parts: Any) -> None:
        self.name = name
        vars(self).update(parts)

    def typeName(self) -> str:
        """What Spark calls it."""
        return self.name


def spark_frame(data: pd.DataFrame, types: dict[str, SparkType]) -> Any:
    """Something that looks like a DataFrame of Spark."""

    class DataFrame:
        __module__ = "pyspark.sql.dataframe"

        @property
        def columns(self) -> list[str]:
            return list(types)

        def limit(self, rows: int) -> Any:
            return spark_frame(data.head(rows), types)

        def toPandas(self) -> pd.DataFrame:
            return data

        def drop(self, *names: str) -> Any:
            return spark_frame(data, {key: each for key, each in types.items() if key not in names})

        @property
        def schema(self) -> Any:
            fields = [SparkType(name, dataType=each, nullable=True) for name, each in types.items()]
            return SparkType("struct", fields=fields)

    return DataFrame()


def test_a_frame_of_spark_has_its_types_and_is_checked_by_its_first_rows() -> None:
    person = SparkType("struct", fields=[SparkType("n", dataType=SparkType("long"), nullable=True)])
    types = {
        "a": SparkType("short"),
        "d": SparkType("date"),
        "l": SparkType("array", elementType=SparkType("double")),
        "p": person,
    }
    frame = spark_frame(
        pd.DataFrame({"a": ["x"], "d": [None], "l": [[1.5]], "p": [{"n": 1}]}), types
    )
    assert shown(frame) == (
        "['a': integer (required), 'd': datetime (required), 'l': Array(double) (required),"
        " 'p': {n: long (optional)} (required)]"
    )
    assert enforce_inputs(frame, Schema([ColSpec(Array("double"), "l")])).columns == ["l"]
    with pytest.raises(SchemaMismatch, match="column 'a' is str, must be integer"):
        enforce_inputs(frame, Schema([ColSpec("integer", "a")]))
    with pytest.raises(InvalidArgument, match="column 'x': Spark's decimal is none"):
        infer_schema(spark_frame(pd.DataFrame(), {"x": SparkType("decimal")}))

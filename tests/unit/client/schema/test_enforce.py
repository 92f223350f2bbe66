"""Data held to a signature: every fault is named, nothing is lost, and the data stays as it was."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstone._schema.enforce import enforce_inputs, enforce_params
from runstone._schema.faults import MOST
from runstone.exceptions import InvalidArgument, SchemaMismatch
from runstone.models import infer_signature
from runstone.types.schema import (
    AnyType,
    Array,
    ColSpec,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)

TWO = Schema([ColSpec("double", "a"), ColSpec("string", "b")])
PERSON = Object([Property("name", "string"), Property("age", "long", required=False)])


def refused(data: Any, schema: Schema) -> dict[str, str]:
    """What is said of each faulty place."""
    with pytest.raises(SchemaMismatch) as caught:
        enforce_inputs(data, schema)
    error = caught.value
    assert isinstance(error, InvalidArgument)
    for fault in error.field_violations:
        assert f"{fault.field} {fault.description}" in str(error)
    return dict(error.field_violations)


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_all_faults_are_told_at_once() -> None:
    schema = Schema(
        [
            ColSpec("double", "a"),
            ColSpec("long", "b"),
            ColSpec("integer", "c"),
            ColSpec("datetime", "d", required=False),
            ColSpec(PERSON, "p"),
        ]
    )
    data = frame_of(
        b=["x", "y"],
        c=np.array([1, 2]),
        d=[1.5, 2.5],
        p=[{"age": "old"}, {"name": "b", "more": 1}],
        e=[1, 2],
    )
    assert refused(data, schema) == {
        "column 'a'": "is missing, must be double; not in the signature: 'e'",
        "column 'b'": "is str, must be long",
        "column 'c'": "is int64, must be integer",
        "column 'd'": "is float64, must be datetime",
        "column 'p'[0]['name']": "is missing, must be string",
        "column 'p'[0]['age']": "is str 'old', must be long",
        "column 'p'[1]['more']": "is not in the signature, which has age, name",
    }


def test_the_telling_ends_when_more_would_not_help() -> None:
    schema = Schema([ColSpec(Array("long"), "x")])
    with pytest.raises(SchemaMismatch, match="and maybe more") as caught:
        enforce_inputs(frame_of(x=["no"] * 1000), schema)
    assert len(caught.value.field_violations) == MOST
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.field_violations == caught.value.field_violations


def test_missing_whole_numbers_are_explained() -> None:
    schema = Schema([ColSpec("long", "n")])
    (told,) = refused(frame_of(n=[1, None]), schema).values()
    assert told.startswith("is float64, must be long; whole numbers cannot be missing in pandas")
    (told,) = refused(frame_of(n=[1.5, None]), schema).values()
    assert told == "is float64, must be long"


def test_a_right_frame_is_neither_copied_nor_shared() -> None:
    data = frame_of(a=[1.5, 2.5], b=["x", "y"])
    held = enforce_inputs(data, TWO)
    assert held is not data
    assert np.shares_memory(held["a"].to_numpy(), data["a"].to_numpy())
    held.loc[0, "a"] = 9.0
    held["new"] = 1
    assert data.to_dict("list") == {"a": [1.5, 2.5], "b": ["x", "y"]}


@pytest.mark.parametrize("dtype", ["float32", "int32", "object"])
def test_what_is_converted_leaves_the_data_as_it_was(dtype: Any) -> None:
    data = pd.DataFrame({"b": ["x", "y"], "a": np.array([1, 2]).astype(dtype)}, index=[7, 7])
    before = data.copy(deep=True)
    if dtype == "object":
        data["a"] = before["a"] = pd.Series([1.5, 2.5], dtype=object, index=data.index)
    held = enforce_inputs(data, TWO)
    assert list(held.columns) == ["a", "b"]
    assert list(held.index) == [7, 7]
    assert held["a"].dtype == "float64"
    held.iloc[0, 1] = "changed"
    pd.testing.assert_frame_equal(data, before)


def test_columns_of_one_type_are_converted_together_and_stay_in_order() -> None:
    data = frame_of(a=np.float32([1, 2]), x=["p", "q"], b=np.int32([3, 4]), c=np.float32([5, 6]))
    schema = Schema(
        [
            ColSpec("double", "c"),
            ColSpec("string", "x"),
            ColSpec("long", "b"),
            ColSpec("double", "a"),
        ]
    )
    held = enforce_inputs(data, schema)
    assert list(held.columns) == ["c", "x", "b", "a"]
    assert [str(each) for each in held.dtypes] == ["float64", "str", "int64", "float64"]
    assert held.to_dict("list") == {"c": [5, 6], "x": ["p", "q"], "b": [3, 4], "a": [1, 2]}


def test_nested_data_is_not_changed() -> None:
    row = {"name": "a", "age": 3}
    schema = Schema([ColSpec(Object([Property("name", "string"), Property("age", "double")]), "p")])
    held = enforce_inputs([{"p": row}], schema)
    assert held["p"][0] == {"name": "a", "age": 3.0}
    assert isinstance(held["p"][0]["age"], float)
    assert isinstance(row["age"], int)


def test_extra_columns_are_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    data = frame_of(a=[1.5], b=["x"], **{f"e{i}": [i] for i in range(30)})
    with caplog.at_level(logging.WARNING, logger="runstone"):
        assert list(enforce_inputs(data, TWO).columns) == ["a", "b"]
    assert "'e19' and 10 more" in caplog.text


def test_a_name_that_is_there_twice_is_told() -> None:
    data = pd.DataFrame([[1.5, 2.5, "x"]], columns=["a", "a", "b"])
    assert refused(data, TWO) == {"column 'a'": "is there twice"}
    plain = Schema([ColSpec("double"), ColSpec("double")])
    assert enforce_inputs(data, plain).values.tolist() == [[1.5, 2.5]]


WRONG_INPUTS: list[tuple[Any, Schema, dict[str, str]]] = [
    (
        {"x": np.ones((2, 3)), "z": 1},
        Schema([TensorSpec("float32", (-1, 2), "x"), TensorSpec("int64", (-1,), "y")]),
        {
            "input 'x'": "has shape (2, 3), must be (-1, 2) and has dtype float64, must be float32",
            "input 'y'": "is missing, must be int64 of shape (-1,)",
        },
    ),
    (
        [[1.0]],
        Schema([TensorSpec("float64", (-1, 1))]),
        {
            "the input": "is list [[1.0]], must be a numpy array or a DataFrame: float64 of shape"
            " (-1, 1)"
        },
    ),
    (
        frame_of(x=[[1, 2], [3]]),
        Schema([TensorSpec("float64", (-1, 2))]),
        {
            "the input": "does not become float64 of shape (-1, 2): all the input array dimensions"
            " except for the concatenation axis must match exactly, but along dimension 1, the"
            " array at index 0 has size 2 and the array at index 1 has size 1"
        },
    ),
    ([[1.5]], Schema([ColSpec("double")] * 2), {"the input": "has 1 columns, must have 2"}),
    (
        frame_of(x=[{"a": {"b": [1, 2.5]}}]),
        Schema([ColSpec(Map(Map(Array("long"))), "x")]),
        {"column 'x'[0]['a']['b']": "is float64, must be long in every item"},
    ),
    (
        frame_of(x=[{1: "a"}]),
        Schema([ColSpec(Map("string"), "x")]),
        {"column 'x'[0][1]": "must have a string as its key"},
    ),
]


@pytest.mark.parametrize(("data", "schema", "told"), WRONG_INPUTS)
def test_faults_are_told_by_their_place(data: Any, schema: Schema, told: dict[str, str]) -> None:
    assert refused(data, schema) == told


@pytest.mark.parametrize(
    "data", [None, {1}, object(), np.ones((2, 2, 2)), {"a": [1], "b": [1, 2, 3]}]
)
def test_what_makes_no_frame_is_told(data: Any) -> None:
    with pytest.raises(SchemaMismatch, match="the input: "):
        enforce_inputs(data, TWO)


def test_a_schema_is_needed() -> None:
    with pytest.raises(InvalidArgument, match="schema: must be a Schema, not NoneType"):
        enforce_inputs([1], None)  # type: ignore[arg-type]


def test_anything_is_not_looked_at() -> None:
    data = frame_of(x=[object(), None])
    assert enforce_inputs(data, Schema([ColSpec(AnyType(), "x")]))["x"][0] is data["x"][0]


PARAMS = ParamSchema(
    [ParamSpec("k", "long", 3), ParamSpec("t", "double", 0.5), ParamSpec("l", "string", [], (-1,))]
)


def test_params_get_types_and_defaults(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="runstone"):
        found = enforce_params({"t": np.float32(2), "z": 1}, PARAMS)
    assert found == {"t": 2.0, "k": 3, "l": []}
    assert type(found["t"]) is float
    assert "left out: 'z' (it has: 'k', 't', 'l')" in caplog.text
    found["l"].append("changed")
    assert enforce_params(None, PARAMS)["l"] == []
    assert enforce_params(None, None) == enforce_params({"a": 1}, None) == {}


def test_all_faults_of_params_are_told() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        enforce_params({"k": 1.5, "t": "1", "l": "a"}, PARAMS)
    assert caught.value.field_violations == [
        ("param 'k'", "is float 1.5, must be long"),
        ("param 't'", "is str '1', must be double"),
        ("param 'l'", "is str 'a', must be a list of string"),
    ]
    with pytest.raises(InvalidArgument, match="params: must be a dictionary, not list"):
        enforce_params([], PARAMS)  # type: ignore[arg-type]


VALUES = st.recursive(
    st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.dictionaries(st.text(min_size=1, max_size=3), below, min_size=1, max_size=3),
    max_leaves=8,
)
ROWS = st.dictionaries(st.text(min_size=1, max_size=4), VALUES, min_size=1, max_size=4)


@settings(deadline=None)  # pandas is imported within the first
@given(ROWS)
def test_data_passes_the_signature_that_is_inferred_from_it(row: dict[str, Any]) -> None:
    schema = infer_signature([row]).inputs
    held = enforce_inputs([row], schema)
    assert held.to_dict("records") == [row]


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "uint64", "float32"])
def test_a_conversion_loses_nothing_or_is_refused(dtype: str) -> None:
    limits: Callable[[Any], Any] = np.finfo if dtype.startswith("f") else np.iinfo
    values = np.array([limits(dtype).min, limits(dtype).max, 1], dtype=dtype)
    for wanted in ("integer", "long", "float", "double"):
        try:
            held = enforce_inputs(frame_of(x=values), Schema([ColSpec(wanted, "x")]))["x"]
        except SchemaMismatch:
            continue
        assert [float(each) for each in held] == [float(each) for each in values]
        assert held.to_numpy().astype(dtype).tolist() == values.tolist()

"""Bodies into what a model takes: types that JSON has not, tensors, language models, CSV."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runstone._schema.enforce import enforce_inputs
from runstone._serving import parsing
from runstone._serving.parsing import Taken
from runstone._serving.refusals import Refusal
from runstone.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from runstone.types.schema import Array

TABLE = Schema(
    [
        ColSpec("integer", "i"),
        ColSpec("long", "l"),
        ColSpec("float", "f"),
        ColSpec("double", "d"),
        ColSpec("boolean", "b"),
        ColSpec("string", "s"),
        ColSpec("binary", "y"),
        ColSpec("datetime", "t"),
    ]
)
CELLS = [1, 2, 0.5, 3, True, "007", "AAE=", "2026-01-02T03:04:05"]


def read(body: Any, schema: Schema | None = None, kind: str = parsing.JSON) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parsing.read(raw, kind, Taken(schema)).data


def check_table(found: pd.DataFrame, rows: int = 2) -> None:
    held = enforce_inputs(found, TABLE)
    assert [str(dtype) for dtype in held.dtypes][:5] == [
        *("int32", "int64", "float32", "float64", "bool")
    ]
    assert len(held) == rows
    first = held.iloc[0]
    assert (first["s"], first["y"]) == ("007", b"\x00\x01")
    assert first["t"] == pd.Timestamp("2026-01-02T03:04:05")


def test_every_scalar_type_from_every_form() -> None:
    names = [each.name for each in TABLE]
    record = dict(zip(names, CELLS, strict=True))
    check_table(read({"dataframe_split": {"columns": names, "data": [CELLS, CELLS]}}, TABLE))
    check_table(read({"dataframe_records": [record, record]}, TABLE))
    check_table(read({"instances": [record, record]}, TABLE))
    check_table(read({"inputs": [record, record]}, TABLE))
    check_table(read({"inputs": {name: [cell] * 2 for name, cell in record.items()}}, TABLE))
    check_table(read({"inputs": record}, TABLE), rows=1)
    line = "1,2,0.5,3,True,007,AAE=,2026-01-02T03:04:05\n"
    check_table(read(f"{','.join(names)}\n{line * 2}".encode(), TABLE, parsing.CSV))


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("long", 3.0, "int64"),
        ("long", 3.5, "float64"),
        ("integer", 2**40, "int64"),
        ("float", 1e300, "float64"),
        ("double", 2**40, "float64"),
        ("long", 2**63, "object"),
        ("long", 2**70, "float64"),
        ("boolean", 1, "int64"),
        ("double", True, "bool"),
    ],
)
def test_what_would_be_lost_is_left_for_the_check(kind: str, value: Any, kept: str) -> None:
    schema = Schema([ColSpec(kind, "x"), ColSpec("string", "s")])
    found = read({"dataframe_split": {"columns": ["x", "s"], "data": [[value, "a"]]}}, schema)
    assert str(found["x"].dtype) == kept


def test_missing_values() -> None:
    schema = Schema([ColSpec("double", "d"), ColSpec("string", "s", required=False)])
    columns = ["d", "s"]
    found = read(
        {"dataframe_split": {"columns": columns, "data": [[1, "a"], [None, None]]}}, schema
    )
    assert found["d"].dtype == "float64"
    assert found["d"].isna().tolist() == [False, True]
    assert found["s"].isna().tolist() == [False, True]
    # As Python's own writer has them.
    body = b'{"dataframe_split": {"columns": ["d", "s"], "data": [[NaN, "a"], [Infinity, "b"]]}}'
    assert read(body, schema)["d"].tolist() == pytest.approx([np.nan, np.inf], nan_ok=True)
    found = read({"dataframe_records": [{"d": 1.0, "s": "a"}, {"s": "b"}]}, schema)
    assert found["d"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("datetime", "yesterday", "column 'x': must be datetime"),
        ("binary", "***", "column 'x': must be binary, in base64"),
    ],
)
def test_texts_that_are_no_times_or_bytes(kind: str, value: str, said: str) -> None:
    with pytest.raises(Refusal, match=r"^column 'x'") as caught:
        read({"dataframe_records": [{"x": value}]}, Schema([ColSpec(kind, "x")]))
    assert caught.value.message.startswith(said)
    assert (caught.value.status, caught.value.code) == (400, "INVALID_PARAMETER_VALUE")


def test_nested_values_are_left_to_the_check() -> None:
    schema = Schema([ColSpec(Array("long"), "x")])
    for body in ({"dataframe_records": [{"x": [1, 2]}, {"x": []}]}, {"inputs": [{"x": [1, 2]}]}):
        held = enforce_inputs(read(body, schema), schema)
        assert list(held["x"].iloc[0]) == [1, 2]


def test_large_tables_are_what_pandas_makes_of_them() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"f": rng.normal(size=50), "i": range(50), "s": ["a", "b"] * 25, "b": [True, False] * 25}
    )
    for wanted in (frame, frame[["f"]], frame[["i"]], frame[["s", "b"]], frame[["f", "i"]]):
        split = wanted.to_dict(orient="split")
        pd.testing.assert_frame_equal(read({"dataframe_split": split}), wanted)
        records = wanted.to_dict(orient="records")
        pd.testing.assert_frame_equal(read({"dataframe_records": records}), wanted)


TENSOR = Schema([TensorSpec("float32", (-1, 2))])
TENSORS = Schema([TensorSpec("float32", (-1, 2), "x"), TensorSpec("int64", (-1,), "n")])


def test_tensors() -> None:
    for body in ({"instances": [[1, 2], [3, 4]]}, {"inputs": [[1, 2], [3, 4]]}):
        found = read(body, TENSOR)
        assert (found.dtype, found.tolist()) == (np.float32, [[1.0, 2.0], [3.0, 4.0]])
    for body in (
        {"inputs": {"x": [[1, 2], [3, 4]], "n": [5, 6]}},
        {"instances": [{"x": [1, 2], "n": 5}, {"x": [3, 4], "n": 6}]},
    ):
        found = read(body, TENSORS)
        assert {name: (each.dtype, each.tolist()) for name, each in found.items()} == {
            "x": (np.float32, [[1.0, 2.0], [3.0, 4.0]]),
            "n": (np.int64, [5, 6]),
        }
    only = Schema([TensorSpec("float32", (-1, 2), "x")])
    assert read({"inputs": [[1, 2]]}, only)["x"].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"x": [[1, 2], [3]], "n": [1]}},
        {"inputs": {"x": [["a", "b"]], "n": [1]}},
        {"inputs": {"x": [[1, 2]], "n": [1.5]}},
        {"inputs": {"x": [[1, 2]], "n": ["1"]}},
        {"inputs": {"x": [[1, None]], "n": [1]}},
        {"inputs": {"x": [[1, 2]], "n": [2**70]}},
        {"inputs": [[1, 2]]},
    ],
)
def test_what_is_no_such_tensor(body: Any) -> None:
    with pytest.raises(Refusal) as caught:
        read(body, TENSORS)
    assert caught.value.status == 400


def test_without_a_signature_columns_become_arrays() -> None:
    found = read({"inputs": {"x": [1, 2], "y": ["a", "b"]}})
    assert (found["x"].tolist(), found["y"].tolist()) == ([1, 2], ["a", "b"])
    assert read({"inputs": [{"x": 1}]}) == [{"x": 1}]
    assert read({"inputs": 3}).shape == ()


def test_language_models_get_the_body_and_answer_without_a_wrapper() -> None:
    taken = Taken(None, ParamSchema([ParamSpec("temperature", "double", 0.5)]))
    body = {"messages": [{"role": "user", "content": "hi"}], "temperature": 0.1, "n": 2}
    query = parsing.read(json.dumps(body).encode(), parsing.JSON, taken)
    assert query.whole
    assert query.params == {"temperature": 0.1}
    assert query.data == {"messages": body["messages"], "n": 2}


def test_type_hints_get_the_input_as_it_is() -> None:
    taken = Taken(Schema([ColSpec("string")]), hinted=True)
    query = parsing.read(b'{"inputs": ["a"], "params": {"k": 1}}', parsing.JSON, taken)
    assert (query.data, query.params) == (["a"], {"k": 1})
    with pytest.raises(Refusal, match="takes inputs, not instances"):
        parsing.read(b'{"instances": ["a"]}', parsing.JSON, taken)

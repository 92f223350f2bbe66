"""The types of signatures: MLflow's JSON to the letter, and what no schema may be."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstone.exceptions import InvalidArgument
from runstone.models import ModelSignature
from runstone.types.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    SparkMLVector,
    TensorSpec,
)

NESTED = Array(Object([Property("b", "double", False), Property("a", Map(Array("string")))]))

COLUMNS = Schema([ColSpec("long", "n"), ColSpec("string", "t", False)])
COLUMNS_JSON = (
    '[{"type": "long", "name": "n", "required": true},'
    ' {"type": "string", "name": "t", "required": false}]'
)
COLUMNS_SHOWN = "['n': long (required), 't': string (optional)]"

TENSOR = Schema([TensorSpec(np.dtype("float32"), (-1, 28, 28))])
TENSOR_JSON = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}}]'
TENSOR_SHOWN = "[Tensor('float32', (-1, 28, 28))]"

# What the real MLflow 3.17.2 writes for each.
SCHEMAS = [
    (COLUMNS, COLUMNS_JSON, COLUMNS_SHOWN),
    (
        Schema([ColSpec(each) for each in DataType]),
        (
            '[{"type": "boolean", "required": true}, {"type": "integer", "required": true},'
            ' {"type": "long", "required": true}, {"type": "float", "required": true},'
            ' {"type": "double", "required": true}, {"type": "string", "required": true},'
            ' {"type": "binary", "required": true}, {"type": "datetime", "required": true}]'
        ),
        (
            "[boolean (required), integer (required), long (required), float (required), double"
            " (required), string (required), binary (required), datetime (required)]"
        ),
    ),
    (
        Schema(
            [ColSpec(NESTED, "x", False), ColSpec(AnyType(), "y"), ColSpec(SparkMLVector(), "v")]
        ),
        (
            '[{"type": "array", "items": {"type": "object", "properties": {"a": {"type": "map",'
            ' "values": {"type": "array", "items": {"type": "string"}}, "required": true}, "b":'
            ' {"type": "double", "required": false}}}, "name": "x", "required": false}, {"type":'
            ' "any", "name": "y", "required": true}, {"type": "sparkml_vector", "name": "v",'
            ' "required": true}]'
        ),
        (
            "['x': Array({a: Map(str -> Array(string)) (required), b: double (optional)})"
            " (optional), 'y': Any (required), 'v': SparkML vector (required)]"
        ),
    ),
    (TENSOR, TENSOR_JSON, TENSOR_SHOWN),
    (
        Schema([TensorSpec(np.dtype("str"), [-1], "a"), TensorSpec(np.uint8, (3, -1), "b")]),
        (
            '[{"name": "a", "type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}},'
            ' {"name": "b", "type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [3, -1]}}]'
        ),
        "['a': Tensor('str', (-1,)), 'b': Tensor('uint8', (3, -1))]",
    ),
]

PARAMS = ParamSchema(
    [
        ParamSpec("k", "long", 3),
        ParamSpec("t", "double", 1),
        ParamSpec("d", "datetime", dt.datetime(2024, 1, 2, 3)),  # noqa: DTZ001
        ParamSpec("l", "string", ["a", "b"], (-1,)),
        ParamSpec("o", Object([Property("a", "long")]), {"a": 1}),
    ]
)
PARAMS_JSON = (
    '[{"name": "k", "default": 3, "shape": null, "type": "long"}, {"name": "t", "default": 1.0,'
    ' "shape": null, "type": "double"}, {"name": "d", "default": "2024-01-02T03:00:00", "shape":'
    ' null, "type": "datetime"}, {"name": "l", "default": ["a", "b"], "shape": [-1], "type":'
    ' "string"}, {"name": "o", "default": {"a": 1}, "shape": null, "type": "object", "properties":'
    ' {"a": {"type": "long", "required": true}}}]'
)
PARAMS_SHOWN = (
    "['k': long (default: 3), 't': double (default: 1.0), 'd': datetime (default: 2024-01-02"
    " 03:00:00), 'l': string (default: ['a', 'b']) (shape: (-1,)), 'o': {a: long (required)}"
    " (default: {'a': 1})]"
)


@pytest.mark.parametrize(("schema", "text", "shown"), SCHEMAS)
def test_a_schema_is_written_as_mlflow_writes_it(schema: Schema, text: str, shown: str) -> None:
    assert schema.to_json() == text
    assert repr(schema) == shown
    assert Schema.from_json(text) == schema
    assert json.loads(json.dumps(schema.to_dict())) == json.loads(text)


def test_parameters_are_written_as_mlflow_writes_them() -> None:
    assert PARAMS.to_json() == PARAMS_JSON
    assert repr(PARAMS) == PARAMS_SHOWN
    assert ParamSchema.from_json(PARAMS_JSON) == PARAMS
    older = '[{"name": "k", "dtype": "long", "default": 3}]'
    assert ParamSchema.from_json(older).params == PARAMS.params[:1]


def test_a_signature_holds_json_in_strings() -> None:
    signature = ModelSignature(COLUMNS, TENSOR, PARAMS)
    written = {"inputs": COLUMNS_JSON, "outputs": TENSOR_JSON, "params": PARAMS_JSON}
    assert signature.to_dict() == written
    assert ModelSignature.from_dict(written) == signature
    assert repr(signature) == (
        f"inputs: \n  {COLUMNS_SHOWN}\noutputs: \n  {TENSOR_SHOWN}\nparams: \n  {PARAMS_SHOWN}\n"
    )
    assert ModelSignature(outputs=TENSOR).to_dict()["inputs"] is None
    assert ModelSignature.from_dict({"outputs": TENSOR_JSON}) == ModelSignature(outputs=TENSOR)
    assert ModelSignature(COLUMNS) != signature


def test_a_schema_tells_of_its_columns() -> None:
    assert COLUMNS.input_names() == ["n", "t"]
    assert COLUMNS.input_types() == [DataType.long, DataType.string]
    assert COLUMNS.required_input_names() == ["n"]
    assert COLUMNS.optional_input_names() == ["t"]
    assert COLUMNS.has_input_names()
    assert not COLUMNS.is_tensor_spec()
    assert COLUMNS.input_types_dict() == {"n": DataType.long, "t": DataType.string}
    assert COLUMNS.input_dict() == {"n": COLUMNS.inputs[0], "t": COLUMNS.inputs[1]}
    assert COLUMNS.numpy_types() == [np.dtype("int64"), np.dtype("str")]
    assert COLUMNS.pandas_types() == [np.dtype("int64"), object]
    assert len(COLUMNS) == len(list(COLUMNS)) == 2


def test_a_schema_without_names_tells_numbers() -> None:
    assert TENSOR.is_tensor_spec()
    assert not TENSOR.has_input_names()
    assert TENSOR.numpy_types() == [np.dtype("float32")]
    schema = Schema([ColSpec("long"), ColSpec("double")])
    assert schema.input_names() == schema.required_input_names() == [0, 1]
    with pytest.raises(InvalidArgument, match="no names"):
        schema.input_dict()
    with pytest.raises(InvalidArgument, match="of tensors"):
        TENSOR.pandas_types()
    with pytest.raises(InvalidArgument, match="of tensors"):
        TENSOR.as_spark_schema()
    with pytest.raises(InvalidArgument, match=r"column 'x' is Array.*no DataType"):
        Schema([ColSpec(NESTED, "x")]).numpy_types()


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: Schema([]), "at least one"),
    (lambda: Schema((ColSpec("long"),)), "must be a list, not tuple"),  # type: ignore[arg-type]
    (lambda: Schema([ColSpec("long", "a"), TENSOR.inputs[0]]), "all ColSpec or all TensorSpec"),
    (lambda: Schema(["long"]), "all ColSpec or all TensorSpec, not str"),  # type: ignore[list-item]
    (lambda: Schema([ColSpec("long", "a"), ColSpec("long")]), "either all or none have a name"),
    (lambda: Schema([ColSpec("long", "a")] * 2), "more than one is called 'a'"),
    (lambda: Schema([TensorSpec("int8", (-1,))] * 2), "several tensors need names"),
    (lambda: Schema([ColSpec("long", required=False)]), "only columns with names"),
    (lambda: ColSpec("int", "a"), "type of ColSpec 'a': must be .* integer, long, .*not str 'int'"),
    (lambda: ColSpec("long", ("a", "b")), "name of a ColSpec"),  # type: ignore[arg-type]
    (lambda: TensorSpec("float33", (-1,), "a"), "TensorSpec 'a': numpy has no dtype 'float33'"),
    (lambda: TensorSpec(3, (-1,)), "must be a numpy dtype"),  # type: ignore[arg-type]
    (lambda: TensorSpec(np.dtype("U5"), (-1,)), "str without a length, not 'str160'"),
    (lambda: TensorSpec("int8", (-2, 3)), r"lengths must be -1 \(any\), or 0 or more"),
    (lambda: TensorSpec("int8", (None, 3)), "whole numbers, -1 where"),  # type: ignore[arg-type]
    (lambda: TensorSpec("int8", 3), "must be a tuple or a list"),  # type: ignore[arg-type]
    (lambda: Object([]), "at least one"),
    (lambda: Object([Property("a", "long")] * 2), "more than one is called 'a'"),
    (lambda: Property(3, "long"), "must be a string"),  # type: ignore[arg-type]
    (lambda: Array("list"), "dtype of an Array: must be"),
    (lambda: Map("dict"), "value_type of a Map: must be"),
    (lambda: ParamSpec("p", "binary", b""), "dtype of the ParamSpec 'p'"),
    (lambda: ParamSpec("p", Array("long"), [1]), "must be an Object or one of"),
    (lambda: ParamSpec("p", "long", "a"), "default of the ParamSpec 'p': is str 'a', must be long"),
    (lambda: ParamSpec("p", "long", 1, (2,)), "shape of the ParamSpec 'p'"),
    (lambda: ParamSpec("p", "long", 1, (-1,)), "must be a list of long"),
    (lambda: ParamSpec("p", "datetime", "soon"), "must be a date or a time"),
    (lambda: ParamSchema([ParamSpec("p", "long", 1)] * 2), "more than one is called 'p'"),
    (ModelSignature, "needs inputs, outputs or params"),
    (lambda: ModelSignature("long"), "inputs: must be a Schema"),
    (lambda: ModelSignature(params=COLUMNS), "params: must be"),  # type: ignore[arg-type]
    (lambda: Schema.from_json("{"), "schema: is no JSON"),
    (lambda: Schema.from_json("[" * 100_000), "schema: is no JSON"),
    (lambda: Schema.from_json("{}"), "must be a JSON array, not dict"),
    (lambda: Schema.from_json("[3]"), "an entry of the schema: must be a JSON object"),
    (lambda: Schema.from_json('[{"name": "a"}]'), "has no 'type'"),
    (lambda: Schema.from_json('[{"type": "array", "name": "a"}]'), "ColSpec 'a': has no 'items'"),
    (lambda: Schema.from_json('[{"type": "tensor"}]'), "TensorSpec: has no 'tensor-spec'"),
    (lambda: Schema.from_json('[{"type": "object", "properties": []}]'), "must be a JSON object"),
    (
        lambda: Schema.from_json('[{"type": "map", "name": "a", "values": {"type": "x"}}]'),
        r"ColSpec 'a'\.values\.type: must be",
    ),
    (
        lambda: Schema.from_json(
            "[" + '{"type": "array", "items": ' * 150 + '{"type": "long"}' + "}" * 150 + "]"
        ),
        "more than 100 levels deep",
    ),
    (lambda: ParamSchema.from_json('[{"name": "a", "type": "long"}]'), "has no 'default'"),
    (lambda: ModelSignature.from_dict([]), "must be a mapping"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "told"), WRONG)
def test_what_is_wrong_is_named(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        make()


SCALARS = st.sampled_from(list(DataType))
NAMES = st.text(min_size=1, max_size=8)
TYPES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.builds(AnyType) | st.builds(SparkMLVector),
    lambda below: (
        st.builds(Array, below)
        | st.builds(Map, below)
        | st.dictionaries(NAMES, st.tuples(below, st.booleans()), min_size=1, max_size=3).map(
            lambda entries: Object([Property(name, *rest) for name, rest in entries.items()])
        )
    ),
    max_leaves=6,
)
COLUMN_LISTS = st.lists(
    st.builds(ColSpec, TYPES, NAMES, st.booleans()), min_size=1, unique_by=lambda each: each.name
)
SHAPES = st.lists(st.integers(-1, 4), max_size=4)
DTYPES = st.sampled_from(
    ["bool", "int8", "uint64", "float16", "complex64", "str", "bytes", "object"]
)
TENSOR_LISTS = st.lists(
    st.builds(TensorSpec, DTYPES, SHAPES, NAMES), min_size=1, unique_by=lambda each: each.name
)


@settings(deadline=None)
@given(COLUMN_LISTS | TENSOR_LISTS)
def test_any_schema_comes_back_from_its_json(inputs: list[Any]) -> None:
    schema = Schema(inputs)
    assert Schema.from_json(schema.to_json()) == schema
    assert Schema.from_json(schema.to_json()).to_json() == schema.to_json()

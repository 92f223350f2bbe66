"""Signatures and data of every kind, and what a library makes of them: MLflow's or ours.

Run by the Python of MLflow's environment it prints what MLflow makes of them, as JSON.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import io
import json
import logging
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
from scipy.sparse import csc_matrix, csr_matrix

REFUSED = "refused"

BARE: Any = dict
"""Half a hint: it does not say of what."""

DAY = dt.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001


class Library(NamedTuple):
    """What both offer, by one name."""

    types: Any
    infer: Callable[..., Any]
    enforce: Callable[[Any, Any], Any]
    enforce_params: Callable[[Any, Any], Any]
    hinted: Callable[[Any], Any]


class Pet(pydantic.BaseModel):
    """A pydantic model with what one may have."""

    name: str
    age: int | None = None
    tags: list[str] = []
    sizes: dict[str, float] = {}


def _of_type(values: list[Any], dtype: Any) -> pd.Series[Any]:
    return pd.Series(values).astype(dtype)


def _frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def inferred() -> dict[str, Any]:
    """Data whose signature is inferred, by what it is."""
    objects = {
        "none": [None, None],
        "mixed": ["a", 1],
        "lists": [["a", "b"], []],
        "objects": [{"a": 1, "b": None}, {"a": 2, "c": [1.5]}],
        "dates": [dt.date(2024, 1, 1), dt.date(2024, 1, 2)],
        "decimals": [decimal.Decimal("1.5"), decimal.Decimal("2.5")],
        "bytes": [b"a", b"b"],
        "times": [DAY, DAY],
        "texts": ["a", None],
        "flags": [True, None],
        "arrays": [np.array([1.5, 2]), np.array([1.0])],
        "whole": [1, 2],
    }
    dtypes = ["bool", "int8", "int32", "int64", "uint8", "uint32", "uint64", "float16", "float32"]
    dtypes += ["float64", "datetime64[ns]", "datetime64[s]", "complex64", "timedelta64[ns]"]
    nullable = ["Int64", "Int32", "boolean", "Float64", "string", "category"]
    cases: dict[str, Any] = {
        **{
            f"object {name}": _frame(x=pd.Series(each, dtype=object))
            for name, each in objects.items()
        },
        **{f"list {name}": each for name, each in objects.items()},
        **{f"{each} column": _frame(x=np.ones(2).astype(each)) for each in dtypes},
        **{f"{each} array": np.ones((2, 3)).astype(each) for each in dtypes},
        **{f"{each} column": _frame(x=_of_type([1, 0], each)) for each in nullable},
        **{f"missing {each}": _frame(x=_of_type([1, None], each)) for each in nullable[:4]},
        "frame": _frame(a=[1.5, None], b=["x", "y"], c=[1, 2], d=[DAY, None]),
        "numbered frame": pd.DataFrame([[1.5, "a"]]),
        "two levels of names": pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
        "one name twice": pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "times with a zone": _frame(x=pd.to_datetime(["2024-01-01"]).tz_localize("UTC")),
        "empty frame": pd.DataFrame(),
        "frame without rows": _frame(x=np.zeros(0)),
        "series": pd.Series([1.5, 2.5], name="s"),
        "series without a name": pd.Series(["a"]),
        "text array": np.array(["a", "bcd"]),
        "bytes array": np.array([b"a", b"bcd"]),
        "object array": np.array(["a", 1], dtype=object),
        "array of no dimension": np.array(3),
        "arrays": {"a": np.ones((2, 3)), "b": np.array(["x"])},
        "csr": csr_matrix(np.eye(3)),
        "csc": csc_matrix(np.eye(3, dtype="float32")),
        "scalars": {"a": 1, "b": 1.5, "c": "x", "d": True, "e": b"x", "f": None, "g": DAY},
        "numpy scalars": {
            "a": np.int32(1),
            "b": np.float32(1),
            "c": np.str_("x"),
            "d": np.bool_(1),
        },
        "numpy int16": {"a": np.int16(1)},
        "nested": {"a": {"b": {"c": [1, 2]}}, "l": [{"x": 1}, {"y": 2}], "n": [[1.5]], "e": []},
        "dictionary with an empty array": {"a": np.array([]), "b": 1},
        "keys of numbers": {1: 2},
        "empty dictionary": {},
        "rows": [{"t": "a", "ids": ["x"]}, {"t": "b", "ids": ["x", "y"], "more": {"k": 1}}],
        "rows with None": [{"a": 1, "b": None}, {"a": None, "b": "x"}],
        "rows that differ": [{"a": 1}, {"a": "x"}],
        "empty list": [],
        "list of lists": [[1, 2], [3]],
        "list of NaN": [1.5, float("nan")],
        "list of rows and None": [{"a": 1}, None],
        "tuple": (1, 2),
        "set": {1},
        **{f"scalar {each!r}": each for each in (1, 1.5, True, "a", b"a", float("nan"), DAY)},
        "day": dt.date(2024, 1, 1),
        "numpy time": np.datetime64("2024-01-01"),
        "pandas time": pd.Timestamp("2024-01-01"),
        "list of pandas times": [pd.Timestamp("2024-01-01")],
    }
    return cases


def parameters() -> dict[str, Any]:
    """Parameters whose schema is inferred."""
    return {
        "scalars": {"a": 1, "b": 1.5, "c": "x", "d": True, "e": DAY, "f": np.float32(1.5)},
        "lists": {"a": [1, 2], "b": ["x"], "c": [DAY], "d": np.array([1.5]), "e": [1, 2.5]},
        "objects": {"a": {"b": 1, "c": ["x"]}},
        "bytes": {"a": b"x"},
        "matrix": {"a": [[1]]},
        "ragged": {"a": [[1], [1, 2]]},
        "None": {"a": None},
        "empty list": {"a": []},
        "empty dictionary": {"a": {}},
        "tuple": {"a": (1,)},
        "day": {"a": dt.date(2024, 1, 1)},
        "numpy int16": {"a": np.int16(1)},
    }


def columns() -> dict[str, pd.Series[Any]]:
    """Columns, each of which is held to every scalar type."""
    dtypes = ["bool", "int8", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16"]
    dtypes += ["float32", "float64", "datetime64[ns]", "datetime64[s]", "complex64"]
    nullable = ["Int64", "Int32", "boolean", "Float64", "Float32", "string"]
    objects = {
        "whole": [1, 2],
        "numbers": [1, 2.5],
        "texts": ["a", None],
        "dates": [dt.date(2024, 1, 1), None],
        "bytes": [b"a", b"b"],
        "decimals": [decimal.Decimal("1.5"), decimal.Decimal("2.5")],
        "flags": [True, None],
        "nothing": [None, None],
        "times": [DAY, DAY],
        "mixed": ["a", 1],
    }
    return {
        **{each: pd.Series(np.array([3, 5]).astype(each)) for each in dtypes},
        **{each: _of_type([1, 0], each) for each in nullable},
        **{f"missing {each}": _of_type([1, None], each) for each in nullable[:5]},
        **{f"object {each}": pd.Series(found, dtype=object) for each, found in objects.items()},
        "0 and 1": pd.Series([0, 1]),
        "text": pd.Series(["a", "b"]),
        "category": pd.Series(["a", "b"]).astype("category"),
        "sparse": pd.Series(pd.arrays.SparseArray([1.5, 0.0])),
        "text of times": pd.Series(["2024-01-01", "2024-01-02"]),
        "float64 with NaN": pd.Series([1.0, None]),
        "zoned": pd.Series(pd.to_datetime(["2024-01-01"]).tz_localize("UTC")),
    }


def enforced(types: Any) -> dict[str, tuple[Any, Any]]:
    """A schema and data for it, by what is special about them."""
    column, tensor, array, obj = types.ColSpec, types.TensorSpec, types.Array, types.Object
    prop, mapped = types.Property, types.Map

    def spec(*inputs: Any) -> Any:
        return types.Schema(list(inputs))

    def person_of(kind: str) -> Any:
        return spec(column(obj([prop("x", kind)]), "p"))

    two = spec(column("double", "a"), column("string", "b"))
    maybe = spec(column("double", "a"), column("string", "b", False))
    plain = spec(column("double"), column("double"))
    person = obj([prop("name", "string"), prop("age", "long", False)])
    people = spec(column(person, "p"))
    deep = spec(column(array(person), "ps"), column(mapped("long"), "m", False))
    texts = spec(column(array("string"), "t"))
    doubles = spec(column(array("double"), "t"))
    image = spec(tensor(np.dtype("float64"), (-1, 2)))
    named = spec(tensor(np.dtype("float64"), (-1, 2), "x"), tensor(np.dtype("int64"), (-1,), "y"))
    square, line = np.ones((2, 2)), np.array([1, 2])
    rows = [{"name": "a", "age": 3}, {"name": "b"}]
    return {
        "in order": (two, _frame(a=[1.5], b=["x"])),
        "order and extra": (two, _frame(c=[1], b=["x"], a=[1.5])),
        "missing": (two, _frame(a=[1.5])),
        "optional left out": (maybe, _frame(a=[1.5])),
        "index kept": (two, pd.DataFrame({"b": ["x", "y"], "a": [1.5, 2]}, index=[5, 5])),
        "records": (two, [{"a": 1.5, "b": "x"}, {"a": 2.5, "b": "y"}]),
        "one record": (two, {"a": 1.5, "b": "x"}),
        "columns": (two, {"a": [1.5], "b": ["x"]}),
        "arrays": (two, {"a": np.array([1.5]), "b": np.array(["x"])}),
        "strings of a server": (spec(column("string", "b")), {"b": np.array("x")}),
        "deep array as column": (two, {"a": np.ones((2, 2)), "b": ["x", "y"]}),
        "uneven columns": (two, {"a": [1.5, 2.5, 3], "b": [1, 2]}),
        "names against an array": (two, np.ones((1, 2))),
        "plain list": (plain, [[1.5, 2.5]]),
        "plain array": (plain, np.ones((3, 2))),
        "plain frame with names": (plain, _frame(x=[1.5], y=[2.5], z=["extra"])),
        "plain too few": (plain, [[1.5]]),
        "plain wrong": (plain, [["a", 2.5]]),
        "cube for columns": (plain, np.ones((2, 2, 2))),
        "scalar": (spec(column("string")), "x"),
        "list of scalars": (spec(column("string")), ["x", "y"]),
        "series": (spec(column("double", "s")), pd.Series([1.5], name="s")),
        "series without a name": (spec(column("double")), pd.Series([1.5])),
        "set": (two, {1.5}),
        "None": (two, None),
        "anything": (spec(column(types.AnyType(), "x")), _frame(x=["a", None])),
        "objects": (people, _frame(p=rows)),
        "object as dictionary": (people, {"p": rows[0]}),
        "object lacks": (people, _frame(p=[{"age": 3}])),
        "object has more": (people, _frame(p=[{"name": "a", "x": 1}])),
        "object is text": (people, _frame(p=["a"])),
        "object of wrong": (people, _frame(p=[{"name": "a", "age": "x"}])),
        "arrays of objects": (deep, [{"ps": rows, "m": {"a": 1}}, {"ps": [], "m": None}]),
        "arrays of objects lacking": (deep, [{"ps": [{}]}]),
        "map of wrong": (deep, [{"ps": rows, "m": {"a": "x"}}]),
        "texts": (texts, _frame(t=[["a", "b"], []])),
        "texts as array": (texts, _frame(t=[np.array(["a", "b"])])),
        "texts wrong": (texts, _frame(t=["a"])),
        "texts are numbers": (texts, _frame(t=[[1, 2]])),
        "doubles": (doubles, _frame(t=[[1.5, 2.5], [1, 2.5], [None, 1.5]])),
        "doubles of singles": (doubles, _frame(t=[np.ones(2, "float32")])),
        "doubles are texts": (doubles, _frame(t=[["a"]])),
        "whole number in an object": (person_of("double"), _frame(p=[{"x": 5}])),
        "narrow number in an object": (person_of("integer"), _frame(p=[{"x": 5}])),
        "wide number in an object": (person_of("integer"), _frame(p=[{"x": 2**31}])),
        "inexact number in an object": (person_of("double"), _frame(p=[{"x": 2**53 + 1}])),
        "time in an object": (person_of("datetime"), _frame(p=[{"x": DAY}])),
        "text in an object": (person_of("string"), _frame(p=[{"x": 1}])),
        "None in an object": (person_of("string"), _frame(p=[{"x": None}])),
        "object left out": (
            spec(column("long", "a"), column(person, "p", False)),
            [{"a": 1, "p": rows[0]}, {"a": 2}],
        ),
        "None among texts": (texts, _frame(t=[["a", None]])),
        "None among flags": (spec(column(array("boolean"), "t")), _frame(t=[[True, None]])),
        "None among whole numbers": (spec(column(array("long"), "t")), _frame(t=[[1, None]])),
        "times in an array": (spec(column(array("datetime"), "t")), _frame(t=[[DAY]])),
        "arrays of arrays": (spec(column(array(array("long")), "t")), _frame(t=[[[1], [2, 3]]])),
        "matrices": (spec(column(array(array("double")), "t")), {"t": square}),
        "tensor": (image, square),
        "tensor of other dtype": (image, square.astype("float32")),
        "tensor of other shape": (image, np.ones((2, 3))),
        "tensor of other rank": (image, np.ones(2)),
        "tensor as list": (image, [[1.0, 2.0]]),
        "tensor from frame": (image, pd.DataFrame(square)),
        "tensor from wide frame": (image, pd.DataFrame(np.ones((2, 3)))),
        "tensor from a column of lists": (image, _frame(x=[[1, 2], [3, 4]])),
        "tensor from a column of arrays": (image, _frame(x=[np.ones(2), np.ones(2)])),
        "tensor from uneven lists": (image, _frame(x=[[1, 2], [3]])),
        "tensor from a series": (image, pd.Series([[1, 2], [3, 4]])),
        "tensor from a column": (image, _frame(x=[1.5])),
        "vector from a column": (spec(tensor(np.dtype("int64"), (-1,))), _frame(x=[1, 2])),
        "tensor from nothing": (image, pd.DataFrame()),
        "sparse": (image, csr_matrix(square)),
        "sparse of other dtype": (image, csc_matrix(square.astype("float32"))),
        "text tensor": (spec(tensor(np.dtype("str"), (-1,))), np.array(["a", "bcd"])),
        "any objects": (spec(tensor(np.dtype("O"), (-1,))), square),
        "ragged": (
            spec(tensor(np.dtype("float64"), (-1, -1, 3))),
            np.array([np.ones((1, 3)), np.ones((2, 3))], dtype=object),
        ),
        "named": (named, {"y": line, "x": square, "z": line}),
        "named lacking": (named, {"x": square}),
        "named wrong": (named, {"x": square, "y": line.astype("int32")}),
        "named of lists": (named, {"x": [[1.0, 2.0]], "y": [1]}),
        "named from frame": (named, _frame(x=[[1, 2], [3, 4]], y=[1, 2])),
        "named from an array": (named, square),
        "one named from an array": (spec(tensor(np.dtype("float64"), (-1, 2), "x")), square),
    }


def enforced_params() -> dict[str, Any]:
    """Parameters for a schema of one of each type."""
    return {
        "none": None,
        "some": {"long": 3, "double": 2, "float": 1.5},
        "unknown": {"x": 1},
        "wrong": {"long": 1.5},
        "text for a number": {"double": "1"},
        "flag for a number": {"long": True},
        "number for a flag": {"boolean": 1},
        "numpy": {"long": np.int64(3), "double": np.float32(1.5), "string": np.str_("a")},
        "numpy of the other width": {"integer": np.int64(3)},
        "time": {"datetime": "2024-01-02T03:04:05"},
        "wrong time": {"datetime": "soon"},
        "list": {"list": [1, 2]},
        "list from array": {"list": np.array([1, 2])},
        "list of wrong": {"list": ["a"]},
        "scalar for list": {"list": 1},
        "None for a scalar": {"long": None},
        "object": {"object": {"a": 1}},
        "object of wrong": {"object": {"a": "x"}},
    }


def params_schema(types: Any) -> Any:
    """A parameter of each type, named for it."""
    one = {"boolean": True, "integer": 1, "long": 1, "float": 1.5, "double": 1.5, "string": "a"}
    specs = [types.ParamSpec(name, name, default) for name, default in one.items()]
    return types.ParamSchema(
        [
            *specs,
            types.ParamSpec("datetime", "datetime", DAY),
            types.ParamSpec("list", "long", [1], (-1,)),
            types.ParamSpec("object", types.Object([types.Property("a", "long")]), {"a": 1}),
        ]
    )


def hints() -> dict[str, Any]:
    """Hints of a predict function's input and output."""
    inputs: list[Any] = [
        list[int],
        list[str],
        list[dict[str, float]],
        list[list[bool]],
        list[Pet],
        list[Any],
    ]
    inputs += [list[dt.datetime], list[bytes], list[dict[str, list[int]]], pd.DataFrame, np.ndarray]
    inputs += [list, str, list[str | None], list[str] | None, list[int | str], dict[str, int]]
    inputs += [list[dict[int, str]], list[np.int64], list[BARE], None, list[list[Pet]]]
    outputs: list[Any] = [
        list[str],
        str,
        pd.DataFrame,
        dict[str, float],
        Pet,
        None,
        list[Pet],
        int | None,
    ]
    return {
        **{f"input {_name(each)}": (each, list[str]) for each in inputs},
        **{f"output {_name(each)}": (list[str], each) for each in outputs},
    }


def _name(hint: Any) -> str:
    """A hint's name, wherever this file is run from."""
    return str(hint).replace(f"{__name__}.", "")


def described(value: Any) -> Any:
    """A result as JSON: what it is, of which types, and what is in it."""
    if isinstance(value, pd.DataFrame):
        columns = [
            [name, str(value.dtypes.iloc[place]), [plain(each) for each in value.iloc[:, place]]]
            for place, name in enumerate(value.columns)
        ]
        return ["frame", [str(each) for each in value.index], columns]
    if isinstance(value, dict):
        return {name: described(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return ["array", str(value.dtype), list(value.shape), plain(value.tolist())]
    if hasattr(value, "toarray"):
        return [type(value).__name__, described(value.toarray())]
    return plain(value)


def plain(value: Any) -> Any:
    """A value without numpy's classes, and with the text of what JSON has not."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def _result(call: Callable[..., Any], *given: Any) -> Any:
    try:
        return call(*given)
    except Exception:
        return REFUSED


def results(library: Library) -> dict[str, Any]:
    """What a library makes of everything here, by name."""
    types = library.types

    def signature(found: Any) -> Any:
        return None if found is None else {**found.to_dict(), "shown": repr(found)}

    def cell(values: pd.Series[Any], wanted: Any) -> Any:
        schema = types.Schema([types.ColSpec(wanted, "x")])
        return described(library.enforce(values.to_frame("x"), schema))

    found: dict[str, Any] = {}
    for name, data in inferred().items():
        found[f"infer {name}"] = _result(lambda given: signature(library.infer(given)), data)
    for name, params in parameters().items():
        found[f"infer params {name}"] = _result(
            lambda given: signature(library.infer(params=given)), params
        )
    for name, values in columns().items():
        for wanted in types.DataType:
            found[f"column {name} as {wanted.name}"] = _result(cell, values, wanted)
    for name, (schema, data) in enforced(types).items():
        found[f"enforce {name}"] = _result(
            lambda given, wanted: described(library.enforce(given, wanted)), data, schema
        )
    for name, params in enforced_params().items():
        found[f"params {name}"] = _result(
            lambda given: described(library.enforce_params(given, params_schema(types))), params
        )
    for name, (taken, given) in hints().items():

        def predict(model_input: Any) -> Any:
            return model_input

        predict.__annotations__ = {"model_input": taken, "return": given}
        if taken is None:
            predict.__annotations__ = {"return": given}
        found[f"hint {name}"] = _result(lambda given: signature(library.hinted(given)), predict)
    return found


def _mlflow() -> Library:
    from mlflow.models import signature, utils
    from mlflow.types import schema, type_hints

    def hinted(predict: Any) -> Any:
        found = signature._extract_type_hints(predict, 0)
        if type_hints._signature_cannot_be_inferred_from_type_hint(found.input):
            return None
        return signature._infer_signature_from_type_hints(predict, None, found)

    return Library(
        schema,
        signature.infer_signature,
        utils._enforce_schema,
        utils._enforce_params_schema,
        hinted,
    )


if __name__ == "__main__":
    logging.disable()
    warnings.showwarning = lambda *_: None  # MLflow puts the filters back
    with contextlib.redirect_stdout(io.StringIO()):
        document = results(_mlflow())
    print(json.dumps(document))

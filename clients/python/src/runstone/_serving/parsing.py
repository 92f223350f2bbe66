"""What stands in a request: MLflow's scoring protocol, in JSON, CSV or Parquet."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

from runstone._serving import frames
from runstone._serving.refusals import Refusal, mismatch, unsupported

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
PARQUETS = frozenset({PARQUET, "application/x-parquet", "application/parquet"})

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
LANGUAGE_KEYS = frozenset({"messages", "prompt", "input"})
"""A body with one of these is for a language model: taken whole, and answered without a wrapper."""

ONE_FORM = "the body must be a JSON object with exactly one of " + ", ".join(FORMS)


@dataclass(frozen=True, slots=True)
class Query:
    """What to predict from.

    Attributes:
        whole: The predictions are the answer, rather than a field of it.
    """

    data: Any
    params: dict[str, Any] | None = None
    whole: bool = False


@dataclass(slots=True)
class Taken:
    """What a model takes, as far as reading a body depends on it; made once for each model."""

    schema: Any = None
    params: Any = None
    hinted: bool = False
    columns: frames.Columns = field(init=False)

    def __post_init__(self) -> None:
        self.columns = frames.Columns(self.schema)


def taken_by(metadata: Any) -> Taken:
    """What a model with this description takes."""
    signature = metadata.signature
    if signature is None:
        return Taken()
    hinted = bool(getattr(signature, "is_signature_from_type_hint", False))
    return Taken(signature.inputs, signature.params, hinted)


def read(body: bytes, content_type: str, taken: Taken) -> Query:
    """What a body asks for.

    Raises:
        Refusal: it cannot be read; says what is wrong.
    """
    kind = media_type(content_type)
    if kind == JSON:
        return _read_json(body, taken)
    if kind == CSV:
        return Query(_read_csv(body, taken))
    return Query(_read_parquet(body))


def media_type(content_type: str) -> str:
    """The kind of body that a Content-Type names. Raises Refusal."""
    if content_type == JSON:
        return JSON
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    kind = kind.lower()
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset":
            raise unsupported(f"parameter {name.strip()!r:.50} of Content-Type is not known here")
        if value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
            raise unsupported("only UTF-8 is read here")
    if kind in PARQUETS:
        return PARQUET
    if kind not in {JSON, CSV}:
        raise unsupported(
            f"Content-Type must be {JSON}, {CSV} or {PARQUET}, not {content_type!r:.100}"
        )
    return kind


def document(body: bytes) -> Any:
    """The JSON in a body. Raises Refusal."""
    import orjson

    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise Refusal(f"the body is no JSON: {error}") from None
    try:
        # What Python's own writer makes of a missing number.
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"the body is no JSON: {error}") from None


def _read_json(body: bytes, taken: Taken) -> Query:
    found = document(body)
    if type(found) is not dict:
        raise Refusal(f"{ONE_FORM}, not {_json_name(found)}")
    if not LANGUAGE_KEYS.isdisjoint(found):
        known = {each.name for each in taken.params} if taken.params else set()
        said = {key: value for key, value in found.items() if key in known}
        data = {key: value for key, value in found.items() if key not in known}
        return Query(data, said, whole=True)
    params = found.get("params")
    if params is not None and type(params) is not dict:
        raise Refusal(f"params must be an object, not {_json_name(params)}")
    forms = [form for form in FORMS if form in found]
    if len(forms) != 1:
        raise Refusal(f"{ONE_FORM}; it has {', '.join(map(repr, list(found)[:20])) or 'none'}")
    form = forms[0]
    given = found[form]
    if taken.hinted:
        if form != "inputs":
            raise Refusal(f"the model takes inputs, not {form}: its signature is of type hints")
        return Query(given, params)
    try:
        return Query(_READERS[form](given, taken), params)
    except (ValueError, TypeError, OverflowError, LookupError) as error:
        raise Refusal(f"{form} cannot be read: {error!s:.500}") from None


def _split(given: Any, taken: Taken) -> Any:
    if type(given) is not dict or not given.keys() <= {"columns", "index", "data"}:
        found = ", ".join(map(repr, given)) if type(given) is dict else _json_name(given)
        raise Refusal(
            "dataframe_split must be an object with data, and maybe columns and index,"
            f" not {found:.300}"
        )
    for part in ("data", "columns", "index"):
        if type(given.get(part)) is not list and (part == "data" or given.get(part) is not None):
            raise Refusal(f"{part} of dataframe_split must be an array")
    names = given.get("columns")
    if names is not None:
        _check_names(names)
    index = given.get("index")
    if index is not None and len(index) != len(given["data"]):
        raise Refusal(
            f"dataframe_split has {len(given['data'])} rows and {len(index)} in its index"
        )
    return frames.of_rows(given["data"], names, index, taken.columns)


def _check_names(names: list[Any]) -> None:
    if set(map(type, names)) - {str, int}:
        raise Refusal("columns of dataframe_split must be names, or numbers")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refusal(f"columns of dataframe_split has {twice!r} more than once")


def _records(given: Any, taken: Taken) -> Any:
    if type(given) is not list:
        raise Refusal(f"dataframe_records must be an array of objects, not {_json_name(given)}")
    return frames.of_records(given, taken.columns)


def _instances(given: Any, taken: Taken) -> Any:
    if type(given) is not list:
        raise Refusal(f"instances must be an array with one entry for each row, not {given!r:.50}")
    if not given or type(given[0]) is not dict:
        return _inputs(given, taken, "instances")
    if taken.columns.names:
        return frames.of_records(given, taken.columns)
    if set(map(type, given)) != {dict} or any(each.keys() != given[0].keys() for each in given):
        raise Refusal("instances must all be objects with the same keys")
    return _tensors({key: [each[key] for each in given] for key in given[0]}, taken)


def _inputs(given: Any, taken: Taken, form: str = "inputs") -> Any:
    schema, columns = taken.schema, taken.columns
    rows = type(given) is list and bool(given) and set(map(type, given)) == {dict}
    if columns.names:
        if columns.nested:
            return given
        named = schema.has_input_names()
        if rows and named:
            return frames.of_records(given, columns)
        if type(given) is dict and named:
            return frames.of_columns(given, columns)
        if len(columns.names) == 1 and type(given) in {list, str, int, float, bool}:
            values = given if type(given) is list else [given]
            if list not in set(map(type, values)):
                return frames.of_columns({columns.names[0]: values}, columns)
        if named and type(given) is not list:
            raise mismatch(f"{form} must have an array for each of the columns {columns.names!r}")
        if type(given) is list and set(map(type, given)) == {list}:
            return frames.of_rows(given, columns.names if named else None, None, columns)
        raise mismatch(f"{form} must have a value for each of the columns {columns.names!r}")
    if rows:
        return given
    if type(given) is dict:
        return _tensors(given, taken)
    if schema is not None and schema.has_input_names():
        if len(schema) > 1:
            raise mismatch(f"{form} must be an object with {schema.input_names()!r}")
        return _tensors({schema.input_names()[0]: given}, taken)
    dtype = schema.input_types()[0] if schema is not None else None
    return frames.as_array(given, dtype, form)


def _tensors(given: dict[str, Any], taken: Taken) -> dict[str, Any]:
    types: dict[str, Any] = {}
    if taken.schema is not None and taken.schema.has_input_names():
        types = taken.schema.input_types_dict()
    return {
        name: frames.as_array(value, types.get(name), f"input {name!r}")
        for name, value in given.items()
    }


_READERS = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}


def _read_csv(body: bytes, taken: Taken) -> Any:
    import pandas as pd

    # Without this "007" would become 7 before anybody says that it is text.
    texts = {
        name: "str"
        for name, kind in taken.columns.types.items()
        if kind in {"string", "binary", "datetime"}
    }
    try:
        found = pd.read_csv(io.BytesIO(body), dtype=texts)
    except (ValueError, TypeError, OverflowError, UnicodeDecodeError) as error:
        raise Refusal(f"the body is no CSV with a line of column names: {error!s:.300}") from None
    return frames.conform(found, taken.columns)


def _read_parquet(body: bytes) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise unsupported("Parquet is not read here: pyarrow is not installed") from None
    try:
        return pq.read_table(pa.BufferReader(body)).to_pandas()
    except (pa.ArrowException, ValueError, OSError, TypeError) as error:
        raise Refusal(f"the body is no Parquet: {error!s:.300}") from None


def _json_name(value: Any) -> str:
    if value is None:
        return "null"
    names = {dict: "an object", list: "an array", str: "a text", bool: "a boolean"}
    return names.get(type(value), "a number")

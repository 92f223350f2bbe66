"""What parameters must be. A kind reads a value of JSON, or the text of a query.

MLflow's servers read JSON as protobuf does, so whole numbers may also come as text (its Java client
sends them so) or as 5.0, and numbers as "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from runstone_gateway.errors import GatewayError, invalid, missing

INT64 = range(-(2**63), 2**63)

SHOWN_CHARACTERS = 100
"""Of a wrong value in an answer."""

FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Numbers that JSON has no literals for, as protobuf writes them."""


_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number as JSON writes it; float() also takes "1_000" and " 1"."""


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter: what it must be, and whether it must be there.

    ``read`` takes a value that is not null and the parameter's path, and returns what the handler
    gets. ``many``: a query may name it several times. ``older``: another name of old clients.
    """

    read: Callable[[Any, str], Any]
    is_required: bool = False
    many: bool = False
    older: str = ""

    @property
    def required(self) -> Field:
        """The same, but it must be there and not be empty text."""
        return replace(self, is_required=True)

    def called(self, older: str) -> Field:
        """The same, which old clients call by another name."""
        return replace(self, older=older)


Fields = Mapping[str, Field]


def camel(name: str) -> str:
    """The other name that protobuf's JSON knows a field by: runId of run_id."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def read_object(fields: Fields, given: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The values of the fields that are given. Unknown names are passed over, as MLflow does.

    Raises GatewayError for the first that is missing or wrong.
    """
    values = {}
    for name, field in fields.items():
        value = given.get(name)
        if value is None:
            value = given.get(camel(name), given.get(field.older))
        if value is None or (value == "" and field.is_required):
            if field.is_required:
                raise missing(path + name)
        else:
            values[name] = field.read(value, path + name)
    return values


def wrong(value: object, path: str, wanted: str) -> GatewayError:
    """The error of a value that is not what the field must be."""
    return invalid(path, _shown(value), f"it must be {wanted}.")


def _shown(value: object) -> str:
    """The beginning of a value as JSON. All of it may be long, and a thousand levels deep."""
    if type(value) is str:
        value = value[: SHOWN_CHARACTERS + 1]
    shown = ""
    for piece in json.JSONEncoder(default=str).iterencode(value):
        shown += piece[: SHOWN_CHARACTERS + 1]
        if len(shown) > SHOWN_CHARACTERS:
            return shown[:SHOWN_CHARACTERS] + "…"
    return shown


def _text(value: Any, path: str) -> str:
    if type(value) is not str:
        raise wrong(value, path, "a string")
    return value


def _integer(value: Any, path: str) -> int:
    kind = type(value)
    number = value if kind is int else None
    if kind is str and value.isascii() and len(value) < 21:
        digits = value.removeprefix("-")
        number = int(value) if digits.isdigit() else None
    elif kind is float and value.is_integer():
        number = int(value)
    if number is None or number not in INT64:
        raise wrong(value, path, "a whole number of 64 bits")
    return int(number)


def _number(value: Any, path: str) -> float:
    kind = type(value)
    if kind is float or kind is int:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if kind is str:
        if value in FLOATS:
            return FLOATS[value]
        if _DECIMAL.fullmatch(value):
            return float(value)
    raise wrong(value, path, 'a number, "NaN", "Infinity" or "-Infinity"')


def _boolean(value: Any, path: str) -> bool:
    if type(value) is bool:
        return value
    if type(value) is str and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise wrong(value, path, "true or false")


def _map(value: Any, path: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise wrong(value, path, "an object")
    return value


def _texts(value: Any, path: str) -> dict[str, str]:
    return {key: _text(each, f"{path}.{key}") for key, each in _map(value, path).items()}


def _time(value: Any, path: str) -> Timestamp:
    found = Timestamp()
    try:
        found.FromJsonString(_text(value, path))
    except (ValueError, OverflowError):
        raise wrong(value, path, 'a time such as "2025-01-31T12:00:00.250Z"') from None
    return found


def _duration(value: Any, path: str) -> Duration:
    found = Duration()
    try:
        found.FromJsonString(_text(value, path))
    except (ValueError, OverflowError):
        raise wrong(value, path, 'seconds such as "1.5s"') from None
    return found


def _anything(value: Any, _path: str) -> Any:
    return value


TEXT = Field(_text)
INT = Field(_integer)
NUMBER = Field(_number)
BOOL = Field(_boolean)
MAP = Field(_map)
TEXT_MAP = Field(_texts)
TIME = Field(_time)
DURATION = Field(_duration)
ANY = Field(_anything)


def listed(item: Field) -> Field:
    """A list of things of one kind; each of them must be there."""

    def read(value: Any, path: str) -> list[Any]:
        if type(value) is not list:
            raise wrong(value, path, "a list")
        return [item.read(each, f"{path}[{index}]") for index, each in enumerate(value)]

    return Field(read, many=True)


TEXTS = listed(TEXT)


def nested(**fields: Field) -> Field:
    """An object with fields of its own."""

    def read(value: Any, path: str) -> dict[str, Any]:
        return read_object(fields, _map(value, path), path + ".")

    return Field(read)


def one_of(numbers: Mapping[str, int]) -> Field:
    """A value of an enum, by its name or its number; the handler gets the name."""
    names = {number: name for name, number in numbers.items()}
    by_text = {str(number): name for number, name in names.items()}

    def read(value: Any, path: str) -> str:
        if type(value) is str and value in numbers:
            return value
        if type(value) is str and value in by_text:
            return by_text[value]
        if type(value) is int and value in names:
            return names[value]
        raise wrong(value, path, "one of " + ", ".join(numbers))

    return Field(read)


def _pairs(value: Any, path: str, *, twice: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    if type(value) is not list:
        raise wrong(value, path, "a list")
    for index, each in enumerate(value):
        given = read_object(_PAIR, _map(each, f"{path}[{index}]"), f"{path}[{index}].")
        if given["key"] in found and not twice:
            raise invalid(path, json.dumps(given["key"]), "the key is there twice.")
        found[given["key"]] = given.get("value", "")
    return found


_PAIR = {"key": TEXT.required, "value": TEXT}

PAIRS = Field(lambda value, path: _pairs(value, path, twice=True))
"""A list of {"key", "value"}; the last of a key counts. The handler gets a dict."""

UNIQUE_PAIRS = Field(lambda value, path: _pairs(value, path, twice=False))
"""A list of {"key", "value"} with each key once. The handler gets a dict."""

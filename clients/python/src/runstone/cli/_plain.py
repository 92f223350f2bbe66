"""Messages as plain values: what `--json` prints, and what the tables are made of.

Fields keep the names of the contract and are always there, so that programs can rely on them;
unset messages are null. Times are ISO 8601 in UTC, 64-bit integers are numbers, enums lose their
prefix (`RUN_STATUS_FINISHED` is `FINISHED`), and NaN and infinities are the strings that protobuf's
JSON has for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def plain(message: Message) -> dict[str, Any]:
    """A message as a dict of what JSON knows."""
    return {name: read(message) for name, read in _readers(message.DESCRIPTOR)}


Read = Callable[[Any], Any]


@cache
def _readers(descriptor: Descriptor) -> tuple[tuple[str, Read], ...]:
    """How each field of a kind of message is read: asked once, not for each of thousands."""
    return tuple((field.name, _reader(field)) for field in descriptor.fields)


def _reader(field: Any) -> Read:
    name: str = field.name
    value = attrgetter(name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = _converter(field.message_type.fields_by_name["value"])
        return lambda message: _mapping(value(message), inner)
    convert = _converter(field)
    if field.is_repeated:
        if convert is None:
            return lambda message: list(value(message))
        return lambda message: [convert(each) for each in value(message)]
    if field.has_presence:
        return lambda message: (
            _converted(convert, value(message)) if message.HasField(name) else None
        )
    return value if convert is None else lambda message: convert(value(message))


def _mapping(value: Any, convert: Read | None) -> dict[str, Any]:
    return {str(key): _converted(convert, value[key]) for key in sorted(value)}


def _converted(convert: Read | None, value: Any) -> Any:
    return value if convert is None else convert(value)


def _converter(field: Any) -> Read | None:
    """What makes a value one of JSON; None when it is one."""
    if field.message_type is not None:
        return time_text if field.message_type is Timestamp.DESCRIPTOR else plain
    if field.enum_type is not None:
        return partial(enum_text, field.enum_type)
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return number
    return bytes.hex if field.type == field.TYPE_BYTES else None


def number(value: float) -> float | str:
    """A double, or the string that stands for one that is no number of JSON."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def time_text(value: Timestamp) -> str:
    """2026-03-01T12:00:00.123Z"""
    moment = datetime.fromtimestamp(value.seconds, UTC).replace(microsecond=value.nanos // 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def enum_text(enum: EnumDescriptor, number: int) -> str:
    """The name of an enum's value without its prefix; the number when the name is unknown."""
    found = enum.values_by_number.get(number)
    if found is None:
        return str(number)
    return str(found.name.removeprefix(_prefix(enum)))


def enum_number(enum: EnumDescriptor, text: str) -> int:
    """The value with this name, its prefix left out, in any case. Raises KeyError."""
    return int(enum.values_by_name[_prefix(enum) + text.upper()].number)


def _prefix(enum: EnumDescriptor) -> str:
    # TransitionRequestState -> TRANSITION_REQUEST_STATE_
    words = "".join(f"_{c}" if c.isupper() else c for c in enum.name).strip("_")
    return f"{words.upper()}_"

"""Messages as plain values: what `--json` prints, and what the tables are made of.

Fields keep the names of the contract and are always there, so that programs can rely on them;
unset messages are null. Times are ISO 8601 in UTC, 64-bit integers are numbers, enums lose their
prefix (`RUN_STATUS_FINISHED` is `FINISHED`), and NaN and infinities are the strings that protobuf's
JSON has for them.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def plain(message: Message) -> dict[str, Any]:
    """A message as a dict of what JSON knows."""
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        return {str(key): _value(value[key], inner) for key in sorted(value)}
    if field.is_repeated:
        return [_value(each, field) for each in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _value(value, field)


def _value(value: Any, field: Any) -> Any:
    if isinstance(value, Timestamp):
        return time_text(value)
    if isinstance(value, Message):
        return plain(value)
    if field.enum_type is not None:
        return enum_text(field.enum_type, value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, bytes):
        return value.hex()
    return value


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

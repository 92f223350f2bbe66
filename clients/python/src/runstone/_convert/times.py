"""Unix milliseconds and Timestamp."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from runstone import _values


def to_ms(message: Timestamp) -> int:
    """Unix milliseconds of a timestamp."""
    return message.seconds * 1000 + message.nanos // 1_000_000


def to_timestamp(milliseconds: int) -> Timestamp:
    """The timestamp of Unix milliseconds. Raises InvalidField when it is no whole number."""
    seconds, rest = divmod(_values.whole_number("time", milliseconds), 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)

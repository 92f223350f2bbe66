"""Unix milliseconds and Timestamp."""

from __future__ import annotations

import time

from google.protobuf.timestamp_pb2 import Timestamp


def now_ms() -> int:
    """Now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def to_ms(message: Timestamp) -> int:
    """Unix milliseconds of a timestamp."""
    return message.seconds * 1000 + message.nanos // 1_000_000


def to_timestamp(milliseconds: int) -> Timestamp:
    """The timestamp of Unix milliseconds."""
    seconds, rest = divmod(int(milliseconds), 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)

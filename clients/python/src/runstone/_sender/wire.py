"""AppendMetrics as bytes: requests written and answers read by hand.

The generated classes cost 4 MB and a copy of every column; a sender needs one request and two
messages of errors. Packed fixed-width fields are raw little-endian arrays, so a column is appended
as it is.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

METHOD = "/runstone.tracking.v1.TrackingService/AppendMetrics"

# Tags of fields: number * 8 + wire type.
_RUN_ID, _WRITER_ID, _SEQUENCE, _SERIES = b"\x0a", b"\x12", b"\x18", b"\x22"
_KEY, _STEPS, _TIMESTAMPS, _VALUES, _RANK = b"\x0a", b"\x12", b"\x1a", b"\x22", b"\x28"

NO_RANK = -1

POINT_BYTES = 24
SERIES_BYTES = 32
"""What a series takes beside its key and points, at most: tags, lengths, rank."""


@dataclass(slots=True)
class Series:
    """Points of one metric as columns of equal length; ``rank`` -1: none."""

    key: str
    rank: int
    steps: array[int]
    timestamps_ms: array[int]
    values: array[float]


def append_request(run_id: str, writer_id: str, sequence: int, series: Iterable[Series]) -> bytes:
    """A serialized AppendMetricsRequest."""
    parts = [_text(_RUN_ID, run_id), _text(_WRITER_ID, writer_id), _SEQUENCE, _varint(sequence)]
    for each in series:
        body = [
            _text(_KEY, each.key),
            *_column(_STEPS, each.steps),
            *_column(_TIMESTAMPS, each.timestamps_ms),
            *_column(_VALUES, each.values),
        ]
        if each.rank != NO_RANK:
            body += (_RANK, _varint(each.rank))
        parts += (_SERIES, _varint(sum(map(len, body))))
        parts += body
    return b"".join(parts)


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    result = bytearray()
    while number >= 0x80:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    result.append(number)
    return bytes(result)


def _text(tag: bytes, text: str) -> bytes:
    encoded = text.encode()
    return tag + _varint(len(encoded)) + encoded


def _column(tag: bytes, column: array[int] | array[float]) -> tuple[bytes, bytes, bytes]:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return tag, _varint(len(column) * column.itemsize), column.tobytes()


def is_duplicate(response: bytes) -> bool:
    """Whether an AppendMetricsResponse says that the batch had been applied before."""
    return any(number == 1 and bool(value) for number, value in _fields(response))


@dataclass(frozen=True, slots=True)
class Details:
    """What a google.rpc.Status says beside code and message."""

    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None


def details(status: bytes) -> Details:
    """Read the trailing metadata ``grpc-status-details-bin``; damaged bytes say nothing."""
    reason, retry_after = "", None
    metadata: dict[str, str] = {}
    try:
        for number, packed in _fields(status):
            if number != 3 or not isinstance(packed, bytes):
                continue
            of = {n: value for n, value in _fields(packed) if isinstance(value, bytes)}
            kind, value = of.get(1, b"").rpartition(b"/")[2], of.get(2, b"")
            if kind == b"google.rpc.ErrorInfo":
                reason, metadata = _error_info(value)
            elif kind == b"google.rpc.RetryInfo":
                retry_after = _retry_seconds(value)
    except (ValueError, UnicodeDecodeError):
        return Details()
    return Details(reason, metadata, retry_after)


def _error_info(message: bytes) -> tuple[str, dict[str, str]]:
    reason = ""
    metadata: dict[str, str] = {}
    for number, value in _fields(message):
        if not isinstance(value, bytes):
            continue
        if number == 1:
            reason = value.decode()
        elif number == 3:
            entry = {n: v.decode() for n, v in _fields(value) if isinstance(v, bytes)}
            metadata[entry.get(1, "")] = entry.get(2, "")
    return reason, metadata


def _retry_seconds(message: bytes) -> float:
    seconds = 0.0
    for number, delay in _fields(message):
        if number == 1 and isinstance(delay, bytes):
            of = {n: value for n, value in _fields(delay) if isinstance(value, int)}
            seconds = of.get(1, 0) + of.get(2, 0) / 1e9
    return seconds


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: varints as numbers, the rest as bytes."""
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        wire = tag & 7
        if wire == 0:
            number, place = _read_varint(message, place)
            yield tag >> 3, number
            continue
        if wire == 2:
            size, place = _read_varint(message, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if place + size > len(message):
            raise ValueError("a field ends behind its message")
        yield tag >> 3, message[place : place + size]
        place += size


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("a number has no end")
        byte = message[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7

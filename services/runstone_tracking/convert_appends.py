"""Points of AppendMetrics and LogBatch, from messages to columns.

    AppendMetrics: bytes -> an envelope whose series are bytes -> columns
    LogBatch:      public messages -> columns

Nearly every series has its fields in the order of their numbers, each column in one packed run, and
a key and a rank that came before. Such a one is taken apart here, at a quarter of what protobuf's
Python takes for its fields. Any other is read as the message that it is, and told what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2 as pb
from runstone_kit.errors import InvalidArgument, Violations, invalid_field
from runstone_kit.validation import (
    INT64_MAX,
    check_count,
    check_entity_key,
    check_name,
    check_range,
    check_run_id,
)
from runstone_tracking.model_metrics import Append, Columns, Int64s, MetricBatch, series_name

MAX_SERIES = 10_000
"""Series in a batch, as the contract says: each costs a summary's row and a lock on it."""

MAX_APPEND_BYTES = 4 * 1024 * 1024
"""Of a serialized AppendMetricsRequest, as the contract says: some 170,000 points."""

MAX_BATCHES = 1_000
"""Of AppendBatches, as the contract says."""

MAX_RANK = 2**20 - 1
"""As the contract says; the largest jobs have some ten thousand processes."""

MAX_WRITER_ID = 64
"""Room for a host name and a process id; it is part of every segment's key."""

KNOWN = 16_384
"""Keys remembered, and ranks, so that each is checked once: a few megabytes of usual ones."""

PARSED = 2
"""A message up to so many times too large is still parsed, to name its largest series."""

_COLUMNS = ("steps", "timestamps_ms", "values")

_KEY, _STEPS = 0x0A, 0x12
_TIMES, _VALUES = b"\x1a", b"\x22"
"""Tags of a Series' fields."""

_FEW = 1_024

_Column: TypeAlias = bytes | memoryview
_Series: TypeAlias = tuple[str, int, _Column, _Column, _Column]
"""Name, place in the request, and the columns."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """An AppendMetricsRequest whose series are serialized."""

    run_id: str
    writer_id: str
    sequence: int
    series: list[bytes]


def parse_append(data: bytes) -> Envelope:
    """A serialized AppendMetricsRequest. Raises InvalidArgument, DecodeError."""
    if len(data) > PARSED * MAX_APPEND_BYTES:
        raise invalid_field("request", too_large(len(data), MAX_APPEND_BYTES, ()))
    view = columnar.append_metrics_envelope()
    message = view.message_class.FromString(data)
    found = Envelope(message.run_id, message.writer_id, message.sequence, list(message.series))
    if _size(found) != len(data):
        # Something is unknown to the envelope, which may be a series.
        message = view.parse(data)
        found = Envelope(message.run_id, message.writer_id, message.sequence, list(message.series))
    if len(data) > MAX_APPEND_BYTES:
        sizes = list(map(len, found.series))
        raise invalid_field("request", too_large(len(data), MAX_APPEND_BYTES, sizes))
    return found


def _size(envelope: Envelope) -> int:
    """Bytes of the message, when it is serialized as protobuf does."""
    head = columnar.append_metrics_envelope().message_class(
        run_id=envelope.run_id, writer_id=envelope.writer_id, sequence=envelope.sequence
    )
    # A tag, and a length of seven bits a byte.
    prefixes = [1 + max(1, (len(each).bit_length() + 6) // 7) for each in envelope.series]
    size: int = head.ByteSize() + sum(prefixes) + sum(map(len, envelope.series))
    return size


def read_append(request: Envelope) -> Append:
    """The batch of an envelope. Raises InvalidArgument naming all that is wrong."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    check_identity(violations, request.writer_id, request.sequence)
    batch = read_series(violations, request.series)
    violations.raise_if_any()
    assert batch is not None
    return Append(request.run_id, request.writer_id, request.sequence, batch)


def read_batches(request: pb.AppendBatchesRequest) -> list[Append | InvalidArgument]:
    """The batches of a request, or what is wrong with one. Raises InvalidArgument for all."""
    violations = Violations()
    check_count(violations, "batches", len(request.batches), MAX_BATCHES, minimum=1)
    violations.raise_if_any()
    if request.ByteSize() > MAX_APPEND_BYTES:
        raise invalid_field("request", too_large(request.ByteSize(), MAX_APPEND_BYTES, ()))
    return [_read_batch(each) for each in request.batches]


def _read_batch(batch: pb.AppendMetricsRequest) -> Append | InvalidArgument:
    try:
        return read_append(parse_append(batch.SerializeToString()))
    except InvalidArgument as error:
        return error


def too_large(size: int, limit: int, series: Sequence[int]) -> str:
    """What is wrong with a batch of so many bytes; names the series that has most of them."""
    found = f"must have at most {limit} bytes, not {size}"
    if not series:
        return found
    largest = max(series)
    return f"{found}; series[{series.index(largest)}] has {largest} of them"


def check_identity(violations: Violations, writer_id: str, sequence: int) -> None:
    """Check what names a batch within its run."""
    check_name(violations, "writer_id", writer_id, MAX_WRITER_ID)
    check_range(violations, "sequence", sequence, 1, INT64_MAX)


def read_series(violations: Violations, series: Sequence[Any]) -> MetricBatch | None:
    """The batch of messages Series, public or serialized; None when a violation was added."""
    before = len(violations)
    if not check_count(violations, "series", len(series), MAX_SERIES, minimum=1):
        return None
    found = _read_all(violations, series)
    _check_distinct(violations, found)
    if len(violations) > before:
        return None
    found.sort()
    names, places, steps, times, values = zip(*found, strict=True)
    batch = MetricBatch(
        names,
        np.fromiter(map(len, steps), np.int64, len(steps)) // columnar.ITEM_SIZE,
        Columns(
            np.frombuffer(b"".join(steps), "<i8"),
            np.frombuffer(b"".join(times), "<i8"),
            np.frombuffer(b"".join(values), "<f8"),
        ),
    )
    _check_times(violations, batch, places)
    return batch if len(violations) == before else None


def _read_all(violations: Violations, series: Sequence[Any]) -> list[_Series]:
    found: list[_Series] = []
    for place, each in enumerate(series):
        if not isinstance(each, bytes):
            found.append(_read_message(violations, place, each))
            continue
        plain = _take_apart(place, each)
        if plain is not None:
            found.append(plain)
            continue
        try:
            message = columnar.metric_series().parse(each)
        except DecodeError:
            violations.add(f"series[{place}]", "cannot be read: it is no Series, or not UTF-8")
            continue
        found.append(_read_message(violations, place, message))
        if not violations:
            _remember(message)
    return found


def _take_apart(place: int, data: bytes) -> _Series | None:
    """A series as nearly all are; None for any other, and for one of a new key or rank."""
    try:
        # A number of 128 and more has the highest bit set, and goes on in the next byte.
        key_end = 2 + data[1]
        if data[0] != _KEY or data[1] > 127 or data[key_end] != _STEPS:
            return None
        start = key_end + 2
        size = data[start - 1]
        if size > 127:
            size = size & 127 | data[start] << 7
            start += 1
            if size > 16_383:
                size = size & 16_383 | data[start] << 14
                start += 1
    except IndexError:
        return None
    length = data[key_end + 1 : start]
    head = 1 + len(length)
    times = start + size
    values = times + head + size
    end = values + head + size
    if not (
        0 < size <= MAX_APPEND_BYTES
        and not size % columnar.ITEM_SIZE
        and end <= len(data)
        and data[times : times + head] == _TIMES + length
        and data[values : values + head] == _VALUES + length
    ):
        return None
    key = _keys.get(data[2:key_end])
    rank = _ranks.get(data[end:])
    if key is None or rank is None:
        return None
    # What is copied once more when columns are joined; of few bytes a view takes longer.
    whole = memoryview(data) if size > _FEW else data
    return (
        key + rank,
        place,
        whole[start:times],
        whole[values - size : values],
        whole[end - size : end],
    )


_keys: dict[bytes, str] = {}
"""Keys that were checked, by their bytes."""

_ranks: dict[bytes, str] = {b"": ""}
"""What a rank adds to a series' name, by its field as it is serialized."""


def _remember(message: Any) -> None:
    """Have the next series of this key and rank taken apart at once."""
    key = message.key
    _keep(_keys, key.encode(), key)
    if message.HasField("rank"):
        field = type(message)(rank=message.rank).SerializeToString()
        _keep(_ranks, field, series_name("", message.rank))


def _keep(known: dict[bytes, str], data: bytes, text: str) -> None:
    while len(known) >= KNOWN:
        # Another thread may have been faster.
        known.pop(next(iter(known)), None)
    known[data] = text


def _read_message(violations: Violations, place: int, message: Any) -> _Series:
    """A series as a message, public or a view; adds what is wrong with it."""
    key = str(message.key)
    check_entity_key(violations, f"series[{place}].key", key)
    name = key
    if message.HasField("rank"):
        check_range(violations, f"series[{place}].rank", message.rank, 0, MAX_RANK)
        name = series_name(key, message.rank)
    columns = []
    for field in _COLUMNS:
        try:
            columns.append(_column(getattr(message, field), field))
        except DecodeError:
            violations.add(f"series[{place}].{field}", "must hold whole 8-byte numbers")
            columns.append(b"")
    steps, times, values = columns
    if not len(steps) == len(times) == len(values):
        counts = " and ".join(
            f"{len(column) // columnar.ITEM_SIZE} {field}"
            for column, field in zip(columns, _COLUMNS, strict=True)
        )
        violations.add(f"series[{place}]", f"must have columns of equal length, not {counts}")
    elif not steps:
        violations.add(f"series[{place}].steps", "must have at least 1 entries")
    return name, place, steps, times, values


def _column(field: Any, name: str) -> bytes:
    """A column's bytes, of a view's runs or of a public message's numbers."""
    if isinstance(field[0] if len(field) else b"", bytes):
        return columnar.joined(field)
    pack = columnar.pack_double if name == "values" else columnar.pack_int64
    return pack(field)


def _check_distinct(violations: Violations, series: Sequence[_Series]) -> None:
    if len({each[0] for each in series}) == len(series):
        return
    first: dict[str, int] = {}
    for name, place, *_ in series:
        before = first.setdefault(name, place)
        if before != place:
            violations.add(
                f"series[{place}].key",
                f"must not be the key of series[{before}] too, unless their ranks differ",
            )


def _check_times(violations: Violations, batch: MetricBatch, places: Sequence[int]) -> None:
    times = batch.points.timestamps_ms
    if times.min() >= 0:
        return
    starts: Int64s = np.cumsum(batch.counts) - batch.counts
    for series in np.flatnonzero(np.minimum.reduceat(times, starts) < 0).tolist():
        part = times[starts[series] : starts[series] + batch.counts[series]]
        index = int(np.argmax(part < 0))
        violations.add(
            f"series[{places[series]}].timestamps_ms[{index}]",
            f"must not be negative, as {part[index]} is",
        )


assert sys.byteorder == "little", "columns are taken from the wire as they are"

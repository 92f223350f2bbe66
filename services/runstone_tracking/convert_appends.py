"""Points of AppendMetrics and LogBatch, from messages to columns.

    AppendMetrics: bytes -> an envelope whose series are bytes -> columns
    LogBatch:      public messages -> columns

Nearly every series looks like one that came before: the same key and rank, fields as long, in the
order of their numbers. Such a one is taken apart by its shape, at a fifth of what protobuf's Python
takes for its fields. Any other is read as the message that it is, and told what is wrong with it.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from runstone.tracking import columnar
from runstone_kit.errors import Violations, invalid_field
from runstone_kit.validation import (
    INT64_MAX,
    check_count,
    check_entity_key,
    check_name,
    check_range,
    check_run_id,
)
from runstone_tracking.model_metrics import Columns, Int64s, MetricBatch, series_name

MAX_SERIES = 10_000
"""Series in a batch, as the contract says: each costs a summary's row and a lock on it."""

MAX_APPEND_BYTES = 4 * 1024 * 1024
"""Of a serialized AppendMetricsRequest, as the contract says: some 170,000 points."""

MAX_RANK = 2**20 - 1
"""As the contract says; the largest jobs have some ten thousand processes."""

MAX_WRITER_ID = 64
"""Room for a host name and a process id; it is part of every segment's key."""

KNOWN_NAMES = 32_768
"""Names of series remembered, so that each is checked once: some ten megabytes."""

KNOWN_SHAPES = 4_096
"""Lengths of series and keys remembered."""

_COLUMNS = ("steps", "timestamps_ms", "values")

_Series: TypeAlias = tuple[str, int, bytes, bytes, bytes]
"""Name, place in the request, and the columns."""


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """A checked AppendMetrics."""

    run_id: str
    writer_id: str
    sequence: int
    batch: MetricBatch


def read_append(data: bytes) -> AppendRequest:
    """A serialized AppendMetricsRequest.

    Raises InvalidArgument naming all that is wrong, DecodeError for what is no such message.
    """
    request = columnar.append_metrics_envelope().parse(data)
    if len(data) > MAX_APPEND_BYTES:
        sizes = list(map(len, request.series))
        raise invalid_field("request", too_large(len(data), MAX_APPEND_BYTES, sizes))
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    check_identity(violations, request.writer_id, request.sequence)
    batch = read_series(violations, request.series)
    violations.raise_if_any()
    assert batch is not None
    return AppendRequest(request.run_id, request.writer_id, request.sequence, batch)


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
        shape = _shapes.get((len(each), each[1:2]))
        if shape is not None:
            key_tag, key, steps_tag, steps, times_tag, times, values_tag, values, rank = (
                shape.unpack(each)
            )
            name = _names.get((key, rank))
            if name is not None and key_tag + steps_tag + times_tag + values_tag == shape.tags:
                found.append((name, place, steps, times, values))
                continue
        message = columnar.metric_series().parse(each)
        read = _read_message(violations, place, message)
        found.append(read)
        if not violations:
            _remember(each, message, read)
    return found


class _Shape(NamedTuple):
    """Where the fields of a serialized Series lie: tags with lengths, and contents, in turns."""

    unpack: Callable[[bytes], tuple[bytes, ...]]
    tags: bytes


_shapes: dict[tuple[int, bytes], _Shape] = {}
"""By the length of a Series and that of its key."""

_names: dict[tuple[bytes, bytes], str] = {}
"""Names of series by a key and a rank's field as they are serialized."""


def _remember(data: bytes, message: Any, read: _Series) -> None:
    """Have the next series of this name and shape read at once; nothing if it is an odd one."""
    name, _, steps, _, _ = read
    key = message.key.encode()
    rank = type(message)(rank=message.rank).SerializeToString() if message.HasField("rank") else b""
    alone = type(message)(key=message.key).SerializeToString()
    tags = [alone[: len(alone) - len(key)]]
    for field in _COLUMNS:
        column = type(message)(**{field: [steps]}).SerializeToString()
        tags.append(column[: len(column) - len(steps)])
    sizes = [len(key), len(steps), len(steps), len(steps)]
    layout = "".join(f"{len(tag)}s{size}s" for tag, size in zip(tags, sizes, strict=True))
    shape = _Shape(struct.Struct(f"{layout}{len(rank)}s").unpack, b"".join(tags))
    if data != message.SerializeToString() or len(data) != struct.calcsize(layout) + len(rank):
        return
    for known, limit in ((_names, KNOWN_NAMES), (_shapes, KNOWN_SHAPES)):
        if len(known) >= limit:
            known.clear()
    _names[key, rank] = name
    _shapes[len(data), data[1:2]] = shape


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

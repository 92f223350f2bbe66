"""Metrics between messages and the model.

Points are read from views (``runstone.tracking.columnar``): columns as raw bytes, which numpy
takes as they are. Messages of the public class are read too, for LogBatch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2 as pb
from runstone_kit.errors import Violations, invalid_field
from runstone_kit.paging import Page
from runstone_kit.validation import (
    INT64_MAX,
    check_count,
    check_entity_key,
    check_name,
    check_page_size,
    check_range,
    check_run_id,
)
from runstone_tracking.model import MetricSummary
from runstone_tracking.model_metrics import Columns, Int64s, MetricBatch, series_name

MAX_SERIES = 10_000
"""Series in a batch, as the contract says: each costs a summary's row and a lock on it."""

MAX_APPEND_BYTES = 4 * 1024 * 1024
"""Of a serialized AppendMetricsRequest, as the contract says: some 170,000 points."""

MAX_RANK = 2**20 - 1
"""As the contract says; the largest jobs have some ten thousand processes."""

MAX_WRITER_ID = 64
"""Room for a host name and a process id; it is part of every segment's key."""

_COLUMNS = ("steps", "timestamps_ms", "values")


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """A checked AppendMetrics."""

    run_id: str
    writer_id: str
    sequence: int
    batch: MetricBatch


class _Series(NamedTuple):
    """One series as bytes, and its place in the request."""

    name: str
    place: int
    columns: tuple[bytes, bytes, bytes]

    @property
    def points(self) -> int:
        return len(self.columns[0]) // columnar.ITEM_SIZE


def parse_append(data: bytes) -> Any:
    """A view of a serialized AppendMetricsRequest. Raises InvalidArgument past MAX_APPEND_BYTES."""
    if len(data) > MAX_APPEND_BYTES:
        raise invalid_field(
            "request", f"must have at most {MAX_APPEND_BYTES} bytes, not {len(data)}"
        )
    return columnar.append_metrics_request().parse(data)


def read_append(request: Any) -> AppendRequest:
    """A view of AppendMetricsRequest. Raises InvalidArgument naming all that is wrong."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    check_identity(violations, request.writer_id, request.sequence)
    batch = read_series(violations, request.series)
    violations.raise_if_any()
    assert batch is not None
    return AppendRequest(request.run_id, request.writer_id, request.sequence, batch)


def check_identity(violations: Violations, writer_id: str, sequence: int) -> None:
    """Check what names a batch within its run."""
    check_name(violations, "writer_id", writer_id, MAX_WRITER_ID)
    check_range(violations, "sequence", sequence, 1, INT64_MAX)


def read_series(violations: Violations, series: Sequence[Any]) -> MetricBatch | None:
    """The batch of messages Series, public or views; None when a violation was added."""
    before = len(violations)
    if not check_count(violations, "series", len(series), MAX_SERIES, minimum=1):
        return None
    found = [_read_one(violations, place, message) for place, message in enumerate(series)]
    _check_distinct(violations, found)
    if len(violations) > before:
        return None
    found.sort(key=lambda each: each.name)
    batch = MetricBatch(
        tuple(each.name for each in found),
        np.array([each.points for each in found], np.int64),
        Columns(
            np.frombuffer(b"".join([each.columns[0] for each in found]), "<i8"),
            np.frombuffer(b"".join([each.columns[1] for each in found]), "<i8"),
            np.frombuffer(b"".join([each.columns[2] for each in found]), "<f8"),
        ),
    )
    _check_times(violations, batch, found)
    return batch if len(violations) == before else None


def read_history(request: pb.GetMetricHistoryRequest) -> tuple[str, str, int | None]:
    """Run, key, and the rank if one is asked for."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    check_entity_key(violations, "key", request.key)
    rank = request.rank if request.HasField("rank") else None
    if rank is not None:
        check_range(violations, "rank", rank, 0, MAX_RANK)
    violations.raise_if_any()
    return request.run_id, request.key, rank


def read_list(request: pb.ListMetricKeysRequest) -> tuple[str, int, str]:
    """Run, page size as sent, page token."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    check_page_size(violations, "page_size", request.page_size)
    violations.raise_if_any()
    return request.run_id, request.page_size, request.page_token


def write_points(points: Columns) -> Any:
    """A view of GetMetricHistoryResponse."""
    return columnar.metric_history_response().message_class(
        steps=[columnar.pack_int64(points.steps)],
        timestamps_ms=[columnar.pack_int64(points.timestamps_ms)],
        values=[columnar.pack_double(points.values)],
        ranks=None if points.ranks is None else points.ranks.tolist(),
    )


def write_page(page: Page[MetricSummary]) -> pb.ListMetricKeysResponse:
    """A page of summaries."""
    return pb.ListMetricKeysResponse(
        metrics=map(write_summary, page.items), next_page_token=page.next_page_token
    )


def write_summary(metric: MetricSummary) -> pb.MetricSummary:
    """One summary."""
    return pb.MetricSummary(
        key=metric.key,
        value=metric.value,
        step=metric.step,
        timestamp_ms=metric.timestamp_ms,
        min=metric.min,
        max=metric.max,
        count=metric.count,
        nan_count=metric.nan_count,
        first_step=metric.first_step,
        last_step=metric.last_step,
    )


def _read_plain(place: int, message: Any) -> _Series | None:
    """A series in which nothing is wrong, as they nearly all are: a third of the time."""
    steps, times, values = message.steps, message.timestamps_ms, message.values
    if not len(steps) == len(times) == len(values) == 1 or not isinstance(steps[0], bytes):
        return None
    columns = (steps[0], times[0], values[0])
    size = len(columns[0])
    if not size or size % columnar.ITEM_SIZE or not size == len(columns[1]) == len(columns[2]):
        return None
    key = message.key
    if not _is_entity_key(key):
        return None
    if message.HasField("rank"):
        rank = message.rank
        return _Series(series_name(key, rank), place, columns) if 0 <= rank <= MAX_RANK else None
    return _Series(key, place, columns)


def _read_one(violations: Violations, place: int, message: Any) -> _Series:
    plain = _read_plain(place, message)
    if plain is not None:
        return plain
    key = message.key
    if not _is_entity_key(key):
        check_entity_key(violations, f"series[{place}].key", key)
    columns = []
    for name in _COLUMNS:
        try:
            columns.append(_column(getattr(message, name), name))
        except DecodeError:
            violations.add(f"series[{place}].{name}", "must hold whole 8-byte numbers")
            columns.append(b"")
    steps, times, values = columns
    if not len(steps) == len(times) == len(values):
        counts = " and ".join(
            f"{len(column) // columnar.ITEM_SIZE} {name}"
            for name, column in zip(_COLUMNS, columns, strict=True)
        )
        violations.add(f"series[{place}]", f"must have columns of equal length, not {counts}")
    elif not steps:
        violations.add(f"series[{place}].steps", "must have at least 1 entries")
    return _Series(_name(violations, place, message), place, (steps, times, values))


def _name(violations: Violations, place: int, message: Any) -> str:
    if not message.HasField("rank"):
        return str(message.key)
    check_range(violations, f"series[{place}].rank", message.rank, 0, MAX_RANK)
    return series_name(message.key, message.rank)


def _column(field: Any, name: str) -> bytes:
    """A column's bytes, of a view's runs or of a public message's numbers."""
    if isinstance(field[0] if len(field) else b"", bytes):
        return columnar.joined(field)
    pack = columnar.pack_double if name == "values" else columnar.pack_int64
    return pack(field)


@lru_cache(maxsize=16_384)
def _is_entity_key(key: str) -> bool:
    """Training loops send the same keys again and again."""
    found = Violations()
    check_entity_key(found, "", key)
    return not found


def _check_distinct(violations: Violations, series: Iterable[_Series]) -> None:
    first: dict[str, int] = {}
    for each in series:
        place = first.setdefault(each.name, each.place)
        if place != each.place:
            violations.add(
                f"series[{each.place}].key",
                f"must not be the key of series[{place}] too, unless their ranks differ",
            )


def _check_times(violations: Violations, batch: MetricBatch, series: Sequence[_Series]) -> None:
    times = batch.points.timestamps_ms
    if times.min() >= 0:
        return
    starts: Int64s = np.cumsum(batch.counts) - batch.counts
    for place in np.flatnonzero(np.minimum.reduceat(times, starts) < 0).tolist():
        part = times[starts[place] : starts[place] + batch.counts[place]]
        index = int(np.argmax(part < 0))
        violations.add(
            f"series[{series[place].place}].timestamps_ms[{index}]",
            f"must not be negative, as {part[index]} is",
        )


assert sys.byteorder == "little", "columns are taken from the wire as they are"

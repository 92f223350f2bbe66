"""SampleMetrics and WatchMetrics between messages and the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from runstone.tracking.v1 import metric_pb2 as pb
from runstone_kit.errors import Violations
from runstone_kit.validation import check_count, check_entity_key, check_range, check_run_id
from runstone_tracking.convert_appends import MAX_RANK
from runstone_tracking.model_metrics import NO_RANK
from runstone_tracking.model_samples import Axis, Sampled, SampleQuery, Update

MAX_PAIRS = 1_000
"""Of a run and a key, as the contract says: each costs a look at its run's segments."""

MAX_RANKS = 1_000
DEFAULT_BUCKETS = 1_000
MAX_BUCKETS = 4_096
"""As the contract says: more than any screen has columns."""


def read_sample(request: pb.SampleMetricsRequest | pb.WatchMetricsRequest) -> SampleQuery:
    """Raises InvalidArgument naming all that is wrong. The two have the same fields."""
    violations = Violations()
    runs = _each_once(violations, "run_ids", request.run_ids)
    for place, run_id in runs:
        check_run_id(violations, f"run_ids[{place}]", run_id)
    keys = _each_once(violations, "keys", request.keys)
    for place, key in keys:
        check_entity_key(violations, f"keys[{place}]", key)
    pairs = len(request.run_ids) * len(request.keys)
    if not violations and pairs > MAX_PAIRS:
        violations.add("keys", f"times run_ids must be at most {MAX_PAIRS}, not {pairs}")
    check_count(violations, "ranks", len(request.ranks), MAX_RANKS)
    for place, rank in enumerate(request.ranks[:MAX_RANKS]):
        check_range(violations, f"ranks[{place}]", rank, 0, MAX_RANK)
    check_range(violations, "buckets", request.buckets, 0, MAX_BUCKETS)
    axis = Axis.STEP
    if request.axis:
        try:
            axis = Axis(request.axis)
        except ValueError:
            violations.add("axis", f"must be a SampleAxis, not {request.axis}")
    start = request.start if request.HasField("start") else None
    end = request.end if request.HasField("end") else None
    if start is not None and end is not None and end < start:
        violations.add("end", f"must not be below start, as {end} is below {start}")
    violations.raise_if_any()
    return SampleQuery(
        tuple(request.run_ids),
        tuple(request.keys),
        tuple(request.ranks),
        request.buckets or DEFAULT_BUCKETS,
        axis,
        start,
        end,
        request.across_ranks,
    )


def write_sampled(sampled: Sampled) -> pb.SampleMetricsResponse:
    """One series."""
    nodes: Any = sampled.nodes
    numbers = nodes["count"].astype(np.int64) - nodes["nan_count"]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(numbers > 0, nodes["sum"] / numbers, np.nan)
    return pb.SampleMetricsResponse(
        run_id=sampled.run_id,
        key=sampled.key,
        rank=None if sampled.rank == NO_RANK else sampled.rank,
        first_steps=nodes["first_step"].tolist(),
        last_steps=nodes["last_step"].tolist(),
        min_timestamps_ms=nodes["min_timestamp_ms"].tolist(),
        max_timestamps_ms=nodes["max_timestamp_ms"].tolist(),
        first_values=nodes["first"].tolist(),
        last_values=nodes["last"].tolist(),
        min_values=nodes["min"].tolist(),
        max_values=nodes["max"].tolist(),
        mean_values=means.tolist(),
        counts=nodes["count"].tolist(),
        nan_counts=nodes["nan_count"].tolist(),
    )


def write_update(update: Update) -> pb.WatchMetricsResponse:
    """A part of a round."""
    changed, grid = update.changed, update.grid
    return pb.WatchMetricsResponse(
        reset=update.reset,
        grid=None
        if grid is None
        else pb.SampleGrid(start=grid.start, end=grid.end, buckets=grid.buckets),
        series=None if changed is None else write_sampled(changed),
        bucket_numbers=None if changed is None else changed.numbers.tolist(),
        whole=update.whole,
        complete=update.complete,
    )


def _each_once(
    violations: Violations, field: str, values: Sequence[str]
) -> Iterable[tuple[int, str]]:
    """The values with their places; none when there are too many."""
    if not check_count(violations, field, len(values), MAX_PAIRS, minimum=1):
        return []
    seen: set[str] = set()
    for place, value in enumerate(values):
        if value in seen:
            violations.add(f"{field}[{place}]", "must not stand twice")
        seen.add(value)
    return list(enumerate(values))

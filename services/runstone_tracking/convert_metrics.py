"""Metrics between messages and the model; ``convert_appends`` reads the points that come in."""

from __future__ import annotations

from typing import Any

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2 as pb
from runstone_kit.errors import Violations
from runstone_kit.paging import Page
from runstone_kit.validation import (
    check_entity_key,
    check_page_size,
    check_range,
    check_run_id,
)
from runstone_tracking.convert_appends import MAX_RANK
from runstone_tracking.model import MetricSummary
from runstone_tracking.model_metrics import NO_RANK, Columns, HistoryPlace


def read_history(
    request: pb.GetMetricHistoryRequest,
) -> tuple[str, str, int | None, HistoryPlace | None]:
    """Run, key, the rank if one is asked for, and the place behind which to go on."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    check_entity_key(violations, "key", request.key)
    rank = request.rank if request.HasField("rank") else None
    if rank is not None:
        check_range(violations, "rank", rank, 0, MAX_RANK)
    after = request.after
    place = None
    if request.HasField("after"):
        check_range(violations, "after.rank", after.rank, NO_RANK, MAX_RANK)
        place = HistoryPlace(after.timestamp_ms, after.step, after.value, after.rank)
    violations.raise_if_any()
    return request.run_id, request.key, rank, place


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

"""LogBatch from its message: params, tags and points, all checked together."""

from __future__ import annotations

from runstone.tracking.v1 import run_pb2 as pb
from runstone_kit.errors import Violations
from runstone_kit.validation import check_run_id
from runstone_tracking.convert_appends import check_identity, read_series, too_large
from runstone_tracking.convert_runs import read_params_and_tags
from runstone_tracking.model import RunBatch
from runstone_tracking.model_metrics import MetricBatch

MAX_SERIES_BYTES = 4 * 1024 * 1024
"""What AppendMetrics takes; a segment stays one row of a size that every reader can hold."""


def read_batch(request: pb.LogBatchRequest) -> tuple[RunBatch, MetricBatch | None]:
    """The batch, and its points if there are any. Raises InvalidArgument."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    params, tags = read_params_and_tags(violations, request)
    points = None
    if request.series:
        check_identity(violations, request.writer_id, request.sequence)
        sizes = [series.ByteSize() for series in request.series]
        size = sum(sizes)
        if size > MAX_SERIES_BYTES:
            violations.add("series", too_large(size, MAX_SERIES_BYTES, sizes))
        else:
            points = read_series(violations, request.series)
    else:
        # Whoever numbers a batch that has no points would take the number for used.
        for field, given in (("writer_id", request.writer_id), ("sequence", request.sequence)):
            if given:
                violations.add(field, "must be left out where there are no series")
    violations.raise_if_any()
    return RunBatch(request.run_id, params, tags, request.writer_id, request.sequence), points

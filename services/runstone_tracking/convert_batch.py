"""LogBatch from its message: params, tags and points, all checked together."""

from __future__ import annotations

from runstone.tracking.v1 import run_pb2 as pb
from runstone_kit.errors import Violations
from runstone_kit.validation import (
    MAX_DATASET_DIGEST,
    MAX_DATASET_NAME,
    check_count,
    check_entity_key,
    check_logged_model_id,
    check_run_id,
    check_text,
)
from runstone_tracking.convert_appends import check_identity, read_series, too_large
from runstone_tracking.convert_runs import read_expected_tags, read_params_and_tags
from runstone_tracking.model import ModelMetric, RunBatch
from runstone_tracking.model_metrics import MetricBatch

MAX_SERIES_BYTES = 4 * 1024 * 1024
"""What AppendMetrics takes; a segment stays one row of a size that every reader can hold."""

MAX_MODEL_METRICS = 1000
"""Points about logged models in one call, as MLflow's batches; each is a row of its own."""


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
    metrics = _read_metrics(violations, request)
    expected = read_expected_tags(violations, request.expected_tags)
    violations.raise_if_any()
    batch = RunBatch(
        request.run_id, params, tags, request.writer_id, request.sequence, metrics, expected
    )
    return batch, points


def _read_metrics(violations: Violations, request: pb.LogBatchRequest) -> tuple[ModelMetric, ...]:
    """Points about logged models; a repeated one counts once."""
    given = request.model_metrics
    if not check_count(violations, "model_metrics", len(given), MAX_MODEL_METRICS):
        return ()
    for place, each in enumerate(given):
        field = f"model_metrics[{place}]"
        check_logged_model_id(violations, f"{field}.model_id", each.model_id)
        check_entity_key(violations, f"{field}.key", each.key)
        if each.timestamp_ms < 0:
            violations.add(
                f"{field}.timestamp_ms", f"must not be negative, as {each.timestamp_ms} is"
            )
        check_text(violations, f"{field}.dataset_name", each.dataset_name, MAX_DATASET_NAME)
        digest = f"{field}.dataset_digest"
        check_text(violations, digest, each.dataset_digest, MAX_DATASET_DIGEST)
        if each.dataset_digest and not each.dataset_name:
            violations.add(digest, "may be given with a dataset_name only")
        if each.run_id and each.run_id != request.run_id:
            violations.add(f"{field}.run_id", "must be that of the request, or be left out")
    return tuple(
        ModelMetric(
            model_id=each.model_id,
            key=each.key,
            value=each.value,
            step=each.step,
            timestamp_ms=each.timestamp_ms,
            dataset_name=each.dataset_name,
            dataset_digest=each.dataset_digest,
        )
        for each in given
    )

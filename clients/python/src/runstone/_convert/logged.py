"""Logged models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runstone import _values
from runstone._convert.times import to_ms
from runstone._convert.tracking import stage_name
from runstone._entities.logged import LoggedModel, LoggedModelStatus
from runstone._entities.tracking import Metric
from runstone.tracking.v1 import logged_model_pb2 as pb

_NAMES = {
    pb.LOGGED_MODEL_STATUS_PENDING: LoggedModelStatus.PENDING,
    pb.LOGGED_MODEL_STATUS_READY: LoggedModelStatus.READY,
    pb.LOGGED_MODEL_STATUS_UPLOAD_FAILED: LoggedModelStatus.FAILED,
}
_VALUES = {
    **{name: value for value, name in _NAMES.items()},
    "UPLOAD_FAILED": pb.LOGGED_MODEL_STATUS_UPLOAD_FAILED,
}


def status_value(status: str) -> pb.LoggedModelStatus.ValueType:
    """The message's value of a status by name. Raises InvalidField."""
    value = _VALUES.get(str(getattr(status, "value", status)).upper())
    if value is None:
        raise _values.invalid("status", f"must be READY or FAILED, not {status!r}")
    return value


def logged_model(message: pb.LoggedModel) -> LoggedModel:
    """A logged model with all it holds."""
    return LoggedModel(
        experiment_id=message.experiment_id,
        model_id=message.model_id,
        name=message.name,
        artifact_location=f"models:/{message.model_id}",
        creation_timestamp=to_ms(message.create_time),
        last_updated_timestamp=to_ms(message.update_time),
        model_type=message.model_type or None,
        source_run_id=message.source_run_id or None,
        status=_NAMES.get(message.status, LoggedModelStatus.PENDING),
        tags=dict(message.tags),
        params=dict(message.params),
        metrics=[_metric(each) for each in message.metrics],
        creator=message.creator,
        lifecycle_stage=stage_name(message.lifecycle_stage),
    )


def _metric(message: pb.ModelMetric) -> Metric:
    return Metric(
        key=message.key,
        value=message.value,
        timestamp=message.timestamp_ms,
        step=message.step,
        model_id=message.model_id,
        dataset_name=message.dataset_name or None,
        dataset_digest=message.dataset_digest or None,
        run_id=message.run_id,
    )


def model_metric(metric: Metric) -> pb.ModelMetric:
    """The message of a point about a logged model. Raises InvalidField."""
    return pb.ModelMetric(
        key=metric.key,
        value=_values.metric_value(metric.key, metric.value),
        step=_values.whole_number("step", metric.step),
        timestamp_ms=_values.timestamp_ms(metric.timestamp),
        model_id=metric.model_id or "",
        dataset_name=metric.dataset_name or "",
        dataset_digest=metric.dataset_digest or "",
    )


def metric_dataset(given: Mapping[str, Any]) -> pb.MetricDataset:
    """The message of ``{"dataset_name": …, "dataset_digest": …}``."""
    return pb.MetricDataset(
        name=given.get("dataset_name") or "", digest=given.get("dataset_digest") or ""
    )


def order(given: Sequence[Mapping[str, Any]]) -> list[pb.LoggedModelOrder]:
    """The messages of ``{"field_name": …, "ascending": …, "dataset_name": …}`` each."""
    return [
        pb.LoggedModelOrder(
            field_name=each.get("field_name") or "",
            ascending=each.get("ascending", True),
            dataset=metric_dataset(each)
            if each.get("dataset_name") or each.get("dataset_digest")
            else None,
        )
        for each in given
    ]

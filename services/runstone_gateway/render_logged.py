"""Logged models as MLflow's JSON."""

from __future__ import annotations

from runstone.tracking.v1 import logged_model_pb2 as messages
from runstone_gateway.render_tracking import Json, milliseconds, number, pairs

STATUS = {
    "LOGGED_MODEL_PENDING": messages.LOGGED_MODEL_STATUS_PENDING,
    "LOGGED_MODEL_READY": messages.LOGGED_MODEL_STATUS_READY,
    "LOGGED_MODEL_UPLOAD_FAILED": messages.LOGGED_MODEL_STATUS_UPLOAD_FAILED,
}
"""MLflow's names of what is known of a model's files."""

_NAMES = {status: name for name, status in STATUS.items()}


def logged_model(found: messages.LoggedModel) -> Json:
    """A model with all it holds."""
    info: Json = {
        "model_id": found.model_id,
        "experiment_id": found.experiment_id,
        "name": found.name,
        "creation_timestamp_ms": milliseconds(found.create_time),
        "last_updated_timestamp_ms": milliseconds(found.update_time),
        "artifact_uri": artifact_uri(found),
        "status": _NAMES[found.status],
        "model_type": found.model_type,
        "source_run_id": found.source_run_id,
    }
    if found.tags:
        info["tags"] = pairs(found.tags)
    data: Json = {}
    if found.params:
        data["params"] = pairs(found.params)
    if found.metrics:
        data["metrics"] = [_metric(each) for each in found.metrics]
    return {"info": info, "data": data}


def artifact_uri(found: messages.LoggedModel) -> str:
    """Where clients find a model's files: through this gateway."""
    return f"mlflow-artifacts:/{found.experiment_id}/models/{found.model_id}/artifacts"


def _metric(found: messages.ModelMetric) -> Json:
    metric = {
        "key": found.key,
        "value": number(found.value),
        "timestamp": found.timestamp_ms,
        "step": found.step,
        "model_id": found.model_id,
        "run_id": found.run_id,
    }
    if found.dataset_name:
        metric["dataset_name"] = found.dataset_name
    if found.dataset_digest:
        metric["dataset_digest"] = found.dataset_digest
    return metric

"""Experiments, runs and metrics as MLflow's JSON."""

from __future__ import annotations

import math
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from runstone.tracking.v1 import experiment_pb2, logged_model_pb2, metric_pb2, run_pb2

Json = dict[str, Any]

LARGEST = 1.7976931348623157e308
"""MLflow's databases keep no infinity: its servers answer the largest double in its place."""

STATUS = {number: name.removeprefix("RUN_STATUS_") for name, number in run_pb2.RunStatus.items()}
_DELETED = experiment_pb2.LIFECYCLE_STAGE_DELETED


def milliseconds(time: Timestamp) -> int:
    """Unix milliseconds."""
    return int(time.seconds * 1000 + time.nanos // 1_000_000)


def pairs(texts: Any) -> list[Json]:
    """A map as a list of {"key", "value"}, by key."""
    return [{"key": key, "value": texts[key]} for key in sorted(texts)]


def number(value: float) -> float | str:
    """A metric's value: JSON has no NaN, protobuf's JSON writes it as text."""
    if math.isnan(value):
        return "NaN"
    return max(-LARGEST, min(value, LARGEST))


def stage(value: int) -> str:
    """A lifecycle stage."""
    return "deleted" if value == _DELETED else "active"


def experiment(found: experiment_pb2.Experiment) -> Json:
    """An experiment."""
    told: Json = {
        "experiment_id": found.experiment_id,
        "name": found.name,
        "artifact_location": f"mlflow-artifacts:/{found.experiment_id}",
        "lifecycle_stage": stage(found.lifecycle_stage),
        "last_update_time": milliseconds(found.update_time),
        "creation_time": milliseconds(found.create_time),
    }
    if found.tags:
        told["tags"] = pairs(found.tags)
    return told


def run_info(found: run_pb2.Run) -> Json:
    """What a run is, without what it holds."""
    info = {
        "run_uuid": found.run_id,
        "run_id": found.run_id,
        "run_name": found.name,
        "experiment_id": found.experiment_id,
        "user_id": found.user_id,
        "status": STATUS[found.status],
        "start_time": milliseconds(found.start_time),
        "artifact_uri": artifact_uri(found),
        "lifecycle_stage": stage(found.lifecycle_stage),
    }
    if found.HasField("end_time"):
        info["end_time"] = milliseconds(found.end_time)
    return info


def artifact_uri(found: run_pb2.Run) -> str:
    """Where clients find a run's files: through this gateway."""
    return f"mlflow-artifacts:/{found.experiment_id}/{found.run_id}/artifacts"


def run(found: run_pb2.Run) -> Json:
    """A run with all it holds."""
    data: Json = {}
    if found.metrics:
        data["metrics"] = [latest(each) for each in found.metrics]
    if found.params:
        data["params"] = pairs(found.params)
    if found.tags:
        data["tags"] = pairs(found.tags)
    told = {"info": run_info(found), "data": data, "inputs": _inputs(found)}
    outputs = [model_output(each) for each in found.model_outputs]
    told["outputs"] = {"model_outputs": outputs} if outputs else {}
    return told


def latest(found: metric_pb2.MetricSummary) -> Json:
    """A metric's latest point."""
    return {
        "key": found.key,
        "value": number(found.value),
        "timestamp": found.timestamp_ms,
        "step": found.step,
    }


def _inputs(found: run_pb2.Run) -> Json:
    inputs: Json = {}
    if found.inputs:
        inputs["dataset_inputs"] = [dataset_input(each) for each in found.inputs]
    if found.model_inputs:
        inputs["model_inputs"] = [model_input(each) for each in found.model_inputs]
    return inputs


def model_input(found: logged_model_pb2.ModelInput) -> Json:
    """A logged model that a run read."""
    return {"model_id": found.model_id}


def model_output(found: logged_model_pb2.ModelOutput) -> Json:
    """A logged model that a run made."""
    return {"model_id": found.model_id, "step": found.step}


def dataset_summary(found: run_pb2.DatasetSummary) -> Json:
    """A data set in short, and what runs read it for."""
    summary = {
        "experiment_id": found.experiment_id,
        "name": found.name,
        "digest": found.digest,
    }
    if found.context:
        summary["context"] = found.context
    return summary


def dataset_input(found: run_pb2.DatasetInput) -> Json:
    """A data set that a run read."""
    dataset = {
        "name": found.dataset.name,
        "digest": found.dataset.digest,
        "source_type": found.dataset.source_type,
        "source": found.dataset.source,
    }
    if found.dataset.schema:
        dataset["schema"] = found.dataset.schema
    if found.dataset.profile:
        dataset["profile"] = found.dataset.profile
    return {"tags": pairs(found.tags), "dataset": dataset}

"""Registered models and their versions as MLflow's JSON."""

from __future__ import annotations

from typing import Any

from runstone.registry.v1 import model_pb2
from runstone_gateway.render_tracking import Json, milliseconds, pairs

STAGES: dict[Any, str] = {
    model_pb2.STAGE_NONE: "None",
    model_pb2.STAGE_STAGING: "Staging",
    model_pb2.STAGE_PRODUCTION: "Production",
    model_pb2.STAGE_ARCHIVED: "Archived",
}

_STATUS = {
    model_pb2.MODEL_VERSION_STATUS_PENDING: "PENDING_REGISTRATION",
    model_pb2.MODEL_VERSION_STATUS_READY: "READY",
    model_pb2.MODEL_VERSION_STATUS_FAILED: "FAILED_REGISTRATION",
}


def registered_model(found: model_pb2.RegisteredModel) -> Json:
    """A model with the newest version of each stage, by the stages' names as in MLflow."""
    model: Json = {
        "name": found.name,
        "creation_timestamp": milliseconds(found.create_time),
        "last_updated_timestamp": milliseconds(found.update_time),
    }
    if found.creator:
        model["user_id"] = found.creator
    if found.description:
        model["description"] = found.description
    if found.latest_versions:
        by_stage = sorted(found.latest_versions, key=lambda each: STAGES[each.stage])
        model["latest_versions"] = [model_version(each) for each in by_stage]
    if found.tags:
        model["tags"] = pairs(found.tags)
    if found.aliases:
        model["aliases"] = [
            {"alias": alias, "version": str(found.aliases[alias])}
            for alias in sorted(found.aliases)
        ]
    return model


def model_version(found: model_pb2.ModelVersion) -> Json:
    """A version; its number is text."""
    version: Json = {
        "name": found.name,
        "version": str(found.version),
        "creation_timestamp": milliseconds(found.create_time),
        "last_updated_timestamp": milliseconds(found.update_time),
        "current_stage": STAGES[found.stage],
        "description": found.description,
        "source": found.source,
        "run_id": found.run_id,
        "run_link": found.run_link,
        "status": _STATUS[found.status],
    }
    if found.creator:
        version["user_id"] = found.creator
    if found.status_message:
        version["status_message"] = found.status_message
    if found.tags:
        version["tags"] = pairs(found.tags)
    if found.aliases:
        version["aliases"] = list(found.aliases)
    return version


def download_uri(found: model_pb2.ModelVersion) -> str:
    """Where clients find a version's files: through this gateway, unless they are elsewhere.

    By id: a model's name may change, and hold what means something else in a URI.
    """
    kept = f"mlflow-artifacts:/model-versions/{found.model_version_id}/artifacts"
    return found.external_uri or kept

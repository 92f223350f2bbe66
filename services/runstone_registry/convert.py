"""Values to messages. What comes in is read in ``convert_requests``."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from runstone.registry.v1 import governance_pb2, model_pb2
from runstone_registry.model import (
    AuditEvent,
    Comment,
    ModelVersion,
    RegisteredModel,
    RequestState,
    Stage,
    TransitionRequest,
    VersionStatus,
)

STAGES = {
    Stage.NONE: model_pb2.STAGE_NONE,
    Stage.STAGING: model_pb2.STAGE_STAGING,
    Stage.PRODUCTION: model_pb2.STAGE_PRODUCTION,
    Stage.ARCHIVED: model_pb2.STAGE_ARCHIVED,
}

STATUSES = {
    VersionStatus.PENDING: model_pb2.MODEL_VERSION_STATUS_PENDING,
    VersionStatus.READY: model_pb2.MODEL_VERSION_STATUS_READY,
    VersionStatus.FAILED: model_pb2.MODEL_VERSION_STATUS_FAILED,
}

STATES = {
    RequestState.OPEN: governance_pb2.TRANSITION_REQUEST_STATE_OPEN,
    RequestState.APPROVED: governance_pb2.TRANSITION_REQUEST_STATE_APPROVED,
    RequestState.REJECTED: governance_pb2.TRANSITION_REQUEST_STATE_REJECTED,
}


def time_message(ms: int) -> Timestamp:
    """Unix milliseconds as a Timestamp."""
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def version_message(version: ModelVersion) -> model_pb2.ModelVersion:
    """A version."""
    return model_pb2.ModelVersion(
        name=version.name,
        version=version.version,
        model_version_id=version.model_version_id,
        description=version.description,
        tags=version.tags,
        aliases=version.aliases,
        stage=STAGES[version.stage],
        status=STATUSES[version.status],
        status_message=version.status_message,
        run_id=version.run_id,
        source=version.source,
        creator=version.creator,
        create_time=time_message(version.created_ms),
        update_time=time_message(version.updated_ms),
        etag=version.etag,
        external_uri=version.external_uri,
        run_link=version.run_link,
        logged_model_id=version.logged_model_id,
    )


def model_message(model: RegisteredModel) -> model_pb2.RegisteredModel:
    """A model."""
    return model_pb2.RegisteredModel(
        name=model.name,
        description=model.description,
        tags=model.tags,
        aliases=model.aliases,
        latest_versions=map(version_message, model.latest_versions),
        creator=model.creator,
        create_time=time_message(model.created_ms),
        update_time=time_message(model.updated_ms),
        etag=model.etag,
    )


def transition_request_message(request: TransitionRequest) -> governance_pb2.TransitionRequest:
    """A transition request."""
    decided = time_message(request.decided_ms) if request.decided_ms else None
    return governance_pb2.TransitionRequest(
        transition_request_id=request.transition_request_id,
        name=request.name,
        version=request.version,
        stage=STAGES[request.stage],
        archive_existing_versions=request.archive_existing_versions,
        state=STATES[request.state],
        comment=request.comment,
        creator=request.creator,
        create_time=time_message(request.created_ms),
        decider=request.decider,
        decision_comment=request.decision_comment,
        decide_time=decided,
    )


def comment_message(comment: Comment) -> governance_pb2.Comment:
    """A comment."""
    return governance_pb2.Comment(
        comment_id=comment.comment_id,
        name=comment.name,
        version=comment.version,
        text=comment.text,
        author=comment.author,
        create_time=time_message(comment.created_ms),
        update_time=time_message(comment.updated_ms),
    )


def audit_message(event: AuditEvent) -> governance_pb2.AuditEvent:
    """An audit event."""
    return governance_pb2.AuditEvent(
        event_id=event.event_id,
        action=event.action,
        name=event.name,
        version=event.version,
        actor=event.actor,
        create_time=time_message(event.created_ms),
        details=event.details,
        comment=event.comment,
        request_id=event.request_id,
    )

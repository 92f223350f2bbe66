"""Registered models, versions and what is said and done about them."""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from runstone._convert.times import to_ms
from runstone._entities.registry import (
    STAGES,
    AuditEvent,
    Comment,
    ModelVersion,
    RegisteredModel,
    TransitionRequest,
)
from runstone.exceptions import InvalidArgument
from runstone.registry.v1 import governance_pb2, model_pb2

_NAMES = {number + 1: name for number, name in enumerate(STAGES)}
_STAGES = {name.lower(): model_pb2.Stage.ValueType(number) for number, name in _NAMES.items()}


def stage(name: str) -> model_pb2.Stage.ValueType:
    """The stage of a name in any case. Raises InvalidArgument for an unknown one."""
    found = _STAGES.get(str(name).lower())
    if found is None:
        raise InvalidArgument(f"stage must be one of {', '.join(STAGES)}, not {name!r}")
    return found


def stage_title(name: str) -> str:
    """A stage's name as the service writes it. Raises InvalidArgument for an unknown one."""
    return _NAMES[stage(name)]


def is_stage(name: str) -> bool:
    """Whether it names a stage, in any case."""
    return name.lower() in _STAGES


def version_number(version: int | str) -> int:
    """A version's number from a number or its digits. Raises InvalidArgument for anything else."""
    if isinstance(version, int) and not isinstance(version, bool):
        return version
    text = str(version)
    if not (text.isascii() and text.isdigit()):
        raise InvalidArgument(f"version must be a whole number, not {version!r}")
    return int(text)


def _time(message: Message, field: str) -> int | None:
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    return to_ms(value)


def model_version(message: model_pb2.ModelVersion) -> ModelVersion:
    """A version."""
    status = model_pb2.ModelVersionStatus.Name(message.status)
    return ModelVersion(
        name=message.name,
        version=message.version,
        creation_timestamp=_time(message, "create_time"),
        last_updated_timestamp=_time(message, "update_time"),
        description=message.description,
        user_id=message.creator,
        current_stage=_NAMES.get(message.stage, "None"),
        source=message.source,
        run_id=message.run_id,
        status=status.removeprefix("MODEL_VERSION_STATUS_"),
        status_message=message.status_message,
        tags=dict(message.tags),
        aliases=list(message.aliases),
        model_version_id=message.model_version_id,
        model_id=message.logged_model_id,
        etag=message.etag,
    )


def registered_model(message: model_pb2.RegisteredModel) -> RegisteredModel:
    """A model."""
    return RegisteredModel(
        name=message.name,
        creation_timestamp=_time(message, "create_time"),
        last_updated_timestamp=_time(message, "update_time"),
        description=message.description,
        latest_versions=[model_version(each) for each in message.latest_versions],
        tags=dict(message.tags),
        aliases=dict(message.aliases),
        user_id=message.creator,
        etag=message.etag,
    )


def transition_request(message: governance_pb2.TransitionRequest) -> TransitionRequest:
    """A wish for a stage."""
    state = governance_pb2.TransitionRequestState.Name(message.state)
    return TransitionRequest(
        transition_request_id=message.transition_request_id,
        name=message.name,
        version=message.version,
        stage=_NAMES.get(message.stage, "None"),
        archive_existing_versions=message.archive_existing_versions,
        state=state.removeprefix("TRANSITION_REQUEST_STATE_"),
        comment=message.comment,
        creator=message.creator,
        creation_timestamp=_time(message, "create_time"),
        decider=message.decider,
        decision_comment=message.decision_comment,
        decision_timestamp=_time(message, "decide_time"),
    )


def comment(message: governance_pb2.Comment) -> Comment:
    """A remark."""
    return Comment(
        comment_id=message.comment_id,
        name=message.name,
        version=message.version,
        text=message.text,
        author=message.author,
        creation_timestamp=_time(message, "create_time"),
        last_updated_timestamp=_time(message, "update_time"),
    )


def audit_event(message: governance_pb2.AuditEvent) -> AuditEvent:
    """A change."""
    return AuditEvent(
        event_id=message.event_id,
        action=message.action,
        name=message.name,
        version=message.version or None,
        actor=message.actor,
        timestamp=_time(message, "create_time"),
        details=dict(message.details),
        comment=message.comment,
        request_id=message.request_id,
    )

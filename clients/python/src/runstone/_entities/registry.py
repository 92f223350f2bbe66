"""Registered models, their versions, and who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STAGES = ("None", "Staging", "Production", "Archived")
"""The stages of a version, by the names that people use."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a registered model. Times in Unix milliseconds.

    ``current_stage`` is one of STAGES, ``status`` PENDING, READY or FAILED. ``model_version_id``
    owns the version's files; ``model_id`` is the logged model it came from, if its creator said so;
    ``etag`` changes with every change.
    """

    name: str
    version: int
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    description: str = ""
    user_id: str = ""
    current_stage: str = "None"
    source: str = ""
    run_id: str = ""
    status: str = "READY"
    status_message: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)
    model_version_id: str = ""
    etag: str = ""
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A named model. ``aliases`` maps to version numbers. Times in Unix milliseconds."""

    name: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    description: str = ""
    latest_versions: list[ModelVersion] = field(default_factory=list)
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    user_id: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class TransitionRequest:
    """Somebody's wish that a version move to a stage; ``state`` is OPEN, APPROVED or REJECTED."""

    transition_request_id: str
    name: str
    version: int
    stage: str
    archive_existing_versions: bool
    state: str
    comment: str
    creator: str
    creation_timestamp: int | None
    decider: str = ""
    decision_comment: str = ""
    decision_timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """A remark on a version. Times in Unix milliseconds."""

    comment_id: str
    name: str
    version: int
    text: str
    author: str
    creation_timestamp: int | None
    last_updated_timestamp: int | None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change: who did what, when. ``version`` is None when the change is the model's own."""

    event_id: int
    action: str
    name: str
    version: int | None
    actor: str
    timestamp: int | None
    details: Mapping[str, str]
    comment: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver of events; its secret is never told. Times in Unix milliseconds.

    ``events`` are such as "model_version.created", ``status`` is ACTIVE or DISABLED.
    ``status_message`` says why the server disabled it, ``last_error`` why the last delivery failed,
    ``failing_since`` since when all did.
    """

    webhook_id: str
    name: str
    url: str
    events: list[str]
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    description: str = ""
    status: str = "ACTIVE"
    status_message: str = ""
    has_secret: bool = False
    creator: str = ""
    failing_since: int | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class WebhookTestResult:
    """How a test went: the receiver's status and the beginning of its answer, or why there was
    none."""

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None

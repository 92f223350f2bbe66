"""What the registry keeps: frozen values. Times are Unix milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Stage(Enum):
    """Where a version stands in its life; the value is the name that people and filters use."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"

    @property
    def in_use(self) -> bool:
        """Whether versions in this stage are protected from deletion."""
        return self in (Stage.STAGING, Stage.PRODUCTION)


class VersionStatus(Enum):
    """Whether a version's files are there."""

    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"


class RequestState(Enum):
    """What became of a transition request."""

    OPEN = "OPEN"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version. ``name`` is the model's present name, ``aliases`` are sorted.

    ``external_uri`` is empty when the artifact service keeps the files.
    """

    model_version_id: str
    model_id: str
    name: str
    version: int
    created_ms: int
    updated_ms: int
    etag: str
    creator: str = ""
    description: str = ""
    stage: Stage = Stage.NONE
    status: VersionStatus = VersionStatus.READY
    status_message: str = ""
    run_id: str = ""
    source: str = ""
    external_uri: str = ""
    run_link: str = ""
    logged_model_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A named model. ``latest_versions`` holds the newest of each stage that has one."""

    model_id: str
    name: str
    created_ms: int
    updated_ms: int
    etag: str
    creator: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    latest_versions: tuple[ModelVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelHead:
    """As much of a model as most changes need: which it is, and its etag."""

    model_id: str
    name: str
    etag: str


@dataclass(frozen=True, slots=True)
class TransitionRequest:
    """Somebody's wish that a version move to a stage. ``sequence`` grows with time."""

    transition_request_id: str
    model_id: str
    model_version_id: str
    name: str
    version: int
    stage: Stage
    created_ms: int
    archive_existing_versions: bool = False
    state: RequestState = RequestState.OPEN
    comment: str = ""
    creator: str = ""
    decider: str = ""
    decision_comment: str = ""
    decided_ms: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Comment:
    """A remark on a version. ``sequence`` grows with time."""

    comment_id: str
    model_id: str
    model_version_id: str
    name: str
    version: int
    text: str
    author: str
    created_ms: int
    updated_ms: int
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change. ``event_id`` is 0 until it is stored, ``version`` when it is the model's own."""

    model_id: str
    name: str
    action: str
    actor: str
    created_ms: int
    version: int = 0
    details: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    request_id: str = ""
    event_id: int = 0


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a create with a ``request_id`` made, and a digest of what it was asked for."""

    request_id: str
    digest: str
    model_id: str
    subject: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class PendingOwner:
    """Files in the artifact service that no version holds: being made, or waiting for deletion."""

    model_version_id: str
    due_ms: int
    attempts: int = 0

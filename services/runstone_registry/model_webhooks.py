"""Webhooks and what is delivered to them: frozen values. Times are Unix milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class WebhookEvent(Enum):
    """What a webhook may be told of: ``entity.action``, the names that MLflow gives them."""

    REGISTERED_MODEL_CREATED = "registered_model.created"
    MODEL_VERSION_CREATED = "model_version.created"
    MODEL_VERSION_TAG_SET = "model_version_tag.set"
    MODEL_VERSION_TAG_DELETED = "model_version_tag.deleted"
    MODEL_VERSION_ALIAS_CREATED = "model_version_alias.created"
    MODEL_VERSION_ALIAS_DELETED = "model_version_alias.deleted"
    PROMPT_CREATED = "prompt.created"
    PROMPT_VERSION_CREATED = "prompt_version.created"
    PROMPT_TAG_SET = "prompt_tag.set"
    PROMPT_TAG_DELETED = "prompt_tag.deleted"
    PROMPT_VERSION_TAG_SET = "prompt_version_tag.set"
    PROMPT_VERSION_TAG_DELETED = "prompt_version_tag.deleted"
    PROMPT_ALIAS_CREATED = "prompt_alias.created"
    PROMPT_ALIAS_DELETED = "prompt_alias.deleted"
    MODEL_VERSION_STAGE_TRANSITIONED = "model_version_stage.transitioned"
    MODEL_VERSION_FINALIZED = "model_version.finalized"

    @property
    def entity(self) -> str:
        """What it happened to."""
        return self.value.partition(".")[0]

    @property
    def action(self) -> str:
        """What happened."""
        return self.value.partition(".")[2]


class WebhookStatus(Enum):
    """Whether a webhook is told of anything."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver. ``sequence`` grows with time; the secret is in no text that Python makes of it.

    ``failures`` counts those since the last delivery that was taken, ``failing_since_ms`` is the
    first of them (0: none). Before ``resume_ms`` nothing is tried.
    """

    webhook_id: str
    name: str
    url: str
    events: frozenset[WebhookEvent]
    created_ms: int
    updated_ms: int
    description: str = ""
    status: WebhookStatus = WebhookStatus.ACTIVE
    status_message: str = ""
    secret: str = field(default="", repr=False)
    creator: str = ""
    failures: int = 0
    failing_since_ms: int = 0
    last_error: str = ""
    resume_ms: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that happened, and who is to be told: delivery ids by webhook id."""

    event: WebhookEvent
    body: str
    created_ms: int
    deliveries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook. ``attempts`` are those that failed so far."""

    delivery_id: str
    webhook: Webhook
    body: str
    created_ms: int
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for delivery to ACTIVE webhooks: how many, and the oldest one's time (0: none)."""

    count: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class Post:
    """One HTTP request to be made."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    want_body: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: a status, or else (0) why there was none.

    ``error`` is public text. ``retry_after_s`` is how long the receiver asks to be left alone.
    """

    status: int = 0
    error: str = ""
    body: str = ""
    retry_after_s: int = 0

    @property
    def taken(self) -> bool:
        """Whether the receiver has it: a redirect is not followed, and so is none."""
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """Why it was not taken."""
        return self.error or f"the receiver answered {self.status}"

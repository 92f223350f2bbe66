"""What callers ask for, after its shape was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runstone_registry.model import RequestState, Stage
from runstone_registry.model_webhooks import WebhookEvent, WebhookStatus


@dataclass(frozen=True, slots=True)
class CreateModel:
    """A new model."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class RunSource:
    """Files of a run; an empty path means all of them."""

    run_id: str
    path: str = ""

    @property
    def uri(self) -> str:
        """The source as people write it."""
        return f"runs:/{self.run_id}/{self.path}" if self.path else f"runs:/{self.run_id}"


@dataclass(frozen=True, slots=True)
class LoggedModelSource:
    """Files of a logged model; an empty path means all of them."""

    model_id: str
    path: str = ""

    @property
    def uri(self) -> str:
        """The source as people write it."""
        return f"models:/{self.model_id}/{self.path}" if self.path else f"models:/{self.model_id}"


@dataclass(frozen=True, slots=True)
class UploadSource:
    """Files that the caller uploads."""

    origin: str = ""

    @property
    def uri(self) -> str:
        """The source as people write it."""
        return self.origin


@dataclass(frozen=True, slots=True)
class VersionSource:
    """Files of another version."""

    name: str
    version: int

    @property
    def uri(self) -> str:
        """The source as people write it."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class ExternalSource:
    """Files that stay elsewhere."""

    uri: str
    run_id: str = ""


Source = RunSource | LoggedModelSource | UploadSource | VersionSource | ExternalSource


@dataclass(frozen=True, slots=True)
class CreateVersion:
    """A new version. An empty ``origin`` is the source's own text."""

    name: str
    source: Source
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    origin: str = ""
    run_link: str = ""
    logged_model_id: str = ""


@dataclass(frozen=True, slots=True)
class VersionSelector:
    """Which version: exactly one of number, alias, stage; or, all unset, the newest."""

    name: str
    version: int = 0
    alias: str = ""
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A version's way to a stage; an empty etag is not checked."""

    name: str
    version: int
    stage: Stage
    archive_existing_versions: bool = False
    etag: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class AskTransition:
    """A new transition request."""

    name: str
    version: int
    stage: Stage
    archive_existing_versions: bool = False
    comment: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class CreateRemark:
    """A new comment."""

    name: str
    version: int
    text: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """A search; the filter and the order are still text."""

    filter: str = ""
    order_by: tuple[str, ...] = ()
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of what belongs to a model or a version; empty and 0 mean any."""

    name: str = ""
    version: int = 0
    state: RequestState | None = None
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class CreateWebhook:
    """A new webhook."""

    name: str
    url: str
    events: frozenset[WebhookEvent]
    description: str = ""
    status: WebhookStatus = WebhookStatus.ACTIVE
    secret: str = field(default="", repr=False)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class UpdateWebhook:
    """A webhook's new values; None keeps what is there."""

    webhook_id: str
    name: str | None = None
    url: str | None = None
    events: frozenset[WebhookEvent] | None = None
    description: str | None = None
    status: WebhookStatus | None = None
    secret: str | None = field(default=None, repr=False)

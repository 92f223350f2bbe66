"""What the use cases need from the outside, as narrow as they need it.

``RegistryStore`` opens transactions; the sessions in them read and write rows and know no rule.
``ArtifactPeer`` and ``RunPeer`` are the artifact and the tracking service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from runstone_kit.filterlang import Expression, OrderBy
from runstone_kit.paging import KeyValue
from runstone_registry.model import (
    AuditEvent,
    Comment,
    ModelHead,
    ModelVersion,
    PendingOwner,
    RegisteredModel,
    Remembered,
    RequestState,
    Stage,
    TransitionRequest,
    VersionStatus,
)
from runstone_registry.store_webhooks import WebhookReads, WebhookWrites

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search: ``order`` ends with what makes a row unique; ``after`` is a key in that order.

    At most ``limit`` rows and about ``budget`` bytes are wanted, but one row in any case.
    """

    filter: Expression | None
    order: tuple[OrderBy, ...]
    limit: int
    budget: int
    after: Sequence[KeyValue] | None = None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list by sequence; ``after`` is a sequence. Ids that are empty mean any."""

    limit: int
    budget: int
    model_version_id: str = ""
    model_id: str = ""
    name: str = ""
    version: int = 0
    state: RequestState | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """Rows in order; ``more`` tells whether others follow."""

    items: list[T]
    more: bool = False


class ReadSession(WebhookReads, Protocol):
    """One consistent state of the registry."""

    def head(self, name: str) -> ModelHead | None:
        """The model called ``name``, without locking it."""
        ...

    def model(self, model_id: str) -> RegisteredModel | None:
        """A model with tags, aliases and latest versions."""
        ...

    def version(self, model_id: str, number: int) -> ModelVersion | None:
        """A version by number."""
        ...

    def version_by_id(self, model_version_id: str) -> ModelVersion | None:
        """A version by its id."""
        ...

    def version_by_alias(self, model_id: str, alias: str) -> ModelVersion | None:
        """The version that an alias points to."""
        ...

    def latest_version(self, model_id: str, stage: Stage | None) -> ModelVersion | None:
        """The version with the highest number, of one stage or of all."""
        ...

    def numbers_in(self, model_id: str, stages: Iterable[Stage]) -> list[tuple[int, Stage]]:
        """Number and stage of the versions in any of ``stages``, by number."""
        ...

    def search_models(self, query: SearchQuery) -> Found[RegisteredModel]:
        """Models that match. LIKE MUST heed the case, ILIKE ignores that of ASCII letters."""
        ...

    def search_versions(self, query: SearchQuery) -> Found[ModelVersion]:
        """Versions that match, with the same rules."""
        ...

    def transition_request(self, transition_request_id: str) -> TransitionRequest | None:
        """A transition request."""
        ...

    def open_request(self, model_version_id: str, stage: Stage) -> TransitionRequest | None:
        """The open request for this version and stage."""
        ...

    def transition_requests(self, query: ListQuery) -> Found[TransitionRequest]:
        """Transition requests, newest first; by ``name`` and ``version`` of the present."""
        ...

    def comment(self, comment_id: str) -> Comment | None:
        """A comment."""
        ...

    def comments(self, query: ListQuery) -> Found[Comment]:
        """Comments of ``model_version_id``, oldest first."""
        ...

    def audit_events(self, query: ListQuery) -> Found[AuditEvent]:
        """Changes, newest first: those of ``model_id`` and those recorded under ``name``."""
        ...

    def remembered(self, request_id: str) -> Remembered | None:
        """What the create with this request id made."""
        ...

    def due_owners(self, now_ms: int, limit: int) -> list[PendingOwner]:
        """Pending owners whose time has come, longest due first."""
        ...


class WriteSession(ReadSession, WebhookWrites, Protocol):
    """One transaction: all of it happens, or nothing.

    Between ``lock`` and the end of the transaction nobody else MUST be able to change the model,
    its versions or what hangs on them. Every change of a model is made under its lock.
    """

    def lock(self, name: str) -> ModelHead | None:
        """Lock the model called ``name``; None when there is none by the time of the lock."""
        ...

    def lock_id(self, model_id: str) -> ModelHead | None:
        """Lock a model by its id."""
        ...

    def insert_model(self, model: RegisteredModel, tags_bytes: int) -> None:
        """Add a model without versions. MUST raise ModelNameTaken when the name is taken."""
        ...

    def touch_model(self, model_id: str, etag: str, now_ms: int) -> None:
        """Give a model a new etag and time of update."""
        ...

    def describe_model(self, model_id: str, description: str) -> None:
        """Set a model's description."""
        ...

    def rename_model(self, model_id: str, name: str) -> None:
        """Rename a model. MUST raise ModelNameTaken when the name is taken."""
        ...

    def delete_model(self, model_id: str) -> None:
        """Delete a model with its versions and what hangs on them, but not its audit events."""
        ...

    def put_model_tags(self, model_id: str, tags: Mapping[str, str], tags_bytes: int) -> None:
        """Set tags; ``tags_bytes`` is the size of all that the model has then."""
        ...

    def drop_model_tags(self, model_id: str, keys: Iterable[str], tags_bytes: int) -> None:
        """Delete tags."""
        ...

    def next_number(self, model_id: str) -> int:
        """The model's next version number; given out again only if the transaction fails."""
        ...

    def insert_version(self, version: ModelVersion, tags_bytes: int) -> None:
        """Add a version with its tags."""
        ...

    def touch_version(self, model_version_id: str, etag: str, now_ms: int) -> None:
        """Give a version a new etag and time of update."""
        ...

    def describe_version(self, model_version_id: str, description: str) -> None:
        """Set a version's description."""
        ...

    def set_stage(self, model_version_id: str, stage: Stage) -> None:
        """Move a version."""
        ...

    def archive_others(
        self, version: ModelVersion, stage: Stage, etag: str, now_ms: int
    ) -> list[int]:
        """Archive the model's versions in ``stage`` but ``version``; their numbers, sorted."""
        ...

    def set_status(self, model_version_id: str, status: VersionStatus, message: str) -> None:
        """Set a version's status."""
        ...

    def delete_version(self, model_version_id: str) -> None:
        """Delete a version with its aliases, tags, comments and transition requests."""
        ...

    def put_version_tags(
        self, model_version_id: str, tags: Mapping[str, str], tags_bytes: int
    ) -> None:
        """Set tags; ``tags_bytes`` is the size of all that the version has then."""
        ...

    def drop_version_tags(
        self, model_version_id: str, keys: Iterable[str], tags_bytes: int
    ) -> None:
        """Delete tags."""
        ...

    def put_alias(self, model_id: str, alias: str, model_version_id: str) -> None:
        """Point an alias at a version."""
        ...

    def drop_alias(self, model_id: str, alias: str) -> None:
        """Delete an alias."""
        ...

    def insert_transition_request(self, request: TransitionRequest) -> None:
        """Add a request. MUST raise TransitionRequestOpen when the same one is open."""
        ...

    def close_transition_request(self, request: TransitionRequest) -> None:
        """Store state, decider, decision_comment and decided_ms."""
        ...

    def insert_comment(self, comment: Comment) -> None:
        """Add a comment."""
        ...

    def change_comment(self, comment_id: str, text: str, now_ms: int) -> None:
        """Set a comment's text."""
        ...

    def delete_comment(self, comment_id: str) -> None:
        """Delete a comment."""
        ...

    def append_audit(self, *events: AuditEvent) -> None:
        """Add audit events, in this order; each ``event_id`` is given by the store."""
        ...

    def remember(self, done: Remembered) -> None:
        """Keep what a create made. MUST raise RequestIdReused when the id is known."""
        ...

    def forget_requests(self, before_ms: int) -> None:
        """Drop what was remembered before a time."""
        ...

    def reserve_owner(self, owner: PendingOwner) -> None:
        """Note an owner whose files are about to be made."""
        ...

    def settle_owner(self, model_version_id: str) -> bool:
        """Drop a reservation, its version being stored. False when it is no longer reserved."""
        ...

    def orphan_owner(self, model_version_id: str, due_ms: int) -> None:
        """Give an owner, known or not, to the sweeper."""
        ...

    def orphan_owners_of(self, model_id: str, due_ms: int) -> list[str]:
        """Give the owners of all versions of a model to the sweeper; returns their ids."""
        ...

    def claim_owner(self, model_version_id: str, now_ms: int, retry_ms: int) -> bool:
        """Take a due owner out of its create's hands, due again at ``retry_ms``.

        True for at most one of many that try at once.
        """
        ...

    def drop_owner(self, model_version_id: str) -> None:
        """Forget an owner whose files are gone."""
        ...


class RegistryStore(Protocol):
    """Opens transactions. MUST be safe to call from many threads."""

    def read(self, work: Callable[[ReadSession], T]) -> T:
        """``work`` on one consistent state. Raises Unavailable, ResourceExhausted."""
        ...

    def write(self, work: Callable[[WriteSession], T]) -> T:
        """``work`` as one transaction, committed when it returns, undone when it raises.

        ``work`` is called again after a lost race, so it has no effect outside the session.
        Raises Unavailable (which after a lost connection may mean committed), ResourceExhausted.
        """
        ...


class ArtifactPeer(Protocol):
    """The artifact service. Every method may be repeated.

    Raises PeerUnavailable when it can't be reached or fails; ``certain`` says that the call had no
    effect and will have none.
    """

    def copy_run_artifacts(self, run_id: str, path: str, model_version_id: str) -> int:
        """Give a version a run's files and seal them; an empty path means all. Returns the count.

        MUST be all or nothing. Raises SourceNotFound when nothing is at ``path``.
        """
        ...

    def copy_version(self, source_id: str, model_version_id: str) -> int:
        """Give a version the files of another and seal them. Returns the count, 0 when it has none.

        MUST be all or nothing.
        """
        ...

    def copy_model_artifacts(self, model_id: str, path: str, model_version_id: str) -> int:
        """The same with a logged model's files."""
        ...

    def open(self, model_version_id: str) -> None:
        """Let files be uploaded for a version."""
        ...

    def seal(self, model_version_id: str) -> int:
        """Make a version's files final; returns their count. MUST NOT seal when it has none."""
        ...

    def delete(self, model_version_id: str) -> None:
        """Delete a version's files, whatever state they are in; none is fine."""
        ...


class RunPeer(Protocol):
    """The tracking service."""

    def require_run(self, run_id: str) -> None:
        """Return if the run exists, deleted or not.

        Raises SourceRunNotFound, PeerUnavailable.
        """
        ...

    def run_of_model(self, model_id: str) -> str:
        """The run that made a logged model, deleted or not; empty when no run did.

        Raises SourceLoggedModelNotFound, PeerUnavailable.
        """
        ...

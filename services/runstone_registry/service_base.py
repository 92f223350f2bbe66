"""What all use cases share: locking, etags, audit, creates that may be repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from runstone_kit.clock import Clock
from runstone_kit.context import current
from runstone_kit.errors import AlreadyExists
from runstone_kit.ids import IdMaker
from runstone_registry.errors import (
    EtagMismatch,
    ModelNotFound,
    RequestIdReused,
    VersionNotFound,
    invalid_field,
)
from runstone_registry.model import (
    AuditEvent,
    ModelHead,
    ModelVersion,
    RegisteredModel,
    Remembered,
)
from runstone_registry.model_webhooks import Announcement
from runstone_registry.service_events import Change, Told, body, is_prompt
from runstone_registry.service_sweep import LEASE_MS, Sweeper
from runstone_registry.store import (
    ArtifactPeer,
    ReadSession,
    RegistryStore,
    RunPeer,
    WriteSession,
)
from runstone_registry.store_webhooks import WebhookSender

T = TypeVar("T")

MAX_TAGS_BYTES = 4 * 2**20
"""All tags of one model or version: a model comes in one message with those of four versions."""

MAX_AUDITED_VALUE = 500
"""Characters of a tag's value in the audit: to know which, not to keep a second copy."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the use cases work with. ``lease_ms`` is how long a create may hold a reservation."""

    store: RegistryStore
    artifacts: ArtifactPeer
    runs: RunPeer
    clock: Clock
    ids: IdMaker
    sweeper: Sweeper
    sender: WebhookSender
    lease_ms: int = LEASE_MS


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """What a create made: the answer, and how to find it again."""

    result: T
    model_id: str
    subject: str = ""


class UseCases:
    """One transaction each, opened here; every change is audited in it."""

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store
        self._artifacts = parts.artifacts
        self._runs = parts.runs
        self._clock = parts.clock
        self._ids = parts.ids
        self._sweeper = parts.sweeper
        self._sender = parts.sender
        self._lease_ms = parts.lease_ms

    def _lock(self, tx: WriteSession, name: str, etag: str = "") -> ModelHead:
        """Lock a model. Raises ModelNotFound, or EtagMismatch when ``etag`` is not its own."""
        head = tx.lock(name)
        if head is None:
            raise ModelNotFound(name)
        check_etag(etag, head.etag)
        return head

    def _touch_model(self, tx: WriteSession, model_id: str) -> None:
        tx.touch_model(model_id, self._ids.hex_id(), self._clock.now_ms())

    def _touch_version(self, tx: WriteSession, model_version_id: str) -> None:
        tx.touch_version(model_version_id, self._ids.hex_id(), self._clock.now_ms())

    def _audit(
        self,
        tx: WriteSession,
        head: ModelHead,
        action: str,
        *,
        version: int = 0,
        details: Mapping[str, str] | None = None,
        comment: str = "",
    ) -> None:
        tx.append_audit(
            self._event(head, action, version=version, details=details, comment=comment)
        )

    def _event(
        self,
        head: ModelHead,
        action: str,
        *,
        version: int,
        details: Mapping[str, str] | None,
        comment: str,
    ) -> AuditEvent:
        about = current()
        return AuditEvent(
            model_id=head.model_id,
            name=head.name,
            action=action,
            actor=about.actor,
            created_ms=self._clock.now_ms(),
            version=version,
            details=details or {},
            comment=comment,
            request_id=about.request_id,
        )

    def _announce(
        self,
        tx: WriteSession,
        head: ModelHead,
        change: Change,
        told: Iterable[Told],
        *,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Note in the change's own transaction what webhooks are told of it, one event for each.

        ``tags`` tell whether it is a prompt's; those of the model unless given.
        """
        listeners = tx.listeners(change.events)
        if not listeners:
            return
        if tags is None:
            tags = find_model(tx, head).tags
        prompt = is_prompt(tags)
        event = change.event(prompt=prompt)
        if event is None or event not in listeners:
            return
        now = self._clock.now_ms()
        for each in told:
            deliveries = {webhook_id: self._ids.hex_id() for webhook_id in listeners[event]}
            text = body(event, each.data(prompt=prompt), now)
            tx.announce(Announcement(event, text, now, deliveries))

    def _create_once(
        self,
        request_id: str,
        digest: str,
        find: Callable[[ReadSession, Remembered], T],
        make: Callable[[WriteSession], Made[T]],
    ) -> T:
        """``make`` in a transaction, or what it made when it was called with ``request_id`` before.

        Raises RequestIdReused when ``digest`` was another then.
        """

        def work(tx: WriteSession) -> T:
            done = remembered(tx, request_id, digest)
            if done is not None:
                return find(tx, done)
            made = make(tx)
            if request_id:
                tx.remember(
                    Remembered(
                        request_id, digest, made.model_id, made.subject, self._clock.now_ms()
                    )
                )
            return made.result

        try:
            return self._store.write(work)
        except AlreadyExists:
            if not request_id:
                raise
        # The same call, sent twice at once, may have been the one that was faster.
        return self._store.write(work)


def remembered(tx: ReadSession, request_id: str, digest: str) -> Remembered | None:
    """What the create with this id made. Raises RequestIdReused for another create's id."""
    done = tx.remembered(request_id) if request_id else None
    if done is not None and done.digest != digest:
        raise RequestIdReused(request_id)
    return done


def check_etag(given: str, now: str) -> None:
    """Raise EtagMismatch unless ``given`` is empty or the present one."""
    if given and given != now:
        raise EtagMismatch(now)


def find_head(tx: ReadSession, name: str) -> ModelHead:
    """A model by name. Raises ModelNotFound."""
    head = tx.head(name)
    if head is None:
        raise ModelNotFound(name)
    return head


def find_model(tx: ReadSession, head: ModelHead) -> RegisteredModel:
    """A whole model. Raises ModelNotFound."""
    model = tx.model(head.model_id)
    if model is None:
        raise ModelNotFound(head.name)
    return model


def find_version(tx: ReadSession, head: ModelHead, number: int) -> ModelVersion:
    """A version by number. Raises VersionNotFound."""
    version = tx.version(head.model_id, number)
    if version is None:
        raise VersionNotFound(head.name, version=number)
    return version


def digest_of(action: str, *content: object) -> str:
    """Identifies what a create was asked for; mappings compare without their order."""
    text = json.dumps([action, *content], sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()


def tags_size(tags: Mapping[str, str]) -> int:
    """UTF-8 bytes of all tags. Raises InvalidArgument (field ``tags``) when they are too many."""
    size = sum(len(key.encode()) + len(value.encode()) for key, value in tags.items())
    if size > MAX_TAGS_BYTES:
        raise invalid_field(
            "tags", f"must have at most {MAX_TAGS_BYTES} bytes in all, with those set before"
        )
    return size


def audited_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as details of an audit event."""
    return {
        f"tags.{key}": value if len(value) <= MAX_AUDITED_VALUE else value[:MAX_AUDITED_VALUE] + "…"
        for key, value in tags.items()
    }

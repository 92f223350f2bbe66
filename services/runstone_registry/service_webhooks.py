"""Use cases of webhooks. What is delivered to them, and when, is in ``service_delivery``."""

from __future__ import annotations

import threading
from dataclasses import replace

from runstone_kit.context import current
from runstone_kit.errors import ResourceExhausted
from runstone_kit.paging import Page, decode_token, encode_token, query_hash, resolve_page_size
from runstone_registry.addresses import parse
from runstone_registry.errors import TooManyWebhooks, WebhookNotFound
from runstone_registry.model import ModelHead, Remembered
from runstone_registry.model_commands import CreateWebhook, Listing, UpdateWebhook
from runstone_registry.model_webhooks import (
    Answer,
    Post,
    Webhook,
    WebhookEvent,
    WebhookStatus,
)
from runstone_registry.service_base import Made, Parts, UseCases, digest_of
from runstone_registry.service_delivery import prepare
from runstone_registry.service_events import body, example
from runstone_registry.store import ReadSession, WriteSession

MAX_WEBHOOKS = 100
"""Every change writes a row for each webhook that is told of it, in its own transaction."""

MAX_TESTS = 4
"""Tests at once, per process: each keeps one of the threads that calls are served by."""

OVERLOADED = "OVERLOADED"
"""The contract's reason for what may be tried again later."""

_NO_MODEL = ModelHead("", "", "")
"""Stands for the model in audit events of webhooks, which belong to none."""


class WebhookUseCases(UseCases):
    """Webhooks."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._tests = threading.BoundedSemaphore(MAX_TESTS)

    def create_webhook(self, wish: CreateWebhook) -> Webhook:
        """Create a webhook. Raises TooManyWebhooks, RequestIdReused.

        WebhookNotFound when the same ``request_id`` made one that was deleted since.
        """
        events = sorted(event.value for event in wish.events)
        # Not the secret: a digest of it would be kept for a day for whoever likes to guess.
        digest = digest_of(
            "CreateWebhook", wish.name, wish.url, wish.description, events, wish.status.value
        )

        def find(tx: ReadSession, done: Remembered) -> Webhook:
            return _find(tx, done.subject)

        def make(tx: WriteSession) -> Made[Webhook]:
            if tx.count_webhooks() >= MAX_WEBHOOKS:
                raise TooManyWebhooks(MAX_WEBHOOKS)
            now = self._clock.now_ms()
            webhook = Webhook(
                webhook_id=self._ids.hex_id(),
                name=wish.name,
                url=wish.url,
                events=wish.events,
                created_ms=now,
                updated_ms=now,
                description=wish.description,
                status=wish.status,
                secret=wish.secret,
                creator=current().actor,
            )
            tx.insert_webhook(webhook)
            self._audit(tx, _NO_MODEL, "CreateWebhook", details=_audited(webhook))
            return Made(_find(tx, webhook.webhook_id), "", webhook.webhook_id)

        return self._create_once(wish.request_id, digest, find, make)

    def get_webhook(self, webhook_id: str) -> Webhook:
        """A webhook. Raises WebhookNotFound."""
        return self._store.read(lambda tx: _find(tx, webhook_id))

    def list_webhooks(self, listing: Listing) -> Page[Webhook]:
        """Webhooks, newest first."""
        hashed = query_hash("webhooks")
        limit = resolve_page_size(listing.page_size, default=100, maximum=1000)
        token = decode_token(listing.page_token, hashed, [(int,)])
        after = None if token is None else token[0]
        assert after is None or isinstance(after, int)
        found = self._store.read(lambda tx: tx.webhooks(limit + 1, after))
        if len(found) <= limit:
            return Page(found)
        return Page(found[:limit], encode_token(hashed, [found[limit - 1].sequence]))

    def update_webhook(self, wish: UpdateWebhook) -> Webhook:
        """Change a webhook. Raises WebhookNotFound.

        A new URL, and ACTIVE, make a new start: failures are forgotten, what waits is due now.
        """
        given = {
            name: getattr(wish, name)
            for name in ("name", "url", "events", "description", "status", "secret")
            if getattr(wish, name) is not None
        }

        def work(tx: WriteSession) -> Webhook:
            before = tx.lock_webhook(wish.webhook_id)
            if before is None:
                raise WebhookNotFound(wish.webhook_id)
            now = self._clock.now_ms()
            webhook = replace(before, **given, updated_ms=now)
            if wish.status is not None:
                webhook = replace(webhook, status_message="")
            if webhook.url != before.url or wish.status is WebhookStatus.ACTIVE:
                webhook = replace(
                    webhook, failures=0, failing_since_ms=0, last_error="", resume_ms=0
                )
                tx.hurry_deliveries(webhook.webhook_id, now)
            tx.change_webhook(webhook)
            if webhook.events != before.events:
                tx.change_subscriptions(webhook)
            details = _audited(webhook) | {"changed": ", ".join(sorted(given))}
            self._audit(tx, _NO_MODEL, "UpdateWebhook", details=details)
            return _find(tx, wish.webhook_id)

        return self._store.write(work)

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook with what waits for it. Raises WebhookNotFound."""

        def work(tx: WriteSession) -> None:
            webhook = tx.lock_webhook(webhook_id)
            if webhook is None:
                raise WebhookNotFound(webhook_id)
            tx.delete_webhook(webhook_id)
            self._audit(tx, _NO_MODEL, "DeleteWebhook", details=_audited(webhook))

        self._store.write(work)

    def test_webhook(self, webhook_id: str, event: WebhookEvent | None) -> Answer:
        """Post a made-up event, once. Raises WebhookNotFound, ResourceExhausted."""
        webhook = self.get_webhook(webhook_id)
        chosen = event or next(each for each in WebhookEvent if each in webhook.events)
        now = self._clock.now_ms()
        text = body(chosen, example(chosen), now)
        post: Post = prepare(webhook, self._ids.hex_id(), text, now)
        if not self._tests.acquire(blocking=False):
            raise ResourceExhausted(
                "too many webhooks are being tested; try again", reason=OVERLOADED, retry_after=5.0
            )
        try:
            return self._sender.send(replace(post, want_body=True))
        finally:
            self._tests.release()


def _find(tx: ReadSession, webhook_id: str) -> Webhook:
    webhook = tx.webhook(webhook_id)
    if webhook is None:
        raise WebhookNotFound(webhook_id)
    return webhook


def _audited(webhook: Webhook) -> dict[str, str]:
    """What the audit keeps. Of the URL the host: the path of many receivers is their password."""
    return {
        "webhook_id": webhook.webhook_id,
        "webhook": webhook.name,
        "host": parse(webhook.url).authority,
        "status": webhook.status.value,
    }

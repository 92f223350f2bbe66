"""What webhooks need from the outside: rows in the sessions of ``store.py``, and a way to post."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from runstone_registry.model_webhooks import (
    Announcement,
    Answer,
    Backlog,
    Delivery,
    Post,
    Webhook,
    WebhookEvent,
)


class WebhookReads(Protocol):
    """Part of ``ReadSession``."""

    def webhook(self, webhook_id: str) -> Webhook | None:
        """A webhook with its secret."""
        ...

    def webhooks(self, limit: int, after: int | None) -> list[Webhook]:
        """Webhooks, newest first, of a smaller sequence than ``after``."""
        ...

    def count_webhooks(self) -> int:
        """How many there are."""
        ...

    def webhooks_due(self, now_ms: int) -> bool:
        """Whether ``claim_webhooks`` might find any."""
        ...

    def backlog(self) -> Backlog:
        """What waits for ACTIVE webhooks."""
        ...


class WebhookWrites(Protocol):
    """Part of ``WriteSession``.

    A delivery is added in the transaction of the change that it tells of. It is sent by whoever
    holds its webhook's lease, and goes with its webhook.
    """

    def lock_webhook(self, webhook_id: str) -> Webhook | None:
        """A webhook that nobody else changes before the transaction ends."""
        ...

    def insert_webhook(self, webhook: Webhook) -> None:
        """Add a webhook."""
        ...

    def change_webhook(self, webhook: Webhook) -> None:
        """Store all that a webhook holds but its ids, events, creator and time of creation."""
        ...

    def change_subscriptions(self, webhook: Webhook) -> None:
        """Store a webhook's events."""
        ...

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook with its deliveries."""
        ...

    def listeners(self, events: Iterable[WebhookEvent]) -> dict[WebhookEvent, list[str]]:
        """By event: the ACTIVE webhooks that are told of it; only events that have any.

        They MUST stay until the transaction ends, so that deliveries can be added for them, and
        MUST NOT keep other transactions from asking the same or from delivering.
        """
        ...

    def announce(self, announcement: Announcement) -> None:
        """Add an event with its deliveries, due at once."""
        ...

    def claim_webhooks(self, holder: str, now_ms: int, until_ms: int, limit: int) -> list[str]:
        """Lease ACTIVE webhooks that have something due; those first that waited longest.

        A webhook MUST be leased to one holder at a time, until ``until_ms`` or its release.
        """
        ...

    def next_delivery(
        self, webhook_id: str, holder: str, now_ms: int, until_ms: int
    ) -> Delivery | None:
        """The oldest due delivery of an ACTIVE webhook, and its lease until ``until_ms``.

        None when there is none, when the webhook is not to be tried now, or when the lease is
        another's by now.
        """
        ...

    def release_webhook(self, webhook_id: str, holder: str, now_ms: int) -> None:
        """End a lease, if it is still the holder's."""
        ...

    def holds(self, webhook_id: str, holder: str) -> bool:
        """Whether the lease is the holder's; locks the webhook as ``lock_webhook`` does."""
        ...

    def end_delivery(self, delivery_id: str) -> None:
        """Forget a delivery that was taken or given up."""
        ...

    def put_off_delivery(self, delivery_id: str, due_ms: int) -> None:
        """One more attempt failed; the next is due at ``due_ms``."""
        ...

    def hurry_deliveries(self, webhook_id: str, now_ms: int) -> None:
        """All that waits for a webhook is due now."""
        ...

    def expire_deliveries(self, before_ms: int, limit: int) -> int:
        """Forget deliveries that were added before a time, oldest first; how many."""
        ...

    def forget_events(self, limit: int) -> int:
        """Forget events that have no delivery left; how many."""
        ...


class WebhookSender(Protocol):
    """Posts to receivers. MUST be safe to call from many threads."""

    def send(self, post: Post) -> Answer:
        """Make one request. Raises nothing; ends within the sender's time limit and name lookup.

        MUST NOT reach an address that is not public unless that is allowed, MUST NOT follow a
        redirect, and MUST bound what it reads.
        """
        ...

"""Webhooks and their outbox in the registry's tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from runstone_registry.model_webhooks import (
    Announcement,
    Backlog,
    Delivery,
    Webhook,
    WebhookEvent,
    WebhookStatus,
)
from runstone_registry.tables import (
    webhook_deliveries,
    webhook_events,
    webhook_subscriptions,
    webhooks,
)

_ACTIVE: ColumnElement[bool] = webhooks.c.status == WebhookStatus.ACTIVE.value


class SqlWebhookReads:
    """``store_webhooks.WebhookReads`` on one connection."""

    def __init__(self, connection: Connection, dialect: str) -> None:
        self._connection = connection
        self._dialect = dialect

    def webhook(self, webhook_id: str) -> Webhook | None:
        """A webhook with its secret."""
        row = self._connection.execute(
            select(webhooks).where(webhooks.c.webhook_id == webhook_id)
        ).first()
        return None if row is None else self._whole([row])[0]

    def webhooks(self, limit: int, after: int | None) -> list[Webhook]:
        """Webhooks, newest first."""
        statement = select(webhooks).order_by(webhooks.c.sequence.desc()).limit(limit)
        if after is not None:
            statement = statement.where(webhooks.c.sequence < after)
        return self._whole(self._connection.execute(statement).all())

    def _whole(self, rows: Sequence[Row[Any]]) -> list[Webhook]:
        columns = webhook_subscriptions.c
        events: dict[str, set[WebhookEvent]] = defaultdict(set)
        found = self._connection.execute(
            select(columns.webhook_id, columns.event).where(
                columns.webhook_id.in_([row.webhook_id for row in rows])
            )
        )
        for row in found:
            events[row.webhook_id].add(WebhookEvent(row.event))
        return [_webhook(row, frozenset(events[row.webhook_id])) for row in rows]

    def count_webhooks(self) -> int:
        """How many there are."""
        counted: int = self._connection.execute(
            select(func.count()).select_from(webhooks)
        ).scalar_one()
        return counted

    def webhooks_due(self, now_ms: int) -> bool:
        """Whether a claim might find any."""
        return bool(self._connection.execute(select(exists().where(_due(now_ms)))).scalar())

    def backlog(self) -> Backlog:
        """What waits for ACTIVE webhooks."""
        columns = webhook_deliveries.c
        row = self._connection.execute(
            select(func.count(), func.coalesce(func.min(columns.created_ms), 0))
            .select_from(webhook_deliveries)
            .join(webhooks, webhooks.c.webhook_id == columns.webhook_id)
            .where(_ACTIVE)
        ).one()
        return Backlog(row[0], row[1])


class SqlWebhookWrites(SqlWebhookReads):
    """``store_webhooks.WebhookWrites`` in one transaction."""

    def lock_webhook(self, webhook_id: str) -> Webhook | None:
        """A webhook that nobody else changes now."""
        self._lock(webhooks.c.webhook_id == webhook_id)
        return self.webhook(webhook_id)

    def _lock(self, *conditions: ColumnElement[bool]) -> bool:
        # FOR NO KEY UPDATE: changes that announce something to it need not wait.
        statement = select(webhooks.c.sequence).where(*conditions).with_for_update(key_share=True)
        return self._connection.execute(statement).first() is not None

    def insert_webhook(self, webhook: Webhook) -> None:
        """Add a webhook."""
        row = {
            "webhook_id": webhook.webhook_id,
            "creator": webhook.creator,
            "created_ms": webhook.created_ms,
            "holder": "",
            "lease_ms": 0,
            **_changeable(webhook),
        }
        self._connection.execute(insert(webhooks), row)
        self._subscribe(webhook)

    def change_webhook(self, webhook: Webhook) -> None:
        """Store what may change of a webhook, but its events."""
        self._connection.execute(
            update(webhooks)
            .where(webhooks.c.webhook_id == webhook.webhook_id)
            .values(**_changeable(webhook))
        )

    def change_subscriptions(self, webhook: Webhook) -> None:
        """Store what a webhook is told of."""
        subscriptions = webhook_subscriptions.c
        self._connection.execute(
            delete(webhook_subscriptions).where(subscriptions.webhook_id == webhook.webhook_id)
        )
        self._subscribe(webhook)

    def _subscribe(self, webhook: Webhook) -> None:
        rows = [
            {"event": event.value, "webhook_id": webhook.webhook_id} for event in webhook.events
        ]
        self._connection.execute(insert(webhook_subscriptions), rows)

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook; its deliveries go with it."""
        self._connection.execute(delete(webhooks).where(webhooks.c.webhook_id == webhook_id))

    def listeners(self, events: Iterable[WebhookEvent]) -> dict[WebhookEvent, list[str]]:
        """The ACTIVE webhooks of each event."""
        columns = webhook_subscriptions.c
        # FOR KEY SHARE: a deletion waits, or is waited for; nothing else does.
        statement = (
            select(columns.event, columns.webhook_id)
            .join(webhooks, webhooks.c.webhook_id == columns.webhook_id)
            .where(columns.event.in_([event.value for event in events]), _ACTIVE)
            .order_by(columns.webhook_id)
            .with_for_update(read=True, key_share=True, of=webhooks)
        )
        found: dict[WebhookEvent, list[str]] = {}
        for row in self._connection.execute(statement):
            found.setdefault(WebhookEvent(row.event), []).append(row.webhook_id)
        return found

    def announce(self, announcement: Announcement) -> None:
        """Add an event with its deliveries."""
        made = self._connection.execute(
            insert(webhook_events)
            .values(body=announcement.body, created_ms=announcement.created_ms)
            .returning(webhook_events.c.sequence)
        ).scalar_one()
        rows = [
            {
                "delivery_id": delivery_id,
                "webhook_id": webhook_id,
                "sequence": made,
                "created_ms": announcement.created_ms,
                "due_ms": announcement.created_ms,
                "attempts": 0,
            }
            for webhook_id, delivery_id in announcement.deliveries.items()
        ]
        self._connection.execute(insert(webhook_deliveries), rows)

    def claim_webhooks(self, holder: str, now_ms: int, until_ms: int, limit: int) -> list[str]:
        """Lease webhooks; those that another replica is just leasing are passed over."""
        free = (
            select(webhooks.c.webhook_id)
            .where(_due(now_ms))
            .order_by(webhooks.c.lease_ms, webhooks.c.sequence)
            .limit(limit)
            .with_for_update(key_share=True, skip_locked=True)
        )
        # Apart: inside the UPDATE a plan may lock more rows than it takes.
        claimed = list(self._connection.execute(free).scalars())
        self._connection.execute(
            update(webhooks)
            .where(webhooks.c.webhook_id.in_(claimed))
            .values(holder=holder, lease_ms=until_ms)
        )
        return claimed

    def next_delivery(
        self, webhook_id: str, holder: str, now_ms: int, until_ms: int
    ) -> Delivery | None:
        """The oldest due delivery, its webhook being leased for longer."""
        if not self._lock(
            webhooks.c.webhook_id == webhook_id,
            webhooks.c.holder == holder,
            webhooks.c.resume_ms <= now_ms,
            _ACTIVE,
        ):
            return None
        columns = webhook_deliveries.c
        row = self._connection.execute(
            select(columns.delivery_id, columns.attempts, columns.created_ms, webhook_events.c.body)
            .join(webhook_events, webhook_events.c.sequence == columns.sequence)
            .where(columns.webhook_id == webhook_id, columns.due_ms <= now_ms)
            .order_by(columns.sequence)
            .limit(1)
        ).first()
        webhook = self.webhook(webhook_id)
        if row is None or webhook is None:
            return None
        self._connection.execute(
            update(webhooks).where(webhooks.c.webhook_id == webhook_id).values(lease_ms=until_ms)
        )
        return Delivery(row.delivery_id, webhook, row.body, row.created_ms, row.attempts)

    def release_webhook(self, webhook_id: str, holder: str, now_ms: int) -> None:
        """End a lease."""
        self._connection.execute(
            update(webhooks)
            .where(webhooks.c.webhook_id == webhook_id, webhooks.c.holder == holder)
            .values(holder="", lease_ms=now_ms)
        )

    def holds(self, webhook_id: str, holder: str) -> bool:
        """Whether the lease is the holder's."""
        return self._lock(webhooks.c.webhook_id == webhook_id, webhooks.c.holder == holder)

    def end_delivery(self, delivery_id: str) -> None:
        """Forget a delivery."""
        columns = webhook_deliveries.c
        self._connection.execute(
            delete(webhook_deliveries).where(columns.delivery_id == delivery_id)
        )

    def put_off_delivery(self, delivery_id: str, due_ms: int) -> None:
        """One more attempt failed."""
        columns = webhook_deliveries.c
        self._connection.execute(
            update(webhook_deliveries)
            .where(columns.delivery_id == delivery_id)
            .values(due_ms=due_ms, attempts=columns.attempts + 1)
        )

    def hurry_deliveries(self, webhook_id: str, now_ms: int) -> None:
        """All that waits for a webhook is due now."""
        columns = webhook_deliveries.c
        self._connection.execute(
            update(webhook_deliveries)
            .where(columns.webhook_id == webhook_id, columns.due_ms > now_ms)
            .values(due_ms=now_ms)
        )

    def expire_deliveries(self, before_ms: int, limit: int) -> int:
        """Forget what is too old."""
        columns = webhook_deliveries.c
        old = (
            select(columns.delivery_id)
            .where(columns.created_ms < before_ms)
            .order_by(columns.created_ms)
            .limit(limit)
        )
        done = self._connection.execute(
            delete(webhook_deliveries).where(columns.delivery_id.in_(old.scalar_subquery()))
        )
        return done.rowcount

    def forget_events(self, limit: int) -> int:
        """Forget events without deliveries: both are added in one transaction."""
        columns = webhook_events.c
        left = exists().where(webhook_deliveries.c.sequence == columns.sequence)
        done_with = select(columns.sequence).where(~left).order_by(columns.sequence).limit(limit)
        done = self._connection.execute(
            delete(webhook_events).where(columns.sequence.in_(done_with.scalar_subquery()))
        )
        return done.rowcount


def _due(now_ms: int) -> ColumnElement[bool]:
    """ACTIVE, leased to nobody, to be tried now, and with something due."""
    deliveries = webhook_deliveries.c
    return and_(
        _ACTIVE,
        webhooks.c.lease_ms <= now_ms,
        webhooks.c.resume_ms <= now_ms,
        exists().where(deliveries.webhook_id == webhooks.c.webhook_id, deliveries.due_ms <= now_ms),
    )


def _changeable(webhook: Webhook) -> dict[str, Any]:
    return {
        "name": webhook.name,
        "url": webhook.url,
        "description": webhook.description,
        "status": webhook.status.value,
        "status_message": webhook.status_message,
        "secret": webhook.secret,
        "updated_ms": webhook.updated_ms,
        "failures": webhook.failures,
        "failing_since_ms": webhook.failing_since_ms,
        "last_error": webhook.last_error,
        "resume_ms": webhook.resume_ms,
    }


def _webhook(row: Row[Any], events: frozenset[WebhookEvent]) -> Webhook:
    return Webhook(
        webhook_id=row.webhook_id,
        name=row.name,
        url=row.url,
        events=events,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        description=row.description,
        status=WebhookStatus(row.status),
        status_message=row.status_message,
        secret=row.secret,
        creator=row.creator,
        failures=row.failures,
        failing_since_ms=row.failing_since_ms,
        last_error=row.last_error,
        resume_ms=row.resume_ms,
        sequence=row.sequence,
    )

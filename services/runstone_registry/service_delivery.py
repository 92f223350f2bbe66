"""Delivery of what was announced: what is tried when, and what becomes of it.

Any number of services may deliver from one database. A webhook is leased to one of them, which
sends what is due to it, one after another and oldest first: so a receiver gets at most one request
at a time, and one that is slow keeps one thread and nobody else. What is tried again comes behind
what came meanwhile; that is all the order there is.

A delivery is forgotten only after it was taken. Whoever is killed before it noted that leaves a
lease that ends, and the next one sends the same again, under the same id.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
from prometheus_client import Counter, Gauge

from runstone_kit.clock import Clock
from runstone_kit.context import RequestContext, use
from runstone_kit.errors import RunstoneError
from runstone_kit.ids import IdMaker
from runstone_registry.model import AuditEvent
from runstone_registry.model_webhooks import Answer, Delivery, Post, Webhook, WebhookStatus
from runstone_registry.signing import headers
from runstone_registry.store import RegistryStore, WriteSession
from runstone_registry.store_webhooks import WebhookSender

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400

RETRY_AFTER_S = (
    5,
    5 * MINUTE_S,
    30 * MINUTE_S,
    2 * HOUR_S,
    5 * HOUR_S,
    10 * HOUR_S,
    14 * HOUR_S,
    20 * HOUR_S,
    24 * HOUR_S,
)
"""After each failed attempt of a delivery, as the Standard Webhooks specification advises: ten
attempts in a little over three days, so that a receiver may break on a Friday."""

JITTER = 0.2
"""Of each pause, on top, so that what failed together is not tried together."""

REST_S = 5
MAX_REST_S = 5 * MINUTE_S
"""A receiver that fails is left alone for so long, doubled with each failure in a row: thousands of
deliveries that wait for it must not each take a thread for a whole time limit."""

DISABLE_AFTER_S = 5 * DAY_S
"""Of failures and nothing else: nobody looks after that receiver any more."""

KEEP_S = 14 * DAY_S
"""What waits for a DISABLED webhook is forgotten then, and whatever else came to lie so long."""

LEASE_MARGIN_S = 10
"""Of a lease, past a request's time limit: for the name's lookup and for noting the outcome."""

TURN = 50
"""Deliveries in one turn of a webhook; the others come first then."""

LOOK_S = 1.0
"""Between looks at the outbox: how late a delivery begins at most when there is nothing to do."""

UPKEEP_S = 30.0
"""Between countings of the backlog, and cleanings."""

CLEANED = 1_000
"""Rows removed at a time: a transaction of some milliseconds."""

CLOSE_S = 10.0
"""How long the end of the service waits for requests; what is cut off is sent again."""

GONE = 410
"""By its HTTP meaning the receiver wants no more, ever."""

_log = structlog.get_logger("runstone_registry.webhooks")

_outcomes = Counter(
    "runstone_registry_webhook_deliveries",
    "Attempts by outcome: delivered, answered (with another status than 2xx), unanswered; and"
    " deliveries given_up after the last attempt, or expired.",
    ["outcome"],
)
_backlog = Gauge(
    "runstone_registry_webhook_backlog",
    "Deliveries that wait for active webhooks.",
    multiprocess_mode="livemax",
)
_oldest = Gauge(
    "runstone_registry_webhook_oldest_seconds",
    "Age of the oldest delivery that waits for an active webhook; 0: none.",
    multiprocess_mode="livemax",
)
_disabled = Counter(
    "runstone_registry_webhooks_disabled", "Webhooks that were disabled after long failure."
)


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """The numbers above, for tests to choose; ``random`` gives 0 to 1."""

    retry_after_s: tuple[float, ...] = RETRY_AFTER_S
    rest_s: float = REST_S
    disable_after_s: float = DISABLE_AFTER_S
    keep_s: float = KEEP_S
    look_s: float = LOOK_S
    upkeep_s: float = UPKEEP_S
    random: Callable[[], float] = random.random

    def retry_ms(self, failed: int, answer: Answer) -> int | None:
        """How long after its ``failed``-th failure a delivery is tried again; None: never."""
        if failed > len(self.retry_after_s):
            return None
        pause = self.retry_after_s[failed - 1] * (1 + JITTER * self.random())
        return int(1000 * max(pause, answer.retry_after_s))

    def rest_ms(self, failures: int, answer: Answer) -> int:
        """How long nothing is sent after so many failures in a row."""
        doubled = self.rest_s * 2 ** min(failures - 1, 20)
        return int(1000 * max(min(doubled, MAX_REST_S), answer.retry_after_s))

    def failed(self, webhook: Webhook, answer: Answer, now_ms: int) -> Webhook:
        """The webhook after one more failure: resting, or disabled."""
        failures = webhook.failures + 1
        since = webhook.failing_since_ms or now_ms
        after = replace(
            webhook,
            failures=failures,
            failing_since_ms=since,
            last_error=answer.reason,
            resume_ms=now_ms + self.rest_ms(failures, answer),
        )
        if answer.status == GONE:
            return _disable(after, "the receiver answered 410 Gone", now_ms)
        if now_ms - since >= self.disable_after_s * 1000:
            days = (now_ms - since) / (DAY_S * 1000)
            why = f"every delivery failed for {days:.1f} days; the last: {answer.reason}"
            return _disable(after, why, now_ms)
        return after

    @staticmethod
    def succeeded(webhook: Webhook) -> Webhook:
        """The webhook after a delivery was taken."""
        return replace(webhook, failures=0, failing_since_ms=0, last_error="", resume_ms=0)


@dataclass(frozen=True, slots=True)
class _Noted:
    """What a failure led to, counted once it is committed."""

    given_up: bool = False
    disabled: bool = False


def prepare(webhook: Webhook, delivery_id: str, body: str, now_ms: int) -> Post:
    """The request of one attempt; only its time, and so its signature, is another each time."""
    content = body.encode()
    fixed = {"Content-Type": "application/json", "User-Agent": "runstone-webhooks"}
    signed = headers(webhook.secret, delivery_id, now_ms // 1000, content)
    return Post(webhook.url, content, fixed | signed)


def _disable(webhook: Webhook, why: str, now_ms: int) -> Webhook:
    return replace(webhook, status=WebhookStatus.DISABLED, status_message=why, updated_ms=now_ms)


class Dispatcher:
    """Delivers, by threads of its own between ``start`` and ``close``.

    ``timeout_s`` is what one request of ``sender`` may take.
    """

    def __init__(
        self,
        store: RegistryStore,
        sender: WebhookSender,
        clock: Clock,
        ids: IdMaker,
        *,
        timeout_s: float,
        threads: int,
        policy: DeliveryPolicy | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._ids = ids
        self._policy = policy or DeliveryPolicy()
        self._lease_ms = int(1000 * (timeout_s + LEASE_MARGIN_S))
        self._holder = ids.hex_id()
        self._threads = threads
        self._turns: set[threading.Thread] = set()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._upkeep_at = 0
        # Daemons: a name server that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End; requests under way are waited for, though not for ever."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._turns, CLOSE_S)
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    def look(self) -> list[str]:
        """Lease webhooks that have something due, as many as there are threads free."""
        now = self._clock.now_ms()
        with self._changed:
            free = self._threads - len(self._turns)
        if free <= 0 or not self._store.read(lambda tx: tx.webhooks_due(now)):
            return []
        until = now + self._lease_ms
        return self._store.write(lambda tx: tx.claim_webhooks(self._holder, now, until, free))

    def turn(self, webhook_id: str) -> int:
        """Send what is due to a webhook that is leased, until one fails; how many were sent."""
        sent = 0
        while sent < TURN and not self._stop.is_set():
            delivery = self._next(webhook_id)
            if delivery is None:
                break
            sent += 1
            if not self.deliver(delivery):
                break
        self._store.write(
            lambda tx: tx.release_webhook(webhook_id, self._holder, self._clock.now_ms())
        )
        return sent

    def _next(self, webhook_id: str) -> Delivery | None:
        now = self._clock.now_ms()
        until = now + self._lease_ms
        return self._store.write(lambda tx: tx.next_delivery(webhook_id, self._holder, now, until))

    def deliver(self, delivery: Delivery) -> bool:
        """One attempt, and its outcome noted; whether it was taken."""
        post = prepare(delivery.webhook, delivery.delivery_id, delivery.body, self._clock.now_ms())
        answer = self._sender.send(post)
        if answer.taken:
            self._store.write(lambda tx: self._taken(tx, delivery))
            _outcomes.labels("delivered").inc()
            return True
        noted = self._store.write(lambda tx: self._failed(tx, delivery, answer))
        _outcomes.labels("answered" if answer.status else "unanswered").inc()
        _outcomes.labels("given_up").inc(noted.given_up)
        _disabled.inc(noted.disabled)
        # The URL is the receiver's secret as often as not.
        _log.info(
            "webhook not delivered",
            webhook_id=delivery.webhook.webhook_id,
            delivery_id=delivery.delivery_id,
            attempt=delivery.attempts + 1,
            reason=answer.reason,
        )
        return False

    def _taken(self, tx: WriteSession, delivery: Delivery) -> None:
        webhook = tx.lock_webhook(delivery.webhook.webhook_id)
        # Whoever holds the lease by now: it was taken.
        tx.end_delivery(delivery.delivery_id)
        if webhook is not None and webhook.failures:
            tx.change_webhook(self._policy.succeeded(webhook))

    def _failed(self, tx: WriteSession, delivery: Delivery, answer: Answer) -> _Noted:
        webhook_id = delivery.webhook.webhook_id
        webhook = tx.lock_webhook(webhook_id)
        if webhook is None or not tx.holds(webhook_id, self._holder):
            return _Noted()
        if webhook.url != delivery.webhook.url:
            return _Noted()  # the new one has not failed; it is tried at once
        now = self._clock.now_ms()
        pause = self._policy.retry_ms(delivery.attempts + 1, answer)
        if pause is None:
            tx.end_delivery(delivery.delivery_id)
        else:
            tx.put_off_delivery(delivery.delivery_id, now + pause)
        if webhook.status is not WebhookStatus.ACTIVE:
            return _Noted(given_up=pause is None)
        after = self._policy.failed(webhook, answer, now)
        tx.change_webhook(after)
        disabled = after.status is not WebhookStatus.ACTIVE
        if disabled:
            tx.append_audit(_disabling(after, now))
        return _Noted(given_up=pause is None, disabled=disabled)

    def upkeep(self) -> None:
        """Forget what is too old and what is done with; count what waits."""
        now = self._clock.now_ms()
        if now < self._upkeep_at:
            return
        self._upkeep_at = now + int(1000 * self._policy.upkeep_s)
        before = now - int(1000 * self._policy.keep_s)
        while not self._stop.is_set():
            expired, forgotten = self._store.write(
                lambda tx: (tx.expire_deliveries(before, CLEANED), tx.forget_events(CLEANED))
            )
            _outcomes.labels("expired").inc(expired)
            if expired < CLEANED and forgotten < CLEANED:
                break
        waiting = self._store.read(lambda tx: tx.backlog())
        _backlog.set(waiting.count)
        _oldest.set((now - waiting.oldest_ms) / 1000 if waiting.count else 0)

    def _run(self) -> None:
        failing = False
        while not self._stop.is_set():
            try:
                with use(self._context()):
                    for webhook_id in self.look():
                        self._begin(webhook_id)
                    self.upkeep()
                failing = False
            except Exception as error:
                # The next look finds all again. Told once: a database may be away for hours.
                if not failing:
                    _tell("webhooks wait", error)
                failing = True
            with self._changed:
                # A turn that ends leaves a thread for whoever waits for one.
                self._changed.wait(self._policy.look_s)

    def _begin(self, webhook_id: str) -> None:
        thread = threading.Thread(
            target=self._turn, args=(webhook_id,), name="webhook-turn", daemon=True
        )
        with self._changed:
            self._turns.add(thread)
        thread.start()

    def _turn(self, webhook_id: str) -> None:
        sent = 0
        try:
            with use(self._context()):
                sent = self.turn(webhook_id)
        except Exception as error:
            # The lease ends by itself.
            _tell("webhook turn broken off", error)
        finally:
            with self._changed:
                self._turns.discard(threading.current_thread())
                if sent == TURN or self._stop.is_set() or len(self._turns) + 1 == self._threads:
                    self._changed.notify_all()

    def _context(self) -> RequestContext:
        return RequestContext(request_id=self._ids.hex_id(), actor="runstone-registry")


def _disabling(webhook: Webhook, now_ms: int) -> AuditEvent:
    return AuditEvent(
        model_id="",
        name="",
        action="DisableWebhook",
        actor="runstone-registry",
        created_ms=now_ms,
        details={"webhook_id": webhook.webhook_id, "webhook": webhook.name},
        comment=webhook.status_message,
    )


def _tell(what: str, error: Exception) -> None:
    if isinstance(error, RunstoneError):
        _log.warning(what, reason=error.reason)
    else:
        _log.warning(what, exc_info=error)

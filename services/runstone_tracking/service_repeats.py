"""Creates that may be repeated: what a request id has made, for a day."""

from __future__ import annotations

import hashlib
import itertools

from runstone_kit.clock import Clock
from runstone_tracking.model import CreateRequest
from runstone_tracking.store import Session, Transactions

KEPT_MS = 24 * 60 * 60 * 1000
"""A day: longer than any client goes on retrying one call."""

FORGET_EVERY = 256
"""Creates between two clean-ups; one removes four times as many, so the table never grows."""

FORGOTTEN_AT_ONCE = 4 * FORGET_EVERY


class Repeats:
    """Makes the CreateRequest of a call, and forgets old ones now and then. Thread-safe."""

    def __init__(self, transactions: Transactions, clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock
        self._count = itertools.count(1)

    def request(self, method: str, request_id: str, content: object) -> CreateRequest | None:
        """None for a call without a request id. ``content`` is compared by its ``repr``."""
        if not request_id:
            return None
        now = self._clock.now_ms()
        if next(self._count) % FORGET_EVERY == 0:
            self._transactions.write(
                lambda session: session.requests.forget(now - KEPT_MS, FORGOTTEN_AT_ONCE)
            )
        return CreateRequest(
            method=method,
            request_id=request_id,
            content=hashlib.sha256(repr(content).encode()).hexdigest(),
            now=now,
            forget_before=now - KEPT_MS,
        )


def earlier(session: Session, request: CreateRequest | None, resource_id: str) -> str | None:
    """What the request made the first time; None if it is new or is no repeatable one."""
    return None if request is None else session.requests.claim(request, resource_id)

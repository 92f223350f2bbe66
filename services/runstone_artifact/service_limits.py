"""What keeps transfers from taking everything: slots, and a memory of runs that are active."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from runstone_artifact.errors import Overloaded
from runstone_artifact.model import Owner
from runstone_artifact.store import RunDirectory

ACTIVE_FOR_S = 3.0
"""How long a run that was active is taken to be so: a tree of files asks tracking once."""

DRAIN_S = 10.0
"""A stream that was cut off by the end of the server still makes durable what it received."""

MAX_REMEMBERED = 10_000
"""Runs; a few hundred bytes each."""


class TransferSlots:
    """At most so many streams at once; the threads that are left serve the short calls."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = threading.BoundedSemaphore(limit)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a slot inside the block. Raises Overloaded when none is free."""
        if not self._free.acquire(blocking=False):
            raise Overloaded(self._limit)
        try:
            yield
        finally:
            self._free.release()

    def drain(self, timeout_s: float = DRAIN_S) -> None:
        """Wait until no stream is left, at most so long; none is let in any more."""
        until = time.monotonic() + timeout_s
        for _ in range(self._limit):
            if not self._free.acquire(timeout=max(0.0, until - time.monotonic())):
                return


class ActiveRuns:
    """Asks the run directory, and remembers a yes for a few seconds. Thread-safe."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._until: dict[str, float] = {}

    def require(self, owner: Owner) -> None:
        """Raise what RunDirectory.require_active raises; versions are checked by the store."""
        if not owner.is_run:
            return
        now = time.monotonic()
        if self._until.get(owner.id, 0.0) > now:
            return
        self._until.pop(owner.id, None)
        self._directory.require_active(owner.id)
        if len(self._until) >= MAX_REMEMBERED:
            self._until.clear()
        self._until[owner.id] = now + ACTIVE_FOR_S

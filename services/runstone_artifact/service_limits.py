"""What keeps transfers from taking everything: slots, and a memory of runs that are active."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from runstone_artifact.errors import Overloaded
from runstone_artifact.model import Owner, OwnerKind
from runstone_artifact.store import RunDirectory

ACTIVE_FOR_S = 3.0
"""How long a run that was active is taken to be so: a tree of files asks tracking once."""

DRAIN_S = 10.0
"""A stream that was cut off by the end of the server still makes durable what it received."""

MAX_SILENCE_S = 60.0
"""A stream that sends nothing for so long is cut off: far more than a chunk takes on any network,
and silent streams must not keep the slots from others."""

MAX_REMEMBERED = 10_000
"""Runs; a few hundred bytes each."""

T = TypeVar("T")

_log = structlog.get_logger("runstone_artifact.limits")


class TransferSlots:
    """At most so many streams at once; the threads that are left serve the short calls."""

    def __init__(self, limit: int, silence_s: float = MAX_SILENCE_S) -> None:
        self._limit = limit
        self._silence_s = silence_s
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

    @contextmanager
    def take_for(self, chunks: Iterable[T], cut_off: Callable[[], object]) -> Iterator[Iterator[T]]:
        """``take`` for a stream of requests, which is cut off when it is silent for too long."""
        with self.take():
            watch = _SilenceWatch(self._silence_s, cut_off)
            try:
                yield watch.passing(chunks)
            finally:
                watch.end()

    def drain(self, timeout_s: float = DRAIN_S) -> None:
        """Wait until no stream is left, at most so long; none is let in any more."""
        until = time.monotonic() + timeout_s
        for _ in range(self._limit):
            if not self._free.acquire(timeout=max(0.0, until - time.monotonic())):
                return


class _SilenceWatch:
    """A thread that looks how long the next chunk is waited for; our own work does not count."""

    def __init__(self, silence_s: float, cut_off: Callable[[], object]) -> None:
        self._silence_s = silence_s
        self._cut_off = cut_off
        self._waiting_since: float | None = None
        self._over = threading.Event()
        threading.Thread(target=self._run, name="silence", daemon=True).start()

    def passing(self, chunks: Iterable[T]) -> Iterator[T]:
        arriving = iter(chunks)
        while True:
            self._waiting_since = time.monotonic()
            try:
                chunk = next(arriving)
            except StopIteration:
                return
            finally:
                self._waiting_since = None
            yield chunk

    def end(self) -> None:
        self._over.set()

    def _run(self) -> None:
        left = self._silence_s
        while not self._over.wait(left):
            since, left = self._waiting_since, self._silence_s
            if since is not None:
                left = since + self._silence_s - time.monotonic()
            if left <= 0:
                _log.warning("stream cut off: it sent nothing", seconds=self._silence_s)
                self._cut_off()
                return


class ActiveRuns:
    """Asks the run directory, and remembers a yes for a few seconds. Thread-safe.

    What is remembered saves work for what was deleted; it makes no file. Before that the directory
    is asked anew: a file of a run that was purged meanwhile would never be found again. The ids of
    runs and logged models differ in form.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._until: dict[str, float] = {}

    def require(self, owner: Owner, *, now_too: bool = True) -> None:
        """Raise what the RunDirectory raises; versions are checked by the store.

        Args:
            owner: Whose files.
            now_too: The directory is asked; else it may have said so some seconds ago.
        """
        if not owner.is_tracked:
            return
        now = time.monotonic()
        if not now_too and self._until.get(owner.id, 0.0) > now:
            return
        self._until.pop(owner.id, None)
        if owner.kind is OwnerKind.RUN:
            self._directory.require_active(owner.id)
        else:
            self._directory.require_active_model(owner.id)
        if len(self._until) >= MAX_REMEMBERED:
            self._until.clear()
        self._until[owner.id] = now + ACTIVE_FOR_S

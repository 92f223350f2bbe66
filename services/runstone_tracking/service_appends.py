"""Batches of concurrent calls, committed in groups: one transaction, one sync, for many.

There is no thread of its own: the first caller leads and commits what has gathered meanwhile;
whoever waits then is appointed next. A call alone waits for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from runstone_kit.context import current
from runstone_kit.errors import DeadlineExceeded, RunstoneError, Unavailable
from runstone_tracking.errors import TooManyMetrics
from runstone_tracking.model_metrics import Append
from runstone_tracking.store_metrics import Appended

LEADERS = 2
"""Groups at a time: one is written while the next is prepared."""

MAX_GROUP_BYTES = 16 * 1024 * 1024
"""One statement's worth: PostgreSQL holds it in memory, and the callers wait for all of it."""

T = TypeVar("T")

Prepare = Callable[[Sequence[Append]], T]
"""Makes of batches what is written."""

Write = Callable[[T], list[Appended]]
"""Writes it in one transaction, committed when it returns; an outcome for each batch."""


class _Ticket:
    """One waiting call. ``ready`` is free when it has an outcome, an error, or is to lead."""

    __slots__ = ("append", "error", "leads", "outcome", "ready", "size")

    def __init__(self, append: Append) -> None:
        self.append = append
        self.size = append.size
        self.ready = threading.Lock()
        self.ready.acquire()
        self.leads = False
        self.outcome: Appended | None = None
        self.error: BaseException | None = None

    def wake(self) -> None:
        """It is ready, said once or again."""
        with suppress(RuntimeError):
            self.ready.release()

    def result(self) -> Appended:
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome


class GroupedAppends(Generic[T]):
    """Appends batches through ``write``, as ``prepare`` made them. Thread-safe.

    While a group is written, the next one is prepared; groups are written in the order in which
    they gathered.
    """

    def __init__(self, prepare: Prepare[T], write: Write[T], leaders: int = LEADERS) -> None:
        self._prepare = prepare
        self._write = write
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._free_leaders = leaders
        self._written = threading.Lock()
        """Free once the group that gathered last is written."""

    def append(self, append: Append) -> Appended:
        """The batch's outcome, once it is committed.

        Raises what ``write`` raised, and DeadlineExceeded when the call's deadline passes while
        another writes: the batch may be committed then. Another call's batch never fails this
        one: when a group fails for a reason that may be one batch's (a run that is locked, an
        error that is no RunstoneError), its batches are written one by one.
        """
        ticket = _Ticket(append)
        with self._lock:
            if self._free_leaders:
                self._free_leaders -= 1
                ticket.leads = True
            else:
                self._waiting.append(ticket)
        if not ticket.leads:
            self._wait(ticket)
        if ticket.leads:
            self._lead(ticket)
        return ticket.result()

    def _wait(self, ticket: _Ticket) -> None:
        if ticket.ready.acquire(timeout=_patience()):
            return
        with self._lock:
            if ticket.leads or not ticket.ready.locked():
                return
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        raise DeadlineExceeded("the deadline passed before the points were written")

    def _lead(self, mine: _Ticket) -> None:
        group, before, written = self._gather(mine)
        try:
            self._commit(group, before)
        finally:
            written.release()
            self._appoint()
            for ticket in group[1:]:
                ticket.wake()

    def _gather(self, mine: _Ticket) -> tuple[list[_Ticket], threading.Lock, threading.Lock]:
        """A group, what is free once the one before is written, and what says so of this one."""
        group = [mine]
        size = mine.size
        written = threading.Lock()
        written.acquire()
        with self._lock:
            while self._waiting and size + self._waiting[0].size <= MAX_GROUP_BYTES:
                group.append(self._waiting.popleft())
                size += group[-1].size
            before, self._written = self._written, written
        return group, before, written

    def _commit(self, group: Sequence[_Ticket], before: threading.Lock) -> None:
        """Give every ticket its outcome or error; raises nothing."""
        error = self._try(group, before)
        if error is None:
            return
        if len(group) > 1 and _may_be_one_batchs(error):
            self._commit_each(group)
            return
        for ticket in group:
            ticket.error = error

    def _try(
        self, group: Sequence[_Ticket], before: threading.Lock | None = None
    ) -> BaseException | None:
        error: BaseException | None = None
        prepared: T | None = None
        try:
            prepared = self._prepare([ticket.append for ticket in group])
        except BaseException as found:
            error = found
        if before is not None:
            before.acquire()
        if prepared is None:
            return error
        try:
            outcomes = self._write(prepared)
        except BaseException as found:
            return found
        for ticket, outcome in zip(group, outcomes, strict=True):
            ticket.outcome = outcome
        return None

    def _commit_each(self, group: Sequence[_Ticket]) -> None:
        locked: dict[str, BaseException] = {}
        for ticket in group:
            run_id = ticket.append.run_id
            # The others of a locked run would each wait as long again.
            ticket.error = locked[run_id] if run_id in locked else self._try([ticket])
            if ticket.error is not None and _is_locked(ticket.error):
                locked[run_id] = ticket.error
            if ticket is not group[0]:
                ticket.wake()

    def _appoint(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free_leaders += 1
                return
            following = self._waiting.popleft()
            following.leads = True
            following.wake()


def _patience() -> float:
    """How long this call may wait, in seconds; -1, for ever, outside a call."""
    remaining = current().remaining()
    return -1 if remaining is None else min(max(0.0, remaining), threading.TIMEOUT_MAX)


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, Unavailable) and error.reason == "OVERLOADED"


def _may_be_one_batchs(error: BaseException) -> bool:
    if isinstance(error, TooManyMetrics):
        return True
    return _is_locked(error) or not isinstance(error, RunstoneError)

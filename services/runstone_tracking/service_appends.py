"""Batches of concurrent calls, committed in groups: one transaction, one sync, for many.

There is no thread of its own: the first caller leads and commits what has gathered meanwhile;
whoever waits then is appointed next. A call alone waits for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Generic, TypeAlias, TypeVar

from runstone_kit.context import current, use
from runstone_kit.errors import DeadlineExceeded, RunstoneError, Unavailable
from runstone_tracking.errors import TooManyMetrics
from runstone_tracking.model_metrics import Append, NewSegment
from runstone_tracking.store_metrics import Appended

LEADERS = 2
"""Groups at a time: one is written while the next is prepared."""

PREPARED_BYTES = 8 * 1024
"""Waiting batches that are worth preparing before their turn, which closes their group: a
millisecond of work, or 30 calls of a point. Fewer gather until the write before them is over."""

MAX_GROUP_BYTES = 16 * 1024 * 1024
"""One statement's worth: PostgreSQL holds it in memory, and the callers wait for all of it."""

T = TypeVar("T")

Batch: TypeAlias = Append | NewSegment
"""A batch as it came, or one that its own call has encoded already."""

Prepare = Callable[[Sequence[Batch]], T]
"""Makes of batches what is written."""

Write = Callable[[T], list[Appended]]
"""Writes it in one transaction, committed when it returns; an outcome for each batch."""


class _Ticket:
    """One waiting call. ``ready`` is free when it has an outcome, an error, or is to lead."""

    __slots__ = ("batch", "error", "leads", "outcome", "ready", "size")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.size = batch.size
        self.ready = threading.Lock()
        self.ready.acquire()
        self.leads = False
        self.outcome: Appended | None = None
        self.error: BaseException | None = None

    def wake(self) -> None:
        """It is ready, said once or again."""
        with suppress(RuntimeError):
            self.ready.release()

    def end(self) -> None:
        """It has all that it will have."""
        if self.outcome is None and self.error is None:
            self.error = Unavailable(
                "the batch was not written; try again", reason="OVERLOADED", retry_after=0.5
            )
        self.wake()

    def result(self) -> Appended:
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome


class _Turn:
    """A group's turn to be written: behind ``before``'s, and over at ``end``."""

    __slots__ = ("before", "over")

    def __init__(self) -> None:
        self.over = threading.Event()
        self.before: _Turn | None = None

    def wait(self) -> None:
        if self.before is not None:
            self.before.over.wait()
            # Else each turn would keep all that were before it.
            self.before = None

    def end(self) -> None:
        # One that failed before it came must not let the next one in early.
        self.wait()
        self.over.set()


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
        self._waiting_bytes = 0
        self._leaders = leaders
        self._free_leaders = leaders
        self._last: _Turn | None = None
        """Of the group that gathered last."""

    def append(self, batch: Batch) -> Appended:
        """The batch's outcome, once it is committed.

        Raises what ``write`` raised, and DeadlineExceeded when the call's deadline passes while
        another writes: the batch may be committed then. Another call's batch never fails this
        one: when a group fails for a reason that may be one batch's (a run that is locked, an
        error that is no RunstoneError), its batches are written one by one. Whoever leads a group
        waits for all of it, past the deadline if need be.
        """
        ticket = _Ticket(batch)
        with self._lock:
            if self._is_leader_due(ticket.size):
                self._free_leaders -= 1
                ticket.leads = True
            else:
                self._waiting.append(ticket)
                self._waiting_bytes += ticket.size
        return self._led(ticket)

    def append_all(self, batches: Sequence[Batch]) -> list[Appended | BaseException]:
        """What becomes of each batch: its outcome, or what ``append`` of it alone raises.

        They wait together, in one thread, and go in one group unless it gets too large.
        """
        tickets = [_Ticket(batch) for batch in batches]
        with self._lock:
            first = tickets[0]
            first.leads = self._is_leader_due(sum(ticket.size for ticket in tickets))
            self._free_leaders -= first.leads
            for ticket in tickets[first.leads :]:
                self._waiting.append(ticket)
                self._waiting_bytes += ticket.size
        return [self._ended(ticket) for ticket in tickets]

    def _ended(self, ticket: _Ticket) -> Appended | BaseException:
        try:
            return self._led(ticket)
        except Exception as error:
            return error

    def _led(self, ticket: _Ticket) -> Appended:
        """The outcome of a ticket that leads, or that waits."""
        if not ticket.leads:
            self._wait(ticket)
        if ticket.leads:
            self._lead(ticket)
        return ticket.result()

    def _is_leader_due(self, more: int = 0) -> bool:
        """Whether what waits, and ``more`` bytes with it, is to have a leader now."""
        if self._free_leaders == self._leaders:
            return True
        return self._free_leaders > 0 and self._waiting_bytes + more >= PREPARED_BYTES

    def _next(self) -> _Ticket:
        ticket = self._waiting.popleft()
        self._waiting_bytes -= ticket.size
        return ticket

    def _wait(self, ticket: _Ticket) -> None:
        if ticket.ready.acquire(timeout=_patience()):
            return
        with self._lock:
            if ticket.leads or not ticket.ready.locked():
                return
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                self._waiting_bytes -= ticket.size
        raise DeadlineExceeded("the deadline passed before the points were written")

    def _lead(self, mine: _Ticket) -> None:
        group, turn = [mine], _Turn()
        try:
            self._gather(group, turn)
            self._commit(group, turn)
        finally:
            turn.end()
            self._appoint()
            for ticket in group:
                ticket.end()

    def _gather(self, group: list[_Ticket], turn: _Turn) -> None:
        """Add who goes with the leader; the group's turn comes behind the one before."""
        size = group[0].size
        with self._lock:
            while self._waiting and size + self._waiting[0].size <= MAX_GROUP_BYTES:
                group.append(self._next())
                size += group[-1].size
            turn.before, self._last = self._last, turn

    def _commit(self, group: Sequence[_Ticket], turn: _Turn) -> None:
        """Give every ticket its outcome or error."""
        # The deadline of one call is not that of the others.
        with use(replace(current(), deadline=None)):
            try:
                try:
                    prepared = self._prepare([ticket.batch for ticket in group])
                finally:
                    turn.wait()
                self._write_group(prepared, group)
            except BaseException as error:
                if len(group) > 1 and _may_be_one_batchs(error):
                    self._commit_each(group)
                    return
                for ticket in group:
                    ticket.error = error

    def _write_group(self, prepared: T, group: Sequence[_Ticket]) -> None:
        for ticket, outcome in zip(group, self._write(prepared), strict=True):
            ticket.outcome = outcome

    def _commit_each(self, group: Sequence[_Ticket]) -> None:
        locked: dict[str, BaseException] = {}
        for ticket in group:
            run_id = ticket.batch.run_id
            # The others of a locked run would each wait as long again.
            ticket.error = locked.get(run_id)
            if ticket.error is None:
                try:
                    self._write_group(self._prepare([ticket.batch]), [ticket])
                except BaseException as error:
                    ticket.error = error
                    if _is_locked(error):
                        locked[run_id] = error
            ticket.end()

    def _appoint(self) -> None:
        with self._lock:
            self._free_leaders += 1
            if not self._waiting or not self._is_leader_due():
                return
            self._free_leaders -= 1
            following = self._next()
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

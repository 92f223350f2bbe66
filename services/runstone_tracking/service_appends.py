"""Batches of concurrent calls, committed in groups: one transaction, one sync, for many.

There is no thread of its own: the first caller leads and commits what has gathered meanwhile;
whoever waits then is appointed next. A call alone waits for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from runstone_kit.context import current
from runstone_kit.errors import DeadlineExceeded, RunstoneError, Unavailable
from runstone_tracking.errors import TooManyMetrics
from runstone_tracking.model_metrics import Append
from runstone_tracking.store_metrics import Appended

LEADERS = 1
"""Transactions at a time. Two overlap one's wait for the disk with the other's work, but halve the
groups: on busy cores 1.6 M points/s instead of 1.9."""

MAX_GROUP_BYTES = 16 * 1024 * 1024
"""One statement's worth: PostgreSQL holds it in memory, and the callers wait for all of it."""

Write = Callable[[Sequence[Append]], list[Appended]]
"""Writes batches in one transaction, committed when it returns."""


class _Ticket:
    """One waiting call. ``ready`` is set when it has an outcome, an error, or is to lead."""

    __slots__ = ("append", "error", "leads", "outcome", "ready", "size")

    def __init__(self, append: Append) -> None:
        self.append = append
        self.size = append.size
        self.ready = threading.Event()
        self.leads = False
        self.outcome: Appended | None = None
        self.error: BaseException | None = None

    def result(self) -> Appended:
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome


class GroupedAppends:
    """Appends batches through ``write``. Thread-safe."""

    def __init__(self, write: Write, leaders: int = LEADERS) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._free_leaders = leaders

    def append(self, append: Append) -> Appended:
        """The batch's outcome, once it is committed.

        Raises what ``write`` raised, and DeadlineExceeded when the call's deadline passes while
        another writes: the segment may be committed then. Another call's segment never fails this
        one: when a group fails for a reason that may be one segment's (a run that is locked, an
        error that is no RunstoneError), its segments are written one by one.
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
        if ticket.ready.wait(_patience()):
            return
        with self._lock:
            if ticket.leads or ticket.ready.is_set():
                return
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        raise DeadlineExceeded("the deadline passed before the points were written")

    def _lead(self, mine: _Ticket) -> None:
        try:
            group = self._gather(mine)
            self._commit(group)
            for ticket in group[1:]:
                ticket.ready.set()
        finally:
            self._appoint()

    def _gather(self, mine: _Ticket) -> list[_Ticket]:
        group = [mine]
        size = mine.size
        with self._lock:
            while self._waiting and size + self._waiting[0].size <= MAX_GROUP_BYTES:
                group.append(self._waiting.popleft())
                size += group[-1].size
        return group

    def _commit(self, group: Sequence[_Ticket]) -> None:
        """Give every ticket its outcome or error; raises nothing."""
        try:
            outcomes = self._write([ticket.append for ticket in group])
        except BaseException as error:
            if len(group) > 1 and _may_be_one_batchs(error):
                self._commit_each(group)
                return
            for ticket in group:
                ticket.error = error
        else:
            for ticket, outcome in zip(group, outcomes, strict=True):
                ticket.outcome = outcome

    def _commit_each(self, group: Sequence[_Ticket]) -> None:
        locked: dict[str, BaseException] = {}
        for ticket in group:
            run_id = ticket.append.run_id
            # The others of a locked run would each wait as long again.
            if run_id in locked:
                ticket.error = locked[run_id]
            else:
                self._commit([ticket])
            if ticket.error is not None and _is_locked(ticket.error):
                locked[run_id] = ticket.error
            ticket.ready.set()

    def _appoint(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free_leaders += 1
                return
            following = self._waiting.popleft()
            following.leads = True
            following.ready.set()


def _patience() -> float | None:
    """How long this call may wait, in seconds; None outside a call."""
    remaining = current().remaining()
    return None if remaining is None else max(0.0, remaining)


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, Unavailable) and error.reason == "OVERLOADED"


def _may_be_one_batchs(error: BaseException) -> bool:
    if isinstance(error, TooManyMetrics):
        return True
    return _is_locked(error) or not isinstance(error, RunstoneError)

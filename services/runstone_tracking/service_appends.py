"""Segments of concurrent calls, committed in groups: one transaction, one sync, for many.

There is no thread of its own: the first caller leads and commits what has gathered meanwhile;
whoever waits then is appointed next. A call alone waits for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from runstone_kit.errors import RunstoneError
from runstone_tracking.model_metrics import NewSegment
from runstone_tracking.store_metrics import Appended

LEADERS = 2
"""Transactions at a time: while one waits for the disk, the next is prepared."""

MAX_GROUP_BYTES = 8 * 1024 * 1024
"""One statement's worth: PostgreSQL holds it in memory, and the callers wait for all of it."""

Write = Callable[[Sequence[NewSegment]], list[Appended]]
"""Writes segments in one transaction, committed when it returns."""


class _Ticket:
    """One waiting call. ``ready`` is set when it has an outcome, an error, or is to lead."""

    __slots__ = ("error", "leads", "outcome", "ready", "segment", "size")

    def __init__(self, segment: NewSegment) -> None:
        self.segment = segment
        self.size = len(segment.header) + len(segment.payload)
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
    """Appends segments through ``write``. Thread-safe."""

    def __init__(self, write: Write, leaders: int = LEADERS) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._free_leaders = leaders

    def append(self, segment: NewSegment) -> Appended:
        """The segment's outcome, once it is committed.

        Raises what ``write`` raised. Another call's segment never fails this one: when a group
        fails for a reason that is no RunstoneError, its segments are written one by one.
        """
        ticket = _Ticket(segment)
        with self._lock:
            if self._free_leaders:
                self._free_leaders -= 1
                ticket.leads = True
            else:
                self._waiting.append(ticket)
        if not ticket.leads:
            ticket.ready.wait()
        if ticket.leads:
            self._lead(ticket)
        return ticket.result()

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
            outcomes = self._write([ticket.segment for ticket in group])
        except RunstoneError as error:
            for ticket in group:
                ticket.error = error
        except BaseException as error:
            if len(group) == 1:
                group[0].error = error
                return
            for ticket in group:
                self._commit([ticket])
        else:
            for ticket, outcome in zip(group, outcomes, strict=True):
                ticket.outcome = outcome

    def _appoint(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free_leaders += 1
                return
            following = self._waiting.popleft()
        following.leads = True
        following.ready.set()

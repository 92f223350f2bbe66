"""Segments appended to PostgreSQL by a single statement: one round trip instead of three.

On busy cores a round trip takes 4 ms, nearly all of it waiting for the processor; whoever commits
a group keeps all others waiting. The statement is for what nearly always comes: every segment is
its writer's next, and its run has all of its keys already. It says so, or does nothing at all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from runstone_kit.database import Database
from runstone_kit.dberrors import LostRace
from runstone_tracking.model_metrics import NewSegment
from runstone_tracking.sqlstore_metrics_sql import APPEND_ALL, append_all_values, merged

KNOWN = 20_000
"""Sets of keys remembered: those of so many runs that log at the same time."""


class SingleAppends:
    """Appends by a single statement what may be appended so. Thread-safe.

    It remembers which runs have which keys only to guess: the statement makes sure.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statement = database.prepared(APPEND_ALL)
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int], None] = OrderedDict()

    def append(self, segments: Sequence[NewSegment]) -> bool:
        """Whether all were written; if not, none was."""
        ordered = sorted(segments, key=lambda new: (new.run_id, new.writer_id))
        if not self._may(ordered):
            return False
        values = append_all_values(ordered, list(merged(ordered)))
        try:
            return self._database.run_prepared(self._statement, values)
        except LostRace:
            # A transaction that is begun by hand is repeated until it wins.
            return False

    def learn(self, segments: Iterable[NewSegment]) -> None:
        """These were written, so their runs have their keys."""
        with self._lock:
            for new in segments:
                self._known[_keys(new)] = None
                self._known.move_to_end(_keys(new))
            while len(self._known) > KNOWN:
                self._known.popitem(last=False)

    def _may(self, ordered: Sequence[NewSegment]) -> bool:
        writers = {(new.run_id, new.writer_id) for new in ordered}
        return len(writers) == len(ordered) and all(_keys(new) in self._known for new in ordered)


def _keys(new: NewSegment) -> tuple[str, int]:
    return new.run_id, hash(new.summaries.keys)

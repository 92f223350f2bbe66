"""Who writes metric points, and the number of each batch.

The server knows a batch by (run, writer, sequence). A number belongs to one batch for ever: a call
that failed keeps it, and the next batch takes the next one, so that a batch that was applied
without our hearing of it is never taken for another.
"""

from __future__ import annotations

import os
import threading

from runstone import _fork


class Writer:
    """This process as a writer. A forked child is another one."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Become a writer that has written nothing."""
        self.writer_id = f"{os.urandom(12).hex()}-{os.getpid()}"
        self._lock = threading.Lock()
        self._last: dict[str, int] = {}

    def next(self, run_id: str) -> tuple[str, int]:
        """The writer's id and the number of its next batch to a run."""
        with self._lock:
            number = self._last.get(run_id, 0) + 1
            self._last[run_id] = number
            return self.writer_id, number


writer = Writer()
_fork.in_child(writer.renew)

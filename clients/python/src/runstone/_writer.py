"""Who writes metric points, and the number of each batch.

The server knows a batch by (run, writer, sequence) and applies a writer's batches in the order of
their numbers, without a gap. So a writer has one batch on its way at a time, and one whose call
failed, of which nobody knows whether it was applied, is never used again.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from runstone import _fork

MAX_RUNS = 10_000
"""Whose writers are remembered: a server for others lives long. A run that comes back after so many
others gets new writers."""


class Writers:
    """The writers of this process: as many for a run as it has calls at once. Thread-safe.

    A forked child has others.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forget all writers, as in a fresh process."""
        self._process = f"{os.urandom(12).hex()}-{os.getpid()}"
        self._numbers = itertools.count(1)
        # A signal handler may log in the middle of a call of the same thread.
        self._lock = threading.RLock()
        self._free: OrderedDict[str, list[tuple[str, int]]] = OrderedDict()

    @contextmanager
    def batch(self, run_id: str) -> Iterator[tuple[str, int]]:
        """A writer's id and the number of its next batch to a run, for one call in a ``with``."""
        with self._lock:
            free = self._free.get(run_id)
            writer_id, last = free.pop() if free else (f"{self._process}-{next(self._numbers)}", 0)
        yield writer_id, last + 1
        with self._lock:
            self._free.setdefault(run_id, []).append((writer_id, last + 1))
            self._free.move_to_end(run_id)
            if len(self._free) > MAX_RUNS:
                self._free.popitem(last=False)


writers = Writers()
_fork.in_child(writers.renew)

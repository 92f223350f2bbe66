"""Hashing beside the work: a thread hashes what another one has received already."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Iterable

from runstone_artifact.model_digests import Digests

AHEAD = 4
"""Chunks that may wait to be hashed: enough to keep both threads busy, few enough in memory."""

REMEMBERED = 256
"""Uploads whose hash is remembered between two streams; some hundred bytes each."""


class HashingThread:
    """Hashes chunks in order. ``seed`` is read first, in the thread, before the first chunk."""

    def __init__(
        self, state: Digests | None = None, seed: Iterable[bytes] = (), size: int = 0
    ) -> None:
        self.size = size
        """Bytes hashed or about to be, those of ``state`` or ``seed`` included."""
        self._state = state if state is not None else Digests()
        self._seed = seed
        self._queue: queue.Queue[bytes | memoryview | None] = queue.Queue(AHEAD)
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="hash", daemon=True)
        self._thread.start()

    def update(self, data: bytes | memoryview) -> None:
        """Hash these bytes next; waits while too many are ahead."""
        self.size += len(data)
        self._queue.put(data)

    def end(self) -> Digests | None:
        """Wait until all is hashed; returns the digests, None when the seed could not be read."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        return None if self._failed else self._state

    def _run(self) -> None:
        try:
            for chunk in self._seed:
                self._state.update(chunk)
        except Exception:
            # Not known any more, which is no harm: the commit reads the object back.
            self._failed = True
        while (data := self._queue.get()) is not None:
            if not self._failed:
                self._state.update(data)


class HashMemory:
    """Hashes of uploads that broke off, so that a resumed one need not read its bytes again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: OrderedDict[str, tuple[int, Digests]] = OrderedDict()

    def keep(self, upload_id: str, offset: int, state: Digests) -> None:
        """Remember the hash of the first ``offset`` bytes."""
        with self._lock:
            self._states[upload_id] = (offset, state)
            self._states.move_to_end(upload_id)
            while len(self._states) > REMEMBERED:
                self._states.popitem(last=False)

    def take(self, upload_id: str, offset: int) -> Digests | None:
        """The hash of the first ``offset`` bytes, forgotten from now on; None when unknown."""
        with self._lock:
            kept = self._states.pop(upload_id, None)
        return kept[1] if kept is not None and kept[0] == offset else None

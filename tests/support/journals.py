"""Journals written frame by frame, with what a writer is not meant to write."""

import os
from pathlib import Path
from typing import Self

from runstone._journal import folder as folders
from runstone._journal import format as frames


class Journal:
    """A journal of this process; every `log` is one write."""

    def __init__(self, root: Path, tracking_uri: str, *, redeclare: bool = False) -> None:
        self.folder, self._lock = folders.create(root, tracking_uri, "Ada")
        self._redeclare = redeclare
        self._descriptor = -1
        self.file = 0
        self.rotate()

    def rotate(self) -> None:
        """Begin the next file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self.file += 1
        path = frames.file_path(self.folder, self.file)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._runs: dict[tuple[str, int], int] = {}
        self._keys: dict[tuple[str, ...], int] = {}

    @property
    def path(self) -> Path:
        """The file that is written to."""
        return frames.file_path(self.folder, self.file)

    def log(
        self,
        run_id: str,
        metrics: dict[str, float],
        step: int,
        timestamp_ms: int = 1_700_000_000_000,
        rank: int = frames.NO_RANK,
    ) -> None:
        """One point of each metric."""
        keys = tuple(metrics)
        data = b""
        run = self._runs.setdefault((run_id, rank), len(self._runs))
        key_set = self._keys.setdefault(keys, len(self._keys))
        if run == len(self._runs) - 1 or self._redeclare:
            data += frames.run_frame(run, run_id, rank)
        if key_set == len(self._keys) - 1 or self._redeclare:
            data += frames.keys_frame(key_set, keys)
        data += frames.points_frame(run, key_set, step, timestamp_ms, list(metrics.values()))
        self.write(data)

    def write(self, data: bytes) -> None:
        """Any bytes."""
        os.write(self._descriptor, data)

    def leave(self) -> None:
        """Close it, as the end of the process does."""
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

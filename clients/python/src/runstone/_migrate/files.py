"""The files of a run or a model version: which are missing, and the way there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from runstone._migrate.model import FilesOutOfReach, SourceFile, Tree
from runstone._migrate.tally import Counts
from runstone._sender.server import is_refusal
from runstone._transfer.local import LocalFile
from runstone.exceptions import LocalPathError, RunstoneException

BATCH_BYTES = 64 * 2**20
"""Of files that are fetched before they are sent on; a larger one is alone on the disk."""

BATCH_FILES = 500


class FileCopy:
    """Copies files of one owner.

    Args:
        tree: Where they are.
        send: Gives the target files that are on this machine.
        lose: Is told what cannot be carried.
        whose: For people.
    """

    def __init__(
        self,
        tree: Tree,
        send: Callable[[Sequence[LocalFile]], None],
        lose: Callable[[str], None],
        whose: str,
    ) -> None:
        self._tree = tree
        self._send = send
        self._lose = lose
        self._whose = whose
        self.written = Counts()
        self.out_of_reach = False
        """Some could not be read; they may be at another time."""

    def copy(self, missing: Sequence[SourceFile]) -> None:
        """Copy these, and tell what cannot be."""
        for batch in _batches(missing):
            near = {each: path for each in batch if (path := self._tree.local(each.path))}
            self._give([LocalFile(path, each.path, each.size) for each, path in near.items()])
            far = [each for each in batch if each not in near]
            if far:
                with tempfile.TemporaryDirectory(prefix="runstone-import-") as folder:
                    self._give(list(self._fetched(far, Path(folder))))

    def _fetched(self, files: Sequence[SourceFile], folder: Path) -> Iterator[LocalFile]:
        for number, each in enumerate(files):
            target = folder / str(number)
            try:
                self._tree.fetch(each.path, target)
            except FilesOutOfReach as error:
                if error.away:
                    raise
                self._lost(each.path, error)
                self.out_of_reach = True
                continue
            yield LocalFile(target, each.path, target.stat().st_size)

    def _give(self, files: Sequence[LocalFile]) -> None:
        if not files:
            return
        try:
            self._send(files)
        except RunstoneException as error:
            if not is_refusal(error) and not isinstance(error, LocalPathError):
                raise
            if len(files) > 1:
                # One of them is not taken; the others are.
                for each in files:
                    self._give([each])
                return
            self._lost(files[0].path, error)
            self.out_of_reach |= isinstance(error, LocalPathError)
            return
        self.written.files += len(files)
        self.written.file_bytes += sum(each.size for each in files)

    def _lost(self, path: str, error: RunstoneException) -> None:
        self._lose(f"file {path} of {self._whose}: {error.message}")


def _batches(files: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
    batch: list[SourceFile] = []
    size = 0
    for each in files:
        if batch and (size + each.size > BATCH_BYTES or len(batch) == BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += each.size
    if batch:
        yield batch

"""The writing side: a process's part of the folder of offline mode.

What was logged is in the files when its call returns, and outlives this process; within a second it
is on the disk, and outlives the machine.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runstone import _fork
from runstone._journal import format as frames
from runstone._journal import rules
from runstone._journal.folder import sync_folder
from runstone._journal.writer import Journal
from runstone._offline import layout, records
from runstone._offline.catalogue import Catalogue
from runstone._offline.records import Appender, Record

Copy = Callable[[Path], tuple[int, str]]
"""Writes a file to a place, whole and on the disk; gives its size and BLAKE3."""

ENDLESS = 2**62
"""Nobody takes anything away here, so the disk is the limit, not what may wait for delivery."""

SECURE_SECONDS = 1.0
"""Between looks whether there is something to put on the disk."""


class Store:
    """Where this process keeps what it logs. Safe for many threads.

    Args:
        folder: Of offline mode, shared with others.
        user: Who is at work.

    Raises:
        InvalidArgument: something else stands in the folder.
        OSError: it cannot be written to.
    """

    def __init__(self, folder: Path, user: str) -> None:
        layout.prepare(folder)
        self.folder = folder
        self.journal = Journal(folder, layout.ORIGIN, user, max_bytes=ENDLESS, drops=rules.drops())
        self.part = self.journal.folder
        self.catalogue = Catalogue(folder, self.part)
        self._appender = Appender(self.part / layout.RECORDS)
        sync_folder(self.part)
        sync_folder(folder)
        self._ranks: dict[str, int | None] = {}
        self._numbers = itertools.count(1)
        self._synced: dict[Path, int] = {}
        self._closed = threading.Event()
        try:
            threading.Thread(
                target=self._secure_always, name="runstone-offline", daemon=True
            ).start()
        except RuntimeError:
            pass  # a program that has ended may begin none; its end puts all on the disk

    def log(self, run_id: str, metrics: Mapping[str, Any], step: int, timestamp_ms: int) -> None:
        """Append one point of each metric, with this process's rank; see ``Journal.log``."""
        try:
            rank = self._ranks[run_id]
        except KeyError:
            rank = self._ranks[run_id] = rules.rank()
        self.journal.log(run_id, rank, metrics, step, timestamp_ms)

    def flush(self, timeout: float | None = None) -> bool:
        """Have everything on the disk; there is nothing further to wait for."""
        self.secure()
        return True

    def add(self, kind: int, about: Mapping[str, Any], *, durable: bool = False) -> Record:
        """Append a record; with ``durable`` it is on the disk on return."""
        made = self._appender.append(kind, about, durable=durable)
        self.catalogue.take(self.part, made)
        return made

    def keep(self, run_id: str, copies: Mapping[str, Copy]) -> None:
        """Keep files of a run, each under its path, all or none.

        Those that stood there before are not needed any more: a checkpoint that is logged again
        and again takes its room once.
        """
        run = self.catalogue.run(run_id)
        before = dict(run.files) if run else {}
        folder = self.part / layout.FILES
        kept: list[dict[str, Any]] = []
        try:
            for path, copy in copies.items():
                name = f"{next(self._numbers):08d}"
                size, digest = copy(folder / name)
                kept.append({"path": path, "file": name, "size": size, "blake3": digest})
            if kept:
                sync_folder(folder)
        except BaseException:
            for each in kept:
                (folder / each["file"]).unlink(missing_ok=True)
            raise
        for each in kept:
            self.add(records.FILE, {"run_id": run_id, **each}, durable=each is kept[-1])
        for path in copies:
            if path in before and before[path].part == self.part:
                (folder / before[path].file).unlink(missing_ok=True)

    def secure(self) -> None:
        """Have what was logged on this machine's disk."""
        numbers = frames.file_numbers(self.part)
        for path in (self._appender.path, *(frames.file_path(self.part, n) for n in numbers)):
            size = path.stat().st_size
            if self._synced.get(path) != size:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)
                self._synced[path] = size

    def close(self) -> None:
        """Log nothing more."""
        self._closed.set()
        self.secure()
        self.journal.close()
        self._appender.close()

    def forget(self) -> None:
        """In a forked child: this part is the parent's."""
        self._closed.set()
        self.journal.forget()
        self._appender.close()

    def _secure_always(self) -> None:
        while not self._closed.wait(SECURE_SECONDS):
            try:
                self.secure()
            except OSError:
                continue  # whoever logs is told of a disk that takes nothing


_stores: dict[tuple[Path, str], Store] = {}
_lock = threading.RLock()


def store(folder: Path, user: str) -> Store:
    """This process's part of a folder; made when there is none."""
    found = _stores.get((folder, user))
    if found is None:
        with _lock:
            found = _stores.get((folder, user))
            if found is None:
                found = _stores[folder, user] = Store(folder, user)
    return found


def stores() -> list[Store]:
    """Every one of this process."""
    with _lock:
        return list(_stores.values())


def flush() -> None:
    """Have what this process logged on the disk, in all folders."""
    for each in stores():
        each.secure()


def close() -> None:
    """The process ends, or begins anew as tests do."""
    with _lock:
        every = list(_stores.values())
        _stores.clear()
    for each in every:
        each.close()


@_fork.in_child
def _in_child() -> None:
    global _lock
    _lock = threading.RLock()
    for each in _stores.values():
        each.forget()
    _stores.clear()

"""How far it is, on terminals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from runstone._transfer.progress import is_shown


class Watcher(Protocol):
    """Is told how far it is; called from many threads."""

    def done(self, what: str) -> None:
        """One more run, or model, is there."""
        ...


class Unwatched:
    """Shows nothing."""

    def done(self, what: str) -> None:
        """See Watcher."""


class _Shown:
    def __init__(self, bar: Any, task: Any) -> None:
        self._bar = bar
        self._task = task
        self._lock = threading.Lock()

    def done(self, what: str) -> None:
        """See Watcher."""
        with self._lock:
            self._bar.update(self._task, advance=1, last=what)


@contextmanager
def watched(what: str) -> Iterator[Watcher]:
    """A line on stderr that counts, for the length of a ``with``; nothing without a terminal."""
    if not is_shown(0, least=0):
        yield Unwatched()
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed:.0f}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        # How many there are a source tells only when all of them were read.
        yield _Shown(shown, shown.add_task(what, total=None, last=""))

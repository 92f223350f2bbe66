"""Progress bars, on terminals and for transfers that take a while."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

SHOWN_FROM_BYTES = 10_000_000
"""Smaller transfers are over before anybody has looked."""

DISABLE = "RUNSTONE_DISABLE_PROGRESS"


class Progress(Protocol):
    """Is told how far a transfer is; called from many threads."""

    def advance(self, size: int) -> None:
        """So many bytes more are transferred; negative when some have to be sent again."""
        ...


class Silent:
    """Shows nothing."""

    def advance(self, size: int) -> None:
        """See Progress."""


class _Bar:
    def __init__(self, bar: object, task: object) -> None:
        self._bar = bar
        self._task = task
        self._lock = threading.Lock()

    def advance(self, size: int) -> None:
        """See Progress."""
        with self._lock:
            self._bar.update(self._task, advance=size)  # type: ignore[attr-defined]


def is_shown(total: int, least: int = SHOWN_FROM_BYTES) -> bool:
    """Whether a transfer of this size gets a bar here."""
    disabled = os.environ.get(DISABLE, "").lower() not in ("", "0", "false", "no")
    return total >= least and not disabled and sys.stderr.isatty()


@contextmanager
def bar(what: str, total: int, least: int = SHOWN_FROM_BYTES) -> Iterator[Progress]:
    """A progress bar on stderr for the length of a ``with``, or nothing."""
    if not is_shown(total, least):
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        yield _Bar(shown, shown.add_task(what, total=total))

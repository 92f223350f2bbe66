"""The owner's side: start a sender for a journal, keep one alive, talk to it.

Imports little: it runs in the training process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runstone import _fork
from runstone._journal import progress

if TYPE_CHECKING:
    import subprocess

LOG_NAME = "sender.log"

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
"""Between starts of a sender that ends without having delivered, as when memory is out."""

START_SECONDS = 10.0
"""How long ``close`` waits for a sender that is just being started."""

_log = logging.getLogger("runstone")


class Handle:
    """The sender of one journal, started anew whenever it ends, until ``close``.

    All methods return at once. In a forked child the sender is the parent's: ``forget`` there.

    Args:
        folder: The journal's.
        supervised: Else it is started here and now, once and without a thread: a program that has
            ended may begin none. It delivers the rest when this process is gone.

    Raises:
        OSError: it cannot be started, unless it is supervised.
    """

    def __init__(self, folder: Path, *, supervised: bool = True) -> None:
        self.folder = folder
        self._closed = threading.Event()
        self._started = threading.Event()
        # A signal handler may ask in the middle of a call of the same thread.
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False
        self._starts = 0
        self._thread = threading.Thread(target=self._supervise, name="runstone-sender", daemon=True)
        if supervised:
            self._thread.start()
        else:
            self._begin()

    @property
    def alive(self) -> bool:
        """Whether a sender runs at this moment."""
        process = self._process
        return process is not None and process.returncode is None

    @property
    def pid(self) -> int:
        """The sender's process; 0 when none runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    @property
    def starts(self) -> int:
        """How often one was started."""
        return self._starts

    def flush(self) -> None:
        """Ask for delivery now. The answer is in the journal's progress."""
        with self._lock:
            self._asked = True
            self._ask()

    def close(self, seconds: float | None = 0.0) -> bool:
        """Tell the sender that this process is done: it delivers the rest and ends by itself.

        Args:
            seconds: How long to wait for its end; None: as long as it takes.

        Returns:
            Whether it has ended.
        """
        # One must run, or what this process logged would wait for the next process.
        self.wait_started()
        with self._lock:
            self._closed.set()
            if self._process is not None:
                _close(self._process.stdin)
        if self._thread.ident is None:
            return not self.alive
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def wait_started(self) -> None:
        """Until a sender was started, or could not be."""
        self._started.wait(START_SECONDS)

    def forget(self) -> None:
        """In a forked child: let the parent's sender be the parent's alone.

        Without this it would take the child for its owner and outlive the parent's end.
        """
        self._closed.set()
        self._lock = threading.RLock()
        process, self._process = self._process, None
        if process is not None:
            _close(process.stdin)
            # Not ours to wait for; without this its destructor would complain.
            process.returncode = 0

    def _ask(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                os.write(self._process.stdin.fileno(), b"f")

    def _supervise(self) -> None:
        pause = 0.0
        while not self._closed.wait(pause):
            before = progress.read(self.folder).delivered
            try:
                told = f"ended with {self._run()}"
            except Exception as error:
                told = str(error)
            self._started.set()
            if self._closed.is_set():
                return
            if progress.read(self.folder).delivered != before:
                pause = 0.0
            pause = min(max(pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            if pause > FIRST_PAUSE_SECONDS:
                _log.warning(
                    "the process that delivers metrics %s and is started again; what is logged is"
                    " kept in %s",
                    told,
                    self.folder,
                )

    def _run(self) -> int:
        """Start one and wait for its end."""
        return self._begin().wait()

    def _begin(self) -> subprocess.Popen[bytes]:
        process = start(self.folder)
        with self._lock:
            self._process = process
            self._starts += 1
            self._started.set()
            if self._closed.is_set():
                _close(process.stdin)
            elif self._asked:
                self._ask()
        return process


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A sender for a journal; its standard input is the caller's to close."""
    import subprocess

    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    log = os.open(folder / LOG_NAME, flags, 0o600)
    try:
        return subprocess.Popen(
            # -P: a file of the user's that is called like a module must not take its place.
            [sys.executable, "-P", "-m", "runstone._sender", str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            bufsize=0,
            cwd="/",
            # Ctrl-C and what a batch system signals are for the training.
            start_new_session=True,
        )
    finally:
        os.close(log)


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()


_handles: list[Handle] = []


def spawn(folder: Path, *, supervised: bool = True) -> Handle:
    """Have a journal delivered from now on; see ``Handle``."""
    handle = Handle(folder, supervised=supervised)
    _handles.append(handle)
    return handle


@_fork.in_child
def _in_child() -> None:
    for handle in _handles:
        handle.forget()
    _handles.clear()

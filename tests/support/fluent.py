"""The fluent API as in a fresh process: nothing set, nothing open, a folder of its own."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runstone import _journal
from runstone._fluent import _runs, _state
from runstone._journal import outlet
from runstone._offline import store
from support.processes import STOP_SECONDS
from support.suites import OWN_PREFIX, end_suite


@contextmanager
def fresh(folder: Path, **environment: str) -> Iterator[None]:
    """Inside, the fluent API knows only `environment`, and `folder` is the working folder."""
    before, cwd = dict(os.environ), Path.cwd()
    for name in before:
        if name.startswith(OWN_PREFIX):
            del os.environ[name]
    os.environ.update(environment)
    os.chdir(folder)
    _state.reset()
    try:
        yield
    finally:
        abandon_journals()
        _runs._open.clear()
        _state.reset()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(before)


def abandon_journals() -> None:
    """End what delivers this process's metrics, whether it was done or not."""
    for each in outlet.outlets():
        sender = each.sender
        if sender is not None and not sender.close(0.0 if each.backlog else STOP_SECONDS):
            # Its server may be gone for ever; it would wait for it long after the test.
            with suppress(ProcessLookupError):
                os.kill(sender.pid, signal.SIGKILL)
            sender.close(STOP_SECONDS)
        shutil.rmtree(each.journal.folder, ignore_errors=True)
    outlet.close(0.0)
    store.close()
    _journal.ending = False


@contextmanager
def embedded(folder: Path) -> Iterator[Path]:
    """A data folder whose suite, started by whoever needs it first, is ended at the end."""
    data_dir = folder / "runstone-data"
    try:
        yield data_dir
    finally:
        end_suite(data_dir)

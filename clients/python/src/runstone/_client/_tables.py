"""Tables: one writer at a time, which runs' to read, and what to add to them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    from runstone._client._runs import RunCalls
    from runstone._entities.tracking import Run


LOCKS = 64
"""Files that tables share as locks; two tables on one of them only wait for each other."""

LOCK_SECONDS = 120.0
"""A table is read and written in less. A process that was stopped in between must not stop others
for ever."""

PAUSE_SECONDS = 0.01


@contextmanager
def alone(*table: str) -> Iterator[bool]:
    """Hold a table against the other threads and processes of this user on this machine.

    The server replaces whole files, so of two that append at once one would lose its rows. Gives
    False when there can be no lock: where nothing can be written, or after LOCK_SECONDS.
    """
    place = int.from_bytes(hashlib.sha256("\0".join(table).encode()).digest()[:4]) % LOCKS
    descriptor = _taken(f"table-{place}.lock", time.monotonic() + LOCK_SECONDS)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            # Closing is not enough: a child forked meanwhile has the descriptor too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _taken(name: str, until: float) -> int | None:
    folder = Path(tempfile.gettempdir()) / f"runstone-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / name
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if _locked(descriptor, until) and _is_still(path, descriptor):
                return descriptor
            os.close(descriptor)
            if time.monotonic() >= until:
                return None
    except OSError:
        return None


def _locked(descriptor: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(PAUSE_SECONDS)
        else:
            return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the file was not removed meanwhile, as cleaners of temporary folders do."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def runs_of(client: RunCalls, experiment_id: str, run_ids: Sequence[str] | None) -> Iterator[Run]:
    """The runs named, else all of an experiment."""
    if run_ids:
        yield from map(client.get_run, run_ids)
        return
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], page_token=token)
        yield from page
        token = page.token
        if token is None:
            return


def extra_values(run: Run, names: Sequence[str]) -> dict[str, Any]:
    """What a run says to each name; None where it says nothing. Raises InvalidArgument."""
    found: dict[str, Any] = {}
    for name in names:
        group, dot, key = name.partition(".")
        if dot and group in {"params", "metrics", "tags"}:
            found[name] = getattr(run.data, group).get(key)
        elif name.isidentifier() and hasattr(run.info, name):
            found[name] = getattr(run.info, name)
        else:
            raise InvalidArgument(f"{name!r} is neither of run.info nor params., metrics. or tags.")
    return found

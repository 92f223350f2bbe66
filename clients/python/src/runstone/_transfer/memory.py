"""Uploads under way, remembered on the disk: what a later process needs to go on with one.

A file for each upload in ~/.local/state/runstone/uploads (XDG_STATE_HOME), for this user alone,
named by a digest of what is sent where, locked while somebody sends it, gone when it is committed.
It holds the upload's id, and whether it goes by URLs. Without it (no home, a full disk) an upload
that breaks off begins anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from pathlib import Path

from runstone._transfer.local import Reader
from runstone.artifact.v1 import artifact_pb2

REMEMBERED_BYTES = 8 * 2**20
"""Smaller files are sent again in less than a second."""

KEPT_SECONDS = 86_400
"""A service forgets an upload a day after its last change."""

MOST_BYTES = 100
"""Of a memory; ids have 32."""

BY_URLS = "by-urls"


class Memory:
    """What is remembered of one upload; nobody else sends it before ``close``."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        said = os.pread(descriptor, MOST_BYTES, 0).decode("ascii", "replace")
        words = said.split() if said.endswith("\n") else []
        self.upload_id = words[0] if words else ""
        self.by_urls = BY_URLS in words[1:]

    def note(self, upload: artifact_pb2.Upload) -> None:
        """This is the upload now."""
        self.upload_id, self.by_urls = upload.upload_id, bool(upload.parts)
        said = f"{upload.upload_id}{f' {BY_URLS}' if upload.parts else ''}\n"
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, said.encode(), 0)

    def forget(self) -> None:
        """There is nothing to go on with."""
        self.upload_id = ""

    def close(self) -> None:
        """Let others go on with it."""
        if not self.upload_id:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def remembered(owner: artifact_pb2.Owner, path: str, reader: Reader) -> Memory | None:
    """The memory of sending this very file there; None where there can be none."""
    if reader.size < REMEMBERED_BYTES:
        return None
    state = reader.path.stat()
    facts = (
        *(owner.SerializeToString(deterministic=True).hex(), path, reader.path.absolute()),
        *(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns),
    )
    name = hashlib.sha256("\n".join(map(str, facts)).encode("utf-8", "replace")).hexdigest()[:40]
    try:
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_old(folder)
        return _locked(folder / name)
    except (OSError, RuntimeError):
        return None


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or ""
    # A relative one is to be ignored, says the specification.
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "runstone" / "uploads"


def _remove_old(folder: Path) -> None:
    oldest = time.time() - KEPT_SECONDS
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):
            if entry.stat().st_mtime < oldest:
                Path(entry.path).unlink()


def _locked(path: Path) -> Memory | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have removed it meanwhile.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return Memory(path, descriptor)
    except OSError:
        pass
    os.close(descriptor)
    return None

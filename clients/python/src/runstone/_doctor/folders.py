"""The folders that Runstone writes to: room, file system, permission."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstone import _settings, _uri
from runstone._doctor import places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines
from runstone._journal import folder as journal_folders

PROBE_BYTES = 2**15
"""Twice what a new journal takes at once."""

LITTLE_BYTES = 2**30
"""An hour of many metrics, or one model."""

LEAST_BYTES = 2**25
"""With less, SQLite and journals stop within minutes."""

LITTLE_INODES = 10_000
LEAST_INODES = 100

REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "lustre", "afs"})
VOLATILE = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True)
class Use:
    """A folder, and what for.

    ``local``: its file system must have locks that work, so no network's; ``lasting``: what is in
    it must survive a reboot; ``made``: Runstone makes it when it is missing.
    """

    what: str
    path: Path
    variable: str
    local: bool = False
    lasting: bool = False


def journal(asked: Asked, name: str) -> Lines:
    """Where metrics wait for their delivery."""
    del asked
    path = journal_folders.root()
    yield judged(name, Use("journals", path, _settings.JOURNAL_DIR, local=True, lasting=True))


def data(asked: Asked, name: str) -> Lines:
    """The data folder of an embedded suite."""
    found = places.data_folders(asked)
    for path in found:
        yield judged(name, Use("data folder", path, _settings.DATA_DIR, local=True, lasting=True))
    if not found:
        yield Line(name, OK, "the data are on a server, not in a folder of this machine")


def offline(asked: Asked, name: str) -> Lines:
    """Where offline mode writes to, if it is on."""
    if asked.environment.get(_settings.MODE) == "offline":
        path = _uri.offline_dir()
        yield judged(name, Use("offline folder", path, _settings.OFFLINE_DIR, lasting=True))


def temporary(asked: Asked, name: str) -> Lines:
    """Where models and figures are written before they are sent."""
    del asked
    try:
        path = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        yield Line(
            name,
            FAILURE,
            f"there is no temporary folder that can be written: {error.strerror or error}",
            "set TMPDIR to a folder with room",
        )
        return
    yield judged(name, Use("temporary folder", path, "TMPDIR"))


def cache(asked: Asked, name: str) -> Lines:
    """Where environments of models are kept."""
    base = asked.environment.get("XDG_CACHE_HOME") or "~/.cache"
    path = Path(base).expanduser() / "runstone"
    yield judged(name, Use("cache", path, "XDG_CACHE_HOME"))


def judged(name: str, use: Use) -> Line:
    """The line of one folder."""
    there = _nearest(use.path)
    kind, mount = file_system(there)
    details: dict[str, Any] = {
        "path": str(use.path),
        "exists": use.path.exists(),
        "file_system": kind,
        "mount": mount,
    }
    elsewhere = f"set {use.variable} to a folder that can be written, or correct its permissions"
    if use.path.exists() and not use.path.is_dir():
        return Line(name, FAILURE, f"{use.path} ({use.what}) is no folder", elsewhere, details)
    try:
        details |= room(there)
        _probe(use.path, there)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return Line(
                name,
                FAILURE,
                f"the disk of {use.path} ({use.what}) is full: {error.strerror}",
                f"make room there, or set {use.variable} to another disk",
                details,
            )
        why = error.strerror or str(error)
        said = f"{use.path} ({use.what}) cannot be written: {why}"
        return Line(name, FAILURE, said, elsewhere, details)
    return _judged_room(name, use, details)


def _judged_room(name: str, use: Use, details: dict[str, Any]) -> Line:
    free, inodes, kind = details["free_bytes"], details["free_inodes"], details["file_system"]
    said = f"{use.path} ({use.what}): {_size(free)} free{f', {kind}' if kind else ''}"
    more = f"make room there, or set {use.variable} to another disk"
    if free < LEAST_BYTES or (inodes is not None and inodes < LEAST_INODES):
        what = "" if free < LEAST_BYTES else f", {inodes} files can be made"
        return Line(name, FAILURE, f"{said}{what}: that is almost full", more, details)
    if use.local and kind in REMOTE:
        return Line(
            name,
            WARNING,
            f"{said}: a network's file system; locks and power cuts are not safe there",
            f"set {use.variable} to a folder on a local disk",
            details,
        )
    if use.lasting and kind in VOLATILE:
        return Line(
            name,
            WARNING,
            f"{said}: in memory, gone with a reboot",
            f"set {use.variable} to a folder on a disk",
            details,
        )
    if free < LITTLE_BYTES:
        return Line(name, WARNING, f"{said}: that is little", more, details)
    if inodes is not None and inodes < LITTLE_INODES:
        return Line(name, WARNING, f"{said}, but only {inodes} files can be made", more, details)
    return Line(name, OK, said, details=details)


def room(path: Path) -> dict[str, Any]:
    """What is free for this user. Raises OSError."""
    found = os.statvfs(path)
    # Some file systems (btrfs) make inodes as they go, and tell none.
    inodes = found.f_favail if found.f_files else None
    return {
        "free_bytes": found.f_bavail * found.f_frsize,
        "total_bytes": found.f_blocks * found.f_frsize,
        "free_inodes": inodes,
    }


def _nearest(path: Path) -> Path:
    """The folder itself, else the nearest one above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _probe(path: Path, there: Path) -> None:
    """Write a file and remove it; ask only, where the folder is to be made. Raises OSError."""
    if path != there:
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"{there} gives no permission to make it")
        return
    descriptor, probe = tempfile.mkstemp(prefix=".runstone-doctor-", dir=path)
    try:
        left = PROBE_BYTES
        while left > 0:
            left -= os.write(descriptor, bytes(left))
    finally:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(probe)  # noqa: PTH108


def file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> tuple[str, str]:
    """The kind of file system that a path is on, and where it is mounted; empty: not known."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return "", ""
    real = os.path.realpath(path)
    best = ("", "")
    for line in lines:
        parts = line.split(" ")
        if len(parts) < 3:
            continue
        place = parts[1].replace("\\040", " ")
        inside = real == place or real.startswith(place.rstrip("/") + "/")
        # A later mount on the same place covers the earlier one.
        if inside and len(place) >= len(best[1]):
            best = (parts[2], place)
    return best


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"

"""The folder of one journal: ``<utc>-<pid>-<8 hex>/`` below the root.

meta.json           who writes where; no secrets
owner.lock          held (flock) by the process that logs, for its life
sender.lock         held by the one process that delivers it
NNNNNNNN.journal    what was logged; deleted when delivered
progress            what the sender tells the owner
dropped             the receipt of points that found no room
plan, rejected/     the sender's
reserve             room on the disk that the sender gives up when there is no other: without a
                    plan it cannot deliver, and so not make room either

A folder whose two locks are free belongs to nobody any more: whoever takes both may deliver it,
and remove it when nothing is left in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from runstone import _settings
from runstone._journal import format as frames
from runstone._journal import progress

META = "meta.json"
OWNER_LOCK = "owner.lock"
SENDER_LOCK = "sender.lock"
REJECTED = "rejected"
RESERVE = "reserve"

RESERVE_BYTES = 2**14
"""Plans of some hundred stretches."""

_NAME = re.compile(r"\d{8}T\d{6}-\d+-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Meta:
    """Whose a journal is, and where it goes.

    Args:
        writer_id: Names the writer to the server; no other journal has it.
        tracking_uri: Resolved: ``runstone://…``, or ``file:`` with an absolute path.
        user: Who is at work, for the server's log; may be empty.
        pid: Of the owner.
        host: Its machine.
        created_ms: Unix milliseconds.
        version: Of the format.
    """

    writer_id: str
    tracking_uri: str
    user: str
    pid: int
    host: str
    created_ms: int
    version: int = frames.VERSION

    @classmethod
    def read(cls, folder: Path) -> Meta:
        """The meta.json of a folder.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged, or a later release wrote it.
        """
        said = json.loads((folder / META).read_text("utf-8"))
        try:
            if int(said["version"]) > frames.VERSION:
                raise ValueError(f"{folder} was written by a later release of Runstone")
            return cls(**{name: said[name] for name in cls.__slots__})
        except (KeyError, TypeError):
            raise ValueError(f"{folder / META} is damaged") from None


def root() -> Path:
    """Below which every journal of this user is; by RUNSTONE_JOURNAL_DIR, else the XDG state."""
    named = os.environ.get(_settings.JOURNAL_DIR)
    if named:
        return Path(named).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or ""
    # A relative one is to be ignored, says the specification.
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "runstone" / "journal"


def create(below: Path, tracking_uri: str, user: str) -> tuple[Path, int]:
    """Make a journal folder.

    Returns:
        The folder, and the descriptor that holds its owner.lock as long as it is open.
    """
    now = time.time()
    suffix = os.urandom(4).hex()
    name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{os.getpid()}-{suffix}"
    below.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Under another name until it is locked: nobody may take it for an orphan.
    new = below / f".{name}"
    new.mkdir(mode=0o700)
    lock = take(new / OWNER_LOCK)
    assert lock is not None
    try:
        meta = Meta(
            writer_id=f"{os.urandom(12).hex()}-{os.getpid()}",
            tracking_uri=tracking_uri,
            user=user,
            pid=os.getpid(),
            host=os.uname().nodename,
            created_ms=int(now * 1000),
        )
        (new / META).write_text(json.dumps(asdict(meta), indent=1), "utf-8")
        progress.create(new)
        # A disk that has no room for this one may have some for the journal.
        with contextlib.suppress(OSError):
            keep_reserve(new)
        return new.rename(below / name), lock
    except BaseException:
        os.close(lock)
        _remove(new)
        raise


def keep_reserve(folder: Path) -> None:
    """Take the room that ``give_up_reserve`` gives up.

    Raises:
        OSError: there is none.
    """
    path = folder / RESERVE
    try:
        path.write_bytes(bytes(RESERVE_BYTES))
    except OSError:
        path.unlink(missing_ok=True)
        raise


def give_up_reserve(folder: Path) -> bool:
    """Make room on a full disk; False when that was done before."""
    try:
        (folder / RESERVE).unlink()
    except FileNotFoundError:
        return False
    return True


def journals(below: Path) -> list[Path]:
    """The journal folders below a root, oldest first."""
    try:
        found = [each for each in below.iterdir() if _NAME.fullmatch(each.name)]
    except FileNotFoundError:
        return []
    return sorted(found)


def take(path: Path) -> int | None:
    """Take a lock for as long as the descriptor is open; None when somebody else has it, or the
    folder is gone.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def undelivered(folder: Path) -> int:
    """Bytes of the journal that the sender has not reported as done.

    Those that it refused or put aside as damaged are done.
    """
    at = progress.read(folder).delivered
    total = 0
    for number in frames.file_numbers(folder):
        if number >= at.file:
            try:
                size = frames.file_path(folder, number).stat().st_size
            except FileNotFoundError:
                continue
            total += max(size - (at.offset if number == at.file else 0), 0)
    return total


def remove_if_done(folder: Path) -> bool:
    """Remove a folder that nobody writes to and of which everything was delivered.

    The caller holds its sender.lock, or both locks. What was rejected or dropped keeps it.

    Returns:
        Whether it is gone.
    """
    if undelivered(folder) or progress.dropped(folder).points:
        return False
    if (folder / REJECTED).exists() and any((folder / REJECTED).iterdir()):
        return False
    # Without its locks and its meta.json it is nobody's, so that first.
    gone = folder.with_name(f".{folder.name}")
    try:
        folder.rename(gone)
    except FileNotFoundError:
        return True
    _remove(gone)
    return True


def _remove(folder: Path) -> None:
    import shutil  # which loads every kind of compression

    shutil.rmtree(folder, ignore_errors=True)


def sync_folder(path: Path) -> None:
    """Have what was named in a folder on the disk under its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

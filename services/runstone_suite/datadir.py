"""The data folder: who owns it, where its owner can be reached, and how it changes hands.

    suite.lock     exclusively locked (flock) by the one process that serves the folder, for life
    suite.json     where that process can be reached; there only while it serves
    clients.lock   locked shared by every process that uses a background suite

A lock dies with its process, so nothing here needs cleaning up after a crash.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from runstone._datadir import strangers

Mode = Literal["background", "foreground"]

LOCK_FILE = "suite.lock"
STATUS_FILE = "suite.json"
CLIENTS_FILE = "clients.lock"

LONGEST_SOCKET_PATH = 100
"""The kernel takes 107 bytes on Linux and 103 on macOS; some room stays for a suffix."""

TAKEOVER_SECONDS = 30.0
"""A background suite drains the calls under way before it goes; no drain takes longer."""

LOOK_SECONDS = 0.2
"""Whoever asks whether the folder is served holds the lock for a moment, not for this long."""

_POLL_SECONDS = 0.02


class SuiteError(Exception):
    """The suite cannot start; the text is one line for the user and says what to do."""


class HeldByAnother(SuiteError):
    """Another process serves the folder."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the owner of a folder says about itself.

    address: the unix socket as a gRPC target; empty until it serves.
    tcp: host:port when it also listens there.
    http: URL of MLflow's REST API, when it serves that.
    """

    pid: int
    mode: Mode
    version: str
    address: str = ""
    tcp: str = ""
    http: str = ""


class DataDir:
    """The folder as its one owner sees it: `claim`, `publish` once serving, `release`."""

    def __init__(self, path: Path, *, mode: Mode, version: str) -> None:
        self.path = path.resolve()
        self.mode: Mode = mode
        self.version = version
        self._lock: int | None = None
        self._clients: int | None = None

    def claim(self) -> None:
        """Make the folder if need be and become its owner.

        A foreground server asks a background suite to go and waits for it. Raises HeldByAnother
        when the owner stays, SuiteError when the folder cannot be used.
        """
        with _explained(self.path):
            if found := strangers(self.path):
                raise SuiteError(
                    f"{self.path} is no data folder of Runstone: it holds {found};"
                    " choose a --data-dir that is empty or does not exist yet"
                )
            # A folder that is there already keeps its mode: somebody chose it.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _lock_within(lock, LOOK_SECONDS):
                self._take_over(lock)
            with _explained(self.path):
                self._write_lock(lock, Status(os.getpid(), self.mode, self.version))
                # Whoever owned the folder before did not end in good order.
                (self.path / STATUS_FILE).unlink(missing_ok=True)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def publish(self, *, address: str, tcp: str = "", http: str = "") -> None:
        """Tell clients where the suite serves: the file is there whole or not at all."""
        status = Status(os.getpid(), self.mode, self.version, address, tcp, http)
        assert self._lock is not None
        with _explained(self.path):
            self._write_lock(self._lock, status)
            _write_whole(self.path / STATUS_FILE, json.dumps(asdict(status)) + "\n")

    def withdraw(self) -> None:
        """Tell new clients to go elsewhere; calls under way go on."""
        if self._lock is None or self.is_gone():
            return
        with contextlib.suppress(OSError):
            (self.path / STATUS_FILE).unlink(missing_ok=True)

    def release(self) -> None:
        """Give the folder up. Harmless when it was never claimed."""
        self.withdraw()
        for descriptor in (self._lock, self._clients):
            if descriptor is not None:
                os.close(descriptor)
        self._lock = self._clients = None

    def is_gone(self) -> bool:
        """Whether the folder was removed or replaced: what is served then has no name any more."""
        assert self._lock is not None
        try:
            named = (self.path / LOCK_FILE).stat()
        except FileNotFoundError:
            return True
        held = os.fstat(self._lock)
        return (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino)

    def nobody_uses_it(self) -> bool:
        """Whether no client holds the folder; if so, none can join until `release`."""
        if self._clients is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._clients = os.open(self.path / CLIENTS_FILE, flags, 0o600)
        return _try_lock(self._clients)

    def clients_may_join(self) -> None:
        """Undo a `nobody_uses_it` that said yes."""
        if self._clients is not None:
            fcntl.flock(self._clients, fcntl.LOCK_UN)

    def socket_path(self) -> Path:
        """Where the unix socket stands: in the folder, or elsewhere when that path is too long."""
        inside = self.path / "runstone.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
            return inside
        return _runtime_folder() / f"{_digest(self.path)}.sock"

    def _take_over(self, lock: int) -> None:
        owner = owner_of(self.path)
        if owner is None or self.mode == "background" or owner.mode == "foreground":
            raise HeldByAnother(_held(self.path, owner))
        if not _is_suite(owner.pid):
            raise HeldByAnother(_held(self.path, owner))
        try:
            os.kill(owner.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        except PermissionError as error:
            raise HeldByAnother(_held(self.path, owner)) from error
        if not _lock_within(lock, TAKEOVER_SECONDS):
            raise HeldByAnother(
                f"the background suite (pid {owner.pid}) was asked to leave {self.path} and"
                f" still holds it after {TAKEOVER_SECONDS:.0f} s; stop it and try again"
            )

    @staticmethod
    def _write_lock(lock: int, status: Status) -> None:
        data = json.dumps(asdict(status)).encode() + b"\n"
        os.pwrite(lock, data, 0)
        os.ftruncate(lock, len(data))


def owner_of(path: Path) -> Status | None:
    """Who serves the folder right now; None when nobody does or it does not say."""
    try:
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        first = _read_lock(lock)
        if _try_lock(lock):
            return None
        # The lock may have changed hands a moment ago and still name the owner before.
        time.sleep(_POLL_SECONDS)
        second = _read_lock(lock)
        return second if second == first or first is None else owner_of(path)
    finally:
        os.close(lock)


def _read_lock(lock: int) -> Status | None:
    try:
        return Status(**json.loads(os.pread(lock, 4096, 0)))
    except (ValueError, TypeError, OSError):
        return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise SuiteError(
            f"the data folder's file system gives no locks ({error.strerror});"
            " choose a local --data-dir"
        ) from error
    return True


def _lock_within(descriptor: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not _try_lock(descriptor):
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _held(path: Path, owner: Status | None) -> str:
    if owner is None:
        return f"another process is starting on {path}; try again"
    where = " and ".join(filter(None, (owner.tcp, owner.address))) or "an address still to come"
    return (
        f"{path} is served by a {owner.mode} suite already: pid {owner.pid}, at {where}."
        " Stop it, use it, or choose another --data-dir"
    )


def _is_suite(pid: int) -> bool:
    # The lock's file names the pid; where the system tells more, a signal is not sent on trust.
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return b"runstone" in command


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def _runtime_folder() -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(base) / f"runstone-{os.getuid()}"
    with _explained(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        # In a shared temporary folder somebody else may have been first.
        if folder.stat().st_uid != os.getuid() or folder.is_symlink():
            raise SuiteError(f"{folder} belongs to somebody else; choose a shorter --data-dir")
    return folder


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise SuiteError(f"no room left on the disk of {path}") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise SuiteError(f"{path} cannot be written: {error.strerror}") from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            raise SuiteError(f"{path} is no folder; choose another --data-dir") from error
        raise SuiteError(f"{path} cannot be used: {error.strerror or error}") from error

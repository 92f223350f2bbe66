"""The client's side of the embedded suite: find the one that serves a folder, or start it.

suite.json     where the suite can be reached; there only while it serves
suite.lock     held by the suite for its life
clients.lock   held shared by this process, so that the suite does not end as idle
start.lock     held while a suite is being started, so that many processes start one
suite.log      what the suite writes
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from runstone import _datadir, _fork, _settings
from runstone._version import __version__
from runstone.exceptions import InvalidUri, NotFound, SuiteNotInstalled, SuiteUnavailable

START_SECONDS = 60.0
"""A first start makes three databases; on a busy machine Python alone takes seconds."""

_latest: ContextVar[float | None] = ContextVar("runstone_latest", default=None)

TELL_SECONDS = 5.0
"""Three times a usual start: whoever waits longer wants to know for what."""

_log = logging.getLogger("runstone")

POLL_SECONDS = 0.02
CONNECT_SECONDS = 2.0
LOG_TAIL_BYTES = 2000


@contextlib.contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Inside, all waiting for a suite and for answers ends together after so many seconds."""
    token = _latest.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _latest.reset(token)


def earliest(end: float) -> float:
    """A deadline, or the one of ``no_longer_than`` when that is sooner."""
    latest = _latest.get()
    return end if latest is None else min(end, latest)


class EmbeddedSuite:
    """The suite of one data folder, as this process sees it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._lock = threading.RLock()
        self._client_lock: int | None = None
        self._address = ""
        self._seen: tuple[int, int] | None = None
        self._pid = 0

    def address(self, *, create: bool = True) -> str:
        """The gRPC target of the suite that serves now; starts one when none does.

        Cheap while nothing changed: one look at suite.json and at its process. ``create``: where
        there are no data yet, make them.

        Raises:
            NotFound: there are no data, and none are to be made.
            InvalidUri: the folder is not empty and not Runstone's.
            SuiteNotInstalled: one must be started and runstone-server is not installed.
            SuiteUnavailable: it does not start; the message has the end of its log.
        """
        if self._address and self._unchanged():
            return self._address
        with self._lock:
            if not (self._address and self._unchanged()):
                self._require(create)
                _warn_of_variables(self.data_dir)
                self._hold()
                self._retire()
                if not self._adopt():
                    self._start()
            return self._address

    def serves(self) -> bool:
        """Whether a suite takes connections there now; starts none."""
        return self._adopt()

    def doubt(self) -> None:
        """A call found nobody at the address: the next one looks again."""
        self._address = ""

    def forget(self) -> None:
        """After a fork: locks may be held by threads that do not exist here."""
        self._lock = threading.RLock()

    def release(self) -> None:
        """Let the suite end when nobody else uses it."""
        with self._lock:
            if self._client_lock is not None:
                os.close(self._client_lock)
            self._client_lock = None
            self._address = ""

    def _unchanged(self) -> bool:
        return self._seen == _signature(self._file) and _alive(self._pid)

    @property
    def _file(self) -> Path:
        return self.data_dir / "suite.json"

    def _require(self, create: bool) -> None:
        """Raise where a suite would make a folder that nobody meant: a typing error, mostly."""
        if not create and not _datadir.is_data_folder(self.data_dir):
            raise NotFound(
                f"no Runstone data in {self.data_dir}: `runstone server --data-dir"
                f" {self.data_dir}` or a first start_run there makes them"
            )
        try:
            found = _datadir.strangers(self.data_dir)
        except OSError:
            return  # whoever opens the folder next tells why
        if found:
            raise InvalidUri(
                f"{self.data_dir} is no data folder of Runstone: it holds {found};"
                " name a folder that is empty or does not exist yet"
            )

    def _hold(self) -> None:
        if self._client_lock is not None:
            return
        try:
            # Whoever can write to the socket in it can do everything, without a password.
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = _open_lock(self.data_dir / "clients.lock")
        except OSError as error:
            raise SuiteUnavailable(
                f"the data folder {self.data_dir} cannot be used: {error.strerror or error}"
            ) from None
        # A suite that is ending as idle holds it exclusively until it is gone.
        end = earliest(time.monotonic() + START_SECONDS)
        while not _flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB):
            if time.monotonic() > end:
                os.close(descriptor)
                raise SuiteUnavailable(f"a suite on {self.data_dir} is ending and does not end")
            time.sleep(POLL_SECONDS)
        self._client_lock = descriptor

    def _retire(self) -> None:
        """Ask a background suite that is older than the server installed here to leave.

        Only an older one: two installations that both use the folder would else replace each
        other's for ever. A newer one serves older clients too, as any server does.
        """
        pid = self._older()
        if not pid:
            return
        end = earliest(time.monotonic() + START_SECONDS)
        descriptor = _open_lock(self.data_dir / "start.lock")
        try:
            # One process asks: a second signal would cut off the calls under way.
            while not _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                if time.monotonic() > end or self._older() != pid:
                    return
                time.sleep(POLL_SECONDS)
            if self._older() != pid or not _is_suite(pid):
                return
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
            # It withdraws suite.json at once and drains its calls before it gives up the folder.
            while self._held() and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
        finally:
            os.close(descriptor)

    def _older(self) -> int:
        """The process of a background suite that is older than the server installed; else 0."""
        try:
            said = json.loads(self._file.read_text("utf-8"))
            pid, mode, its = int(said["pid"]), said["mode"], str(said["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        if mode != "background" or its in ("", __version__):
            return 0
        return pid if _ordered(its) < _ordered(_installed()) else 0

    def _adopt(self) -> bool:
        """Use the suite that suite.json names, if it takes connections."""
        try:
            seen = _signature(self._file)
            said = json.loads(self._file.read_text("utf-8"))
            address, pid = str(said["address"]), int(said["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if not _connects(address):
            return False
        self._address, self._pid, self._seen = address, pid, seen
        return True

    def _start(self) -> None:
        began = time.monotonic()
        end = earliest(began + START_SECONDS)
        told = False
        with self._starting(end):
            started: int | None = None
            while not self._adopt():
                if started is not None:
                    code = _exit_code(started)
                    if code not in (None, 0):
                        raise SuiteUnavailable(self._explained(f"ended with {code}"))
                    if code == 0:
                        started = None  # it left because another suite holds the folder
                if started is None and not self._held():
                    started = self._spawn()
                if not told and time.monotonic() > began + TELL_SECONDS:
                    told = True
                    _log.warning(
                        "the embedded suite of %s is still starting; waiting for up to %.0f s, see"
                        " %s",
                        self.data_dir,
                        end - began,
                        self.data_dir / "suite.log",
                    )
                if time.monotonic() > end:
                    raise SuiteUnavailable(
                        self._explained(f"does not serve after {time.monotonic() - began:.0f} s")
                    )
                time.sleep(POLL_SECONDS)

    @contextlib.contextmanager
    def _starting(self, end: float) -> Iterator[None]:
        descriptor = _open_lock(self.data_dir / "start.lock")
        try:
            # Whoever holds it starts a suite, which is then ours too.
            while not _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                if self._adopt() or time.monotonic() > end:
                    break
                time.sleep(POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def _held(self) -> bool:
        """Whether some suite holds the folder, serving already or about to."""
        descriptor = _open_lock(self.data_dir / "suite.lock")
        try:
            return not _flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)

    def _spawn(self) -> int:
        if importlib.util.find_spec("runstone_suite") is None:
            raise SuiteNotInstalled(
                "no tracking URI is set and the server is not installed: pip install"
                " runstone-server, or set RUNSTONE_TRACKING_URI=runstone://host:port"
            )
        environment = {
            name: text
            for name, text in os.environ.items()
            if name not in _settings.CLIENT_VARIABLES
        }
        # -P: a file of the user's that is called like a module of Python must not take its place.
        command = [sys.executable, "-P", "-m", "runstone_suite", "--background"]
        command += ["--data-dir", str(self.data_dir)]
        path = self.data_dir / "suite.log"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data_dir,
                env=environment,
                start_new_session=True,
            )
        # It outlives this process on purpose; without this its handle would complain at exit.
        process.returncode = 0
        return process.pid

    def _explained(self, what: str) -> str:
        try:
            text = (self.data_dir / "suite.log").read_bytes()[-LOG_TAIL_BYTES:]
        except OSError:
            text = b""
        tail = text.decode("utf-8", "replace").strip() or "(nothing)"
        return (
            f"the embedded suite of {self.data_dir} {what}."
            f" The end of {self.data_dir / 'suite.log'}:\n{tail}"
        )


_warned = False


def _warn_of_variables(data_dir: Path) -> None:
    """Say once that what the environment names is not where the data go."""
    global _warned
    if _warned:
        return
    _warned = True
    found = [name for name in _settings.SERVER_PLACES if os.environ.get(name)]
    if found:
        _log.warning(
            "%s tells a server where its data are and is not for the embedded suite, which keeps"
            " them in %s. To use a server set RUNSTONE_TRACKING_URI=runstone://host:port",
            " and ".join(found),
            data_dir,
        )
    other = os.environ.get(_settings.MLFLOW_TRACKING_URI)
    if other and not os.environ.get(_settings.TRACKING_URI):
        _log.warning(
            "%s=%s is not read, the data go to %s. To use a server set"
            " RUNSTONE_TRACKING_URI=runstone://host:port",
            _settings.MLFLOW_TRACKING_URI,
            _without_password(other),
            data_dir,
        )


def _without_password(uri: str) -> str:
    return re.sub(r"//[^/@]*@", "//", uri)


def serves(data_dir: Path) -> bool:
    """Whether a suite takes connections for a folder now; starts none."""
    return EmbeddedSuite(data_dir).serves()


_suites: dict[Path, EmbeddedSuite] = {}


def suite(data_dir: Path) -> EmbeddedSuite:
    """The one object of this process for a folder."""
    return _suites.setdefault(data_dir, EmbeddedSuite(data_dir))


@_fork.in_child
def _after_fork() -> None:
    for each in _suites.values():
        each.forget()


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _flock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return False
    except OSError as error:
        raise SuiteUnavailable(
            f"the data folder's file system gives no locks ({error.strerror}); choose a local one"
        ) from None
    return True


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _installed() -> str:
    """The version of the server installed here; empty without one."""
    from importlib import metadata  # 20 ms, which only a suite of another version costs

    try:
        return metadata.version("runstone-server")
    except metadata.PackageNotFoundError:
        return ""


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _is_suite(pid: int) -> bool:
    # The file may be a dead suite's, and its number another program's by now.
    try:
        return b"runstone" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    except OSError:
        return False


def _alive(pid: int) -> bool:
    _exit_code(pid)  # a child that ended would stay as a zombie and look alive
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _exit_code(pid: int) -> int | None:
    """How a child ended; None while it runs; negative for a signal. Reaps it."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if found else None


def _connects(address: str) -> bool:
    if address.startswith("unix:"):
        probe, where = socket.socket(socket.AF_UNIX), address.removeprefix("unix:")
    else:
        host, _, port = address.rpartition(":")
        try:
            probe, where = socket.socket(), (host.strip("[]"), int(port))  # type: ignore[assignment]
        except ValueError:
            return False
    with probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(where)
        except OSError:
            return False
    return True

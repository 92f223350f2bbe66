"""Several processes on one port: the parent binds, starts them, restarts them, ends them.

Workers are started by running the same command again, never by fork: gRPC breaks under fork. They
share the port by SO_REUSEPORT, which the parent holds reserved (bound, not listening) so that no
other server can take it in silence.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prometheus_client.multiprocess import mark_process_dead

from runstone_kit import metricspage, signals
from runstone_kit.spec import split_address

if TYPE_CHECKING:
    from runstone_kit.spec import ServerSpec

VARIABLE = "RUNSTONE_KIT_WORKER"
"""Tells a worker its address and the pipe that closes when the parent dies."""

EXIT_CANNOT_START = 3
"""Exit status of a server that could not start: restarting it would not help."""

RESTART_DELAY_S = 1.0
"""A worker that dies at once must not take a processor with it."""

STOP_MARGIN_S = 5.0
"""What a worker gets beyond grace and delay to close its parts before it is killed."""

_orphaned = threading.Event()
_log = structlog.get_logger("runstone_kit.workers")


def is_worker() -> bool:
    """Whether this process was started by ``supervise``."""
    return VARIABLE in os.environ


def address() -> str:
    """The address this worker serves."""
    return str(json.loads(os.environ[VARIABLE])["address"])


def stop_with_parent(stop: threading.Event) -> None:
    """In a worker, set ``stop`` when the parent is gone, however it went."""
    if not is_worker():
        return
    pipe = int(json.loads(os.environ[VARIABLE])["pipe"])

    def watch() -> None:
        os.read(pipe, 1)
        _orphaned.set()
        stop.set()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def clean_up() -> None:
    """In a worker that has ended its calls, remove what a parent that was killed left behind."""
    if _orphaned.is_set():
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def supervise(spec: ServerSpec) -> int:
    """Run ``spec.workers`` workers until SIGTERM or SIGINT; returns the exit status.

    A worker that dies is replaced, unless it could not start: then all are ended. Raises OSError
    when the port is taken.
    """
    if len(spec.addresses) != 1 or spec.addresses[0].startswith("unix"):
        raise OSError("several workers can share one host:port and nothing else")
    host, port = split_address(spec.addresses[0])
    with _reserve(host, port) as reserved:
        bound = reserved.getsockname()[1]
        name = f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"
        values = Path(tempfile.mkdtemp(prefix="runstone-metrics-", dir=_memory_folder()))
        try:
            return _Supervisor(spec, name, values).run()
        finally:
            shutil.rmtree(values, ignore_errors=True)


@dataclass
class _Worker:
    process: subprocess.Popen[bytes] | None
    restart_at: float = 0.0


class _Supervisor:
    def __init__(self, spec: ServerSpec, address: str, values: Path) -> None:
        self._spec = spec
        self._address = address
        self._values = values
        self._ending = threading.Event()
        self._pipe_out, self._pipe_in = os.pipe()
        os.set_inheritable(self._pipe_out, True)

    def run(self) -> int:
        with signals.ending(self._ending):
            return self._watch_over()

    def _watch_over(self) -> int:
        page = None
        status = 0
        crew = [_Worker(None) for _ in range(self._spec.workers)]
        try:
            if self._spec.metrics_address is not None:
                page = metricspage.open_page(*self._spec.metrics_address, self._values)
            for worker in crew:
                worker.process = self._spawn()
            _log.info("serving", server=self._spec.name, address=self._address, workers=len(crew))
            while not self._ending.wait(0.2):
                if any(self._tend(worker) for worker in crew):
                    status = EXIT_CANNOT_START
                    break
        except metricspage.PageError as error:
            _log.error("cannot start", server=self._spec.name, reason=str(error))
            status = EXIT_CANNOT_START
        finally:
            self._end(crew)
            if page is not None:
                page.close()
            os.close(self._pipe_in)
            os.close(self._pipe_out)
        return status

    def _spawn(self) -> subprocess.Popen[bytes]:
        told = json.dumps({"address": self._address, "pipe": self._pipe_out})
        environ = {
            **os.environ,
            VARIABLE: told,
            "PROMETHEUS_MULTIPROC_DIR": str(self._values),
        }
        return subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]],
            env=environ,
            pass_fds=[self._pipe_out],
            # A Ctrl-C in the terminal is for the parent, which then ends the workers in order.
            start_new_session=True,
        )

    def _tend(self, worker: _Worker) -> bool:
        """Replace the worker if it died; True when it says that it cannot start."""
        if worker.process is None:
            if time.monotonic() >= worker.restart_at:
                worker.process = self._spawn()
            return False
        status = worker.process.poll()
        if status is None:
            return False
        # Gauges of the living only; counters of the dead stay, or totals would fall.
        mark_process_dead(worker.process.pid, str(self._values))  # type: ignore[no-untyped-call]
        if status == EXIT_CANNOT_START:
            return True
        _log.error("worker died", pid=worker.process.pid, status=status)
        worker.process = None
        worker.restart_at = time.monotonic() + RESTART_DELAY_S
        return False

    def _end(self, crew: list[_Worker]) -> None:
        processes = [worker.process for worker in crew if worker.process is not None]
        for process in processes:
            process.terminate()
        until = time.monotonic() + (
            self._spec.shutdown_delay_s + self._spec.shutdown_grace_s + STOP_MARGIN_S
        )
        for process in processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.error("worker killed: it did not end in time", pid=process.pid)
                process.kill()
                process.wait()


def _memory_folder() -> str | None:
    # The values are memory-mapped: on a full disk the next count would kill the worker.
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp inside


def _reserve(host: str, port: int) -> socket.socket:
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if port:
        # Without SO_REUSEPORT first: it fails if another server, sharing or not, has the port.
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    reserved = socket.socket(family, kind)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(where)
    except OSError:
        reserved.close()
        raise
    return reserved

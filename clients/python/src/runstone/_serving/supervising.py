"""Several processes on one port: their parent starts them, replaces what dies, and ends them.

They are new processes and no forks, which gRPC and the threads of numerical libraries do not
survive. They share the port by SO_REUSEPORT; the parent has it bound and does not listen, so that
it stays theirs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runstone._serving.engine import log
from runstone._serving.settings import Settings
from runstone._serving.worker import EXIT_CANNOT_START, bind

RESTART_S = 1.0
"""A worker that dies at once must not take a processor with it."""

RETRY_S = 5.0
"""Before a worker that could not start, while others serve, is tried again: its model may be out
of reach for a moment."""

SETTLED_S = 60.0
"""Who lives so long has started."""

MARGIN_S = 5.0
"""What a worker gets beyond its grace before it is killed."""


@dataclass(slots=True)
class _Place:
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failed: bool = False


def supervise(settings: Settings, python: Sequence[str] = (sys.executable,)) -> int:
    """Run ``settings.workers`` workers until SIGTERM or SIGINT; the exit status.

    Args:
        python: How the interpreter is called that the workers run in.

    Raises:
        OSError: the port cannot be had.
    """
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    reserved = bind(settings.host, settings.port, shared=True, listen=False)
    settings = replace(settings, port=int(reserved.getsockname()[1]))
    figures = tempfile.mkdtemp(prefix="runstone-serving-figures-")
    pipe_out, pipe_in = os.pipe()
    places = [_Place() for _ in range(settings.workers)]
    status = 0
    try:
        while not ending.is_set():
            for place in places:
                _tend(place, settings, python, pipe_out, figures)
            if all(place.failed for place in places):
                status = EXIT_CANNOT_START
                break
            ending.wait(0.1)
    finally:
        _end(places, settings.grace_s + MARGIN_S)
        os.close(pipe_in)
        os.close(pipe_out)
        reserved.close()
        shutil.rmtree(figures, ignore_errors=True)
    return status


def _tend(
    place: _Place, settings: Settings, python: Sequence[str], pipe: int, figures: str
) -> None:
    """Start what does not run; note whether it could not."""
    process, lived = place.process, time.monotonic() - place.started
    if process is not None:
        code = process.poll()
        if code is None:
            place.failed = place.failed and lived < SETTLED_S
            return
        place.failed = code == EXIT_CANNOT_START
        if lived < (RETRY_S if place.failed else RESTART_S):
            return
        log.warning("worker %s ended with %s; another takes its place", process.pid, code)
        # What it had in flight went with it.
        for stale in Path(figures).glob(f"gauge_live*_{process.pid}.db"):
            stale.unlink(missing_ok=True)
    command = [*python, "-m", "runstone._serving", settings.to_json(), "--parent", str(pipe)]
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": figures}
    place.started = time.monotonic()
    place.process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, pass_fds=[pipe], env=environment
    )


def _end(places: list[_Place], seconds: float) -> None:
    running = [each.process for each in places if each.process and each.process.poll() is None]
    for process in running:
        process.terminate()
    end = time.monotonic() + seconds
    for process in running:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""Projects as processes of this machine."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from runstone._projects import environments
from runstone._projects.launch import Launch
from runstone.exceptions import ExecutionException, ProjectInvalid

STANDARD_ERROR = 2

GRACE_SECONDS = 5.0
"""For a training to end its run and to write what it has; once after SIGINT, once after SIGTERM."""


class LocalBackend:
    """Starts a launch in its environment, in a process group of its own."""

    sees_this_machine = True

    def check(self, config: Mapping[str, Any]) -> None:
        """There is nothing to be configured. Raises ProjectInvalid."""
        if config:
            raise ProjectInvalid(
                f"the local backend has no configuration, and got {', '.join(map(str, config))}"
            )

    def submit(self, launch: Launch) -> LocalRun:
        """Make the environment and start the command.

        Raises:
            ExecutionException: there is no such program, or it cannot be started.
            What making the environment raises.
        """
        prepared = environments.prepare(launch)
        dropped = {*launch.unset, *prepared.unset}
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        sys.stdout.flush()
        run = None
        try:
            with _signals_held():
                process = subprocess.Popen(
                    prepared.argv,
                    cwd=launch.source.folder,
                    env=kept | dict(prepared.variables),
                    stdout=STANDARD_ERROR if launch.output_to_stderr else None,
                    # One signal reaches all that it starts, and Ctrl-C reaches it by us alone.
                    start_new_session=True,
                )
                run = LocalRun(launch.run_id, process, prepared.stop)
        except OSError as error:
            raise _not_started(prepared.argv[0], error) from error
        except BaseException:
            if run is not None:
                run.cancel()
            raise
        return run


@contextmanager
def _signals_held() -> Iterator[None]:
    """Inside, Ctrl-C and its like wait: no process is to be started that nobody knows of."""
    came: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(number)
            # What is ignored here is to be ignored by what is started.
            if callable(handler):
                before[number] = handler
                signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _not_started(program: str, error: OSError) -> ExecutionException:
    if error.errno == errno.E2BIG:
        return ExecutionException("the parameters are too long for a command; put them into a file")
    if isinstance(error, FileNotFoundError):
        return ExecutionException(
            f"there is no program {program!r} here; if a shell is meant to know it, say"
            " 'shell: true' beside the command"
        )
    return ExecutionException(f"{program!r} cannot be started: {error.strerror or error}")


class LocalRun:
    """A process and all that it started."""

    def __init__(
        self, run_id: str, process: subprocess.Popen[bytes], stop: tuple[str, ...] = ()
    ) -> None:
        self._run_id = run_id
        self._process = process
        self._stop = stop
        self._cancelled = False

    @property
    def run_id(self) -> str:
        """The run that records it."""
        return self._run_id

    @property
    def failure(self) -> str:
        """How the process ended, when it failed."""
        code = self._process.returncode
        if not code:
            return ""
        if code > 0:
            return f"exit code {code}"
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"

    def get_status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED."""
        code = self._process.poll()
        if code is None:
            return "RUNNING"
        if self._cancelled:
            return "KILLED"
        return "FAILED" if code else "FINISHED"

    def wait(self) -> bool:
        """Wait for its end; whether its exit code is 0."""
        return self._process.wait() == 0 and not self._cancelled

    def cancel(self) -> None:
        """End the process and its children: as Ctrl-C does, then by SIGTERM, then by SIGKILL."""
        if self._process.poll() is not None:
            return
        self._cancelled = True
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._signal(number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE_SECONDS)
                    break
        finally:
            # Also when somebody is impatient; and what the process left behind in its group.
            self._signal(signal.SIGKILL)
            self._process.wait()
            if self._stop:
                subprocess.run(
                    self._stop, check=False, stdin=subprocess.DEVNULL, capture_output=True
                )

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

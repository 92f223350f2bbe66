"""The suite as a process of its own: started, asked where it serves, killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import psutil

from support.processes import START_SECONDS, STOP_SECONDS, ended, kill, wait_until

# What the machine of whoever runs the tests has set for itself is not under test.
OWN_PREFIX = "RUNSTONE_"


def clean_environment(**changes: str) -> dict[str, str]:
    """The environment without any setting of Runstone's, and with `changes`.

    HTTP goes to any free port: tests run side by side.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN_PREFIX)}
    return {**kept, "RUNSTONE_HTTP_PORT": "0", **changes}


def without_patience(text: str) -> str:
    """What a client printed, without the line that says that the suite takes long to start here."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if "is still starting; waiting for up to" not in line)


class SuiteProcess:
    """`python -m runstone_suite` on a folder. The output of all starts goes to one log."""

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        background: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.background = background
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.command = [
            *(sys.executable, "-m", "runstone_suite", "--data-dir", str(data_dir)),
            *(["--background"] if background else []),
            *arguments,
        ]
        self.environment = clean_environment(**(environment or {}))
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                start_new_session=True,
            )

    @property
    def status(self) -> dict[str, Any]:
        """What suite.json says; empty when it is not there."""
        return read_status(self.data_dir)

    def wait_serving(self) -> dict[str, Any]:
        """Waits until this very process serves, and returns its suite.json."""

        def serves() -> dict[str, Any] | None:
            ended(self.process, self.log)
            status = self.status
            return status if status.get("pid") == self.process.pid else None

        return wait_until(serves, START_SECONDS, "the suite serving") or {}

    def wait_end(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code, once there is one."""
        return self.process.wait(seconds)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def kill(self) -> None:
        """SIGKILL."""
        kill(self.process)

    def restart(self) -> None:
        """SIGKILL and the same command again; does not wait for it to serve."""
        self.kill()
        self.process = self._spawn()

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.log.read_text("utf-8", errors="replace")


def read_status(data_dir: Path) -> dict[str, Any]:
    """What a folder's suite.json says; empty when it is not there."""
    try:
        said: dict[str, Any] = json.loads((data_dir / "suite.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return said


def end_suite(data_dir: Path) -> None:
    """SIGKILL for the background suite that clients started on a folder, if one serves."""
    if pid := read_status(data_dir).get("pid"):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            process.kill()
            process.wait(STOP_SECONDS)


@contextmanager
def suite(data_dir: Path, *arguments: str, **options: Any) -> Iterator[SuiteProcess]:
    """A suite that serves, for the length of a `with`."""
    started = SuiteProcess(data_dir, *arguments, **options)
    try:
        started.wait_serving()
        yield started
    finally:
        started.kill()


@contextmanager
def channel(address: str) -> Iterator[grpc.Channel]:
    """A plain gRPC channel, closed at the end."""
    opened = grpc.insecure_channel(address)
    try:
        yield opened
    finally:
        opened.close()

"""Processes that tests start: free ports, waiting for a condition, and an end for each of them."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

Seen = TypeVar("Seen")

# Between two looks at a condition: short against any start, long against a busy loop.
POLL_SECONDS = 0.02
# A server that does not start within this has no chance of doing so, even on a busy machine.
START_SECONDS = 60.0
# A server that is asked to stop and does not within this is killed.
STOP_SECONDS = 20.0
# A free port may be taken by somebody else before the server has it.
START_ATTEMPTS = 3


class NotReady(AssertionError):
    """A condition did not come true before its deadline."""


class EndedEarly(Exception):
    """A process ended while a test waited for it to serve; the text holds its last output."""


def free_port() -> int:
    """A loopback TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def begin(once: Callable[[], None], move: Callable[[], None]) -> None:
    """Starts a server by `once`; when that ends at once, again, after a `move` to another port."""
    for _ in range(START_ATTEMPTS - 1):
        try:
            return once()
        except EndedEarly:
            # Somebody took the port meanwhile, or a killed server's memory is not free yet.
            move()
    return once()


def wait_until(
    condition: Callable[[], Seen], deadline: float = 10.0, what: str = "the condition"
) -> Seen:
    """Looks at `condition` until it gives something true, and returns that.

    Raises NotReady after `deadline` seconds. An AssertionError raised by the condition counts
    as "not yet" and is the cause of NotReady when it never goes away.
    """
    end = time.monotonic() + deadline
    while True:
        cause: AssertionError | None = None
        try:
            if seen := condition():
                return seen
        except AssertionError as error:
            cause = error
        if time.monotonic() >= end:
            raise NotReady(f"{what} did not come true within {deadline} s") from cause
        time.sleep(POLL_SECONDS)


def listens(port: int) -> bool:
    """Whether a loopback TCP port takes connections."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ended(process: subprocess.Popen[bytes], log: Path) -> None:
    """Raises EndedEarly with the end of its log if `process` is no longer running."""
    if process.poll() is not None:
        text = log.read_text("utf-8", errors="replace")[-2000:] if log.exists() else ""
        raise EndedEarly(f"{process.args!r} ended with {process.returncode}: {text}")


def stop(process: subprocess.Popen[bytes], signal_number: int) -> None:
    """Asks a process to end, waits, and kills it with all its children if it does not."""
    if process.poll() is None:
        process.send_signal(signal_number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for a process and all its children at once, as in a power cut; waits for the end."""
    try:
        tree = psutil.Process(process.pid)
        family = [tree, *tree.children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            pass
    process.wait(STOP_SECONDS)
    psutil.wait_procs(family[1:], timeout=STOP_SECONDS)


@contextmanager
def running(
    command: Sequence[str], log: Path, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the length of a `with`, its output in `log`; killed at the end if it lives."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # type: ignore[call-overload]
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options
        )
    try:
        yield process
    finally:
        kill(process)

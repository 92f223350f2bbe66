"""Waiting, free ports and the end of processes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.processes import EndedEarly, NotReady, ended, free_port, kill, stop, wait_until

# A parent that starts a child which would outlive it, says so, and waits.
PARENT = """
import subprocess, sys
command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
child = subprocess.Popen(command, stdin=subprocess.PIPE)
print(child.pid, flush=True)
child.wait()
"""


def test_wait_until_gives_what_the_condition_gave() -> None:
    seen: Iterator[int] = iter([0, 0, 7])
    assert wait_until(lambda: next(seen), deadline=5) == 7


def test_wait_until_takes_an_assertion_as_not_yet() -> None:
    seen = iter([1, 2, 3])

    def third() -> bool:
        assert next(seen) == 3
        return True

    assert wait_until(third, deadline=5)


def test_wait_until_fails_at_the_deadline_with_the_reason() -> None:
    def never() -> bool:
        raise AssertionError("still wrong")

    with pytest.raises(NotReady, match="the row did not come true") as caught:
        wait_until(never, deadline=0.05, what="the row")
    assert "still wrong" in str(caught.value.__cause__)


def test_free_ports_differ() -> None:
    assert len({free_port() for _ in range(5)}) > 1


def test_kill_takes_the_children_along() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        kill(parent)
        assert parent.returncode == -signal.SIGKILL
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_stop_asks_first() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as process:
        stop(process, signal.SIGTERM)
        assert process.returncode == -signal.SIGTERM


def test_a_process_that_ended_tells_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("bind: address already in use", "utf-8")
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        process.wait()
        with pytest.raises(EndedEarly, match=r"ended with 3: bind: address already in use"):
            ended(process, log)

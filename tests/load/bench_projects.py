"""What `runstone run` costs over the command that it runs: an empty project of one folder.

The suite serves already, as it does in a day's work; the process of the command line is started
anew each time. Beside it: Python with the command line and nothing to do, and a run from Python.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import Row, milliseconds, p50, print_table

import runstone
from support.suites import clean_environment, suite

ROUNDS = 11
REACH_SECONDS = 1.0

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


def timed(call: Callable[[], object]) -> float:
    """The median of several calls, after one that is not counted."""
    samples = []
    for _ in range(ROUNDS + 1):
        begun = time.perf_counter()
        call()
        samples.append(time.perf_counter() - begun)
    return p50(samples[1:])


def processor(call: Callable[[], object]) -> float:
    """Seconds of processor time of the processes that a call starts and waits for."""

    def used() -> float:
        found = resource.getrusage(resource.RUSAGE_CHILDREN)
        return found.ru_utime + found.ru_stime

    before = used()
    call()
    return used() - before


def commands(address: str, folder: Path) -> tuple[float, float, float]:
    """Seconds of the command line that runs the project, and of one that does nothing.

    The third is the processor time of the first, which another load of the machine leaves alone.
    """
    environment = clean_environment(RUNSTONE_TRACKING_URI=address)

    def call(*arguments: str) -> None:
        command = [sys.executable, "-m", "runstone.cli", *arguments]
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)

    whole = timed(lambda: call("run", str(folder)))
    busy = processor(lambda: call("run", str(folder)))
    return whole, timed(lambda: call("--version")), busy


def run() -> list[Row]:
    """A folder, the same in a git repository with changes, and from Python."""
    with tempfile.TemporaryDirectory() as name, suite(Path(name) / "data", background=True) as made:
        os.environ["RUNSTONE_TRACKING_URI"] = f"file:{made.data_dir}"
        folder = Path(name) / "project"
        folder.mkdir()
        (folder / "MLproject").write_text("entry_points: {main: {command: 'true'}}")
        own = timed(lambda: subprocess.run(["true"], check=True))
        whole, start, busy = commands(os.environ["RUNSTONE_TRACKING_URI"], folder)
        within = timed(lambda: runstone.run(str(folder)))
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
            subprocess.run([*GIT, *arguments], cwd=folder, check=True)
        (folder / "MLproject").write_text("entry_points: {main: {command: 'true'}}\n")
        in_git, _, busy_in_git = commands(os.environ["RUNSTONE_TRACKING_URI"], folder)
    reach = f"<= {REACH_SECONDS:g} s"
    beside = f"the command {milliseconds(own)}, runstone --version {milliseconds(start)}"
    return [
        row("runstone run, a folder", whole - own, reach, f"{spent(busy)}; {beside}"),
        row("runstone run, a repository with changes", in_git - own, reach, spent(busy_in_git)),
        row("runstone.run from Python, a folder", within - own, reach, ""),
    ]


def spent(seconds: float) -> str:
    """Processor time as the table has it."""
    return f"{milliseconds(seconds)} of processor time"


def row(what: str, seconds: float, reach: str, beside: str) -> Row:
    """One line of the table."""
    met = seconds <= REACH_SECONDS
    return Row(f"{what}: over its command", milliseconds(seconds), reach, met, beside)


if __name__ == "__main__":
    print_table(run())

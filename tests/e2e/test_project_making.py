"""The run of a project, interrupted while it is made or recorded: none stays RUNNING."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone._projects import recording
from support import fluent
from support.projects import statuses
from support.suites import clean_environment


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("making")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def project(data_dir: Path, tmp_path: Path) -> Iterator[None]:
    """A project in the working folder."""
    (tmp_path / "main.py").touch()
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        yield


INTERRUPTED = """
import os, signal, sys, time
import runstone
from runstone._projects import running

MAKE = running.recording.make
WHEN, NAME = sys.argv[1:]

def make(*arguments):
    if WHEN == "before":
        os.kill(os.getpid(), signal.SIGINT)
    made = MAKE(*arguments)
    if WHEN == "answered":
        os.kill(os.getpid(), signal.SIGINT)
    if WHEN == "never":
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    return made

running.recording.make = make
running.ANSWER_SECONDS = 0.1 if WHEN == "never" else 30
runstone.run(".", "main.py", run_name=NAME)
"""


@pytest.mark.parametrize("when", ["before", "answered", "never"])
def test_a_run_that_is_being_made_at_ctrl_c_does_not_stay(data_dir: Path, when: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, when, f"made {when}"],
        env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    known = when != "never"
    assert statuses(f"made {when}") == ["KILLED" if known else "RUNNING"]
    assert ("does not say whether it made the run" in done.stderr) is not known


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), "KILLED"), (OSError(28, "full"), "FAILED")]
)
def test_a_record_that_is_interrupted_ends_its_run(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, status: str
) -> None:
    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(recording, "_put", broken)
    with pytest.raises(type(error)):
        runstone.run(".", "main.py", run_name=f"unrecorded {status}")
    assert statuses(f"unrecorded {status}") == [status]

"""The client's side of the embedded suite, with a stand-in for the suite.

The stand-in obeys the same protocol (locks, suite.json, a unix socket) and starts in
milliseconds, so that races and takeovers can be had on purpose.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import runstone
from runstone import _embedded
from runstone._embedded import EmbeddedSuite
from runstone._fluent import _runs
from runstone.exceptions import SuiteNotInstalled, SuiteUnavailable

STAND_IN = """
    import argparse, fcntl, json, os, pathlib, socket, sys
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--background", action="store_true")
    given = parser.parse_args()
    folder = given.data_dir
    with (folder / "starts").open("a") as starts:
        starts.write(json.dumps({"pid": os.getpid(), "background": given.background,
                                 "session": os.getsid(0), "cwd": os.getcwd(),
                                 "uri": os.environ.get("RUNSTONE_TRACKING_URI")}) + "\\n")
    if (folder / "broken").exists():
        sys.exit("cannot read the settings")
    lock = os.open(folder / "suite.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(0)
    listener = socket.socket(socket.AF_UNIX)
    place = f"{os.environ['SOCKETS']}/{os.getpid()}"
    listener.bind(place)
    listener.listen()
    status = folder / "suite.json.part"
    said = {"pid": os.getpid(), "address": "unix:" + place, "mode": "background"}
    status.write_text(json.dumps(said | {"version": os.environ.get("STAND_IN_VERSION", "")}))
    status.rename(folder / "suite.json")
    while True:
        listener.accept()[0].close()
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder whose suite is the stand-in; those that were started are killed."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "runstone_suite.py").write_text(textwrap.dedent(STAND_IN))
    monkeypatch.syspath_prepend(str(code))
    monkeypatch.setenv("PYTHONPATH", str(code))
    folder = tmp_path / "data"
    # A short one: the kernel takes about 100 bytes of a socket's path.
    sockets = tempfile.mkdtemp()
    monkeypatch.setenv("SOCKETS", sockets)
    yield folder
    for start in starts(folder):
        try:
            os.kill(int(str(start["pid"])), signal.SIGKILL)
        except ProcessLookupError:
            pass
        _embedded._exit_code(int(str(start["pid"])))
    shutil.rmtree(sockets)


def starts(folder: Path) -> list[dict[str, object]]:
    path = folder / "starts"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kill(suite: EmbeddedSuite) -> None:
    os.kill(suite._pid, signal.SIGKILL)


def test_variables_of_a_server_are_named_once(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_embedded, "_warned", False)
    monkeypatch.setenv("RUNSTONE_DATABASE_URL", "postgresql://u:hush@h/d")
    for _ in range(2):
        EmbeddedSuite(stand_in).address()
    [said] = [record.getMessage() for record in caplog.records if record.name == "runstone"]
    assert "RUNSTONE_DATABASE_URL" in said
    assert str(stand_in) in said
    assert "RUNSTONE_TRACKING_URI" in said
    assert "hush" not in said


def test_mlflows_variable_is_named_once(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_embedded, "_warned", False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:hush@mlflow.example:5000")
    for _ in range(2):
        EmbeddedSuite(stand_in).address()
    [said] = [record.getMessage() for record in caplog.records if record.name == "runstone"]
    assert "MLFLOW_TRACKING_URI=http://mlflow.example:5000 is not read" in said
    assert str(stand_in) in said
    assert "hush" not in said


def test_a_suite_is_started_once_and_kept(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", "file:somewhere")
    suite = EmbeddedSuite(stand_in)
    address = suite.address()
    assert address.startswith("unix:")
    assert suite.address() == address
    (start,) = starts(stand_in)
    assert start["background"] is True
    assert start["session"] == start["pid"]
    assert start["cwd"] == str(stand_in)
    assert start["uri"] is None
    suite.release()


def test_the_folder_and_the_log_are_the_users_alone(stand_in: Path) -> None:
    before = os.umask(0)
    try:
        suite = EmbeddedSuite(stand_in)
        suite.address()
    finally:
        os.umask(before)
    assert stand_in.stat().st_mode & 0o777 == 0o700
    assert (stand_in / "suite.log").stat().st_mode & 0o777 == 0o600
    suite.release()


def test_a_running_suite_is_adopted(stand_in: Path) -> None:
    first, second = EmbeddedSuite(stand_in), EmbeddedSuite(stand_in)
    assert first.address() == second.address()
    assert len(starts(stand_in)) == 1
    first.release()
    second.release()


def test_an_older_suite_is_replaced(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_embedded, "_installed", lambda: "1.10.0")
    monkeypatch.setenv("STAND_IN_VERSION", "1.9.3")
    first, second = EmbeddedSuite(stand_in), EmbeddedSuite(stand_in)
    old = first.address()
    monkeypatch.setenv("STAND_IN_VERSION", "1.10.0")
    new = second.address()
    assert new != old
    assert first.address() == new
    assert len(starts(stand_in)) == 2
    first.release()
    second.release()


@pytest.mark.parametrize("version", ["1.10.0", "1.11", "2.0.0"])
def test_a_suite_as_new_or_newer_is_adopted(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(_embedded, "_installed", lambda: "1.10.0")
    monkeypatch.setenv("STAND_IN_VERSION", version)
    first, second = EmbeddedSuite(stand_in), EmbeddedSuite(stand_in)
    assert first.address() == second.address()
    assert len(starts(stand_in)) == 1
    first.release()
    second.release()


def test_processes_that_start_at_once_end_up_on_one_suite(stand_in: Path) -> None:
    script = "import sys, pathlib; from runstone._embedded import EmbeddedSuite;"
    script += "print(EmbeddedSuite(pathlib.Path(sys.argv[1])).address())"

    def ask(_: int) -> str:
        command = [sys.executable, "-c", script, str(stand_in)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        return done.stdout.decode().strip()

    with ThreadPoolExecutor(6) as threads:
        addresses = set(threads.map(ask, range(6)))
    assert len(addresses) == 1
    assert len(starts(stand_in)) == 1


def test_the_folder_is_held_while_the_process_uses_it(stand_in: Path) -> None:
    suite = EmbeddedSuite(stand_in)
    suite.address()
    probe = os.open(stand_in / "clients.lock", os.O_RDWR)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        suite.release()
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(probe)


def test_a_killed_suite_is_replaced(stand_in: Path) -> None:
    suite = EmbeddedSuite(stand_in)
    address = suite.address()
    kill(suite)
    wait_gone(suite._pid)
    assert suite.address() != address
    assert len(starts(stand_in)) == 2
    suite.release()


def wait_gone(pid: int) -> None:
    os.waitpid(pid, 0)


def test_a_suite_that_was_taken_over_is_followed(stand_in: Path) -> None:
    suite = EmbeddedSuite(stand_in)
    suite.address()
    kill(suite)
    wait_gone(suite._pid)
    (stand_in / "suite.json").unlink()
    command = [sys.executable, "-m", "runstone_suite", "--data-dir", str(stand_in)]
    successor = subprocess.Popen(command)
    try:
        # Between the two nobody serves: the successor holds the lock or takes it soon.
        other = EmbeddedSuite(stand_in)
        assert other.address() == suite.address()
        assert successor.poll() is None or len(starts(stand_in)) == 3
        other.release()
    finally:
        successor.kill()
        successor.wait()
    suite.release()


def test_an_ending_suite_is_waited_for(stand_in: Path, wait_until: Callable[..., object]) -> None:
    stand_in.mkdir()
    ending = os.open(stand_in / "clients.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(ending, fcntl.LOCK_EX)
    suite = EmbeddedSuite(stand_in)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(suite.address)
        with pytest.raises(AssertionError):
            wait_until(asked.done, 0.3)
        assert starts(stand_in) == []
        os.close(ending)
        assert asked.result(30).startswith("unix:")
    suite.release()


def test_a_suite_that_does_not_start_shows_its_log(stand_in: Path) -> None:
    stand_in.mkdir()
    (stand_in / "start.lock").touch()
    (stand_in / "broken").touch()
    suite = EmbeddedSuite(stand_in)
    with pytest.raises(SuiteUnavailable, match=r"(?s)ended with 1.*cannot read the settings"):
        suite.address()
    (stand_in / "broken").unlink()
    assert suite.address()
    suite.release()


def test_a_suite_that_never_serves_is_given_up(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_embedded, "START_SECONDS", 0.3)
    monkeypatch.setattr(_embedded, "TELL_SECONDS", 0.1)
    stand_in.mkdir()
    held = os.open(stand_in / "suite.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    suite = EmbeddedSuite(stand_in)
    with pytest.raises(SuiteUnavailable, match="does not serve after"):
        suite.address()
    [said] = [record.getMessage() for record in caplog.records if record.name == "runstone"]
    assert "is still starting" in said
    assert str(stand_in / "suite.log") in said
    assert starts(stand_in) == []
    os.close(held)
    suite.release()


def test_at_the_end_of_a_program_a_suite_is_waited_for_only_so_long(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_runs, "EXIT_SECONDS", 0.3)
    client = runstone.Client(f"file:{stand_in}")
    stand_in.mkdir()
    with (stand_in / "suite.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for run_id in ("a", "b"):
            _runs._open[run_id] = (os.getpid(), client)
        began = time.monotonic()
        _runs._end_left_over()
    assert time.monotonic() - began < _embedded.START_SECONDS / 4
    assert _runs._open == {}
    _embedded.suite(stand_in).release()


def test_without_the_server_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    suite = EmbeddedSuite(tmp_path / "data")
    with pytest.raises(SuiteNotInstalled, match="pip install runstone-server"):
        suite.address()
    suite.release()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    with pytest.raises(SuiteUnavailable, match=r"/file/data cannot be used"):
        EmbeddedSuite(taken / "data").address()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "address": "unix:/"}'])
def test_a_damaged_status_file_is_no_suite(stand_in: Path, text: str) -> None:
    stand_in.mkdir()
    (stand_in / "suite.json").write_text(text)
    suite = EmbeddedSuite(stand_in)
    assert suite.address()
    assert len(starts(stand_in)) == 1
    suite.release()

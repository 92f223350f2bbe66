"""What waits on this machine, and who would deliver it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone._doctor import journals
from runstone._doctor.locks import held
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line
from runstone._journal import folder as folders
from runstone._journal.progress import ProgressWriter, Receipt
from support.journals import Journal

URI = "runstone://127.0.0.1:1"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RUNSTONE_JOURNAL_DIR", str(tmp_path / "journals"))
    yield tmp_path / "journals"
    # Else the end of the test would leave what waits to senders, which outlive it.
    shutil.rmtree(tmp_path / "journals", ignore_errors=True)


@pytest.fixture
def journal(root: Path) -> Iterator[Journal]:
    with Journal(root, URI) as made:
        yield made


def found() -> dict[str, Line]:
    return {each.name: each for each in journals.look(Asked(), "x")}


def now_ms(ago: float = 0.0) -> int:
    return int((time.time() - ago) * 1000)


def test_nothing_waits(root: Path) -> None:
    assert list(found()) == ["x"]
    assert found()["x"].status == OK
    assert not root.exists()


def test_what_a_live_process_logged_a_moment_ago_is_fine(journal: Journal) -> None:
    journal.log("a" * 32, {"m": 1.0, "n": 2.0}, 0, now_ms())
    journal.log("b" * 32, {"m": 1.0}, 1, now_ms())
    lines = found()
    assert list(lines) == ["x"]
    assert lines["x"].summary.startswith("3 points of 2 runs")


def test_a_dead_process_without_a_sender(journal: Journal) -> None:
    journal.log("a" * 32, {"m": 1.0}, 0, now_ms(ago=7200))
    journal.leave()
    line = found()[f"x.{journal.folder.name}"]
    assert line.status == WARNING
    assert "its process is gone and no sender is alive" in line.summary
    assert f"-m runstone._sender {journal.folder}" in line.fix
    assert 7100 < line.details["oldest_seconds"] < 7300
    assert line.details["tracking_uri"] == URI


def test_a_sender_that_does_not_get_on(journal: Journal) -> None:
    journal.log("a" * 32, {"m": 1.0}, 0, now_ms(ago=7200))
    lock = folders.take(journal.folder / folders.SENDER_LOCK)
    assert lock is not None
    writer = ProgressWriter(journal.folder)
    writer.error("no Runstone server answers")
    writer.close()
    line = found()[f"x.{journal.folder.name}"]
    assert line.summary.endswith("does not get on: no Runstone server answers")
    assert line.details["sender_alive"]
    os.close(lock)


def test_a_sender_that_died_under_a_live_process(journal: Journal) -> None:
    journal.log("a" * 32, {"m": 1.0}, 0, now_ms(ago=7200))
    line = found()[f"x.{journal.folder.name}"]
    assert "its process runs and no sender is alive" in line.summary


def test_what_was_refused_damaged_or_dropped(journal: Journal) -> None:
    writer = ProgressWriter(journal.folder)
    writer.rejected(5, "the run is deleted")
    writer.damaged(17)
    writer.close()
    receipt = Receipt(journal.folder)
    receipt.add(3, now_ms())
    receipt.close()
    lines = found()
    own = f"x.{journal.folder.name}"
    assert lines[f"{own}.rejected"].summary.endswith("5 points: the run is deleted")
    assert "17 bytes" in lines[f"{own}.damaged"].summary
    assert "3 points" in lines[f"{own}.dropped"].summary
    assert {each.status for name, each in lines.items() if name != "x"} == {WARNING}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}'])
def test_a_damaged_journal_is_a_failure(journal: Journal, text: str) -> None:
    journal.log("a" * 32, {"m": 1.0}, 0)
    (journal.folder / folders.META).write_text(text, "utf-8")
    line = found()[f"x.{journal.folder.name}"]
    assert line.status == FAILURE
    assert "damaged" in line.summary


def test_too_much_to_count_is_told_in_bytes(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.log("a" * 32, {"m": 1.0}, 0, now_ms())
    monkeypatch.setattr(journals, "COUNTED_BYTES", 10)
    assert found()["x"].summary.startswith("at least 0 points")
    journal.leave()
    assert " bytes for runstone://" in found()[f"x.{journal.folder.name}"].summary


def test_many_journals_are_told_by_ten(root: Path) -> None:
    for _ in range(13):
        with Journal(root, URI) as made:
            made.log("a" * 32, {"m": 1.0}, 0)
    lines = found()
    assert len(lines) == 12
    assert lines["x.more"].summary == "3 more are like these"
    assert len(lines["x"].details["journals"]) == 13


def test_looking_changes_nothing(journal: Journal) -> None:
    journal.log("a" * 32, {"m": 1.0}, 0)
    before = {each.name: each.stat().st_mtime_ns for each in journal.folder.iterdir()}
    found()
    assert {each.name: each.stat().st_mtime_ns for each in journal.folder.iterdir()} == before


def test_locks(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not held(path)
    assert not path.exists()
    lock = folders.take(path)
    assert lock is not None
    assert held(path)
    os.close(lock)
    assert not held(path)

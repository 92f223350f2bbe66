"""The lock of a table: one appends at a time, and nobody is stopped where there can be none."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from runstone._client import _tables
from runstone._client._tables import alone


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"runstone-{os.getuid()}"


def test_one_waits_for_the_other(folder: Path) -> None:
    asked, entered = threading.Event(), threading.Event()

    def second() -> None:
        asked.set()
        with alone("server", "run", "rows.json") as held:
            assert held
            entered.set()

    thread = threading.Thread(target=second)
    with alone("server", "run", "rows.json") as held:
        assert held
        thread.start()
        assert asked.wait(10)
        assert not entered.wait(0.1)
    assert entered.wait(10)
    thread.join()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_child_that_outlives_the_block_holds_nothing() -> None:
    reader, writer = os.pipe()
    with alone("a"):
        child = os.fork()
        if child == 0:  # it keeps the descriptor until it may end
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
    try:
        with alone("a") as held:
            assert held
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)


def test_a_lock_that_a_cleaner_removed_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = _tables._locked
    removed: list[Path] = []

    def and_removed(descriptor: int, until: float) -> bool:
        taken = locked(descriptor, until)
        if not removed:
            removed.extend(folder.iterdir())
            removed[0].unlink()
        return taken

    monkeypatch.setattr(_tables, "_locked", and_removed)
    with alone("a") as held:
        assert held
        assert list(folder.iterdir()) == removed


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tables, "LOCK_SECONDS", 0.05)
    with alone("a") as first, alone("a") as second:
        assert (first, second) == (True, False)
    with alone("a") as third:
        assert third


def test_where_nothing_can_be_written_there_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with alone("a") as held:
        assert not held


def test_tables_share_few_files(folder: Path) -> None:
    for number in range(300):
        with alone("server", "run", f"{number}.json"):
            pass
    assert len(list(folder.iterdir())) <= _tables.LOCKS

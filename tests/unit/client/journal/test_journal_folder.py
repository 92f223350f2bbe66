"""A journal's folder: who it is, its locks, what the sender and the owner tell each other in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runstone import _settings
from runstone._journal import folder, progress
from runstone._journal import format as frames
from runstone._journal.progress import Position


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path, lock = folder.create(tmp_path / "root", "runstone://host:5051", "me")
    os.close(lock)
    return path


def test_a_folder_says_whose_it_is_and_is_for_its_user_alone(made: Path) -> None:
    meta = folder.Meta.read(made)
    assert (meta.tracking_uri, meta.user, meta.pid) == ("runstone://host:5051", "me", os.getpid())
    assert meta.writer_id
    assert made.stat().st_mode & 0o777 == 0o700
    assert folder.journals(made.parent) == [made]


def test_two_folders_have_two_writers(tmp_path: Path) -> None:
    made = [folder.create(tmp_path, "runstone://host", "") for _ in range(2)]
    assert len({folder.Meta.read(path).writer_id for path, _ in made}) == 2
    assert folder.journals(tmp_path) == sorted(path for path, _ in made)
    for _, lock in made:
        os.close(lock)


def test_a_meta_of_a_later_release_or_a_damaged_one_is_refused(made: Path) -> None:
    text = (made / folder.META).read_text()
    (made / folder.META).write_text(text.replace('"version": 1', '"version": 99'))
    with pytest.raises(ValueError, match="later release"):
        folder.Meta.read(made)
    (made / folder.META).write_text('{"version": 1}')
    with pytest.raises(ValueError, match="damaged"):
        folder.Meta.read(made)


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    path, lock = folder.create(tmp_path, "runstone://host", "")
    assert folder.take(path / folder.OWNER_LOCK) is None
    os.close(lock)
    again = folder.take(path / folder.OWNER_LOCK)
    assert again is not None
    os.close(again)
    assert folder.take(tmp_path / "gone" / folder.OWNER_LOCK) is None


def test_the_root_is_named_or_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert folder.root() == Path("/home/somebody/.local/state/runstone/journal")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert folder.root() == Path("/home/somebody/.local/state/runstone/journal")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert folder.root() == Path("/state/runstone/journal")
    monkeypatch.setenv(_settings.JOURNAL_DIR, "/fast/disk")
    assert folder.root() == Path("/fast/disk")


def test_a_folder_goes_when_all_of_it_was_delivered(made: Path) -> None:
    frames.file_path(made, 1).write_bytes(b"x" * 10)
    frames.file_path(made, 2).write_bytes(b"x" * 5)
    assert folder.undelivered(made) == 15
    writer = progress.ProgressWriter(made)
    writer.at(1, 10)
    assert folder.undelivered(made) == 5
    assert not folder.remove_if_done(made)
    writer.at(2, 5)
    writer.close()
    assert folder.undelivered(made) == 0
    assert folder.remove_if_done(made)
    assert list(made.parent.iterdir()) == []


@pytest.mark.parametrize("what", ["rejected", "dropped"])
def test_what_tells_of_a_loss_keeps_the_folder(made: Path, what: str) -> None:
    if what == "rejected":
        (made / folder.REJECTED).mkdir()
        (made / folder.REJECTED / "1.json").write_text("{}")
    else:
        progress.Receipt(made).add(3, 1000)
    assert not folder.remove_if_done(made)
    assert made.exists()


def test_progress_is_kept_over_senders_and_read_while_it_is_written(made: Path) -> None:
    assert progress.read(made) == progress.Progress()
    first = progress.ProgressWriter(made)
    first.delivered(7)
    first.at(1, 100)
    first.synced(1, 200)
    first.close()
    reader = progress.ProgressReader(made)
    second = progress.ProgressWriter(made)
    second.rejected(2, "run 1: it is gone — " + "x" * 1000)
    second.damaged(12)
    found = reader.read()
    assert (found.delivered, found.synced) == (Position(1, 100), Position(1, 200))
    assert (found.points_delivered, found.points_rejected, found.batches_rejected) == (7, 2, 1)
    assert (found.bytes_damaged, found.pid) == (12, os.getpid())
    assert found.error.startswith("run 1: it is gone — xxx")
    assert found.error_ms > 0
    second.error("")
    assert reader.read().error == ""
    assert reader.read().error_ms == found.error_ms
    reader.close()
    second.close()


def test_half_a_write_is_never_read(made: Path) -> None:
    writer = progress.ProgressWriter(made)
    writer.at(1, 100)
    reader = progress.ProgressReader(made)
    whole = reader.read()
    data = (made / progress.PROGRESS).read_bytes()
    (made / progress.PROGRESS).write_bytes(data[:20] + b"\x07" + data[21:])
    assert reader.read() == whole
    reader.close()
    writer.close()


def test_the_receipt_counts_what_was_dropped(made: Path) -> None:
    assert progress.dropped(made) == progress.Dropped()
    receipt = progress.Receipt(made)
    receipt.add(10, -5)
    receipt.add(10, 2000)
    receipt.add(1, 1000)
    assert progress.dropped(made) == progress.Dropped(21, -5, 2000)

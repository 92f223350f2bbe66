"""One journal delivered around a disk that fails at any operation, and ends at any moment."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from runstone._journal import folder as folders
from runstone._journal import progress
from runstone._journal.progress import ProgressWriter
from runstone._sender import batch as batches
from runstone._sender import delivery as deliveries
from runstone._sender import plan as plans
from runstone._sender.adoption import adopted
from runstone._sender.delivery import Delivery
from runstone._sender.server import Refused
from runstone.tracking.v1 import metric_pb2
from support.journals import Journal

ROWS = 60
STRETCH_BYTES = 200


class Server:
    """Takes each batch once, and refuses those of runs that are deleted."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.last: dict[tuple[str, str], int] = {}
        self.deleted: set[str] = set()

    def append(self, request: bytes) -> bool:
        sent = metric_pb2.AppendMetricsRequest.FromString(request)
        if sent.run_id in self.deleted:
            raise Refused("FAILED_PRECONDITION", "RUN_DELETED", "the run is deleted")
        writer = (sent.run_id, sent.writer_id)
        new = sent.sequence == self.last.get(writer, 0) + 1
        if new:
            self.last[writer] = sent.sequence
            for series in sent.series:
                self.steps += series.steps
        return new

    def close(self) -> None:
        pass


class Killed(BaseException):
    pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    fake = Server()
    monkeypatch.setattr(deliveries, "Server", lambda uri, user, ambient: fake)
    return fake


class Disk:
    """Every operation of the disk that a delivery makes; one of them fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
        self.operations = 0
        self._fails_at = fails_at
        for name in ("write", "pwrite", "fdatasync", "pread"):
            monkeypatch.setattr(os, name, self._failing(getattr(os, name)))
        monkeypatch.setattr(Path, "write_bytes", self._failing(Path.write_bytes))
        # With a reserve a plan would be written in spite of the failure.
        monkeypatch.setattr(plans, "give_up_reserve", lambda folder: False)
        monkeypatch.setattr(plans, "keep_reserve", lambda folder: None)

    def _failing(self, real: Any) -> Any:
        def operation(*arguments: Any) -> Any:
            self.operations += 1
            if self.operations == self._fails_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments)

        return operation


def written(root: Path) -> Journal:
    journal = Journal(root, "runstone://127.0.0.1:1")
    for step in range(ROWS):
        journal.log("run", {"loss": step / 2}, step)
        if step == ROWS // 2:
            journal.write(b"not a frame at all")
        if step == ROWS * 2 // 3:
            journal.rotate()
    return journal


def drain(delivery: Delivery) -> int:
    """Step until nothing is left; how often the disk failed."""
    failures = 0
    while True:
        try:
            if not delivery.step():
                return failures
        except OSError:
            failures += 1


def test_a_disk_that_fails_at_any_operation_costs_no_point(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_at = 0
    while True:
        fails_at += 1
        server.steps.clear()
        server.last.clear()
        journal = written(tmp_path / str(fails_at))
        delivery = Delivery(journal.folder, stretch_bytes=STRETCH_BYTES)
        with monkeypatch.context() as patched:
            Disk(patched, fails_at)
            failures = drain(delivery)
        delivery.close()
        assert sorted(server.steps) == list(range(ROWS)), fails_at
        assert folders.undelivered(journal.folder) == 0
        assert progress.read(journal.folder).bytes_damaged == len(b"not a frame at all")
        journal.leave()
        if not failures:
            break
    assert fails_at > 50


def test_a_sender_that_is_killed_at_any_operation_is_followed_by_another(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_at = 0
    killed = True
    while killed:
        fails_at += 1
        killed = False
        server.steps.clear()
        server.last.clear()
        journal = written(tmp_path / str(fails_at))
        delivery = Delivery(journal.folder, stretch_bytes=STRETCH_BYTES)
        with monkeypatch.context() as patched:
            Disk(patched, fails_at)
            try:
                while delivery.step():
                    pass
            except OSError:
                killed = True
        delivery.close()
        following = Delivery(journal.folder, stretch_bytes=STRETCH_BYTES)
        drain(following)
        following.close()
        assert sorted(server.steps) == list(range(ROWS)), fails_at
        assert folders.undelivered(journal.folder) == 0
        journal.leave()
    assert fails_at > 50


def test_a_sender_that_was_killed_before_it_told_is_told_for(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the owner would wait for ever for what is delivered."""
    with Journal(tmp_path, "runstone://127.0.0.1:1") as journal:
        journal.log("run", {"loss": 0.5}, 1)

        def dies(*_: object) -> None:
            raise Killed

        delivery = Delivery(journal.folder)
        with monkeypatch.context() as patched:
            patched.setattr(ProgressWriter, "at", dies)
            with pytest.raises(Killed):
                delivery.step()
        delivery.close()
        Delivery(journal.folder).close()
        size = journal.path.stat().st_size
        assert progress.read(journal.folder).delivered == (1, size)


def test_what_was_refused_before_a_kill_takes_no_number_after_it(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is restored in between: what the server has taken by then keeps its number."""
    monkeypatch.setattr(batches, "MAX_CALL_BYTES", 400)
    with Journal(tmp_path, "runstone://127.0.0.1:1") as journal:
        for step in range(30):
            journal.log("run", {"loss": 0.5}, step)
        server.deleted = {"run"}
        kept = Delivery._keep_refused

        def restored(self: Delivery, *arguments: Any) -> None:
            kept(self, *arguments)
            server.deleted = set()

        def dies(*_: object) -> None:
            raise Killed

        monkeypatch.setattr(Delivery, "_keep_refused", restored)
        delivery = Delivery(journal.folder)
        with monkeypatch.context() as patched:
            patched.setattr(plans.Plan, "finish", dies)
            with pytest.raises(Killed):
                delivery.step()
        delivery.close()
        before = sorted(server.steps)
        following = Delivery(journal.folder)
        drain(following)
        following.close()
        assert 0 < len(before) < 30
        assert sorted(server.steps) == before
        assert progress.read(journal.folder).points_rejected == 30 - len(before)


def test_a_journal_that_has_an_owner_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even its sender.lock is held for a moment: its sender may just be beginning."""
    taken = []
    take = folders.take

    def recorded(path: Path) -> int | None:
        taken.append(path.name)
        return take(path)

    with Journal(tmp_path, "runstone://127.0.0.1:1") as journal:
        monkeypatch.setattr(folders, "take", recorded)
        with adopted(journal.folder) as ours:
            assert not ours
    assert taken == [folders.OWNER_LOCK]

"""One journal delivered: once, in order, around damage, refusals, and ends at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone._journal import folder as folders
from runstone._journal import format as frames
from runstone._journal import progress
from runstone._sender import delivery as deliveries
from runstone._sender.delivery import Delivery
from runstone._sender.server import Gap, NotNow, Refused
from runstone.tracking.v1 import metric_pb2
from support.journals import Journal

Point = tuple[str, str, int, float]


class FakeServer:
    """Takes batches as the real one does, and fails as it is told to."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, str], int] = {}
        self.points: list[Point] = []
        self.calls = 0
        self.failures: list[Exception] = []
        self.lose: list[bool] = []
        self.taken: dict[tuple[str, str, int], bytes] = {}
        self.refused: set[str] = set()

    def append(self, request: bytes) -> bool:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        batch = metric_pb2.AppendMetricsRequest.FromString(request)
        writer = (batch.run_id, batch.writer_id)
        expected = self.last.get(writer, 0) + 1
        if batch.run_id in self.refused:
            raise Refused("FAILED_PRECONDITION", "RUN_DELETED", "the run is deleted")
        if batch.sequence > expected:
            raise Gap(expected, f"expected {expected}")
        new = batch.sequence == expected
        content = self.taken.setdefault((*writer, batch.sequence), request)
        if content != request:
            raise Refused("ALREADY_EXISTS", "SEQUENCE_REUSED", "another batch")
        if new:
            self.last[writer] = expected
            for series in batch.series:
                for step, value in zip(series.steps, series.values, strict=True):
                    self.points.append((batch.run_id, series.key, step, value))
        if self.lose and self.lose.pop(0):
            raise NotNow("the connection was cut")
        return new

    def close(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setattr(deliveries, "Server", lambda uri, user, ambient: fake)
    return fake


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path, "runstone://127.0.0.1:1") as opened:
        yield opened


def deliver(journal: Journal, *, final: bool = False, stretch_bytes: int = 2**20) -> None:
    delivery = Delivery(journal.folder, stretch_bytes=stretch_bytes)
    try:
        if final:
            delivery.finished()
        while delivery.step():
            pass
    finally:
        delivery.close()


def rows(count: int, run: str = "run", begin: int = 0) -> list[Point]:
    return [
        (run, key, step, step / 2)
        for step in range(begin, begin + count)
        for key in ("loss", "acc")
    ]


def log(journal: Journal, count: int, run: str = "run", begin: int = 0) -> None:
    for step in range(begin, begin + count):
        journal.log(run, {"loss": step / 2, "acc": step / 2}, step)


def test_what_was_logged_is_delivered_once(journal: Journal, server: FakeServer) -> None:
    log(journal, 100)
    log(journal, 50, "other")
    deliver(journal)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(100) + rows(50, "other"))
    log(journal, 10, begin=100)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(110) + rows(50, "other"))
    told = progress.read(journal.folder)
    assert told.points_delivered == 320
    assert told.delivered == told.synced == (1, journal.path.stat().st_size)
    assert folders.undelivered(journal.folder) == 0


def test_files_that_were_delivered_are_deleted(journal: Journal, server: FakeServer) -> None:
    for number in range(4):
        log(journal, 10, begin=number * 10)
        journal.rotate()
    deliver(journal)
    assert frames.file_numbers(journal.folder) == [5]
    assert sorted(server.points) == sorted(rows(40))


@pytest.mark.parametrize("killed_at", range(12))
def test_a_sender_that_is_killed_at_any_call_is_followed_by_another(
    journal: Journal, server: FakeServer, killed_at: int
) -> None:
    class Killed(BaseException):
        pass

    log(journal, 100)
    log(journal, 100, "other")
    journal.rotate()
    log(journal, 100, begin=100)
    # Either before the call arrives or after it is committed.
    append = server.append

    def dies(request: bytes) -> bool:
        if server.calls == killed_at // 2:
            server.append = append  # type: ignore[method-assign]
            if killed_at % 2:
                append(request)
            raise Killed
        return append(request)

    server.append = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        deliver(journal, stretch_bytes=2000)
    deliver(journal, stretch_bytes=4000)
    assert sorted(server.points) == sorted(rows(200) + rows(100, "other"))


def test_an_answer_that_is_lost_is_asked_for_again(journal: Journal, server: FakeServer) -> None:
    log(journal, 100)
    server.lose = [True, False, True, True]
    delivery = Delivery(journal.folder, stretch_bytes=1000)
    lost = 0
    while True:
        try:
            if not delivery.step():
                break
        except NotNow as error:
            delivery.failed(str(error))
            assert progress.read(journal.folder).error == "the connection was cut"
            lost += 1
    delivery.close()
    assert lost == 3
    assert sorted(server.points) == sorted(rows(100))
    assert progress.read(journal.folder).error == ""


def test_a_refused_batch_is_kept_with_its_reason(journal: Journal, server: FakeServer) -> None:
    server.refused = {"deleted"}
    log(journal, 5, "deleted")
    log(journal, 5)
    deliver(journal)
    log(journal, 5, begin=5)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(10))
    told = progress.read(journal.folder)
    assert (told.points_rejected, told.batches_rejected) == (10, 1)
    assert "the run is deleted" in told.error
    (about,) = (journal.folder / "rejected").glob("*.json")
    said = json.loads(about.read_text("utf-8"))
    assert said["reason"] == "RUN_DELETED"
    assert (said["run_id"], said["points"], said["keys"]) == ("deleted", 10, ["loss", "acc"])
    kept = metric_pb2.AppendMetricsRequest.FromString(about.with_suffix(".request").read_bytes())
    assert [list(series.steps) for series in kept.series] == [list(range(5))] * 2
    # It is not over for the folder: somebody may want to look at it.
    journal.leave()
    assert not folders.remove_if_done(journal.folder)


def test_a_number_that_a_refused_batch_had_is_the_next_ones(
    journal: Journal, server: FakeServer
) -> None:
    log(journal, 5)
    deliver(journal)
    server.refused = {"run"}
    log(journal, 5, begin=5)
    deliver(journal)
    server.refused = set()
    log(journal, 5, begin=10)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(5) + rows(5, begin=10))


def test_a_server_that_lost_batches_is_followed(journal: Journal, server: FakeServer) -> None:
    for begin in (0, 10, 20):
        log(journal, 10, begin=begin)
        deliver(journal)
    # As after a restore from a backup that has the first batch alone.
    (writer,) = server.last
    server.last[writer] = 1
    server.taken.clear()
    server.points = rows(10)
    log(journal, 10, begin=30)
    deliver(journal)
    log(journal, 10, begin=40)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(10) + rows(20, begin=30))
    assert server.last[writer] == 3


def test_a_number_that_stands_for_something_else_is_passed_over(
    journal: Journal, server: FakeServer
) -> None:
    log(journal, 10)
    server.failures = [Refused("ALREADY_EXISTS", "SEQUENCE_REUSED", "another batch")]
    delivery = Delivery(journal.folder)
    (writer,) = {("run", folders.Meta.read(journal.folder).writer_id)}
    server.last[writer] = 1
    while delivery.step():
        pass
    delivery.close()
    assert sorted(server.points) == sorted(rows(10))


def test_damage_is_kept_aside_and_what_follows_is_delivered(
    journal: Journal, server: FakeServer
) -> None:
    log(journal, 10)
    place = journal.path.stat().st_size
    journal.write(b"not a frame at all")
    log(journal, 10, begin=10)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(20))
    (damaged,) = (journal.folder / "rejected").iterdir()
    assert damaged.name == f"00000001-{place:08d}.damaged"
    assert damaged.read_bytes() == b"not a frame at all"
    assert progress.read(journal.folder).bytes_damaged == 18


@pytest.mark.parametrize("cut", [False, True])
def test_a_stretch_that_is_damaged_after_it_was_taken_is_not_there_twice(
    journal: Journal, server: FakeServer, cut: bool
) -> None:
    """The answer was lost with the sender, and the next one finds other points in the journal."""
    log(journal, 10)
    server.lose = [True]
    with pytest.raises(NotNow):
        deliver(journal)
    data = bytearray(journal.path.read_bytes())
    if cut:
        del data[-90:]
    else:
        data[-100] ^= 1
    journal.path.write_bytes(data)
    journal.rotate()
    log(journal, 10, begin=10)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(20))
    damaged = sum(path.stat().st_size for path in (journal.folder / "rejected").iterdir())
    assert damaged == progress.read(journal.folder).bytes_damaged > 0


def test_a_stretch_that_is_damaged_before_it_is_taken_is_delivered_but_for_that(
    journal: Journal, server: FakeServer
) -> None:
    log(journal, 10)
    server.failures = [NotNow("away")]
    with pytest.raises(NotNow):
        deliver(journal)
    data = bytearray(journal.path.read_bytes())
    data[-1] ^= 1
    journal.path.write_bytes(data)
    log(journal, 10, begin=10)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(9) + rows(10, begin=10))
    assert len(list((journal.folder / "rejected").iterdir())) == 1


def test_a_frame_that_is_not_whole_yet_is_waited_for(journal: Journal, server: FakeServer) -> None:
    log(journal, 1)
    deliver(journal)
    whole = frames.points_frame(0, 0, 1, 5, [0.5, 0.5])
    journal.write(whole[:-3])
    deliver(journal)
    assert sorted(server.points) == sorted(rows(1))
    journal.write(whole[-3:])
    deliver(journal)
    assert sorted(server.points) == sorted(rows(2))


@pytest.mark.parametrize("missing", [3, 40, 45, 50])
def test_a_call_that_was_killed_in_its_write_leaves_nothing_behind(
    journal: Journal, server: FakeServer, missing: int
) -> None:
    log(journal, 1)
    whole = frames.points_frame(0, 0, 1, 5, [0.5, 0.5])
    journal.write(whole[:-missing])
    assert len(whole) > missing
    deliver(journal, final=True)
    assert sorted(server.points) == sorted(rows(1))
    journal.leave()
    assert folders.remove_if_done(journal.folder)


@pytest.mark.parametrize("place", [0, 2, 3, 4, 7, 9, 20])
def test_a_last_frame_that_is_whole_and_damaged_is_kept_aside(
    journal: Journal, server: FakeServer, place: int
) -> None:
    log(journal, 1)
    bad = bytearray(frames.points_frame(0, 0, 1, 5, [0.5, 0.5]))
    bad[place] ^= 0x10
    journal.write(bytes(bad))
    deliver(journal, final=True)
    assert sorted(server.points) == sorted(rows(1))
    (damaged,) = (journal.folder / "rejected").iterdir()
    assert damaged.read_bytes() == bad
    assert progress.read(journal.folder).bytes_damaged == len(bad)


def test_points_of_unknown_runs_and_keys_are_damage(journal: Journal, server: FakeServer) -> None:
    log(journal, 1)
    for run, keys, values in ((7, 0, 2), (0, 7, 2), (0, 0, 3), (0, 0, 1)):
        journal.write(frames.points_frame(run, keys, 1, 5, [1.0] * values))
    journal.write(frames.frame(frames.RUN, b"abc"))
    journal.write(frames.frame(99, b"of a later release"))
    log(journal, 1, begin=1)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(2))
    assert len(list((journal.folder / "rejected").iterdir())) == 5


def test_a_damaged_plan_costs_no_point(journal: Journal, server: FakeServer) -> None:
    log(journal, 10)
    deliver(journal)
    plan = journal.folder / "plan"
    plan.write_bytes(plan.read_bytes().replace(b"writer", b"wrxter", 1))
    log(journal, 10, begin=10)
    deliver(journal)
    assert sorted(server.points) == sorted(rows(20))
    assert len(server.last) == 2


def test_a_journal_without_a_file_is_delivered_already(tmp_path: Path, server: FakeServer) -> None:
    folder, lock = folders.create(tmp_path, "runstone://127.0.0.1:1", "")
    delivery = Delivery(folder)
    assert not delivery.step()
    delivery.close()
    assert folders.take(folder / folders.OWNER_LOCK) is None
    os.close(lock)
    assert folders.remove_if_done(folder)

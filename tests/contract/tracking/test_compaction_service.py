"""Which runs are folded when, and by which of many services."""

import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from runstone_kit.clock import SystemClock
from runstone_kit.database import Database
from runstone_kit.ids import SystemIds
from runstone_tracking import service_compaction
from runstone_tracking.errors import MetricNotFound
from runstone_tracking.model_metrics import Append
from runstone_tracking.service_compaction import Compaction
from runstone_tracking.service_folds import Folds
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.tables_metrics import metric_chunks, metric_folds, metric_segments
from support.compaction import Writer, count_of, fold, history
from support.metric_points import batch
from support.tracking import add_run, run_id


class Clock(SystemClock):
    """Also in the place of time.monotonic()."""

    def __init__(self) -> None:
        self.now = 1000.0

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(service_compaction.time, "monotonic", clock.monotonic)
    return clock


def test_a_run_is_one_services_at_a_time(transactions: SqlTransactions, run: str) -> None:
    def claim(holder: str, now: int, until: int) -> bool:
        return transactions.write(lambda s: s.chunks.claim(run, holder, now, until))

    assert claim("a", 0, 100)
    assert claim("a", 50, 150)
    assert not claim("b", 149, 250)
    assert claim("b", 150, 250)
    transactions.write(lambda s: s.chunks.release(run, "a"))
    assert not claim("a", 160, 260)
    transactions.write(lambda s: s.chunks.release(run, "b"))
    assert claim("a", 160, 260)
    assert not transactions.write(lambda s: s.chunks.claim(run_id(), "a", 0, 1))


def test_runs_that_have_segments_are_found(transactions: SqlTransactions) -> None:
    assert transactions.read(lambda s: s.chunks.runs_waiting("", 10)) == []
    made = sorted(transactions.write(add_run) for _ in range(5))
    for each in made[:4]:
        for name in "ab":
            Writer(transactions, each, name).append({"k": [(1, 1, 0.5)]})
    assert transactions.read(lambda s: s.chunks.runs_waiting("", 10)) == made[:4]
    assert transactions.read(lambda s: s.chunks.runs_waiting("", 2)) == made[:2]
    assert transactions.read(lambda s: s.chunks.runs_waiting(made[1], 2)) == made[2:4]


def test_many_segments_or_a_quiet_while_make_a_run_due(
    transactions: SqlTransactions,
    database: Database,
    run: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_compaction, "ENOUGH_SEGMENTS", 5)
    monkeypatch.setattr(service_compaction, "OF_A_WRITER", 5)
    monkeypatch.setattr(service_compaction, "ENOUGH_POINTS", 100)
    monkeypatch.setattr(service_compaction, "RUNS", 1)
    compaction = Compaction(transactions, clock, SystemIds())
    other = transactions.write(add_run)
    writer, beside = Writer(transactions, run), Writer(transactions, other)

    def looked(seconds: float) -> int:
        clock.now += seconds
        compaction.look()
        return count_of(database, metric_segments)

    for step in range(4):
        writer.append({"k": [(step, step, 0.5)]})
    assert looked(0) == 4
    beside.append({"k": [(1, 1, 0.5)]})
    writer.append({"k": [(9, 9, 0.5)]})
    assert looked(19) == 1
    assert looked(19) == 1
    assert looked(1.1) == 0
    beside.append({"k": [(step, step, 0.5) for step in range(100)]})
    assert looked(0) == 0
    writer.append({"k": [(10, 10, 0.5)]})
    assert looked(10) == 1
    writer.append({"k": [(11, 11, 0.5)]})
    assert looked(15) == 2
    assert looked(21) == 0
    assert count_of(database, metric_folds) == 0
    assert len(history(transactions, run, "k")) == 7


def test_many_ranks_are_folded_when_each_has_some_segments(
    transactions: SqlTransactions,
    database: Database,
    run: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each fold writes a chunk of every series that it has points of."""
    monkeypatch.setattr(service_compaction, "ENOUGH_SEGMENTS", 12)
    monkeypatch.setattr(service_compaction, "OF_A_WRITER", 3)
    monkeypatch.setattr(service_compaction, "REST", 0.0)
    compaction = Compaction(transactions, clock, SystemIds())
    # A fold of seven segments ends in the middle of a rank.
    compaction._folds = Folds(transactions, max_segments=7)
    ranks = [Writer(transactions, run, f"rank-{number:02}") for number in range(8)]

    def looked(seconds: float) -> int:
        clock.now += seconds
        compaction.look()
        return count_of(database, metric_segments)

    for step in range(2):
        for rank in ranks:
            rank.append({"k": [(step, step, 0.5)]})
    assert looked(1) == 16
    for rank in ranks:
        rank.append({"k": [(2, 2, 0.5)]})
    assert looked(1) == 0
    for rank in ranks:
        rank.append({"k": [(3, 3, 0.5)]})
    ranks[-1].append({"k": [(4, 4, 0.5)]})
    for number in range(8):
        # Never quiet, so only the time counts.
        Writer(transactions, run, f"a-{number}").append({"j": [(number, number, 0.5)]})
        assert looked(14) == 10 + number
    Writer(transactions, run, "a-last").append({"j": [(9, 9, 0.5)]})
    assert looked(30) == 0
    assert len(history(transactions, run, "k")) == 5
    assert len(history(transactions, run, "j")) == 9


def test_another_services_run_is_left_alone(
    transactions: SqlTransactions, database: Database, run: str, clock: Clock
) -> None:
    Writer(transactions, run).append({"k": [(1, 1, 0.5)]})
    compaction = Compaction(transactions, clock, SystemIds())
    compaction.look()
    until = clock.now_ms() + 60_000
    transactions.write(lambda s: s.chunks.claim(run, "other", clock.now_ms(), until))
    clock.now += 30
    compaction.look()
    assert count_of(database, metric_segments) == 1
    # It was killed.
    clock.now += 31
    compaction.look()
    clock.now += 30
    compaction.look()
    assert count_of(database, metric_segments) == 0


def test_a_run_that_cannot_be_folded_keeps_no_other_from_it(
    transactions: SqlTransactions,
    database: Database,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = sorted(transactions.write(add_run) for _ in range(2))
    compaction = Compaction(transactions, clock, SystemIds())

    def looked(seconds: float) -> int:
        clock.now += seconds
        compaction.look()
        return count_of(database, metric_segments)

    writers = [Writer(transactions, each) for each in (first, second)]
    for each in writers:
        each.append({"k": [(1, 1, 0.5)]})
    looked(0)
    assert looked(21) == 0
    with database.write() as connection:
        damaged = update(metric_chunks).where(metric_chunks.c.run_id == first)
        connection.execute(damaged.values(points=b"damaged"))
    for each in writers:
        each.append({"k": [(2, 2, 0.5)]})
    looked(0)
    assert looked(21) == 1
    assert f"run {first} is not folded" in caplog.text
    caplog.clear()
    assert looked(30) == 1
    assert caplog.text == ""
    looked(31)
    looked(21)
    assert f"run {first} is not folded" in caplog.text


def test_quiet_runs_are_folded_a_few_at_a_look(
    transactions: SqlTransactions,
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no hurry for them, and calls on the same cores go first."""
    monkeypatch.setattr(service_compaction, "REST", 0.0)
    monkeypatch.setattr(service_compaction, "ENOUGH_SEGMENTS", 2)
    monkeypatch.setattr(service_compaction, "OF_A_WRITER", 2)
    runs = sorted(transactions.write(add_run) for _ in range(5))
    for number, each in enumerate(runs):
        writer = Writer(transactions, each)
        writer.append({"k": [(1, 1, 0.5)]})
        if number == 4:
            writer.append({"k": [(2, 2, 0.5)]})
    fold = Folds.fold

    def slow(self: Folds, *arguments: Any) -> Any:
        clock.now += 1.0
        return fold(self, *arguments)

    monkeypatch.setattr(Folds, "fold", slow)
    compaction = Compaction(transactions, clock, SystemIds())
    left = []
    for seconds in (0, 21, 0, 0, 0):
        clock.now += seconds
        compaction.look()
        left.append(count_of(database, metric_segments))
    # The one that has many is not kept waiting.
    assert left == [4, 3, 2, 1, 0]


def test_a_claim_is_renewed_in_a_long_fold(
    transactions: SqlTransactions, run: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A rest would be of real time.
    monkeypatch.setattr(service_compaction, "REST", 0.0)
    writer = Writer(transactions, run)
    for step in range(2):
        writer.append({"k": [(step, step, 0.5)], "j": [(step, step, 0.5)]})
        compaction = Compaction(transactions, clock, SystemIds())
        compaction.look()
        clock.now += 21
        stored = Folds._stored

        def waits(self: Folds, *arguments: Any, stored: Any = stored) -> Any:
            clock.now += 40
            return stored(self, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(Folds, "_stored", waits)
            compaction.look()
    assert len(history(transactions, run, "k")) == 2
    assert transactions.read(lambda s: s.chunks.runs_waiting("", 5)) == []


@pytest.mark.faults
def test_two_services_beside_writers_and_readers(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_compaction, "ENOUGH_SEGMENTS", 8)
    monkeypatch.setattr(service_compaction, "OF_A_WRITER", 2)
    monkeypatch.setattr(service_compaction, "LOOK_S", 0.01)
    monkeypatch.setattr(service_compaction, "SHARE", 0)
    services = [Compaction(transactions, SystemClock(), SystemIds()) for _ in range(2)]
    done = threading.Event()
    calls, writers = 60, 4

    def write(number: int) -> None:
        service = MetricService(transactions)
        for call in range(calls):
            first = call * 10
            points = [(step, step, step * 4.0 + number) for step in range(first, first + 10)]
            service.append(Append(run, f"w{number}", call + 1, batch({"k": points})))

    def read() -> int:
        reads = most = 0
        while not done.is_set() or not reads:
            try:
                now = history(transactions, run, "k")
            except MetricNotFound:
                continue
            assert len(now) == len(set(now)) >= most
            most = len(now)
            reads += 1
        return reads

    for each in services:
        each.start()
    with ThreadPoolExecutor(writers + 1) as pool:
        reading = pool.submit(read)
        for future in [pool.submit(write, number) for number in range(writers)]:
            future.result(120)
        done.set()
        assert reading.result(60)
    for each in services:
        each.close()
    expected = {(s, s, struct.pack("<d", s * 4.0 + w)) for s in range(600) for w in range(writers)}
    found = history(transactions, run, "k")
    assert len(found) == len(expected)
    assert set(found) == expected
    fold(transactions, run)
    assert set(history(transactions, run, "k")) == expected

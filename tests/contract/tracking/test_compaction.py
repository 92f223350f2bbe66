"""Folding segments into chunks: nothing lost, nothing twice, whatever comes in between."""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select, update

from runstone_kit.database import Database
from runstone_tracking import (
    chunk,
    pyramid,
    segment_encode,
    service_history,
    service_pieces,
)
from runstone_tracking.errors import MetricNotFound, SequenceGap
from runstone_tracking.model_chunks import ChunkRef
from runstone_tracking.model_metrics import NO_RANK, HistoryPlace
from runstone_tracking.service_folds import Folded, Folds
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.sqlstore_chunks import SqlChunkStore
from runstone_tracking.store_chunks import ChangedMeanwhile
from runstone_tracking.tables_metrics import metric_chunks, metric_folds, metric_segments
from support.compaction import Bits, Writer, claim, count_of, fold, history
from support.metric_points import Point, batch, bits, columns, points_of

CHUNK = 50
"""Points of a full chunk in these tests."""

ODD = [math.nan, -math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.5]


def fold_all(transactions: SqlTransactions, run: str, **how: int) -> list[Folded]:
    return fold(transactions, run, chunk_points=CHUNK, **how)


def chunks_of(transactions: SqlTransactions, run: str, name: str) -> list[ChunkRef]:
    found = transactions.read(lambda s: s.chunks.find(run, [name]))
    return sorted(found, key=lambda ref: ref.first)


def check_chunks(transactions: SqlTransactions, run: str, name: str) -> None:
    """A series' chunks are disjoint, in order, and say what they hold."""
    refs = chunks_of(transactions, run, name)
    assert all(before.last < after.first for before, after in pairwise(refs))
    stored = transactions.read(lambda s: s.chunks.read(run, refs))
    for ref, data in zip(refs, stored, strict=True):
        points = chunk.decode(data)
        made = chunk.encode(points)
        assert 0 < ref.count == len(points) <= CHUNK
        assert (ref.first, ref.last) == (made.first, made.last)
        assert (ref.min_timestamp_ms, ref.max_timestamp_ms) == (
            made.min_timestamp_ms,
            made.max_timestamp_ms,
        )


def in_history_order(points: Sequence[Point]) -> list[Bits]:
    return sorted(set(bits(points)), key=lambda each: (each[1], each[0], each[2]))


# --- What is folded -----------------------------------------------------------------------------


def test_folded_points_are_read_as_before(
    transactions: SqlTransactions, database: Database, run: str
) -> None:
    writer = Writer(transactions, run)
    for begin in range(0, 300, 10):
        writer.append(
            {
                "loss": [(step, 1000 + step, step / 3) for step in range(begin, begin + 10)],
                "acc\t3": [(begin, begin, 0.5)],
                "acc": [(begin, begin + 1, 0.25)],
            }
        )
    before = {key: history(transactions, run, key) for key in ("loss", "acc")}
    [folded] = fold_all(transactions, run)
    assert (folded.segments, folded.points, folded.more) == (30, 360, False)
    assert (folded.written, count_of(database, metric_segments)) == (360, 0)
    for key, points in before.items():
        assert history(transactions, run, key) == points
    assert len(history(transactions, run, "acc", 3)) == 30
    assert [ref.count for ref in chunks_of(transactions, run, "loss")] == [CHUNK] * 6
    with pytest.raises(MetricNotFound):
        history(transactions, run, "acc", 4)
    with pytest.raises(MetricNotFound):
        history(transactions, run, "lo")


@pytest.mark.parametrize("seed", range(6))
def test_any_points_in_any_order_and_number(
    transactions: SqlTransactions, run: str, seed: int
) -> None:
    chance = random.Random(seed)
    writers = [Writer(transactions, run, name) for name in "abc"]
    sent: dict[str, list[Point]] = {"k": [], "k\t1": [], "k b": []}

    def point() -> Point:
        value = chance.choice(ODD) if chance.random() < 0.2 else chance.random()
        step = chance.choice((chance.randrange(80), chance.randrange(-(2**63), 2**63)))
        return step, chance.randrange(40), value

    for _ in range(8):
        for _ in range(chance.randrange(1, 6)):
            series: dict[str, Sequence[Point]] = {}
            for name in chance.sample(sorted(sent), chance.randrange(1, 4)):
                new = [point() for _ in range(chance.choice((1, 3, 100)))]
                again = chance.sample(sent[name], min(len(sent[name]), 5))
                series[name] = new + again
                sent[name] += new
            chance.choice(writers).append(series)
        fold_all(transactions, run, max_points=chance.choice((1, 50, 10_000)))
        for name in sent:
            check_chunks(transactions, run, name)
        # Some points are in chunks and some in segments.
        chance.choice(writers).append({name: some[:3] for name, some in sent.items() if some})
        for name, some in sent.items():
            if some and "\t" not in name and name != "k":
                assert sorted(history(transactions, run, name)) == sorted(set(bits(some)))
        for rank, name in ((None, "k b"), (1, "k\t1")):
            key = name.partition("\t")[0]
            if sent[name]:
                found = history(transactions, run, key, rank)
                assert sorted(found) == sorted(set(bits(sent[name])))


def test_a_point_is_written_anew_a_few_times_only(transactions: SqlTransactions, run: str) -> None:
    writer = Writer(transactions, run)
    written = 0
    for step in range(400):
        writer.append({"k": [(step, step, 0.5)]})
        written += sum(each.written for each in fold_all(transactions, run))
    # One point at a time is the worst: log of the chunk's size, and not its half.
    assert written < 400 * 8
    sizes = [ref.count for ref in chunks_of(transactions, run, "k")]
    assert sizes[:7] == [CHUNK] * 7
    assert sum(sizes) == 400
    assert len(sizes) < 14


def test_late_points_are_put_where_they_belong(transactions: SqlTransactions, run: str) -> None:
    writer = Writer(transactions, run)
    points = [(step, step, 0.5) for step in range(0, 1000, 2)]
    writer.append({"k": points})
    fold_all(transactions, run)
    late = [(301, 301, 0.5), (303, 303, 0.5)]
    writer.append({"k": late})
    [folded] = fold_all(transactions, run)
    assert folded.written == CHUNK + 2
    check_chunks(transactions, run, "k")
    assert history(transactions, run, "k") == in_history_order([*points, *late])


def test_levels_are_those_of_the_points(
    transactions: SqlTransactions, database: Database, run: str
) -> None:
    points = [(step, step, math.sin(step)) for step in range(3000)]
    Writer(transactions, run).append({"k": points, "few": points[:10]})
    fold(transactions, run)
    with database.read() as connection:
        rows = connection.execute(select(metric_chunks).order_by(metric_chunks.c.name)).all()
    few, many = rows
    assert (few.level0, few.level1, few.level2) == (None, None, None)
    expected = pyramid.levels(columns(points))
    for level, data in enumerate((many.level0, many.level1, many.level2)):
        found = pyramid.decode_level(level, [data])
        assert found.tobytes() == expected[level].tobytes()


# --- What comes in between ----------------------------------------------------------------------


def test_a_retry_after_a_fold_writes_nothing(transactions: SqlTransactions, run: str) -> None:
    writer = Writer(transactions, run)
    writer.append({"k": [(1, 1, 0.5)]})
    fold_all(transactions, run)
    again = segment_encode.encode(run, "w", 1, batch({"k": [(1, 1, 0.5)]}))
    assert transactions.write(lambda s: s.metrics.append([again])) == [False]
    later = segment_encode.encode(run, "w", 3, batch({"k": [(1, 1, 0.5)]}))
    [gap] = transactions.write(lambda s: s.metrics.append([later]))
    assert isinstance(gap, SequenceGap)
    writer.append({"k": [(2, 2, 0.5)]})
    assert len(history(transactions, run, "k")) == 2


STEPS = ("waiting", "read_segments", "find", "read", "replace")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_fold_that_ends_at_any_step_changes_nothing(
    transactions: SqlTransactions,
    database: Database,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    after: bool,
) -> None:
    class Killed(BaseException):
        pass

    writer = Writer(transactions, run)
    writer.append({"k": [(number, number, 0.5) for number in range(0, 90, 2)]})
    fold_all(transactions, run)
    writer.append({"k": [(number, number, 0.5) for number in range(1, 90, 2)]})
    real = getattr(SqlChunkStore, step)

    def dies(*arguments: Any) -> Any:
        if after:
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(SqlChunkStore, step, dies)
        with pytest.raises(Killed):
            fold_all(transactions, run)
    assert count_of(database, metric_segments) == 1
    assert [each[0] for each in history(transactions, run, "k")] == list(range(90))
    fold_all(transactions, run)
    assert [each[0] for each in history(transactions, run, "k")] == list(range(90))
    check_chunks(transactions, run, "k")


def during(
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    work: Callable[[], object],
    of: type = SqlChunkStore,
) -> None:
    """Have something done once, in the middle of the next fold, before one of its steps."""
    real = getattr(of, step)

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(of, step, real)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work).result(60)
        return real(*arguments)

    monkeypatch.setattr(of, step, meanwhile)


@pytest.mark.parametrize("step", ["read_segments", "find"])
def test_a_run_that_is_purged_meanwhile(
    transactions: SqlTransactions,
    database: Database,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    Writer(transactions, run).append({"k": [(1, 1, 0.5)]})

    def purge() -> None:
        transactions.write(lambda s: s.runs.delete(run, 5))
        transactions.write(lambda s: s.runs.purge([run], None, 10, dry_run=False))

    during(monkeypatch, step, purge)
    with pytest.raises(ChangedMeanwhile):
        fold_all(transactions, run)
    for table in (metric_segments, metric_chunks, metric_folds):
        assert count_of(database, table) == 0


def test_two_folds_at_once_count_once(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(transactions, run)
    for step in range(20):
        writer.append({"k": [(step, step, 0.5)], "j": [(step, step, 0.5)]})
    during(monkeypatch, "find", lambda: fold_all(transactions, run))
    with pytest.raises(ChangedMeanwhile):
        fold_all(transactions, run)
    for key in "kj":
        assert [each[0] for each in history(transactions, run, key)] == list(range(20))


def test_two_folds_of_different_segments_do_not_take_one_number(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a claim ran out: one of both makes nothing."""
    writer = Writer(transactions, run)
    for step in range(4):
        writer.append({"k": [(step * 100, step, 0.5)]})
    chosen = Folds._first

    def the_others(self: Folds, waiting: Any) -> Any:
        return chosen(self, waiting[2:])

    def other() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Folds, "_first", the_others)
            Folds(transactions, chunk_points=CHUNK).fold(run, "test")

    claim(transactions, run)
    during(monkeypatch, "write", other, SqlTransactions)
    with pytest.raises(ChangedMeanwhile):
        Folds(transactions, chunk_points=CHUNK, max_segments=2).fold(run, "test")
    fold_all(transactions, run)
    assert [each[0] for each in history(transactions, run, "k")] == [0, 100, 200, 300]


@pytest.mark.parametrize("step", ["read_segments", "find", "read"])
def test_whoever_has_lost_the_run_to_another_changes_nothing(
    transactions: SqlTransactions,
    database: Database,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """As after a pause longer than a claim; whatever the other one did meanwhile."""
    writer = Writer(transactions, run)
    writer.append({"k": [(1, 1, 0.5)]})
    fold_all(transactions, run)
    writer.append({"k": [(2, 2, 0.5)]})
    during(monkeypatch, step, lambda: claim(transactions, run, "another"))
    with pytest.raises(ChangedMeanwhile):
        fold_all(transactions, run)
    assert count_of(database, metric_segments) == 1
    assert len(history(transactions, run, "k")) == 2


@pytest.mark.parametrize("pieces", range(1, 6))
def test_a_history_goes_on_when_its_segments_are_folded(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    monkeypatch.setattr(service_pieces, "READ_POINTS", 20)
    writer = Writer(transactions, run)
    chance = random.Random(pieces)
    points = [(step, step // 3, float(step)) for step in range(200)]
    shuffled = chance.sample(points, len(points))
    for begin in range(0, 200, 10):
        some = points if begin < 100 else shuffled
        writer.append({"k": some[begin : begin + 10] or points[:1]})
    expected = history(transactions, run, "k")
    reading = MetricService(transactions).history(run, "k")
    found: list[Bits] = []
    for number, piece in enumerate(reading):
        found += bits(points_of(piece))
        if number % pieces == 0:
            fold_all(transactions, run, max_points=20)
            writer.append({"k": [(0, 0, 0.0)]})
    assert found == expected


def test_a_history_that_is_looked_up_anew_twice_gives_no_point_twice(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces that overlap: the next one to be read begins before what was given."""
    monkeypatch.setattr(service_pieces, "READ_PIECES", 1)
    for number, (begin, end) in enumerate([(0, 30), (10, 40), (20, 50)]):
        points = [(time, time, 0.5) for time in range(begin, end + 1, 10)]
        Writer(transactions, run, f"w{number}").append({"k": points})
    expected = history(transactions, run, "k")
    read = service_history.HistoryReader._points
    for failing in itertools.combinations(range(8), 2):
        calls = itertools.count()

        def fails(self: Any, *arguments: Any, calls: Any = calls, at: Any = failing) -> Any:
            if next(calls) in at:
                raise ChangedMeanwhile
            return read(self, *arguments)

        monkeypatch.setattr(service_history.HistoryReader, "_points", fails)
        assert history(transactions, run, "k") == expected, failing


@pytest.mark.parametrize("folded", [False, True])
def test_a_history_is_read_page_by_page(
    transactions: SqlTransactions, run: str, monkeypatch: pytest.MonkeyPatch, folded: bool
) -> None:
    """Each page begins behind the last point of the one before, and reads no more than it must."""
    monkeypatch.setattr(service_pieces, "READ_POINTS", 20)
    writer = Writer(transactions, run)
    points = [(step % 7, step // 4, float(step % 3)) for step in range(200)]
    for begin in range(0, 200, 10):
        writer.append({"k": points[begin : begin + 10]})
    if folded:
        fold_all(transactions, run, max_points=20)
    expected = history(transactions, run, "k")
    reads = itertools.count()
    read = service_history.HistoryReader._points

    def counted(self: Any, *arguments: Any) -> Any:
        next(reads)
        return read(self, *arguments)

    monkeypatch.setattr(service_history.HistoryReader, "_points", counted)
    found: list[Bits] = []
    place: HistoryPlace | None = None
    pages = 0
    while True:
        pieces = MetricService(transactions).history(run, "k", None, place)
        page = list(itertools.islice((each for piece in pieces for each in points_of(piece)), 7))
        if not page:
            break
        found += bits(page)
        pages += 1
        step, time, value = page[-1]
        place = HistoryPlace(time, step, value, NO_RANK)
    assert found == expected
    assert next(reads) < 6 * pages


def test_a_fold_of_some_segments_says_that_there_are_more(
    transactions: SqlTransactions, run: str
) -> None:
    writer = Writer(transactions, run)
    for step in range(5):
        writer.append({"k": [(step, step, 0.5)]})
    done = fold_all(transactions, run, max_segments=2)
    assert [(each.segments, each.more) for each in done] == [(2, True), (2, True), (1, False)]


def test_a_damaged_segment_stays_and_stops_no_other(
    transactions: SqlTransactions,
    database: Database,
    run: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = Writer(transactions, run)
    for step in range(3):
        writer.append({"k": [(step, step, 0.5)]})
    with database.write() as connection:
        connection.execute(
            update(metric_segments).where(metric_segments.c.sequence == 2).values(payload=b"x" * 24)
        )
    folds = Folds(transactions, chunk_points=CHUNK)
    claim(transactions, run)
    assert folds.fold(run, "test").segments == 2
    assert folds.fold(run, "test") == Folded()
    assert "stays as it is" in caplog.text
    assert [ref.count for ref in chunks_of(transactions, run, "k")] == [2]
    assert count_of(database, metric_segments) == 1

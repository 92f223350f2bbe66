"""What MetricStore promises, on SQLite and on PostgreSQL."""

import math
import random
import struct
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from runstone_kit.database import Database
from runstone_kit.errors import RunstoneError, Unavailable
from runstone_tracking import segment_encode, service_metrics, sqlstore_metrics_sql
from runstone_tracking.errors import (
    MetricNotFound,
    RunDeleted,
    RunNotFound,
    SequenceGap,
    SequenceReused,
)
from runstone_tracking.model import MetricSummary
from runstone_tracking.model_metrics import NO_RANK, Append, NewSegment, series_name
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.store_chunks import ChangedMeanwhile
from runstone_tracking.store_metrics import Appended
from runstone_tracking.tables import runs
from runstone_tracking.tables_metrics import metric_segments, metric_summaries
from support.metric_points import Point, batch, bits, points_of, total_order
from support.tracking import ON_POSTGRESQL, add_run, run_id

NAN_WITH_PAYLOAD: float = struct.unpack("<d", bytes.fromhex("efbeadde0000fc7f"))[0]
ODD_VALUES = [math.nan, NAN_WITH_PAYLOAD, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7e308]

Series = Mapping[str, Sequence[Point]]


def _segment(run: str, sequence: int, series: Series, writer: str = "w") -> NewSegment:
    return segment_encode.encode(run, writer, sequence, batch(series))


def _append(transactions: SqlTransactions, *segments: NewSegment) -> list[Appended]:
    return transactions.append(segments)


def _run(transactions: SqlTransactions) -> str:
    return transactions.write(add_run)


def _history(
    transactions: SqlTransactions, run: str, key: str, rank: int | None = None
) -> list[Point]:
    pieces = MetricService(transactions).history(run, key, rank)
    return [point for piece in pieces for point in points_of(piece)]


def _summaries(transactions: SqlTransactions, run: str) -> dict[str, MetricSummary]:
    found = transactions.read(lambda s: s.metrics.summaries([run]))
    return {metric.key: metric for metric in found.get(run, ())}


def _rows(database: Database) -> int:
    with database.read() as connection:
        return int(
            connection.execute(select(func.count()).select_from(metric_segments)).scalar_one()
        )


def test_appended_is_read_back(transactions: SqlTransactions) -> None:
    run = _run(transactions)
    series = {
        "loss": [(step, 1000 + step, 1 / (step + 1)) for step in range(200)],
        "val/loss x": [(7, 5, 0.5)],
    }
    assert _append(transactions, _segment(run, 1, series)) == [True]
    for key, points in series.items():
        assert _history(transactions, run, key) == points
    assert list(_summaries(transactions, run)) == ["loss", "val/loss x"]
    assert _summaries(transactions, run)["loss"] == MetricSummary(
        "loss", 1 / 200, 199, 1199, 1 / 200, 1.0, 200, 0, 0, 199
    )


def test_every_bit_of_a_value_is_kept(transactions: SqlTransactions) -> None:
    run = _run(transactions)
    points = [((-1) ** place * (2**63 - 1), place, value) for place, value in enumerate(ODD_VALUES)]
    _append(transactions, _segment(run, 1, {"few": points, "many": points * 20}))
    assert bits(_history(transactions, run, "few")) == bits(points)
    assert bits(_history(transactions, run, "many")) == bits(points)


@pytest.mark.parametrize("value", ODD_VALUES, ids=repr)
def test_a_summary_keeps_odd_values(transactions: SqlTransactions, value: float) -> None:
    run = _run(transactions)
    for sequence in (1, 2):
        _append(transactions, _segment(run, sequence, {"k": [(sequence, 10, value)]}))
    found = _summaries(transactions, run)["k"]
    is_nan = math.isnan(value)
    for kept in (found.value, found.min, found.max):
        assert math.isnan(kept) if is_nan else struct.pack("d", kept) == struct.pack("d", value)
    assert (found.count, found.nan_count) == (2, 2 * is_nan)
    assert (found.first_step, found.step, found.last_step) == (1, 2, 2)


def test_a_retry_writes_nothing(transactions: SqlTransactions, database: Database) -> None:
    run = _run(transactions)
    sent = {"k": [(1, 1, 0.5)]}
    assert _append(transactions, _segment(run, 1, sent)) == [True]
    assert _append(transactions, _segment(run, 1, sent)) == [False]
    assert _append(transactions, _segment(run, 1, sent), _segment(run, 1, sent)) == [False, False]
    assert _rows(database) == 1
    assert _summaries(transactions, run)["k"].count == 1


def test_a_gap_is_refused_with_the_number_expected(
    transactions: SqlTransactions, database: Database
) -> None:
    run = _run(transactions)
    sent = {"k": [(1, 1, 0.5)]}
    for sequence, expected in ((2, 1), (2**63 - 1, 1)):
        [refused] = _append(transactions, _segment(run, sequence, sent))
        assert isinstance(refused, SequenceGap)
        assert refused.metadata["expected_sequence"] == str(expected)
    assert _rows(database) == 0
    # In one group, whatever the order, and with a gap behind.
    several = [_segment(run, sequence, sent) for sequence in (3, 1, 5, 2)]
    outcomes = _append(transactions, *several)
    assert [outcomes[at] for at in (0, 1, 3)] == [True] * 3
    assert isinstance(outcomes[2], SequenceGap)
    assert outcomes[2].metadata["expected_sequence"] == "4"
    assert _summaries(transactions, run)["k"].count == 3
    assert _append(transactions, _segment(run, 4, sent), _segment(run, 2, sent)) == [True, False]


def test_a_repeat_is_known_when_its_segment_is_gone(
    transactions: SqlTransactions, database: Database
) -> None:
    run = _run(transactions)
    for sequence in (1, 2):
        _append(transactions, _segment(run, sequence, {"k": [(sequence, 1, 0.5)]}))
    with database.write() as connection:
        connection.execute(delete(metric_segments))
    for sequence in (1, 2):
        assert _append(transactions, _segment(run, sequence, {"k": [(9, 9, 0.5)]})) == [False]
    assert _append(transactions, _segment(run, 3, {"k": [(3, 1, 0.5)]})) == [True]
    assert _rows(database) == 1
    assert _summaries(transactions, run)["k"].count == 3


def test_the_same_identity_twice_in_a_group(transactions: SqlTransactions) -> None:
    run = _run(transactions)
    one, same, other = (
        _segment(run, 1, {"k": [(1, 1, 0.5)]}),
        _segment(run, 1, {"k": [(1, 1, 0.5)]}),
        _segment(run, 1, {"k": [(2, 1, 0.5)]}),
    )
    written, repeated, reused = _append(transactions, one, same, other)
    assert (written, repeated) == (True, False)
    assert isinstance(reused, SequenceReused)
    assert _summaries(transactions, run)["k"].count == 1


def test_a_reused_sequence_is_refused(transactions: SqlTransactions, database: Database) -> None:
    run = _run(transactions)
    _append(transactions, _segment(run, 1, {"k": [(1, 1, 0.5)]}))
    [refused] = _append(transactions, _segment(run, 1, {"k": [(1, 1, -0.5)]}))
    assert isinstance(refused, SequenceReused)
    assert refused.metadata == {"run_id": run, "writer_id": "w", "sequence": "1"}
    assert _rows(database) == 1
    assert _history(transactions, run, "k") == [(1, 1, 0.5)]
    # Another writer's count is its own, and so is another run's.
    other = _run(transactions)
    more = [_segment(run, 1, {"k": [(2, 2, 1.0)]}, "v"), _segment(other, 1, {"k": [(2, 2, 1.0)]})]
    assert _append(transactions, *more) == [True, True]


def test_each_segment_of_a_group_has_its_own_outcome(transactions: SqlTransactions) -> None:
    active, deleted = _run(transactions), _run(transactions)
    transactions.write(lambda s: s.runs.delete(deleted, 5))
    absent = run_id()
    sent = {"k": [(1, 1, 0.5)]}
    outcomes = _append(
        transactions,
        *(_segment(deleted, 1, sent), _segment(active, 1, sent)),
        *(_segment(absent, 1, sent), _segment(active, 2, sent)),
    )
    assert isinstance(outcomes[0], RunDeleted)
    assert isinstance(outcomes[2], RunNotFound)
    assert [outcomes[1], outcomes[3]] == [True, True]
    assert _summaries(transactions, deleted) == {}
    assert _summaries(transactions, active)["k"].count == 2


def test_a_retry_is_known_also_when_the_run_was_deleted(transactions: SqlTransactions) -> None:
    run = _run(transactions)
    sent = {"k": [(1, 1, 0.5)]}
    _append(transactions, _segment(run, 1, sent))
    transactions.write(lambda s: s.runs.delete(run, 5))
    assert _append(transactions, _segment(run, 1, sent)) == [False]
    [refused] = _append(transactions, _segment(run, 2, sent))
    assert isinstance(refused, RunDeleted)
    assert _history(transactions, run, "k") == [(1, 1, 0.5)]


def test_latest_is_the_greatest_not_the_last_written(transactions: SqlTransactions) -> None:
    drawn = random.Random(7)
    run = _run(transactions)
    points: list[Point] = []
    for sequence in range(1, 40):
        some = [
            (drawn.randint(-2, 2), drawn.randint(0, 2), drawn.choice([math.nan, *ODD_VALUES[2:4]]))
            for _ in range(drawn.randint(1, 3))
        ]
        points += some
        _append(transactions, _segment(run, sequence, {"k": some, f"k{sequence}": some}))
        found = _summaries(transactions, run)["k"]
        latest = max(points, key=total_order)
        assert total_order((found.step, found.timestamp_ms, found.value)) == total_order(latest)
        assert found.first_step == min(point[0] for point in points)
        assert found.count == len(points)


def test_segments_of_one_call_are_folded_together(transactions: SqlTransactions) -> None:
    run, other = _run(transactions), _run(transactions)
    _append(
        transactions,
        _segment(run, 2, {"b": [(5, 1, 2.0)], "c": [(1, 1, 1.0)]}),
        _segment(other, 1, {"b": [(9, 9, 9.0)]}),
        _segment(run, 1, {"a": [(1, 1, 1.0)], "b": [(4, 9, 3.0), (6, 0, 1.0)]}),
    )
    found = _summaries(transactions, run)
    assert list(found) == ["a", "b", "c"]
    assert found["b"] == MetricSummary("b", 1.0, 6, 0, 1.0, 3.0, 3, 0, 4, 6)
    assert _summaries(transactions, other)["b"].value == 9.0


def test_history_is_ordered_and_a_duplicate_comes_once(transactions: SqlTransactions) -> None:
    drawn = random.Random(3)
    run = _run(transactions)
    points = [
        (drawn.randint(0, 9), drawn.randint(0, 500), drawn.choice(ODD_VALUES)) for _ in range(3000)
    ]
    for sequence in range(1, 31):
        some = points[(sequence - 1) * 100 : sequence * 100]
        _append(transactions, _segment(run, sequence, {"k": some, "z": some[:1]}))
    found = _history(transactions, run, "k")
    assert set(bits(found)) == set(bits(points))
    assert len(set(bits(found))) == len(found)
    order = [(time, *total_order((step, 0, value))) for step, time, value in found]
    assert all(left <= right for left, right in pairwise(order))


def test_keys_that_contain_each_other_are_different(transactions: SqlTransactions) -> None:
    run = _run(transactions)
    keys = ["a", "aa", "a b", "b", "a/b", "é"]
    _append(transactions, _segment(run, 1, {key: [(1, 1, float(i))] for i, key in enumerate(keys)}))
    wide = {f"wide{i}": [(1, 1, float(i))] for i in range(100)}
    _append(transactions, _segment(run, 2, wide))
    for place, key in enumerate(keys):
        assert _history(transactions, run, key) == [(1, 1, float(place))]
    assert _history(transactions, run, "wide42") == [(1, 1, 42.0)]
    with pytest.raises(MetricNotFound):
        _history(transactions, run, "wide")


def test_ranks_are_read_alone_and_together(transactions: SqlTransactions) -> None:
    run = _run(transactions)
    same = (5, 50, 0.5)
    for sequence, ranks in enumerate(((0, 1), (1, 12), (NO_RANK,)), 1):
        series = {series_name("loss", rank): [same, (rank, 10, rank / 2)] for rank in ranks}
        _append(transactions, _segment(run, sequence, series))
    _append(transactions, _segment(run, 4, {series_name("other", 3): [same]}))
    pieces = MetricService(transactions).history(run, "loss")
    found = [
        (rank, point)
        for piece in pieces
        for rank, point in zip(piece.ranks.tolist(), points_of(piece), strict=True)  # type: ignore[union-attr]
    ]
    early = [(rank, (rank, 10, rank / 2)) for rank in (-1, 0, 1, 12)]
    assert found == [*early, *((rank, same) for rank in (-1, 0, 1, 12))]
    assert _history(transactions, run, "loss", 1) == [(1, 10, 0.5), same]
    assert _history(transactions, run, "loss", 12) == [(12, 10, 6.0), same]
    with pytest.raises(MetricNotFound):
        _history(transactions, run, "loss", 2)
    summary = _summaries(transactions, run)["loss"]
    assert (summary.value, summary.step, summary.min, summary.max) == (6.0, 12, -0.5, 6.0)
    assert (summary.count, summary.first_step) == (10, -1)


def test_what_is_not_there(transactions: SqlTransactions) -> None:
    run, absent = _run(transactions), run_id()
    assert transactions.read(lambda s: s.metrics.list_keys(run, None, 5)) == []
    assert transactions.read(lambda s: s.metrics.summaries([run, absent])) == {}
    assert transactions.read(lambda s: s.metrics.summaries([])) == {}
    with pytest.raises(MetricNotFound) as missing:
        _history(transactions, run, "k")
    assert missing.value.metadata == {"run_id": run, "key": "k"}
    assert transactions.read(lambda s: s.metrics.find_blocks(absent, "k")) == []
    with pytest.raises(RunNotFound):
        transactions.read(lambda s: s.metrics.list_keys(absent, None, 5))
    with pytest.raises(RunNotFound):
        _history(transactions, absent, "k")


def test_keys_come_in_pages_by_code_point(transactions: SqlTransactions) -> None:
    run = _run(transactions)
    keys = ["B", "a", "a b", "a/b", "é", "字"]
    _append(transactions, _segment(run, 1, {key: [(1, 1, 0.0)] for key in keys}))
    found: list[str] = []
    service, token = MetricService(transactions), ""
    while True:
        page = service.list_keys(run, 4, token)
        found += [metric.key for metric in page.items]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(keys)
    with pytest.raises(RunstoneError) as caught:
        service.list_keys(_run(transactions), 4, service.list_keys(run, 4, "").next_page_token)
    assert caught.value.reason == "PAGE_TOKEN_OTHER_QUERY"


def test_keys_end_a_page_at_its_size_in_bytes(
    transactions: SqlTransactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(transactions)
    _append(transactions, _segment(run, 1, {key: [(1, 1, 0.0)] for key in "abcde"}))
    monkeypatch.setattr(service_metrics, "MAX_PAGE_BYTES", 3 * service_metrics.SUMMARY_BYTES)
    service = MetricService(transactions)
    found, token = [], ""
    while True:
        page = service.list_keys(run, 0, token)
        found.append("".join(metric.key for metric in page.items))
        token = page.next_page_token
        if not token:
            break
    assert found == ["ab", "cd", "e"]


def test_purging_a_run_takes_its_metrics_along(
    transactions: SqlTransactions, database: Database
) -> None:
    run, kept = _run(transactions), _run(transactions)
    for each in (run, kept):
        _append(transactions, _segment(each, 1, {"k": [(1, 1, 0.5)]}))
    blocks = transactions.read(lambda s: s.metrics.find_blocks(run, "k"))
    transactions.write(lambda s: s.runs.delete(run, 5))
    transactions.write(lambda s: s.runs.purge([run], None, 10, dry_run=False))
    assert _rows(database) == 1
    assert _summaries(transactions, kept)["k"].count == 1
    with pytest.raises(ChangedMeanwhile):
        transactions.read(lambda s: s.metrics.read_frames(run, blocks))
    with database.read() as connection:
        left = connection.execute(select(metric_summaries.c.run_id)).scalars().all()
    assert left == [kept]


@ON_POSTGRESQL
def test_a_locked_run_stops_no_other(transactions: SqlTransactions, database: Database) -> None:
    locked, free = _run(transactions), _run(transactions)
    service = MetricService(transactions)
    with (
        ThreadPoolExecutor(3) as pool,
        database.write() as connection,
    ):
        connection.execute(select(runs).where(runs.c.run_id == locked).with_for_update())
        points = batch({"k": [(1, 1, 0.5)]})
        stopped = [
            pool.submit(service.append, Append(locked, each, 1, points)) for each in ("v", "w")
        ]
        assert pool.submit(service.append, Append(free, "w", 1, points)).result(timeout=30)
        for future in stopped:
            error = future.exception(timeout=30)
            assert isinstance(error, Unavailable)
            assert error.reason == "OVERLOADED"
    assert service.append(Append(locked, "w", 1, points))


@ON_POSTGRESQL
def test_a_run_restored_while_it_is_appended_to_is_written(
    transactions: SqlTransactions, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(transactions)
    transactions.write(lambda s: s.runs.delete(run, 5))
    insert = sqlstore_metrics_sql._PostgreSQL.insert_segments

    def insert_then_restore(*arguments: Any) -> set[tuple[str, str, int]]:
        written = insert(*arguments)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(transactions.write, lambda s: s.runs.restore(run)).result(timeout=30)
        return written

    monkeypatch.setattr(sqlstore_metrics_sql._PostgreSQL, "insert_segments", insert_then_restore)
    assert _append(transactions, _segment(run, 1, {"k": [(1, 1, 0.5)]})) == [True]


def test_many_writers_of_the_same_series_lose_nothing(transactions: SqlTransactions) -> None:
    runs = [_run(transactions) for _ in range(3)]
    batches, writers = 12, 6
    start = threading.Barrier(writers)

    def write(writer: int) -> None:
        start.wait()
        drawn = random.Random(writer)
        for sequence in range(1, batches + 1):
            keys = drawn.sample("abcdef", 4)
            time = writer * 1000 + sequence
            outcomes = _append(
                transactions,
                *(
                    _segment(
                        run, sequence, {key: [(sequence, time, 1.0)] for key in keys}, f"{writer}"
                    )
                    for run in drawn.sample(runs, 3)
                ),
            )
            assert outcomes == [True] * 3

    with ThreadPoolExecutor(writers) as pool:
        for future in [pool.submit(write, writer) for writer in range(writers)]:
            future.result()
    for run in runs:
        found = _summaries(transactions, run)
        assert sum(metric.count for metric in found.values()) == batches * writers * 4
        for key, metric in found.items():
            assert metric.count == len(_history(transactions, run, key))


def test_the_same_batch_sent_at_once_by_many_is_written_once(
    transactions: SqlTransactions, database: Database
) -> None:
    run = _run(transactions)
    service = MetricService(transactions)
    sent = batch({"k": [(1, 1, 0.5)]})
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(service.append, Append(run, "w", 1, sent)) for _ in range(24)]
    assert sorted(future.result() for future in futures) == [False] * 23 + [True]
    assert _rows(database) == 1
    assert _summaries(transactions, run)["k"].count == 1

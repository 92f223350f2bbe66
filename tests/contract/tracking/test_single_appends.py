"""The single statement that appends on PostgreSQL: it does all of what it is given, or nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, func, select

from runstone_kit.database import Database
from runstone_kit.errors import Unavailable
from runstone_tracking import segment_encode
from runstone_tracking.errors import RunDeleted, RunNotFound, SequenceGap, SequenceReused
from runstone_tracking.model_metrics import NewSegment
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.tables import runs
from runstone_tracking.tables_metrics import metric_segments
from support.metric_points import batch
from support.tracking import ON_POSTGRESQL, add_run

pytestmark = ON_POSTGRESQL


def made(run: str, sequence: int, *keys: str, writer: str = "w", value: float = 0.5) -> NewSegment:
    points = batch({key: [(sequence, sequence, value)] for key in keys or ("k",)})
    return segment_encode.encode(run, writer, sequence, points)


@pytest.fixture
def statements(database: Database) -> list[str]:
    """What is sent from here on."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        sent.append(sql)

    for engine in (database._engines.single, database._engines.writers):
        event.listen(engine, "before_cursor_execute", note)
    return sent


def counts(transactions: SqlTransactions, run: str) -> dict[str, int]:
    found = transactions.read(lambda s: s.metrics.summaries([run])).get(run, ())
    return {summary.key: summary.count for summary in found}


def stored(database: Database, run: str) -> int:
    count = select(func.count()).where(metric_segments.c.run_id == run)
    return int(database.run_read(lambda c: c.execute(count).scalar_one()))


def test_what_comes_after_the_first_batch_is_the_single_statement(
    transactions: SqlTransactions, statements: list[str]
) -> None:
    one, two = transactions.write(add_run), transactions.write(add_run)
    assert transactions.append([made(one, 1), made(two, 1)]) == [True, True]
    assert any(sql.startswith("BEGIN") for sql in statements)
    del statements[:]
    assert transactions.append([made(two, 2), made(one, 2)]) == [True, True]
    # The single statement goes past the engine.
    assert statements == []
    assert counts(transactions, one) == counts(transactions, two) == {"k": 2}


def test_one_refused_segment_takes_nothing_from_the_others(
    transactions: SqlTransactions, database: Database
) -> None:
    good, other, deleted = (transactions.write(add_run) for _ in range(3))
    first = [made(run, 1) for run in (good, other, deleted)]
    assert transactions.append(first) == [True] * 3
    transactions.write(lambda s: s.runs.delete(deleted, 5))
    gone = made("f" * 32, 1)
    cases: list[tuple[NewSegment, Any]] = [
        (made(other, 1), False),
        (made(other, 1, value=0.25), SequenceReused),
        (made(other, 3), SequenceGap),
        (made(deleted, 2), RunDeleted),
        (gone, RunNotFound),
    ]
    for number, (bad, expected) in enumerate(cases, start=2):
        outcomes = transactions.append([bad, made(good, number)])
        assert outcomes[1] is True
        assert outcomes[0] is False if expected is False else isinstance(outcomes[0], expected)
        assert counts(transactions, good) == {"k": number}
        assert stored(database, good) == number
    assert counts(transactions, other) == counts(transactions, deleted) == {"k": 1}


def test_a_new_key_is_not_written_by_the_single_statement(
    transactions: SqlTransactions, database: Database
) -> None:
    run = transactions.write(add_run)
    assert transactions.append([made(run, 1, "a")]) == [True]
    wrong = made(run, 2, "a", "b")
    # As if another service had told that the run has the key.
    transactions._single.learn([wrong])  # type: ignore[union-attr]
    assert not transactions._single.append([wrong])  # type: ignore[union-attr]
    assert (counts(transactions, run), stored(database, run)) == ({"a": 1}, 1)
    assert transactions.append([wrong]) == [True]
    assert (counts(transactions, run), stored(database, run)) == ({"a": 2, "b": 1}, 2)


def test_two_batches_of_one_writer_in_a_group(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    assert transactions.append([made(run, 1)]) == [True]
    assert transactions.append([made(run, 3), made(run, 2)]) == [True, True]
    assert counts(transactions, run) == {"k": 3}


def test_a_lock_is_not_waited_for_long(transactions: SqlTransactions, database: Database) -> None:
    run = transactions.write(add_run)
    assert transactions.append([made(run, 1)]) == [True]
    with database.write() as connection, ThreadPoolExecutor(1) as pool:
        connection.execute(select(runs).where(runs.c.run_id == run).with_for_update())
        with pytest.raises(Unavailable) as locked:
            pool.submit(transactions.append, [made(run, 2)]).result(timeout=30)
    assert locked.value.reason == "OVERLOADED"
    assert transactions.append([made(run, 2)]) == [True]


def test_writers_of_the_same_runs_in_any_order(transactions: SqlTransactions) -> None:
    found = [transactions.write(add_run) for _ in range(4)]
    writers, batches = 6, 25
    for run in found:
        assert transactions.append([made(run, 1, "a", "b", "c", writer="first")]) == [True]
    start = threading.Barrier(writers)

    def write(writer: int) -> None:
        start.wait()
        for sequence in range(1, batches + 1):
            group = [made(run, sequence, "a", "b", "c", writer=f"{writer}") for run in found]
            if (writer + sequence) % 2:
                group.reverse()
            assert transactions.append(group) == [True] * len(found)

    with ThreadPoolExecutor(writers) as pool:
        for future in [pool.submit(write, writer) for writer in range(writers)]:
            future.result(timeout=60)
    for run in found:
        assert counts(transactions, run) == dict.fromkeys("abc", 1 + writers * batches)

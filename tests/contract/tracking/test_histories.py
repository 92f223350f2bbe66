"""Histories of many ranks: all points in order, however few may be held at a time."""

from __future__ import annotations

import random
from typing import Any

import pytest

from runstone_tracking import service_history, service_pieces
from runstone_tracking.model_metrics import series_name
from runstone_tracking.sqlstore import SqlTransactions
from support.compaction import Writer, fold, history
from support.metric_points import Point
from support.tracking import add_run

RANKS = 12
HELD = 64
READ = 32


@pytest.fixture
def run(transactions: SqlTransactions) -> str:
    return transactions.write(add_run)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many points were held each time when they were too many."""
    found: list[int] = []
    middle = service_history._middle

    def noted(points: Any) -> int:
        found.append(len(points))
        return middle(points)

    monkeypatch.setattr(service_history, "_middle", noted)
    monkeypatch.setattr(service_history, "MAX_HELD", HELD)
    monkeypatch.setattr(service_pieces, "READ_POINTS", READ)
    return found


def fill(transactions: SqlTransactions, run: str, time_of: Any) -> int:
    """Some batches of each rank, the last ones not folded; how many points."""
    writers = [Writer(transactions, run, f"rank-{rank}") for rank in range(RANKS)]
    count = 0
    for batch in range(4):
        for rank, writer in enumerate(writers):
            steps = range(batch * 10, batch * 10 + 10)
            points: list[Point] = [(step, time_of(step, rank), step + rank / 100) for step in steps]
            writer.append({series_name("loss", rank): points})
            count += len(points)
        if batch == 2:
            fold(transactions, run, chunk_points=16)
    return count


@pytest.mark.parametrize(
    "time_of",
    [
        lambda step, _rank: step * 50,
        lambda step, rank: step * 50 + rank * 100,
        lambda _step, _rank: 7,
        lambda step, _rank: step // 20,
        lambda step, rank: random.Random(step * 100 + rank).randrange(1_000),
    ],
    ids=["in step", "one after the other", "at one time", "few times", "in no order"],
)
def test_many_ranks_are_read_in_order(
    transactions: SqlTransactions, run: str, held: list[int], time_of: Any
) -> None:
    count = fill(transactions, run, time_of)
    found = history(transactions, run, "loss")
    assert len(found) == len({*found}) == count
    assert [each[1] for each in found] == sorted(each[1] for each in found)
    assert held
    if time_of(0, 0) != time_of(1, 0):
        # Else more points than that have one time.
        assert max(held) <= HELD + READ
    alone = [history(transactions, run, "loss", rank) for rank in range(RANKS)]
    assert sorted(found) == sorted(point for each in alone for point in each)


def test_one_series_is_read_once(transactions: SqlTransactions, run: str, held: list[int]) -> None:
    writer = Writer(transactions, run)
    for batch in range(20):
        writer.append({"loss": [(step, step, 0.5) for step in range(batch * 10, batch * 10 + 10)]})
    fold(transactions, run, chunk_points=16)
    assert [point[0] for point in history(transactions, run, "loss")] == list(range(200))
    assert held == []

"""Rows of a journal as columns, cut into calls that the server takes."""

from __future__ import annotations

import struct
from collections import Counter

from runstone._sender import batch as batches
from runstone._sender.batch import Batch, Call, row_bytes
from runstone._sender.wire import NO_RANK, append_request


def add(batch: Batch, run: str, step: int, metrics: dict[str, float], rank: int = NO_RANK) -> None:
    keys = tuple(metrics)
    values = struct.pack(f"<{len(keys)}d", *metrics.values())
    batch.columns(run, rank, keys).add(step, 1000 + step, values)
    batch.request_bytes += row_bytes(keys)


def points(calls: list[Call]) -> Counter[tuple[str, str, int, int, int, float]]:
    return Counter(
        (call.run_id, series.key, series.rank, step, time, value)
        for call in calls
        for series in call.series
        for step, time, value in zip(series.steps, series.timestamps_ms, series.values, strict=True)
    )


def test_rows_become_columns() -> None:
    batch = Batch()
    for step in range(3):
        add(batch, "run", step, {"loss": step / 2, "acc": step * 2.0})
    (call,) = batch.calls()
    assert call.run_id == "run"
    assert [(each.key, list(each.steps), list(each.values)) for each in call.series] == [
        ("loss", [0, 1, 2], [0.0, 0.5, 1.0]),
        ("acc", [0, 1, 2], [0.0, 2.0, 4.0]),
    ]
    assert call.points == 6


def test_a_key_of_several_sets_stands_once() -> None:
    batch = Batch()
    add(batch, "run", 1, {"loss": 1.0, "lr": 0.1})
    add(batch, "run", 2, {"loss": 2.0})
    add(batch, "run", 3, {"lr": 0.3, "loss": 3.0})
    (call,) = batch.calls()
    assert {each.key: (list(each.steps), list(each.values)) for each in call.series} == {
        "loss": ([1, 2, 3], [1.0, 2.0, 3.0]),
        "lr": ([1, 3], [0.1, 0.3]),
    }


def test_ranks_are_series_of_their_own() -> None:
    batch = Batch()
    for rank in (NO_RANK, 0, 1):
        add(batch, "run", 1, {"loss": float(rank)}, rank)
    (call,) = batch.calls()
    assert [(each.rank, list(each.values)) for each in call.series] == [
        (NO_RANK, [-1.0]),
        (0, [0.0]),
        (1, [1.0]),
    ]


def test_each_run_has_its_own_call_in_the_order_they_came() -> None:
    batch = Batch()
    add(batch, "b", 1, {"x": 1.0})
    add(batch, "a", 1, {"x": 2.0})
    add(batch, "b", 2, {"y": 3.0})
    assert [(call.run_id, call.points) for call in batch.calls()] == [("b", 2), ("a", 1)]


def test_more_series_than_a_call_takes_are_cut() -> None:
    batch = Batch()
    for first in range(0, 25_000, 5_000):
        add(batch, "run", 1, {f"m{n}": float(n) for n in range(first, first + 5_000)})
    calls = list(batch.calls())
    assert [len(call.series) for call in calls] == [10_000, 10_000, 5_000]
    assert set(points(calls).values()) == {1}


def test_a_call_is_below_what_the_server_takes() -> None:
    batch = Batch()
    rows = 2 * batches.MAX_CALL_BYTES // 24
    for step in range(rows):
        add(batch, "run", step, {"loss": float(step)})
    add(batch, "run", 0, {"long " * 50: 1.0})
    calls = list(batch.calls())
    assert len(calls) == 3
    sizes = [len(append_request(call.run_id, "w" * 64, 2**62, call.series)) for call in calls]
    assert max(sizes) < 4 * 2**20
    assert sum(sizes) <= batch.request_bytes + 3 * 200
    assert points(calls) == Counter(
        [("run", "loss", NO_RANK, n, 1000 + n, float(n)) for n in range(rows)]
        + [("run", "long " * 50, NO_RANK, 0, 1000, 1.0)]
    )


def test_keys_of_any_script_fit_a_call() -> None:
    batch = Batch()
    keys = tuple("損" * 240 + f"{number:06}" for number in range(6_000))
    batch.columns("run", NO_RANK, keys).add(1, 2, struct.pack(f"{len(keys)}d", *range(len(keys))))
    calls = list(batch.calls())
    assert sum(call.points for call in calls) == len(keys)
    assert max(len(append_request(c.run_id, "w" * 64, 1, c.series)) for c in calls) <= 4 * 2**20


def test_the_same_rows_make_the_same_calls() -> None:
    def requests() -> list[bytes]:
        batch = Batch()
        for step in range(500):
            add(batch, f"run {step % 3}", step, {"a": 1.0 * step, "b": 2.0})
            add(batch, "run 1", step, {"b": -1.0}, rank=step % 2)
        return [append_request(call.run_id, "w", 1, call.series) for call in batch.calls()]

    assert requests() == requests()

"""Batches of an import, and which points of a run are missing."""

from __future__ import annotations

import math
from array import array

from runstone._entities.columns import MetricColumns
from runstone._migrate import points
from runstone._migrate.model import Points
from runstone._migrate.points import Missing, batches, writer_of


def made(key: str, *rows: tuple[int, int, float]) -> Points:
    found = Points.empty(key)
    for row in rows:
        found.add(*row)
    return found


def rows(found: Points) -> list[tuple[int, int, str]]:
    return [
        (step, time, repr(value))
        for step, time, value in zip(found.steps, found.timestamps, found.values, strict=True)
    ]


def test_distinct_points_are_in_the_order_of_time_and_nan_is_like_nan() -> None:
    found = made("a", (2, 5, math.nan), (1, 9, 1.0), (2, 5, math.nan), (2, 5, 0.5), (1, 9, 1.0))
    assert rows(found.distinct()) == [(2, 5, "0.5"), (2, 5, "nan"), (1, 9, "1.0")]


def test_a_batch_holds_a_key_once_and_no_more_than_a_call_takes() -> None:
    long = made("long", *((step, step, 0.0) for step in range(points.BATCH_POINTS * 2 + 7)))
    found = list(batches([made("a", (1, 1, 1.0)), long, made("a", (2, 2, 2.0)), made("none")]))
    assert [sum(map(len, each)) for each in found] == [100_001, 100_000, 8]
    for each in found:
        keys = [series.key for series in each]
        assert len(set(keys)) == len(keys)
    steps = [
        step for each in found for series in each if series.key == "long" for step in series.steps
    ]
    assert steps == list(range(points.BATCH_POINTS * 2 + 7))


def test_many_keys_make_many_batches() -> None:
    found = list(batches(made(f"k{number}", (0, 0, 0.0)) for number in range(9_000)))
    assert [len(each) for each in found] == [4_000, 4_000, 1_000]


def test_a_writer_is_known_by_all_of_its_batch() -> None:
    one = [made("a", (1, 2, 3.0))]
    assert writer_of(one) == writer_of([made("a", (1, 2, 3.0))])
    others = [
        [made("b", (1, 2, 3.0))],
        [made("a", (2, 2, 3.0))],
        [made("a", (1, 3, 3.0))],
        [made("a", (1, 2, 4.0))],
        [made("a", (1, 2, 3.0), (1, 2, 3.0))],
    ]
    assert len({writer_of(each) for each in [one, *others]}) == 6
    assert len(writer_of(one)) <= 64


def test_only_what_is_missing_is_given_whatever_its_order() -> None:
    there = MetricColumns(
        "a",
        array("q", [1, 2, 2, 0]),
        array("q", [5, 5, 5, 7]),
        array("d", [0.1, 0.2, math.nan, 0.0]),
        array("q"),
    )
    asked: list[str] = []

    def columns(key: str) -> MetricColumns:
        asked.append(key)
        return there

    source = [
        made("a", (0, 7, 0.0), (2, 5, math.nan), (2, 5, 0.3), (1, 6, 0.1), (1, 5, 0.1)),
        made("a", (9, 9, 9.0)),
        made("b", (1, 5, 0.1)),
    ]
    found = list(Missing({"a": 4}, columns).of(source))
    assert [(each.key, rows(each)) for each in found] == [
        ("a", [(2, 5, "0.3"), (1, 6, "0.1")]),
        ("a", [(9, 9, "9.0")]),
        ("b", [(1, 5, "0.1")]),
    ]
    assert asked == ["a"]

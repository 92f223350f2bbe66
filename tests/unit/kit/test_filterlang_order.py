"""order_by: what each entry means, and what each wrong entry is told."""

from __future__ import annotations

import pytest

from runstone_kit.errors import InvalidArgument
from runstone_kit.filterlang import (
    DATASETS,
    MAX_ORDER_BY,
    METRICS,
    PARAMS,
    OrderBy,
    Vocabulary,
    attributes,
    number,
    parse_order_by,
    string,
)

RUNS = Vocabulary(
    METRICS,
    PARAMS,
    attributes({"start_time": number(), "run_name": string()}, {"Created": "start_time"}),
    DATASETS,
)


@pytest.mark.parametrize(
    ("text", "entity", "key", "ascending"),
    [
        ("metrics.acc", "metric", "acc", True),
        ("metrics.acc DESC", "metric", "acc", False),
        ("metric.acc desc", "metric", "acc", False),
        ("metrics.`my acc` asc", "metric", "my acc", True),
        ('metrics."my acc" ASC', "metric", "my acc", True),
        ("metrics.a/b DESC", "metric", "a/b", False),
        ("metrics.desc", "metric", "desc", True),
        ("metrics.`a DESC`", "metric", "a DESC", True),
        ("  params.x   DESC  ", "param", "x", False),
        ("start_time", "attribute", "start_time", True),
        ("Created DESC", "attribute", "start_time", False),
        ("attribute.run_name", "attribute", "run_name", True),
    ],
)
def test_one_entry(text: str, entity: str, key: str, ascending: bool) -> None:
    assert parse_order_by([text], RUNS) == (OrderBy(entity, key, ascending),)


def test_entries_keep_their_order_and_the_first_of_a_key_counts() -> None:
    found = parse_order_by(["metrics.b", "start_time DESC", "metric.b DESC", "Created"], RUNS)
    assert found == (OrderBy("metric", "b", True), OrderBy("attribute", "start_time", False))


def test_no_entries() -> None:
    assert parse_order_by([], RUNS) == ()


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "a name such as metrics.loss"),
        ("DESC", 1, "attribute must be one of start_time, run_name"),
        ("foo", 1, "attribute must be one of"),
        ("foo.x", 1, "one of metric, param, attribute, dataset"),
        ("metrics.a FOO", 11, "ASC, DESC or the end, found FOO"),
        ("metrics.a ASC DESC", 15, "found DESC"),
        ("metrics.a, metrics.b", 10, "found ,"),
        ("metrics.my acc DESC", 12, "found acc"),
        ("datasets.name", 1, "cannot be sorted by"),
        ("'a'", 1, "a name such as"),
        ("metrics.`a", 8, "a key right after the dot"),
        ("metrics.a\x00", 10, "U+0000"),
        ("(" * 10_000, 1, "found ("),
    ],
)
def test_mistake(text: str, column: int, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_order_by(["start_time", text], RUNS)
    assert caught.value.reason == "FILTER_INVALID"
    assert caught.value.metadata == {"field": "order_by[1]", "column": str(column)}
    assert caught.value.violations[0].field == "order_by[1]"
    assert said in caught.value.violations[0].description


def test_limit_at_and_past() -> None:
    entries = [f"metrics.k{i}" for i in range(MAX_ORDER_BY + 1)]
    assert len(parse_order_by(entries[:-1], RUNS)) == MAX_ORDER_BY
    with pytest.raises(InvalidArgument, match="order_by must have at most 16") as caught:
        parse_order_by(entries, RUNS)
    assert caught.value.reason == "INVALID_FIELD"

"""Histories as MLflow's points: written, sampled, and where a page goes on."""

import math
import random
import struct
from array import array
from typing import Any, NamedTuple

import orjson
import pytest

from runstone_gateway import history
from runstone_gateway.errors import GatewayError
from runstone_gateway.history import Columns

LARGEST = 1.7976931348623157e308


def columns(*points: tuple[int, int, float]) -> Columns:
    steps, times, values = zip(*points, strict=True) if points else ((), (), ())
    return Columns(array("q", steps), array("q", times), array("d", values))


@pytest.mark.parametrize("value", [0.5, -0.0, math.nan, math.inf, 5e-324])
@pytest.mark.parametrize("ranks", [(), (3, 1_048_575)])
def test_a_token_says_where_the_last_point_stands(value: float, ranks: Any) -> None:
    token = history.token(columns((1, 2, 0.0), (-(2**63), 2**63 - 1, value)), ranks)
    found = history.place(token)
    assert found is not None
    assert (found.step, found.timestamp_ms) == (-(2**63), 2**63 - 1)
    assert struct.pack("<d", found.value) == struct.pack("<d", value)
    assert found.rank == (ranks[-1] if ranks else -1)
    assert history.place("") is None


@pytest.mark.parametrize(
    "token",
    [
        *("²", "5", "-1", "x", "1_2_3_4", "1_2_0000000000000000_²", "1_2_000000000000000g_-1"),
        f"{2**63}_0_0000000000000000_-1",
        f"0_{-(2**63) - 1}_0000000000000000_-1",
        "9" * 5000,
        "1_2_0000000000000000_-1\n",
        "²_2_0000000000000000_-1",
    ],
)
def test_another_token_is_refused_by_its_name(token: str) -> None:
    with pytest.raises(GatewayError, match="'page_token'") as raised:
        history.place(token)
    assert raised.value.status == 400


def test_points_are_written_with_what_belongs_to_all_of_them() -> None:
    found = columns((1, 10, 0.5), (-2, 20, math.nan), (3, 30, -math.inf), (4, 40, 1e-7))
    told = [
        {"key": 'a"é', "value": 0.5, "timestamp": 10, "step": 1},
        {"key": 'a"é', "value": "NaN", "timestamp": 20, "step": -2},
        {"key": 'a"é', "value": -LARGEST, "timestamp": 30, "step": 3},
        {"key": 'a"é', "value": 1e-7, "timestamp": 40, "step": 4},
    ]
    assert orjson.loads(b"[" + history.written(found, 'a"é') + b"]") == told
    of_run = [{**each, "run_id": "r"} for each in told]
    assert orjson.loads(b"[" + history.written(found, 'a"é', run_id="r") + b"]") == of_run
    assert history.written(columns(), "a") == b""


class Case(NamedTuple):
    steps: list[int]
    count: int


def spread(steps: list[int], count: int) -> set[int]:
    """As MLflow has it: the distances between the steps are equal, by their places."""
    known = sorted(set(steps))
    if len(known) <= count:
        return set(known)
    if count == 1:
        return {known[-1]}
    return {known[round(i * (len(known) - 1) / (count - 1))] for i in range(count)}


@pytest.mark.parametrize("seed", range(8))
def test_a_sample_has_the_first_and_the_last_step(seed: int) -> None:
    chance = random.Random(seed)
    steps = [chance.randrange(-20, 20 + 40 * seed) for _ in range(1 + 40 * seed)]
    points = [(step, time, float(time)) for time, step in enumerate(steps)]
    for count in (1, 2, 3, 7, 100, 2500):
        kept = spread(steps, count)
        expected = sorted(each for each in points if each[0] in kept)[:count]
        found = history.sampled(columns(*points), count)
        assert list(zip(*found, strict=True)) == expected
    assert len(history.sampled(columns(), 5)) == 0

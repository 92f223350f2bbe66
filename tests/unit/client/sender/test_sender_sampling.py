"""Which runs are sampled, when, and under which names and steps."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runstone._sender.sampling import (
    FILE,
    Request,
    RunSamples,
    read_requests,
    write_requests,
)


def now_ms() -> int:
    return int(time.time() * 1000)


def request(**changes: object) -> Request:
    fields: dict[str, object] = {
        "prefix": "system/",
        "rank": -1,
        "interval": 10.0,
        "samples": 1,
        "first_step": 0,
        "begun_ms": now_ms() + 60_000,
    }
    return Request(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_sender_reads_what_the_owner_asks(tmp_path: Path) -> None:
    assert read_requests(tmp_path) == {}
    asked = {"a": request(), "b": request(prefix="system/node 1/", rank=3, samples=4)}
    write_requests(tmp_path, asked)
    assert read_requests(tmp_path) == asked
    write_requests(tmp_path, {})
    assert read_requests(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {"other": 1}}'])
def test_a_damaged_request_asks_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_requests(tmp_path) == {}


def test_each_sample_is_logged_with_a_step_of_its_own() -> None:
    samples = RunSamples(request(first_step=5))
    assert samples.due()
    assert samples.add({"cpu": 10.0}) == (5, {"system/cpu": 10.0})
    assert not samples.due()
    assert samples.add({"cpu": 20.0}) == (6, {"system/cpu": 20.0})


def test_several_samples_are_logged_as_their_mean() -> None:
    samples = RunSamples(request(samples=3, prefix="system/node/"))
    assert samples.add({"cpu": 10.0, "gpu": 1.0}) is None
    assert samples.add({"cpu": 20.0}) is None
    assert samples.add({"cpu": 60.0, "gpu": 3.0}) == (
        0,
        {"system/node/cpu": 30.0, "system/node/gpu": 2.0},
    )


def test_a_sender_that_is_started_anew_goes_on_with_the_steps() -> None:
    samples = RunSamples(
        request(interval=2.0, samples=5, first_step=100, begun_ms=now_ms() - 35_000)
    )
    for _ in range(4):
        assert samples.add({"cpu": 1.0}) is None
    ready = samples.add({"cpu": 1.0})
    assert ready is not None
    assert ready[0] >= 103

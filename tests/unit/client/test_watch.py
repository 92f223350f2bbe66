"""Live charts through the client: rounds put together, and streams that break off."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from runstone import Client, _channel, _connection, exceptions
from runstone.tracking.v1 import metric_pb2
from support.processes import wait_until

Message = metric_pb2.WatchMetricsResponse
GRID = metric_pb2.SampleGrid(start=0, end=7, buckets=4)


def changed(key: str, numbers: list[int], value: float, *, whole: bool) -> Message:
    """Buckets of one point each, at their first step."""
    of: list[Any] = [value] * len(numbers)
    steps = [2 * number for number in numbers]
    series = metric_pb2.SampleMetricsResponse(
        run_id="r", key=key, first_steps=steps, last_steps=steps, min_timestamps_ms=steps,
        max_timestamps_ms=steps, first_values=of, last_values=of, min_values=of, max_values=of,
        mean_values=of, counts=[1] * len(of), nan_counts=[0] * len(of),
    )  # fmt: skip
    return Message(series=series, bucket_numbers=numbers, whole=whole)


def watched(server: Any, *calls: Any) -> Client:
    """A client whose calls are answered one after the other; the last by all further ones."""
    answers = list(calls)

    def answer(_request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
        told = answers.pop(0) if len(answers) > 1 else answers[0]
        for each in told:
            # At once: a call that is cancelled is not carried on to the place where it waits.
            if isinstance(each, threading.Event) and not context.add_callback(each.set):
                each.set()
        for each in told:
            if isinstance(each, Message):
                yield each
            elif isinstance(each, threading.Event):
                each.wait(30)
            else:
                context.abort(each, "over")

    server.answers["WatchMetrics"] = answer
    return Client(server.uri)


def shown(watch: Any) -> list[tuple[str, list[int], list[float]]]:
    return [(each.key, each.steps, each.max) for each in watch.sample()]


FIRST = [
    Message(reset=True, grid=GRID),
    changed("a", [0, 3], 1.0, whole=True),
    changed("b", [1], 1.0, whole=True),
    Message(complete=True),
]


def test_rounds_become_updates_and_a_chart(server: Any) -> None:
    client = watched(
        server,
        [
            Message(reset=True),
            Message(complete=True),
            Message(complete=True),
            *FIRST,
            Message(complete=True),
            changed("a", [1, 3], 2.0, whole=False),
            Message(complete=True),
            changed("a", [2], 3.0, whole=True),
            Message(complete=True),
        ],
    )
    watch = client.watch_metrics("r", ["a", "b"], 4, axis="wall_time", ranks=[3])
    first = next(watch)
    assert (first.reset, first.start, first.end, first.buckets) == (True, None, None, 4)
    assert watch.sample() == []
    update = next(watch)
    assert (update.reset, update.start, update.end, update.buckets) == (True, 0, 7, 4)
    assert [(each.series.key, each.buckets, each.whole) for each in update.series] == [
        ("a", [0, 3], True),
        ("b", [1], True),
    ]
    assert shown(watch) == [("a", [0, 6], [1.0, 1.0]), ("b", [2], [1.0])]
    update = next(watch)
    assert (update.reset, update.start, update.end, update.buckets) == (False, 0, 7, 4)
    assert shown(watch) == [("a", [0, 2, 6], [1.0, 2.0, 2.0]), ("b", [2], [1.0])]
    assert [each.whole for each in next(watch).series] == [True]
    assert shown(watch) == [("a", [4], [3.0]), ("b", [2], [1.0])]
    assert list(watch) == []
    [(_, _, request)] = server.named("WatchMetrics")
    assert (request.run_ids, request.keys, request.ranks) == (["r"], ["a", "b"], [3])
    assert request.axis == metric_pb2.SAMPLE_AXIS_WALL_TIME


def test_a_stream_that_breaks_off_is_begun_anew(server: Any) -> None:
    """Whether it breaks in a round or between two, and however often."""
    unavailable = grpc.StatusCode.UNAVAILABLE
    client = watched(
        server, [*FIRST[:2], unavailable], [*FIRST, unavailable], [*FIRST, *FIRST[1:], FIRST[3]]
    )
    updates = list(client.watch_metrics("r", ["a", "b"]))
    assert [(each.reset, len(each.series)) for each in updates] == [
        (True, 2),
        (True, 2),
        (False, 2),
    ]
    assert len(server.named("WatchMetrics")) == 3


def test_each_outage_has_a_patience_of_its_own(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = 0.3
    monkeypatch.setattr(_connection, "AWAY_SECONDS", patience)
    unavailable = grpc.StatusCode.UNAVAILABLE
    later = threading.Event()
    client = watched(
        server, [*FIRST, unavailable], [*FIRST, later, unavailable], [unavailable], FIRST
    )
    watch = client.watch_metrics("r", "a")
    first = time.monotonic()
    assert [next(watch).reset for _ in range(2)] == [True, True]
    wait_until(lambda: time.monotonic() - first > 2 * patience, 10, "the first patience over")
    later.set()
    assert [each.reset for each in watch] == [True]


def test_a_call_that_ends_at_its_deadline_is_followed_by_another(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = _channel.service("tracking").methods
    monkeypatch.setitem(methods, "WatchMetrics", replace(methods["WatchMetrics"], timeout=0.5))
    client = watched(server, [*FIRST, threading.Event()], FIRST)
    assert [each.reset for each in client.watch_metrics("r", "a")] == [True, True]
    client = watched(server, [threading.Event()])
    with pytest.raises(exceptions.DeadlineExceeded):
        next(client.watch_metrics("r", "a"))


def test_closing_ends_it_from_any_thread(server: Any) -> None:
    left = threading.Event()
    client = watched(server, [*FIRST, left])
    with client.watch_metrics("r", "a") as watch:
        next(watch)
        rest: list[Any] = []
        reader = threading.Thread(target=lambda: rest.extend(watch))
        reader.start()
        watch.close()
        reader.join(10)
        assert not reader.is_alive()
        assert rest == []
    wait_until(left.is_set, 10, "the server told")


def test_what_is_wrong_is_raised(server: Any) -> None:
    client = watched(server, [grpc.StatusCode.NOT_FOUND])
    with pytest.raises(exceptions.NotFound):
        next(client.watch_metrics("r", "a"))
    with pytest.raises(exceptions.InvalidField, match="axis must be one of step"):
        client.watch_metrics("r", "a", axis="epoch")

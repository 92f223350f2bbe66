"""Live pages over gRPC: points that another process writes, and every way in which a page ends."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from runstone.tracking.v1 import metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from runstone_kit.server import Running, ServerSpec, start
from runstone_tracking.main import build
from runstone_tracking.settings import TrackingSettings
from support.processes import wait_until
from support.tracking_service import refused, tracking_process, tracking_stub

Chart = dict[tuple[str, str, int | None], dict[int, tuple[Any, ...]]]


@contextmanager
def serving(url: str) -> Iterator[tuple[Running, TrackingServiceStub]]:
    settings = TrackingSettings.load(database_url=url, listen="127.0.0.1:0", access_log="off")
    running = start(ServerSpec.from_settings("tracking", settings, lambda: [build(settings)]))
    try:
        with tracking_stub(f"127.0.0.1:{running.port}") as stub:
            yield running, stub
    finally:
        running.stop(grace_s=5.0)


def new_run(stub: TrackingServiceStub) -> str:
    return stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run.run_id


def append(stub: TrackingServiceStub, run: str, number: int, steps: range, key: str = "m") -> None:
    series = metric_pb2.Series(
        key=key, steps=steps, timestamps_ms=[1] * len(steps), values=[step / 7 for step in steps]
    )
    stub.AppendMetrics(
        metric_pb2.AppendMetricsRequest(
            run_id=run, writer_id=f"w {key}", sequence=number, series=[series]
        )
    )


def end(stub: TrackingServiceStub, run: str) -> None:
    ended = run_pb2.Run(run_id=run, status=run_pb2.RUN_STATUS_FINISHED)
    stub.UpdateRun(run_pb2.UpdateRunRequest(run=ended, update_mask={"paths": ["status"]}))


def watching(run: str, **how: Any) -> metric_pb2.WatchMetricsRequest:
    return metric_pb2.WatchMetricsRequest(**({"run_ids": [run], "keys": ["m"]} | how))


def columns(series: metric_pb2.SampleMetricsResponse) -> list[tuple[Any, ...]]:
    fields = [field.name for field in series.DESCRIPTOR.fields if field.is_repeated]
    return list(zip(*(getattr(series, name) for name in fields), strict=True))


class Page:
    """What a client makes of the messages."""

    def __init__(self) -> None:
        self.chart: Chart = {}
        self.grid = metric_pb2.SampleGrid()

    def take(self, message: metric_pb2.WatchMetricsResponse) -> None:
        if message.reset:
            self.chart, self.grid = {}, message.grid
        if message.HasField("series"):
            series = message.series
            rank = series.rank if series.HasField("rank") else None
            name = (series.run_id, series.key, rank)
            if message.whole:
                self.chart[name] = {}
            self.chart[name] |= dict(zip(message.bucket_numbers, columns(series), strict=True))

    def rows(self) -> list[list[tuple[Any, ...]]]:
        return [[row for _, row in sorted(of.items())] for of in self.chart.values()]

    def expected(self, stub: TrackingServiceStub, run: str, **how: Any) -> Any:
        asked: dict[str, Any] = {"run_ids": [run], "keys": ["m"]} | how
        asked |= {"start": self.grid.start, "end": self.grid.end, "buckets": self.grid.buckets}
        return list(map(columns, stub.SampleMetrics(metric_pb2.SampleMetricsRequest(**asked))))


def test_a_page_follows_what_another_process_writes(tracking_url: str) -> None:
    with serving(tracking_url) as (_, stub), tracking_process(tracking_url) as other:
        run = new_run(stub)
        page = Page()
        call = stub.WatchMetrics(watching(run, buckets=20), timeout=60)
        first = next(call)
        assert (first.reset, first.HasField("grid")) == (True, False)
        with tracking_stub(f"127.0.0.1:{other.port}") as writer:
            for number in range(1, 5):
                append(writer, run, number, range(number * 100, number * 100 + 150))
                for message in call:
                    page.take(message)
                    known = page.chart.get((run, "m", None), {})
                    if message.complete and known and max(known.values())[1] >= number * 100 + 149:
                        break
                assert page.rows() == page.expected(stub, run)
            append(writer, run, 5, range(7))
            end(writer, run)
        for message in call:
            page.take(message)
        assert call.code() is grpc.StatusCode.OK
        assert message.complete
        assert page.rows() == page.expected(stub, run)
        assert sum(row[9] for row in page.chart[run, "m", None].values()) == 457


def test_signs_of_life_and_a_client_that_goes(tracking_url: str) -> None:
    with serving(tracking_url) as (running, stub):
        run = new_run(stub)
        calls = [stub.WatchMetrics(watching(run), timeout=60) for _ in range(20)]
        for call in calls:
            signs = [next(call) for _ in range(3)]
            assert [each.complete for each in signs] == [False, True, True]
        # Pages that are open take nothing from those who read and write.
        append(stub, run, 1, range(5))
        assert list(stub.SampleMetrics(metric_pb2.SampleMetricsRequest(run_ids=[run], keys=["m"])))
        assert running.activity.idle_s() == 0
        for call in calls:
            call.cancel()
        wait_until(lambda: running.activity.idle_s() > 0, 5, "every thread free again")


def test_a_server_that_stops_says_so_within_the_grace(tracking_url: str) -> None:
    with serving(tracking_url) as (running, stub):
        call = stub.WatchMetrics(watching(new_run(stub)), timeout=60)
        next(call)
        began = time.monotonic()
        stopping = threading.Thread(target=running.stop, kwargs={"grace_s": 60})
        stopping.start()
        found = refused(lambda: list(call))
        assert (found.code, found.reason) == ("UNAVAILABLE", "SERVER_STOPPING")
        stopping.join()
        assert time.monotonic() - began < 30


def test_a_slow_reader_gets_the_last_state_and_no_backlog(tracking_url: str) -> None:
    """What waits for a reader is the messages that gRPC has taken: a round is made when the one
    before was read."""
    with serving(tracking_url) as (_, stub):
        run = new_run(stub)
        how: dict[str, Any] = {"keys": ["m", "n"], "start": 0, "end": 3999, "buckets": 4000}
        for key in how["keys"]:
            append(stub, run, 1, range(4000), key)
        call = stub.WatchMetrics(watching(run, **how), timeout=60)
        for number in range(2, 40):
            append(stub, run, number, range(4000))
        end(stub, run)
        page = Page()
        rounds = 0
        for message in call:
            page.take(message)
            rounds += message.complete
        assert page.rows() == page.expected(stub, run, **how)
        assert rounds < 20


def test_a_deadline_and_what_is_not_there(tracking_url: str) -> None:
    with serving(tracking_url) as (_, stub):
        call = stub.WatchMetrics(watching(new_run(stub)), timeout=1)
        with pytest.raises(grpc.RpcError) as late:
            list(call)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        found = refused(lambda: list(stub.WatchMetrics(watching("0" * 32))))
        assert (found.code, found.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")
        found = refused(lambda: list(stub.WatchMetrics(watching("0" * 32, buckets=4097))))
        assert (found.code, found.fields) == ("INVALID_ARGUMENT", ["buckets"])

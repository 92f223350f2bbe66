"""Metrics over real gRPC, on both databases: what other people's clients may send, and get back."""

import math
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from runstone_kit.peers import failure
from runstone_kit.server import ServerSpec, start
from runstone_tracking.convert_appends import MAX_APPEND_BYTES
from runstone_tracking.main import build
from runstone_tracking.settings import TrackingSettings
from support.suites import channel

SERVICE = "/runstone.tracking.v1.TrackingService"


@pytest.fixture
def opened(tracking_url: str) -> Iterator[grpc.Channel]:
    """A channel to the service."""
    settings = TrackingSettings(database_url=tracking_url, listen="127.0.0.1:0", access_log="off")
    running = start(ServerSpec.from_settings("tracking", settings, lambda: [build(settings)]))
    try:
        with channel(f"127.0.0.1:{running.port}") as made:
            yield made
    finally:
        running.stop(grace_s=5.0)


@pytest.fixture
def stub(opened: grpc.Channel) -> TrackingServiceStub:
    return TrackingServiceStub(opened)


@pytest.fixture
def run_id(stub: TrackingServiceStub) -> str:
    return stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run.run_id


def _request(run_id: str, sequence: int, *series: metric_pb2.Series) -> bytes:
    request = metric_pb2.AppendMetricsRequest(
        run_id=run_id, writer_id="w", sequence=sequence, series=series
    )
    return request.SerializeToString()


def _append(opened: grpc.Channel, data: bytes) -> bool:
    """Sends the bytes as they are; whether they were a duplicate."""
    call = opened.unary_unary(
        f"{SERVICE}/AppendMetrics",
        response_deserializer=metric_pb2.AppendMetricsResponse.FromString,
    )
    return bool(call(data, timeout=10).duplicate)


def _refused(opened: grpc.Channel, data: bytes) -> tuple[str, str, list[str]]:
    with pytest.raises(grpc.RpcError) as caught:
        _append(opened, data)
    found = failure(caught.value)
    return found.code, found.reason, _fields(caught.value)


def _fields(error: grpc.RpcError) -> list[str]:
    named = error_details_pb2.BadRequest()
    status = rpc_status.from_call(error)
    assert status is not None
    for detail in status.details:
        detail.Unpack(named)
    return [each.field for each in named.field_violations]


def _history(stub: TrackingServiceStub, run_id: str, key: str) -> list[tuple[int, int, float]]:
    request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key=key)
    return [
        point
        for piece in stub.GetMetricHistory(request, timeout=30)
        for point in zip(piece.steps, piece.timestamps_ms, piece.values, strict=True)
    ]


def test_points_go_in_and_come_back(
    opened: grpc.Channel, stub: TrackingServiceStub, run_id: str
) -> None:
    series = metric_pb2.Series(
        key="loss",
        steps=[3, -1, 2**63 - 1],
        timestamps_ms=[30, 10, 20],
        values=[0.5, -math.inf, -0.0],
    )
    assert _append(opened, _request(run_id, 1, series)) is False
    assert _append(opened, _request(run_id, 1, series)) is True
    found = _history(stub, run_id, "loss")
    assert [point[:2] for point in found] == [(-1, 10), (2**63 - 1, 20), (3, 30)]
    assert [repr(point[2]) for point in found] == ["-inf", "-0.0", "0.5"]
    listed = stub.ListMetricKeys(metric_pb2.ListMetricKeysRequest(run_id=run_id))
    [summary] = listed.metrics
    assert (summary.key, summary.step, summary.count) == ("loss", 2**63 - 1, 3)
    assert repr(summary.value) == "-0.0"


def test_ranks_go_in_and_come_back(
    opened: grpc.Channel, stub: TrackingServiceStub, run_id: str
) -> None:
    def series(rank: int | None, value: float) -> metric_pb2.Series:
        return metric_pb2.Series(
            key="loss", steps=[1], timestamps_ms=[7], values=[value], rank=rank
        )

    top = 2**20 - 1
    _append(opened, _request(run_id, 1, series(0, 0.5), series(top, 0.25), series(None, 1.0)))
    _append(
        opened,
        _request(
            run_id, 2, metric_pb2.Series(key="plain", steps=[1], timestamps_ms=[1], values=[1.0])
        ),
    )
    request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key="loss")
    [page] = stub.GetMetricHistory(request, timeout=30)
    assert dict(zip(page.ranks, page.values, strict=True)) == {-1: 1.0, 0: 0.5, top: 0.25}
    request.rank = 0
    [page] = stub.GetMetricHistory(request, timeout=30)
    assert (list(page.ranks), list(page.values)) == ([0], [0.5])
    [page] = stub.GetMetricHistory(
        metric_pb2.GetMetricHistoryRequest(run_id=run_id, key="plain"), timeout=30
    )
    assert list(page.ranks) == []
    assert _refused(opened, _request(run_id, 3, series(-1, 1.0), series(top + 1, 1.0)))[2] == [
        "series[0].rank",
        "series[1].rank",
    ]
    assert _refused(opened, _request(run_id, 3, series(4, 1.0), series(4, 2.0)))[2] == [
        "series[1].key"
    ]


def test_a_long_history_comes_in_pieces(
    opened: grpc.Channel, stub: TrackingServiceStub, run_id: str
) -> None:
    points = 70_000
    series = metric_pb2.Series(
        key="k", steps=range(points), timestamps_ms=range(points), values=[1.5] * points
    )
    _append(opened, _request(run_id, 1, series))
    request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key="k")
    pieces = list(stub.GetMetricHistory(request, timeout=30))
    assert [len(piece.steps) for piece in pieces] == [65_536, points - 65_536]
    assert [step for piece in pieces for step in piece.steps] == list(range(points))


def test_unpacked_and_divided_columns_are_understood(
    opened: grpc.Channel, stub: TrackingServiceStub, run_id: str
) -> None:
    steps, times, values = (
        columnar.pack_int64([1, 2]),
        columnar.pack_int64([10, 20]),
        columnar.pack_double([0.5, 0.25]),
    )
    unpacked = b"\x0a\x01k" + b"".join(
        bytes([number << 3 | 1]) + column[place : place + 8]
        for number, column in ((2, steps), (3, times), (4, values))
        for place in (0, 8)
    )
    divided = b"\x0a\x01d" + b"".join(
        bytes([number << 3 | 2, 8]) + column[place : place + 8]
        for number, column in ((2, steps), (3, times), (4, values))
        for place in (0, 8)
    )
    data = _request(run_id, 1)
    for series in (unpacked, divided):
        data += bytes([4 << 3 | 2, len(series)]) + series
    assert _append(opened, data) is False
    assert _history(stub, run_id, "k") == [(1, 10, 0.5), (2, 20, 0.25)]
    assert _history(stub, run_id, "d") == [(1, 10, 0.5), (2, 20, 0.25)]


def test_what_is_wrong_is_named_and_nothing_is_left(
    opened: grpc.Channel, stub: TrackingServiceStub, run_id: str
) -> None:
    good = metric_pb2.Series(key="k", steps=[1], timestamps_ms=[1], values=[1.0])
    short = metric_pb2.Series(key="s", steps=[1, 2], timestamps_ms=[1, 2], values=[1.0])
    late = metric_pb2.Series(key="../x", steps=[1], timestamps_ms=[-1], values=[1.0])
    half = bytes([4 << 3 | 2, 9]) + b"\x0a\x01h\x12\x04half"
    invalid = "INVALID_ARGUMENT"
    assert _refused(opened, _request(run_id, 0, good, short, late)) == (
        *(invalid, "INVALID_FIELD"),
        ["sequence", "series[1]", "series[2].key"],
    )
    assert _refused(opened, _request(run_id, 1) + half)[:2] == (invalid, "INVALID_FIELD")
    assert _refused(opened, _request(run_id, 1))[2] == ["series"]
    assert _refused(opened, b"\xff\xff\xff")[:2] == (invalid, "INVALID_FIELD")
    assert _refused(opened, _request("0" * 32, 1, good))[:2] == ("NOT_FOUND", "RUN_NOT_FOUND")
    listed = stub.ListMetricKeys(metric_pb2.ListMetricKeysRequest(run_id=run_id))
    assert list(listed.metrics) == []


def test_a_request_has_at_most_four_mebibytes(opened: grpc.Channel, run_id: str) -> None:
    points = (MAX_APPEND_BYTES - 1000) // 24
    long = metric_pb2.Series(
        key="k", steps=[1] * points, timestamps_ms=[1] * points, values=[0.5] * points
    )
    data = _request(run_id, 1, long)
    # A field that the message does not have fills the rest: its tag, its length in two bytes.
    rest = MAX_APPEND_BYTES - len(data) - 3
    filler = bytes([15 << 3 | 2, rest & 0x7F | 0x80, rest >> 7]) + bytes(rest)
    assert len(data + filler) == MAX_APPEND_BYTES
    assert _append(opened, data + filler) is False
    rest += 1
    filler = bytes([15 << 3 | 2, rest & 0x7F | 0x80, rest >> 7]) + bytes(rest)
    assert _refused(opened, data + filler) == ("INVALID_ARGUMENT", "INVALID_FIELD", ["request"])


def test_states_that_refuse(opened: grpc.Channel, stub: TrackingServiceStub, run_id: str) -> None:
    one = metric_pb2.Series(key="k", steps=[1], timestamps_ms=[1], values=[1.0])
    other = metric_pb2.Series(key="k", steps=[2], timestamps_ms=[1], values=[1.0])
    _append(opened, _request(run_id, 1, one))
    assert _refused(opened, _request(run_id, 1, other))[:2] == (
        "ALREADY_EXISTS",
        "SEQUENCE_REUSED",
    )
    stub.DeleteRun(run_pb2.DeleteRunRequest(run_id=run_id))
    assert _refused(opened, _request(run_id, 2, one))[:2] == ("FAILED_PRECONDITION", "RUN_DELETED")
    assert _append(opened, _request(run_id, 1, one)) is True
    assert _history(stub, run_id, "k") == [(1, 1, 1.0)]
    for absent in (
        metric_pb2.GetMetricHistoryRequest(run_id=run_id, key="no"),
        metric_pb2.GetMetricHistoryRequest(run_id="0" * 32, key="k"),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.GetMetricHistory(absent, timeout=10))
        reason = "METRIC_NOT_FOUND" if absent.run_id == run_id else "RUN_NOT_FOUND"
        assert failure(caught.value).reason == reason

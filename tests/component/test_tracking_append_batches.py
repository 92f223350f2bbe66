"""AppendBatches over real gRPC, on both databases: each batch is by itself."""

from collections.abc import Iterator

import pytest

from runstone.tracking.v1 import metric_pb2 as pb
from runstone.tracking.v1 import run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from runstone_kit.peers import failure, refusal
from runstone_tracking.convert_appends import MAX_APPEND_BYTES, MAX_BATCHES
from support.tracking_service import refused, tracking_server


@pytest.fixture
def stub(tracking_url: str) -> Iterator[TrackingServiceStub]:
    with tracking_server(tracking_url) as channel:
        yield TrackingServiceStub(channel)


def _new_run(stub: TrackingServiceStub) -> str:
    return stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run.run_id


def _batch(
    run_id: str, sequence: int = 1, *, writer: str = "w", key: str = "m", points: int = 1
) -> pb.AppendMetricsRequest:
    steps = [sequence] * points
    series = pb.Series(key=key, steps=steps, timestamps_ms=steps, values=[0.5] * points)
    return pb.AppendMetricsRequest(
        run_id=run_id, writer_id=writer, sequence=sequence, series=[series]
    )


def _append(stub: TrackingServiceStub, *batches: pb.AppendMetricsRequest) -> list[str]:
    """What became of each: "written", "duplicate", or the reason and the field."""
    answer = stub.AppendBatches(pb.AppendBatchesRequest(batches=batches), timeout=30)
    told = []
    for outcome in answer.outcomes:
        if outcome.HasField("status"):
            found = failure(refusal(outcome.status))
            assert found.domain == "tracking.runstone"
            told.append(f"{found.reason} {found.field}".strip())
        else:
            told.append("duplicate" if outcome.duplicate else "written")
    return told


def _count(stub: TrackingServiceStub, run_id: str) -> int:
    request = pb.GetMetricHistoryRequest(run_id=run_id, key="m")
    return sum(len(piece.steps) for piece in stub.GetMetricHistory(request, timeout=30))


def test_each_batch_has_an_outcome_of_its_own(stub: TrackingServiceStub) -> None:
    first, second, deleted = (_new_run(stub) for _ in range(3))
    stub.DeleteRun(run_pb2.DeleteRunRequest(run_id=deleted))
    assert _append(stub, _batch(first)) == ["written"]
    told = _append(
        stub,
        _batch(first),
        _batch(second),
        _batch("0" * 32),
        _batch(deleted),
        _batch(second, 7, writer="other"),
        _batch(second, key=""),
        _batch(first, 2),
        _batch("", 0),
        # A writer's next ones, in their order.
        _batch(second, 2),
        _batch(second, 3),
    )
    assert told == [
        "duplicate",
        "written",
        "RUN_NOT_FOUND",
        "RUN_DELETED",
        "SEQUENCE_GAP",
        "INVALID_FIELD series[0].key",
        "written",
        "INVALID_FIELD run_id",
        "written",
        "written",
    ]
    assert (_count(stub, first), _count(stub, second)) == (2, 3)


def test_a_call_without_batches_or_with_too_many_is_refused(stub: TrackingServiceStub) -> None:
    run_id = _new_run(stub)
    for count in (0, MAX_BATCHES + 1):
        request = pb.AppendBatchesRequest(
            batches=[_batch(run_id, writer=str(number)) for number in range(count)]
        )
        assert refused(lambda: stub.AppendBatches(request)).fields == ["batches"]  # noqa: B023
    half = MAX_APPEND_BYTES // 2 // 24
    large = pb.AppendBatchesRequest(
        batches=[_batch(run_id, writer=str(number), points=half) for number in range(3)]
    )
    assert refused(lambda: stub.AppendBatches(large)).fields == ["request"]
    # Nothing of it was written.
    assert "m" not in {
        each.key for each in stub.ListMetricKeys(pb.ListMetricKeysRequest(run_id=run_id)).metrics
    }


def test_only_invalid_batches(stub: TrackingServiceStub) -> None:
    assert _append(stub, _batch("", 1)) == ["INVALID_FIELD run_id"]

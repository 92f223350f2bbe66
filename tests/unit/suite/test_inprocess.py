"""Calls inside the suite behave as calls over a network do."""

from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from runstone.tracking.v1 import run_pb2, tracking_service_pb2_grpc
from runstone_kit import context, peers
from runstone_kit.errors import NotFound
from runstone_kit.spec import ServiceParts
from runstone_suite.inprocess import LocalChannel


class Servicer(tracking_service_pb2_grpc.TrackingServiceServicer):
    def GetRun(self, request: Any, context: Any) -> Any:
        if request.run_id == "none":
            raise NotFound("no such run", reason="RUN_NOT_FOUND", metadata={"run_id": "none"})
        if request.run_id == "defect":
            raise ZeroDivisionError
        return run_pb2.GetRunResponse(run=run_pb2.Run(run_id=request.run_id, name=actor()))


def actor() -> str:
    return context.current().actor


@pytest.fixture
def stub() -> tracking_service_pb2_grpc.TrackingServiceStub:
    channel = LocalChannel()
    made = tracking_service_pb2_grpc.TrackingServiceStub(channel)
    channel.connect(
        ServiceParts(
            name="runstone.tracking.v1.TrackingService",
            add_to_server=lambda server: (
                tracking_service_pb2_grpc.add_TrackingServiceServicer_to_server(Servicer(), server)
            ),
        )
    )
    return made


def test_a_call_runs_in_the_callers_context(stub: Any) -> None:
    with context.use(context.RequestContext(actor="ann")):
        run = stub.GetRun(run_pb2.GetRunRequest(run_id="a"), timeout=1.0).run
    assert (run.run_id, run.name) == ("a", "ann")


def test_an_error_is_what_a_network_would_bring(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stub.GetRun(run_pb2.GetRunRequest(run_id="none"))
    failure = peers.failure(raised.value)
    assert (failure.code, failure.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")
    assert (failure.domain, failure.metadata) == ("tracking.runstone", {"run_id": "none"})
    assert failure.message == "no such run"


def test_a_defect_stays_one(stub: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        stub.GetRun(run_pb2.GetRunRequest(run_id="defect"))


def test_streams_are_refused(stub: Any) -> None:
    with pytest.raises(TypeError):
        stub.GetMetricHistory(SimpleNamespace())

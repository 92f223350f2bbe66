"""A small artifact and tracking service on loopback: what the registry asks of them, no more."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from runstone.artifact.v1 import artifact_pb2, artifact_service_pb2_grpc
from runstone.tracking.v1 import run_pb2, tracking_service_pb2_grpc
from support.registry import RUN


def refuse(context: grpc.ServicerContext, code: grpc.StatusCode, reason: str) -> NoReturn:
    """Ends a call as our services do."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=reason))
    status = status_pb2.Status(code=code.value[0], message=reason, details=[info])
    context.abort_with_status(rpc_status.to_status(status))


class Peers(
    artifact_service_pb2_grpc.ArtifactServiceServicer,
    tracking_service_pb2_grpc.TrackingServiceServicer,
):
    """Files are counted, not kept. ``before`` and ``after`` get the name of each RPC that comes."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, int]] = {RUN: {"": 3, "model": 2}}
        self.owners: dict[str, int] = {}
        self.sealed: set[str] = set()
        self.metadata: list[dict[str, Any]] = []
        self.before: Callable[[str], None] = lambda _rpc: None
        self.after: Callable[[str], None] = lambda _rpc: None
        self.server: grpc.Server | None = None
        self.address = ""

    def start(self) -> None:
        """Serves, on the same port as before."""
        server = grpc.server(ThreadPoolExecutor(8))
        artifact_service_pb2_grpc.add_ArtifactServiceServicer_to_server(self, server)
        tracking_service_pb2_grpc.add_TrackingServiceServicer_to_server(self, server)
        port = server.add_insecure_port(self.address or "127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        server.start()
        self.server = server

    def stop(self) -> None:
        """Goes away."""
        assert self.server is not None
        self.server.stop(None).wait()

    def GetRun(self, request: Any, context: grpc.ServicerContext) -> run_pb2.GetRunResponse:
        self._seen("GetRun", context)
        if request.run_id not in self.runs:
            refuse(context, grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND")
        return run_pb2.GetRunResponse(run=run_pb2.Run(run_id=request.run_id))

    def CopyArtifacts(
        self, request: artifact_pb2.CopyArtifactsRequest, context: grpc.ServicerContext
    ) -> artifact_pb2.CopyArtifactsResponse:
        self._seen("CopyArtifacts", context)
        if request.source.model_version_id:
            count = self.owners.get(request.source.model_version_id)
        else:
            count = self.runs.get(request.source.run_id, {}).get(request.source_path)
        if count is None:
            refuse(context, grpc.StatusCode.NOT_FOUND, "ARTIFACT_NOT_FOUND")
        self.owners[request.destination.model_version_id] = count
        if request.seal:
            self.sealed.add(request.destination.model_version_id)
        self.after("CopyArtifacts")
        return artifact_pb2.CopyArtifactsResponse(copied=count)

    def OpenArtifacts(
        self, request: artifact_pb2.OpenArtifactsRequest, context: grpc.ServicerContext
    ) -> artifact_pb2.OpenArtifactsResponse:
        self._seen("OpenArtifacts", context)
        self.owners[request.owner.model_version_id] = 0
        return artifact_pb2.OpenArtifactsResponse()

    def ListArtifacts(
        self, request: artifact_pb2.ListArtifactsRequest, context: grpc.ServicerContext
    ) -> artifact_pb2.ListArtifactsResponse:
        self._seen("ListArtifacts", context)
        count = self.owners.get(request.owner.model_version_id, 0)
        files = [artifact_pb2.Artifact(path=f"f{index}") for index in range(count)]
        return artifact_pb2.ListArtifactsResponse(artifacts=files[: request.page_size])

    def SealArtifacts(
        self, request: artifact_pb2.SealArtifactsRequest, context: grpc.ServicerContext
    ) -> artifact_pb2.SealArtifactsResponse:
        self._seen("SealArtifacts", context)
        self.sealed.add(request.owner.model_version_id)
        return artifact_pb2.SealArtifactsResponse(count=self.owners[request.owner.model_version_id])

    def DeleteArtifacts(
        self, request: artifact_pb2.DeleteArtifactsRequest, context: grpc.ServicerContext
    ) -> artifact_pb2.DeleteArtifactsResponse:
        self._seen("DeleteArtifacts", context)
        count = self.owners.pop(request.owner.model_version_id, 0)
        self.sealed.discard(request.owner.model_version_id)
        return artifact_pb2.DeleteArtifactsResponse(deleted=count)

    def _seen(self, rpc: str, context: grpc.ServicerContext) -> None:
        self.metadata.append({"rpc": rpc, **dict(context.invocation_metadata())})
        self.before(rpc)


@contextmanager
def peers() -> Iterator[Peers]:
    """The peers for the length of a `with`."""
    # Only the RPCs that the registry calls are there.
    made = Peers()  # type: ignore[abstract]
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Gate:
    """Holds a call until the test lets it go on."""

    def __init__(self, rpc: str) -> None:
        self._rpc = rpc
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, rpc: str) -> None:
        if rpc == self._rpc:
            self.reached.set()
            self.open.wait(30)

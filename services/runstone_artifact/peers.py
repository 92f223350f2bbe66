"""The tracking service, by its RPCs."""

from __future__ import annotations

from importlib import resources

import grpc
import structlog

from runstone.tracking.v1 import run_pb2, tracking_service_pb2_grpc
from runstone_artifact.errors import OwnerDeleted, OwnerNotFound, TrackingUnavailable
from runstone_artifact.model import Owner, OwnerKind
from runstone_kit.peers import failure

TIMEOUT_S = 10.0
"""Longer than a restart of the tracking service takes; the stub's retries fit into it."""

_log = structlog.get_logger("runstone_artifact.peers")


def service_config() -> str:
    """The retry policy that is published beside the tracking service's proto."""
    folder = resources.files("runstone.tracking.v1")
    return (folder / "service_config.json").read_text("utf-8")


class RpcRunDirectory:
    """``store.RunDirectory`` over a channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = tracking_service_pb2_grpc.TrackingServiceStub(channel)

    def require_active(self, run_id: str) -> None:
        """See RunDirectory."""
        owner = Owner(OwnerKind.RUN, run_id)
        try:
            response = self._stub.GetRun(run_pb2.GetRunRequest(run_id=run_id), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            said = failure(error)
            if said.reason == "RUN_NOT_FOUND":
                raise OwnerNotFound(owner) from error
            _log.warning("tracking failed", code=said.code, reason=said.reason)
            raise TrackingUnavailable from error
        if response.run.HasField("delete_time"):
            raise OwnerDeleted(owner)

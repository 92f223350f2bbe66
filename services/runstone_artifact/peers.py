"""The tracking service, by its RPCs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

import grpc
import structlog

from runstone.tracking.v1 import logged_model_pb2, run_pb2, tracking_service_pb2_grpc
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
        request = run_pb2.GetRunRequest(run_id=run_id)
        _require(
            Owner(OwnerKind.RUN, run_id),
            lambda: self._stub.GetRun(request, timeout=TIMEOUT_S).run,
            "RUN_NOT_FOUND",
        )

    def require_active_model(self, model_id: str) -> None:
        """See RunDirectory."""
        request = logged_model_pb2.GetLoggedModelRequest(model_id=model_id)
        _require(
            Owner(OwnerKind.LOGGED_MODEL, model_id),
            lambda: self._stub.GetLoggedModel(request, timeout=TIMEOUT_S).model,
            "LOGGED_MODEL_NOT_FOUND",
        )


def _require(
    owner: Owner, get: Callable[[], run_pb2.Run | logged_model_pb2.LoggedModel], unknown: str
) -> None:
    try:
        found = get()
    except grpc.RpcError as error:
        said = failure(error)
        if said.reason == unknown:
            raise OwnerNotFound(owner) from error
        _log.warning("tracking failed", code=said.code, reason=said.reason)
        raise TrackingUnavailable from error
    if found.HasField("delete_time"):
        raise OwnerDeleted(owner)

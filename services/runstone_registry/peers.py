"""The artifact and the tracking service, by their RPCs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import TypeVar

import grpc
import structlog

from runstone.artifact.v1 import artifact_pb2, artifact_service_pb2_grpc
from runstone.tracking.v1 import logged_model_pb2, run_pb2, tracking_service_pb2_grpc
from runstone_kit.context import current
from runstone_kit.errors import ResourceExhausted
from runstone_kit.peers import PeerFailure, failure
from runstone_registry.errors import (
    PeerUnavailable,
    SourceLoggedModelNotFound,
    SourceNotFound,
    SourceRunNotFound,
    invalid_field,
)

T = TypeVar("T")

LONG_S = 240.0
"""Seconds for a copy or a deletion of very many files; well below a reservation's lease."""

SHORT_S = 20.0
"""Seconds for anything else."""

_NOTHING_THERE = frozenset({"ARTIFACT_NOT_FOUND", "OWNER_NOT_FOUND"})

_log = structlog.get_logger("runstone_registry.peers")


def service_config(service: str) -> str:
    """The retry policy that is published beside a service's proto."""
    return (resources.files(f"runstone.{service}.v1") / "service_config.json").read_text("utf-8")


class RpcArtifactPeer:
    """``store.ArtifactPeer`` over a channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = artifact_service_pb2_grpc.ArtifactServiceStub(channel)

    def copy_run_artifacts(self, run_id: str, path: str, model_version_id: str) -> int:
        """Give a version a run's files and seal them."""
        return self._copy(artifact_pb2.Owner(run_id=run_id), path, model_version_id)

    def copy_model_artifacts(self, model_id: str, path: str, model_version_id: str) -> int:
        """Give a version a logged model's files and seal them."""
        return self._copy(artifact_pb2.Owner(logged_model_id=model_id), path, model_version_id)

    def _copy(self, source: artifact_pb2.Owner, path: str, model_version_id: str) -> int:
        request = artifact_pb2.CopyArtifactsRequest(
            source=source,
            source_path=path,
            destination=_version(model_version_id),
            seal=True,
        )
        kind = "run" if source.run_id else "model"
        try:
            response = _call(lambda: self._stub.CopyArtifacts(request, timeout=_time(LONG_S)))
        except _Refused as refused:
            if refused.failure.reason in _NOTHING_THERE:
                source_id = source.run_id or source.logged_model_id
                raise SourceNotFound(source_id, path, kind=kind) from refused
            if refused.failure.code == "INVALID_ARGUMENT":
                field = "run.path" if kind == "run" else "logged_model.path"
                raise invalid_field(field, refused.failure.message) from refused
            raise _odd("artifact", refused.failure) from refused
        return response.copied

    def copy_version(self, source_id: str, model_version_id: str) -> int:
        """Give a version the files of another and seal them."""
        request = artifact_pb2.CopyArtifactsRequest(
            source=_version(source_id), destination=_version(model_version_id), seal=True
        )
        try:
            response = _call(lambda: self._stub.CopyArtifacts(request, timeout=_time(LONG_S)))
        except _Refused as refused:
            # Deleted since it was looked up.
            if refused.failure.reason in (*_NOTHING_THERE, "OWNER_DELETED"):
                return 0
            raise _odd("artifact", refused.failure) from refused
        return response.copied

    def open(self, model_version_id: str) -> None:
        """Let files be uploaded for a version."""
        request = artifact_pb2.OpenArtifactsRequest(owner=_version(model_version_id))
        try:
            _call(lambda: self._stub.OpenArtifacts(request, timeout=_time(SHORT_S)))
        except _Refused as refused:
            raise _odd("artifact", refused.failure) from refused

    def seal(self, model_version_id: str) -> int:
        """Make a version's files final, if it has any."""
        owner = _version(model_version_id)
        listing = artifact_pb2.ListArtifactsRequest(owner=owner, recursive=True, page_size=1)
        request = artifact_pb2.SealArtifactsRequest(owner=owner)
        try:
            found = _call(lambda: self._stub.ListArtifacts(listing, timeout=_time(SHORT_S)))
            if not found.artifacts:
                return 0
            sealed = _call(lambda: self._stub.SealArtifacts(request, timeout=_time(SHORT_S)))
        except _Refused as refused:
            if refused.failure.reason in _NOTHING_THERE:
                return 0
            raise _odd("artifact", refused.failure) from refused
        return sealed.count

    def delete(self, model_version_id: str) -> None:
        """Delete a version's files and forget the owner."""
        request = artifact_pb2.DeleteArtifactsRequest(owner=_version(model_version_id))
        try:
            _call(lambda: self._stub.DeleteArtifacts(request, timeout=_time(LONG_S)))
        except _Refused as refused:
            if refused.failure.reason not in _NOTHING_THERE:
                raise _odd("artifact", refused.failure) from refused


class RpcRunPeer:
    """``store.RunPeer`` over a channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = tracking_service_pb2_grpc.TrackingServiceStub(channel)

    def require_run(self, run_id: str) -> None:
        """Return if the run exists, deleted or not."""
        request = run_pb2.GetRunRequest(run_id=run_id)
        try:
            _call(lambda: self._stub.GetRun(request, timeout=_time(SHORT_S)), peer="tracking")
        except _Refused as refused:
            # An id of another form than the tracking service gives out is that of no run.
            if refused.failure.code in ("NOT_FOUND", "INVALID_ARGUMENT"):
                raise SourceRunNotFound(run_id) from refused
            raise _odd("tracking", refused.failure) from refused

    def run_of_model(self, model_id: str) -> str:
        """The run that made a logged model, deleted or not."""
        request = logged_model_pb2.GetLoggedModelRequest(model_id=model_id)
        try:
            found = _call(
                lambda: self._stub.GetLoggedModel(request, timeout=_time(SHORT_S)), peer="tracking"
            )
        except _Refused as refused:
            if refused.failure.code == "NOT_FOUND":
                raise SourceLoggedModelNotFound(model_id) from refused
            raise _odd("tracking", refused.failure) from refused
        return found.model.source_run_id


class _Refused(Exception):
    """The peer answered, with an error."""

    def __init__(self, answer: PeerFailure) -> None:
        super().__init__(answer.message)
        self.failure = answer


def _call(call: Callable[[], T], peer: str = "artifact") -> T:
    try:
        return call()
    except grpc.RpcError as error:
        answer = failure(error)
        if answer.is_away:
            raise PeerUnavailable(peer) from error
        if answer.code == "RESOURCE_EXHAUSTED":
            # It is there and says that it can't: its disk is full, it is busy. Nothing was done.
            raise ResourceExhausted(
                f"the {peer} service: {answer.message}", reason=answer.reason or "OVERLOADED"
            ) from error
        raise _Refused(answer) from error


def _odd(peer: str, answer: PeerFailure) -> PeerUnavailable:
    """For an answer that the contract does not foresee: a release of the peer that is not ours."""
    _log.error("unexpected answer", peer=peer, code=answer.code, reason=answer.reason)
    what = answer.reason or answer.code
    return PeerUnavailable(peer, f"answered {what}", certain=answer.code != "INTERNAL")


def _version(model_version_id: str) -> artifact_pb2.Owner:
    return artifact_pb2.Owner(model_version_id=model_version_id)


def _time(seconds: float) -> float:
    """No more than the caller has left."""
    remaining = current().remaining()
    return seconds if remaining is None else max(0.001, min(seconds, remaining))

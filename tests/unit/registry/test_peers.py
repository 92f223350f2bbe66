"""What the peers' answers mean to the registry."""

from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from runstone.artifact.v1 import artifact_pb2
from runstone.tracking.v1 import logged_model_pb2
from runstone_kit.errors import InvalidArgument, ResourceExhausted
from runstone_registry.errors import (
    PeerUnavailable,
    SourceLoggedModelNotFound,
    SourceNotFound,
    SourceRunNotFound,
)
from runstone_registry.peers import RpcArtifactPeer, RpcRunPeer

RUN = "0" * 32
VERSION = "f" * 32
LOGGED_MODEL = "m-" + "a" * 32


class Failed(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, reason: str = "") -> None:
        super().__init__(reason)
        self._code = code
        self._reason = reason

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "why"

    def trailing_metadata(self) -> Any:
        if not self._reason:
            return ()
        info = any_pb2.Any()
        info.Pack(error_details_pb2.ErrorInfo(reason=self._reason, domain="artifact.runstone"))
        status = status_pb2.Status(code=self._code.value[0], message="why", details=[info])
        return (("grpc-status-details-bin", status.SerializeToString()),)


class Channel:
    """Answers every method with what was prepared for it, and keeps the requests."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.requests: list[tuple[str, Any]] = []

    def unary_unary(self, path: str, *_arguments: Any, **_options: Any) -> Any:
        method = path.rpartition("/")[2]

        def call(request: Any, timeout: float) -> Any:
            assert timeout > 0
            self.requests.append((method, request))
            answer = self._answers[method]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    unary_stream = stream_unary = stream_stream = unary_unary


def artifact(**answers: Any) -> RpcArtifactPeer:
    return RpcArtifactPeer(Channel(**answers))  # type: ignore[arg-type]


def test_a_copy_is_sealed_in_the_same_step() -> None:
    channel = Channel(CopyArtifacts=artifact_pb2.CopyArtifactsResponse(copied=7))
    peer = RpcArtifactPeer(channel)  # type: ignore[arg-type]
    assert peer.copy_run_artifacts(RUN, "model", VERSION) == 7
    ((_, request),) = channel.requests
    assert request == artifact_pb2.CopyArtifactsRequest(
        source=artifact_pb2.Owner(run_id=RUN),
        source_path="model",
        destination=artifact_pb2.Owner(model_version_id=VERSION),
        seal=True,
    )


def test_a_copy_of_a_version_is_sealed_in_the_same_step() -> None:
    channel = Channel(CopyArtifacts=artifact_pb2.CopyArtifactsResponse(copied=7))
    peer = RpcArtifactPeer(channel)  # type: ignore[arg-type]
    assert peer.copy_version("a" * 32, VERSION) == 7
    ((_, request),) = channel.requests
    assert request == artifact_pb2.CopyArtifactsRequest(
        source=artifact_pb2.Owner(model_version_id="a" * 32),
        destination=artifact_pb2.Owner(model_version_id=VERSION),
        seal=True,
    )


@pytest.mark.parametrize("reason", ["ARTIFACT_NOT_FOUND", "OWNER_NOT_FOUND", "OWNER_DELETED"])
def test_a_version_without_files_gives_none(reason: str) -> None:
    peer = artifact(CopyArtifacts=Failed(grpc.StatusCode.NOT_FOUND, reason))
    assert peer.copy_version("a" * 32, VERSION) == 0


def test_a_copy_of_a_logged_models_files() -> None:
    channel = Channel(CopyArtifacts=artifact_pb2.CopyArtifactsResponse(copied=7))
    peer = RpcArtifactPeer(channel)  # type: ignore[arg-type]
    assert peer.copy_model_artifacts(LOGGED_MODEL, "model", VERSION) == 7
    ((_, request),) = channel.requests
    assert request.source == artifact_pb2.Owner(logged_model_id=LOGGED_MODEL)
    nothing = artifact(CopyArtifacts=Failed(grpc.StatusCode.NOT_FOUND, "OWNER_NOT_FOUND"))
    with pytest.raises(SourceNotFound) as caught:
        nothing.copy_model_artifacts(LOGGED_MODEL, "a", VERSION)
    assert caught.value.metadata == {"model_id": LOGGED_MODEL, "path": "a"}
    refused = artifact(CopyArtifacts=Failed(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"))
    with pytest.raises(InvalidArgument) as wrong:
        refused.copy_model_artifacts(LOGGED_MODEL, "a", VERSION)
    assert wrong.value.violations[0].field == "logged_model.path"


def test_the_run_of_a_logged_model() -> None:
    model = logged_model_pb2.LoggedModel(model_id=LOGGED_MODEL, source_run_id=RUN)
    answer = logged_model_pb2.GetLoggedModelResponse(model=model)
    runs = RpcRunPeer(Channel(GetLoggedModel=answer))  # type: ignore[arg-type]
    assert runs.run_of_model(LOGGED_MODEL) == RUN
    for code, reason, expected in (
        (grpc.StatusCode.NOT_FOUND, "LOGGED_MODEL_NOT_FOUND", SourceLoggedModelNotFound),
        (grpc.StatusCode.UNIMPLEMENTED, "", PeerUnavailable),
        (grpc.StatusCode.UNAVAILABLE, "", PeerUnavailable),
    ):
        runs = RpcRunPeer(Channel(GetLoggedModel=Failed(code, reason)))  # type: ignore[arg-type]
        with pytest.raises(expected):
            runs.run_of_model(LOGGED_MODEL)


@pytest.mark.parametrize("reason", ["ARTIFACT_NOT_FOUND", "OWNER_NOT_FOUND"])
def test_nothing_at_the_path(reason: str) -> None:
    peer = artifact(CopyArtifacts=Failed(grpc.StatusCode.NOT_FOUND, reason))
    with pytest.raises(SourceNotFound):
        peer.copy_run_artifacts(RUN, "model", VERSION)


def test_a_path_that_only_the_peer_refuses() -> None:
    peer = artifact(CopyArtifacts=Failed(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"))
    with pytest.raises(InvalidArgument) as caught:
        peer.copy_run_artifacts(RUN, "model", VERSION)
    assert caught.value.violations[0].field == "run.path"


@pytest.mark.parametrize(
    ("code", "certain"),
    [
        (grpc.StatusCode.UNAVAILABLE, False),
        (grpc.StatusCode.DEADLINE_EXCEEDED, False),
        (grpc.StatusCode.CANCELLED, False),
        (grpc.StatusCode.INTERNAL, False),
        (grpc.StatusCode.UNIMPLEMENTED, True),
        (grpc.StatusCode.FAILED_PRECONDITION, True),
    ],
)
def test_a_peer_that_does_not_do_it_is_away(code: grpc.StatusCode, certain: bool) -> None:
    failed = Failed(code)
    peer = artifact(
        CopyArtifacts=failed, OpenArtifacts=failed, ListArtifacts=failed, DeleteArtifacts=failed
    )
    for call in (
        lambda: peer.copy_run_artifacts(RUN, "", VERSION),
        lambda: peer.copy_version(VERSION, VERSION),
        lambda: peer.open(VERSION),
        lambda: peer.seal(VERSION),
        lambda: peer.delete(VERSION),
    ):
        with pytest.raises(PeerUnavailable) as caught:
            call()
        assert caught.value.certain is certain
    runs = RpcRunPeer(Channel(GetRun=failed))  # type: ignore[arg-type]
    with pytest.raises(PeerUnavailable) as away:
        runs.require_run(RUN)
    assert away.value.metadata == {"peer": "tracking"}


def test_a_peer_at_its_limit_is_not_away() -> None:
    for reason in ("STORAGE_FULL", ""):
        failed = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, reason)
        with pytest.raises(ResourceExhausted) as caught:
            artifact(CopyArtifacts=failed).copy_run_artifacts(RUN, "", VERSION)
        assert caught.value.reason == (reason or "OVERLOADED")
        with pytest.raises(ResourceExhausted):
            RpcRunPeer(Channel(GetRun=failed)).require_run(RUN)  # type: ignore[arg-type]


def test_an_empty_version_is_not_sealed() -> None:
    channel = Channel(ListArtifacts=artifact_pb2.ListArtifactsResponse())
    assert RpcArtifactPeer(channel).seal(VERSION) == 0  # type: ignore[arg-type]
    assert [method for method, _ in channel.requests] == ["ListArtifacts"]
    listed = artifact_pb2.ListArtifactsResponse(artifacts=[artifact_pb2.Artifact(path="a")])
    sealed = artifact_pb2.SealArtifactsResponse(count=3)
    assert artifact(ListArtifacts=listed, SealArtifacts=sealed).seal(VERSION) == 3
    gone = Failed(grpc.StatusCode.NOT_FOUND, "OWNER_NOT_FOUND")
    assert artifact(ListArtifacts=listed, SealArtifacts=gone).seal(VERSION) == 0


def test_deleting_what_is_gone_is_fine() -> None:
    artifact(DeleteArtifacts=Failed(grpc.StatusCode.NOT_FOUND, "OWNER_NOT_FOUND")).delete(VERSION)
    artifact(DeleteArtifacts=artifact_pb2.DeleteArtifactsResponse()).delete(VERSION)


def test_an_unknown_run() -> None:
    for code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
        runs = RpcRunPeer(Channel(GetRun=Failed(code, "RUN_NOT_FOUND")))  # type: ignore[arg-type]
        with pytest.raises(SourceRunNotFound):
            runs.require_run(RUN)

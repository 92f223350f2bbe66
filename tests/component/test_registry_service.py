"""The registry service over real gRPC on PostgreSQL, with peers on loopback."""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from runstone.registry.v1 import governance_pb2 as governance
from runstone.registry.v1 import model_pb2 as models
from runstone.registry.v1 import model_version_pb2 as versions
from runstone.registry.v1 import registry_service_pb2
from runstone.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from runstone_kit.peers import PeerFailure, failure
from runstone_kit.server import ServerSpec, start
from runstone_registry.main import build, upgrade
from runstone_registry.settings import RegistrySettings
from support.postgres import PostgresServer
from support.processes import free_port, wait_until
from support.registry import RUN
from support.registry_peers import Gate, Peers, peers
from support.services import ServiceProcess
from support.suites import channel, clean_environment

STAGING, PRODUCTION, ARCHIVED = (
    models.STAGE_STAGING,
    models.STAGE_PRODUCTION,
    models.STAGE_ARCHIVED,
)


@pytest.fixture
def around() -> Iterator[Peers]:
    with peers() as made:
        yield made


def settings_for(around: Peers, url: str) -> RegistrySettings:
    return RegistrySettings(
        database_url=url,
        listen="127.0.0.1:0",
        artifact_address=around.address,
        tracking_address=around.address,
        sweep_interval_s=0.1,
        lease_s=3.0,
        access_log="off",
    )


@pytest.fixture
def stub(around: Peers, postgres_url: str) -> Iterator[RegistryServiceStub]:
    settings = settings_for(around, postgres_url)
    upgrade(settings)
    running = start(ServerSpec.from_settings("registry", settings, lambda: [build(settings)]))
    try:
        with channel(f"127.0.0.1:{running.port}") as opened:
            yield RegistryServiceStub(opened)
    finally:
        running.stop(grace_s=5.0)


def refused(call: Any, request: Any, **options: Any) -> PeerFailure:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20, **options)
    return failure(caught.value)


def register(stub: RegistryServiceStub, name: str = "churn", **values: Any) -> models.ModelVersion:
    request = versions.CreateModelVersionRequest(
        name=name, run=versions.RunSource(run_id=RUN, path="model"), **values
    )
    return stub.CreateModelVersion(request, timeout=20).model_version


def audit(stub: RegistryServiceStub) -> list[str]:
    events = stub.ListAuditEvents(governance.ListAuditEventsRequest(page_size=1000)).events
    return [event.action for event in reversed(events)]


ADA = (("x-runstone-user", "ada"), ("x-request-id", "r-42"))
BOB = (("x-runstone-user", "bob"),)


def test_versions_come_from_runs_and_uploads(stub: RegistryServiceStub, around: Peers) -> None:
    model = stub.CreateRegisteredModel(
        models.CreateRegisteredModelRequest(name="churn", description="d", tags={"team": "x"}),
        metadata=ADA,
    ).registered_model
    assert (model.name, model.creator, dict(model.tags)) == ("churn", "ada", {"team": "x"})
    first = stub.CreateModelVersion(
        versions.CreateModelVersionRequest(
            name="churn", run=versions.RunSource(run_id=RUN, path="model")
        ),
        metadata=ADA,
    ).model_version
    assert (first.version, first.status, first.source) == (
        1,
        models.MODEL_VERSION_STATUS_READY,
        f"runs:/{RUN}/model",
    )
    copy = next(seen for seen in around.metadata if seen["rpc"] == "CopyArtifacts")
    assert (copy["x-request-id"], copy["x-runstone-user"]) == ("r-42", "ada")
    upload = stub.CreateModelVersion(
        versions.CreateModelVersionRequest(
            name="churn", upload=versions.UploadSource(origin="elsewhere")
        )
    ).model_version
    assert upload.status == models.MODEL_VERSION_STATUS_PENDING
    finalize = versions.FinalizeModelVersionRequest(name="churn", version=2)
    assert refused(stub.FinalizeModelVersion, finalize).reason == "VERSION_NOT_READY"
    around.owners[upload.model_version_id] = 3
    ready = stub.FinalizeModelVersion(finalize).model_version
    assert ready.status == models.MODEL_VERSION_STATUS_READY
    assert upload.model_version_id in around.sealed


def test_a_model_is_promoted_and_ends(stub: RegistryServiceStub, around: Peers) -> None:
    stub.CreateRegisteredModel(models.CreateRegisteredModelRequest(name="churn"))
    for _ in range(2):
        register(stub)
    stub.TransitionModelVersionStage(
        governance.TransitionModelVersionStageRequest(name="churn", version=1, stage=PRODUCTION)
    )
    asked = stub.CreateTransitionRequest(
        governance.CreateTransitionRequestRequest(
            name="churn", version=2, stage=PRODUCTION, archive_existing_versions=True
        ),
        metadata=ADA,
    ).transition_request
    decided = stub.ApproveTransitionRequest(
        governance.ApproveTransitionRequestRequest(
            transition_request_id=asked.transition_request_id, comment="ok"
        ),
        metadata=BOB,
    )
    assert (decided.model_version.stage, list(decided.archived_versions)) == (PRODUCTION, [1])
    assert (decided.transition_request.creator, decided.transition_request.decider) == (
        "ada",
        "bob",
    )
    stub.SetModelAlias(models.SetModelAliasRequest(name="churn", alias="best", version=2))
    comment = stub.CreateComment(
        governance.CreateCommentRequest(name="churn", version=2, text="hm"), metadata=ADA
    ).comment
    other = governance.DeleteCommentRequest(comment_id=comment.comment_id)
    assert refused(stub.DeleteComment, other, metadata=BOB).reason == "COMMENT_OF_ANOTHER"
    get = versions.GetModelVersionRequest(name="churn", alias="best")
    best = stub.GetModelVersion(get).model_version
    assert (best.version, list(best.aliases), best.stage) == (2, ["best"], PRODUCTION)
    found = stub.SearchModelVersions(
        versions.SearchModelVersionsRequest(filter="stage = 'Production' OR version_number = 9")
    ).model_versions
    assert [each.version for each in found] == [2]
    assert found[0] == best
    model = stub.GetRegisteredModel(models.GetRegisteredModelRequest(name="churn")).registered_model
    assert {each.stage: each.version for each in model.latest_versions} == {
        PRODUCTION: 2,
        ARCHIVED: 1,
    }
    drop = models.DeleteRegisteredModelRequest(name="churn")
    assert refused(stub.DeleteRegisteredModel, drop).reason == "MODEL_IN_USE"
    stub.TransitionModelVersionStage(
        governance.TransitionModelVersionStageRequest(name="churn", version=2, stage=ARCHIVED)
    )
    stub.DeleteRegisteredModel(drop)
    # The call deletes the files itself, unless the sweeper took them in the instant between.
    wait_until(lambda: around.owners == {}, 20.0, "the files of both versions being gone")
    assert audit(stub)[-1] == "DeleteRegisteredModel"
    assert len(audit(stub)) == 11


def test_a_stale_etag_loses(stub: RegistryServiceStub) -> None:
    stub.CreateRegisteredModel(models.CreateRegisteredModelRequest(name="churn"))
    etag = register(stub).etag
    barrier = threading.Barrier(8)

    def describe(index: int) -> str:
        barrier.wait(20)
        version = models.ModelVersion(name="churn", version=1, description=str(index), etag=etag)
        request = versions.UpdateModelVersionRequest(
            model_version=version, update_mask=FieldMask(paths=["description"])
        )
        try:
            return str(stub.UpdateModelVersion(request, timeout=20).model_version.description)
        except grpc.RpcError as error:
            return f"{failure(error).code} {failure(error).reason}"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(describe, range(8)))
    assert outcomes.count("ABORTED ETAG_MISMATCH") == 7
    assert audit(stub) == ["CreateRegisteredModel", "CreateModelVersion", "UpdateModelVersion"]


def bad_values() -> dict[str, Any]:
    """Strings that no field should choke on."""
    return {
        "empty": "",
        "nul": "a\0b",
        "newline": "a\nb",
        "dots": "..",
        "slash": "/a/../b",
        "quote": "'; DROP TABLE model_versions; --",
        "percent": "%s %(x)s :x {x}",
        "backslash": "\\",
        "astral": "😀" * 300,
        "long": "x" * 10_000_000,
        "latest": "latest",
        "id": "f" * 32,
    }


def filled(message: Any, text: str, number: int) -> Any:
    """`message` with every field set: strings to `text`, numbers and enums to `number`."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = number if field.message_type.fields_by_name["value"].cpp_type == 2 else text
            getattr(message, field.name)[text] = value
        elif field.is_repeated:
            if field.type == field.TYPE_STRING:
                getattr(message, field.name).extend([text, text])
        elif field.type == field.TYPE_MESSAGE:
            if field.message_type.full_name == "google.protobuf.FieldMask":
                getattr(message, field.name).paths.extend(["description"])
            elif field.message_type.file.package.startswith("runstone"):
                filled(getattr(message, field.name), text, number)
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, text)
        elif field.type == field.TYPE_BOOL:
            setattr(message, field.name, True)
        elif field.type in (field.TYPE_ENUM, field.TYPE_INT32):
            setattr(message, field.name, max(-(2**31), min(number, 2**31 - 1)))
        else:
            setattr(message, field.name, number)
    return message


CODES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "ABORTED",
    "RESOURCE_EXHAUSTED",
}


def outcome_of(stub: RegistryServiceStub, rpc: str, request: Any) -> PeerFailure:
    """How a call ends; the code is OK when it does what was asked."""
    try:
        getattr(stub, rpc)(request, timeout=20)
    except grpc.RpcError as error:
        return failure(error)
    return PeerFailure("OK", "", "OK")


def test_no_input_whatever_gives_internal(stub: RegistryServiceStub, around: Peers) -> None:
    for name in ("bystander", "churn"):
        stub.CreateRegisteredModel(models.CreateRegisteredModelRequest(name=name))
        register(stub, name)
    get = versions.GetModelVersionRequest(name="bystander", version=1)
    before = stub.GetModelVersion(get)
    rpcs = registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"].methods
    count = 0
    for rpc, (shape, text), number, name in itertools.product(
        rpcs, bad_values().items(), (-(2**63), 0, 1, 2**63 - 1), ("churn", None)
    ):
        if shape == "long" and (number, name) not in ((1, "churn"), (0, None)):
            continue
        request = filled(rpc.input_type._concrete_class(), text, number)
        if name and "name" in rpc.input_type.fields_by_name:
            request.name = name
        ended = outcome_of(stub, rpc.name, request)
        assert ended.code in CODES, (rpc.name, shape, number, ended)
        # What is too large for a message ends in gRPC itself.
        assert ended.reason or ended.code == "RESOURCE_EXHAUSTED", (rpc.name, shape, number, ended)
        count += ended.code == "INVALID_ARGUMENT"
    assert count > 1000
    assert stub.GetModelVersion(get) == before
    assert before.model_version.model_version_id in around.sealed


@pytest.mark.parametrize("rpc", ["GetRun", "CopyArtifacts", "OpenArtifacts"])
def test_a_peer_that_is_away_leaves_nothing(
    stub: RegistryServiceStub, around: Peers, rpc: str
) -> None:
    stub.CreateRegisteredModel(models.CreateRegisteredModelRequest(name="churn"))
    around.stop()
    request = versions.CreateModelVersionRequest(name="churn")
    if rpc == "OpenArtifacts":
        request.upload.origin = "x"
    else:
        request.run.run_id = RUN
    answer = refused(stub.CreateModelVersion, request)
    assert (answer.code, answer.reason) == ("UNAVAILABLE", "PEER_UNAVAILABLE")
    around.start()
    assert audit(stub) == ["CreateRegisteredModel"]
    # The service finds its peers again by itself.
    made = wait_until(lambda: attempt(stub), 10.0, "a version being made")
    assert made.version == 1
    wait_until(lambda: list(around.owners) == [made.model_version_id], 20.0)


def attempt(stub: RegistryServiceStub) -> models.ModelVersion | None:
    with contextlib.suppress(grpc.RpcError):
        return register(stub)
    return None


@pytest.mark.faults
@pytest.mark.parametrize("step", ["before the copy", "after the copy", "while it is opened"])
def test_a_service_that_is_killed_leaves_nothing(
    around: Peers, postgres_url: str, tmp_path: Path, step: str
) -> None:
    upgrade(settings_for(around, postgres_url))
    environment = clean_environment(
        RUNSTONE_DATABASE_URL=postgres_url,
        RUNSTONE_REGISTRY_ARTIFACT_ADDRESS=around.address,
        RUNSTONE_REGISTRY_TRACKING_ADDRESS=around.address,
        RUNSTONE_REGISTRY_LEASE_S="4",
        RUNSTONE_REGISTRY_SWEEP_INTERVAL_S="0.2",
    )
    service = ServiceProcess("registry", tmp_path, environment, free_port())
    gate = Gate("OpenArtifacts" if step == "while it is opened" else "CopyArtifacts")
    try:
        service.wait_serving()
        with channel(service.address) as opened:
            stub = RegistryServiceStub(opened)
            stub.CreateRegisteredModel(models.CreateRegisteredModelRequest(name="churn"))
            if step == "after the copy":
                around.after = gate
            else:
                around.before = gate
            request = versions.CreateModelVersionRequest(name="churn", request_id="once")
            if step == "while it is opened":
                request.upload.origin = "x"
            else:
                request.run.run_id = RUN
            call = stub.CreateModelVersion.future(request, timeout=30)
            assert gate.reached.wait(20)
            service.kill()
            assert isinstance(call.exception(timeout=20), grpc.RpcError)
        gate.open.set()
        around.before = around.after = lambda _rpc: None
        wait_until(lambda: len(around.owners) == 1)
        service.restart()
        service.wait_serving()
        wait_until(lambda: around.owners == {}, 20.0, "the sweeper having cleaned up")
        with channel(service.address) as opened:
            stub = RegistryServiceStub(opened)
            assert audit(stub) == ["CreateRegisteredModel"]
            again = stub.CreateModelVersion(request, timeout=20).model_version
            assert again.version == 1
            assert list(around.owners) == [again.model_version_id]
            repeated = stub.CreateModelVersion(request, timeout=20).model_version
            assert repeated == again
    finally:
        gate.open.set()
        service.kill()


@pytest.mark.faults
def test_a_database_that_dies_loses_nothing_that_was_acknowledged(around: Peers) -> None:
    server = PostgresServer()
    try:
        server.start()
        settings = settings_for(around, server.url(server.create_database()))
        upgrade(settings)
        running = start(ServerSpec.from_settings("registry", settings, lambda: [build(settings)]))
        try:
            with channel(f"127.0.0.1:{running.port}") as opened:
                _survive(RegistryServiceStub(opened), around, server)
        finally:
            running.stop(grace_s=5.0)
    finally:
        server.close()


def _survive(stub: RegistryServiceStub, around: Peers, server: PostgresServer) -> None:
    stub.CreateRegisteredModel(models.CreateRegisteredModelRequest(name="churn"))
    first = register(stub)
    gate = Gate("CopyArtifacts")
    around.after = gate
    request = versions.CreateModelVersionRequest(
        name="churn", run=versions.RunSource(run_id=RUN), request_id="once"
    )
    call = stub.CreateModelVersion.future(request, timeout=30)
    assert gate.reached.wait(20)
    server.kill()
    gate.open.set()
    around.after = lambda _rpc: None
    broken = call.exception(timeout=30)
    assert isinstance(broken, grpc.RpcError)
    assert failure(broken).reason == "DATABASE_UNAVAILABLE"
    get = versions.GetModelVersionRequest(name="churn", latest=True)
    assert refused(stub.GetModelVersion, get).reason == "DATABASE_UNAVAILABLE"
    server.start()
    assert stub.GetModelVersion(get, timeout=20).model_version == first
    assert audit(stub) == ["CreateRegisteredModel", "CreateModelVersion"]
    wait_until(
        lambda: list(around.owners) == [first.model_version_id], 20.0, "the sweeper's cleaning"
    )
    assert stub.CreateModelVersion(request, timeout=20).model_version.version == 2

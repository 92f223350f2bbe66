"""Model versions: from runs and uploads, numbers, selection, deletion."""

from dataclasses import replace

import pytest

from runstone_registry.errors import (
    AliasNotFound,
    EtagMismatch,
    ModelInUse,
    ModelNotFound,
    RequestIdReused,
    SourceLoggedModelNotFound,
    SourceNotFound,
    SourceRunNotFound,
    TagNotFound,
    VersionFinalized,
    VersionNotFound,
    VersionNotReady,
)
from runstone_registry.model import Stage, VersionStatus
from runstone_registry.model_commands import (
    AskTransition,
    CreateRemark,
    CreateVersion,
    ExternalSource,
    Listing,
    LoggedModelSource,
    RunSource,
    Transition,
    UploadSource,
    VersionSelector,
    VersionSource,
)
from support.registry import LOGGED_MODEL, RUN, Registry


def actions(registry: Registry) -> list[str]:
    events = registry.service.list_audit_events(Listing()).items
    return [event.action for event in reversed(events)]


def test_a_version_from_a_run_is_ready_and_owns_its_files(registry: Registry) -> None:
    registry.model()
    with registry.acting("ada"):
        version = registry.version(description="first", tags={"a": "1"})
    assert (version.version, version.status, version.stage) == (1, VersionStatus.READY, Stage.NONE)
    assert (version.run_id, version.source) == (RUN, f"runs:/{RUN}/model")
    assert (version.creator, version.description, dict(version.tags)) == (
        "ada",
        "first",
        {"a": "1"},
    )
    assert registry.artifacts.owners == {version.model_version_id: 2}
    assert registry.artifacts.sealed == {version.model_version_id}
    assert registry.service.get_model_version(VersionSelector("churn", version=1)) == version
    assert registry.version(path="").source == f"runs:/{RUN}"
    assert registry.pending() == []
    event = registry.service.list_audit_events(Listing("churn", 1)).items[0]
    assert event.details == {
        "source": f"runs:/{RUN}/model",
        "run_id": RUN,
        "status": "READY",
        "tags.a": "1",
    }


def test_numbers_count_up_and_are_never_used_again(registry: Registry) -> None:
    registry.model()
    assert [registry.version().version for _ in range(3)] == [1, 2, 3]
    registry.service.delete_model_version("churn", 3, "")
    with pytest.raises(SourceNotFound):
        registry.version(path="nothing")
    assert registry.version().version == 4


def test_a_source_must_be_there(registry: Registry) -> None:
    with pytest.raises(ModelNotFound):
        registry.version()
    registry.model()
    create = registry.service.create_model_version
    with pytest.raises(SourceRunNotFound) as caught:
        create(CreateVersion("churn", RunSource("f" * 32)))
    assert caught.value.metadata == {"run_id": "f" * 32}
    registry.artifacts.runs[RUN]["empty"] = 0
    for path in ("nothing", "empty"):
        with pytest.raises(SourceNotFound) as missing:
            create(CreateVersion("churn", RunSource(RUN, path)))
        assert missing.value.metadata == {"run_id": RUN, "path": path}
    assert registry.artifacts.owners == {}
    assert registry.pending() == []
    assert actions(registry) == ["CreateRegisteredModel"]


def test_a_version_may_be_a_copy_of_another(registry: Registry) -> None:
    registry.model("origin")
    registry.model()
    origin = registry.version("origin", logged_model_id="m-1")
    copy = CreateVersion("churn", VersionSource("origin", 1))
    made = registry.service.create_model_version(copy)
    assert (made.status, made.source) == (VersionStatus.READY, "models:/origin/1")
    assert (made.run_id, made.logged_model_id) == (RUN, "m-1")
    registry.service.delete_registered_model("origin", "")
    assert registry.artifacts.owners == {made.model_version_id: 2}
    assert registry.artifacts.sealed == {made.model_version_id}
    assert origin.model_version_id != made.model_version_id
    assert registry.pending() == []


def test_what_cannot_be_copied(registry: Registry) -> None:
    create = registry.service.create_model_version
    registry.model()
    with pytest.raises(ModelNotFound):
        create(CreateVersion("churn", VersionSource("origin", 1)))
    with pytest.raises(VersionNotFound):
        create(CreateVersion("churn", VersionSource("churn", 1)))
    registry.upload()
    with pytest.raises(VersionNotReady):
        create(CreateVersion("churn", VersionSource("churn", 1)))
    gone = registry.version()
    # As if it were deleted between the look and the copy.
    registry.artifacts.owners.pop(gone.model_version_id)
    with pytest.raises(VersionNotFound):
        create(CreateVersion("churn", VersionSource("churn", 2)))
    assert registry.pending() == []
    assert actions(registry).count("CreateModelVersion") == 2


def test_files_may_stay_elsewhere(registry: Registry) -> None:
    service = registry.service
    registry.model()
    wish = CreateVersion(
        "churn",
        ExternalSource("s3://bucket/model", "r1"),
        request_id="once",
        origin="a bucket of ours",
        run_link="https://example.com/r1",
        logged_model_id="m-1",
    )
    version = service.create_model_version(wish)
    assert (version.status, version.run_id) == (VersionStatus.READY, "r1")
    assert (version.source, version.external_uri) == ("a bucket of ours", "s3://bucket/model")
    assert (version.run_link, version.logged_model_id) == ("https://example.com/r1", "m-1")
    assert service.get_model_version(VersionSelector("churn", version=1)) == version
    assert service.create_model_version(wish) == version
    with pytest.raises(RequestIdReused):
        service.create_model_version(replace(wish, run_link=""))
    assert service.finalize_model_version("churn", 1, "") == version
    copy = service.create_model_version(CreateVersion("churn", VersionSource("churn", 1)))
    assert (copy.external_uri, copy.source) == ("s3://bucket/model", "models:/churn/1")
    assert (copy.run_id, copy.logged_model_id, copy.run_link) == ("r1", "m-1", "")
    assert registry.artifacts.calls == []
    service.delete_model_version("churn", 1, "")
    assert registry.pending() == []


def test_what_is_in_use_may_be_deleted_by_force(registry: Registry) -> None:
    service = registry.service
    registry.model()
    for number in (1, 2):
        registry.version()
        service.transition_model_version_stage(Transition("churn", number, Stage.PRODUCTION))
    with pytest.raises(ModelInUse):
        service.delete_model_version("churn", 1, "")
    with pytest.raises(EtagMismatch):
        service.delete_model_version("churn", 1, "stale", force=True)
    service.delete_model_version("churn", 1, "", force=True)
    with pytest.raises(ModelInUse):
        service.delete_registered_model("churn", "")
    service.delete_registered_model("churn", "", force=True)
    assert registry.artifacts.owners == {}


def test_a_version_takes_the_files_of_a_logged_model(registry: Registry) -> None:
    registry.model()
    create = registry.service.create_model_version
    made = create(CreateVersion("churn", LoggedModelSource(LOGGED_MODEL), request_id="once"))
    assert (made.status, made.source, made.run_id) == (
        VersionStatus.READY,
        f"models:/{LOGGED_MODEL}",
        RUN,
    )
    assert made.logged_model_id == LOGGED_MODEL
    assert registry.artifacts.owners == {made.model_version_id: 4}
    assert registry.artifacts.sealed == {made.model_version_id}
    again = CreateVersion("churn", LoggedModelSource(LOGGED_MODEL), request_id="once")
    assert create(again) == made
    with pytest.raises(RequestIdReused):
        create(CreateVersion("churn", LoggedModelSource(LOGGED_MODEL, "x"), request_id="once"))


def test_a_logged_model_must_be_there(registry: Registry) -> None:
    registry.model()
    create = registry.service.create_model_version
    nobody = "m-" + "f" * 32
    with pytest.raises(SourceLoggedModelNotFound) as caught:
        create(CreateVersion("churn", LoggedModelSource(nobody)))
    assert caught.value.metadata == {"model_id": nobody}
    registry.artifacts.models[LOGGED_MODEL]["empty"] = 0
    for path in ("nothing", "empty"):
        with pytest.raises(SourceNotFound) as missing:
            create(CreateVersion("churn", LoggedModelSource(LOGGED_MODEL, path)))
        assert missing.value.metadata == {"model_id": LOGGED_MODEL, "path": path}
    assert registry.artifacts.owners == {}
    assert registry.pending() == []


def test_an_upload_waits_for_its_files(registry: Registry) -> None:
    service = registry.service
    registry.model()
    version = registry.upload(origin="s3://elsewhere/model")
    assert (version.status, version.source, version.run_id) == (
        VersionStatus.PENDING,
        "s3://elsewhere/model",
        "",
    )
    with pytest.raises(VersionNotReady):
        service.finalize_model_version("churn", 1, "")
    with pytest.raises(VersionNotReady):
        service.transition_model_version_stage(Transition("churn", 1, Stage.STAGING))
    with pytest.raises(VersionNotReady):
        service.create_transition_request(AskTransition("churn", 1, Stage.STAGING))
    registry.artifacts.owners[version.model_version_id] = 4
    ready = service.finalize_model_version("churn", 1, "")
    assert ready.status is VersionStatus.READY
    assert ready.etag != version.etag
    assert registry.artifacts.sealed == {version.model_version_id}
    assert service.finalize_model_version("churn", 1, "") == ready
    with pytest.raises(VersionFinalized) as caught:
        service.finalize_model_version("churn", 1, "too late")
    assert caught.value.metadata["status"] == "READY"
    assert actions(registry).count("FinalizeModelVersion") == 1


def test_an_upload_may_be_given_up(registry: Registry) -> None:
    service = registry.service
    registry.model()
    version = registry.upload(files=2)
    failed = service.finalize_model_version("churn", 1, "disk died")
    assert (failed.status, failed.status_message) == (VersionStatus.FAILED, "disk died")
    assert registry.artifacts.owners == {}
    assert service.finalize_model_version("churn", 1, "again") == failed
    with pytest.raises(VersionFinalized):
        service.finalize_model_version("churn", 1, "")
    assert registry.pending() == []
    service.delete_model_version("churn", 1, failed.etag)
    assert version.version == 1


def test_a_version_is_found_by_number_alias_stage_and_as_the_newest(registry: Registry) -> None:
    service = registry.service
    registry.model()
    with pytest.raises(VersionNotFound):
        service.get_model_version(VersionSelector("churn"))
    for _ in range(4):
        registry.version()
    move = service.transition_model_version_stage
    move(Transition("churn", 3, Stage.PRODUCTION))
    move(Transition("churn", 2, Stage.PRODUCTION))
    service.set_model_alias("churn", "best", 1, "")

    def found(**which: object) -> int:
        return service.get_model_version(VersionSelector("churn", **which)).version  # type: ignore[arg-type]

    assert found(version=2) == 2
    assert found(alias="best") == 1
    assert found(stage=Stage.PRODUCTION) == 3
    assert found() == 4
    for stage in (Stage.STAGING, Stage.ARCHIVED):
        with pytest.raises(VersionNotFound) as caught:
            found(stage=stage)
        assert caught.value.metadata == {"name": "churn", "stage": stage.value}
    with pytest.raises(VersionNotFound):
        found(version=5)
    with pytest.raises(VersionNotFound):
        found(version=2**63 - 1)
    with pytest.raises(AliasNotFound):
        found(alias="worst")
    with pytest.raises(ModelNotFound):
        service.get_model_version(VersionSelector("nobody"))


def test_every_change_of_a_version_changes_its_etag(registry: Registry) -> None:
    service = registry.service
    registry.model()
    etags = [registry.version().etag]
    etags.append(service.update_model_version("churn", 1, "text", etags[-1]).etag)
    etags.append(service.set_model_version_tags("churn", 1, {"a": "1", "b": "2"}).etag)
    etags.append(service.delete_model_version_tags("churn", 1, ["a"]).etag)
    moved = service.transition_model_version_stage(
        Transition("churn", 1, Stage.STAGING, etag=etags[-1])
    )
    etags.append(moved.version.etag)
    service.set_model_alias("churn", "x", 1, "")
    etags.append(service.get_model_version(VersionSelector("churn", version=1)).etag)
    assert len(set(etags)) == len(etags)
    with pytest.raises(EtagMismatch):
        service.update_model_version("churn", 1, "lost", etags[0])
    with pytest.raises(EtagMismatch):
        service.delete_model_version("churn", 1, etags[0])
    with pytest.raises(EtagMismatch):
        service.transition_model_version_stage(
            Transition("churn", 1, Stage.ARCHIVED, etag=etags[0])
        )
    with pytest.raises(TagNotFound):
        service.delete_model_version_tags("churn", 1, ["b", "a"])
    now = service.get_model_version(VersionSelector("churn", version=1))
    assert (now.etag, now.description, dict(now.tags)) == (etags[-1], "text", {"b": "2"})


def test_deleting_a_version_takes_all_that_hangs_on_it(registry: Registry) -> None:
    service = registry.service
    registry.model()
    version = registry.version()
    kept = registry.version()
    service.set_model_alias("churn", "gone", 1, "")
    with registry.acting("ada"):
        service.create_comment(CreateRemark("churn", 1, "hm"))
    service.create_transition_request(AskTransition("churn", 1, Stage.STAGING))
    service.delete_model_version("churn", 1, "")
    assert dict(service.get_registered_model("churn").aliases) == {}
    assert list(registry.artifacts.owners) == [kept.model_version_id]
    assert service.list_transition_requests(Listing("churn")).items == []
    with pytest.raises(VersionNotFound):
        service.list_comments(Listing("churn", 1))
    event = service.list_audit_events(Listing("churn", 1)).items[0]
    assert event.action == "DeleteModelVersion"
    assert event.details == {"stage": "None", "aliases": "gone"}
    assert version.model_version_id not in registry.artifacts.sealed


def test_a_repeated_create_makes_one_version(registry: Registry) -> None:
    registry.model()
    first = registry.version(request_id="once", tags={"a": "1"})
    again = registry.version(request_id="once", tags={"a": "1"})
    assert again == first
    assert registry.artifacts.calls == ["copy_run_artifacts"]
    with pytest.raises(RequestIdReused):
        registry.version(request_id="once")
    wish = CreateVersion("churn", UploadSource("x"), request_id="upload")
    upload = registry.service.create_model_version(wish)
    assert registry.service.create_model_version(wish) == upload
    assert upload.version == 2
    registry.service.delete_model_version("churn", 1, "")
    with pytest.raises(VersionNotFound):
        registry.version(request_id="once", tags={"a": "1"})

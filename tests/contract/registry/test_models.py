"""Registered models, their tags and aliases."""

from typing import Any

import pytest

from runstone_kit.errors import InvalidArgument
from runstone_registry.errors import (
    AliasNotFound,
    EtagMismatch,
    ModelInUse,
    ModelNameTaken,
    ModelNotFound,
    RequestIdReused,
    TagNotFound,
    VersionNotFound,
)
from runstone_registry.model import AuditEvent, Stage
from runstone_registry.model_commands import CreateModel, Listing, Transition
from runstone_registry.service_base import MAX_TAGS_BYTES
from support.registry import Registry


def audit(registry: Registry, name: str = "") -> list[AuditEvent]:
    return registry.service.list_audit_events(Listing(name=name)).items


def test_a_model_is_what_was_asked_for(registry: Registry) -> None:
    with registry.acting("ada", "r-7"):
        made = registry.model("churn", description="who leaves", tags={"team": "growth"})
    read = registry.service.get_registered_model("churn")
    assert read == made
    assert (read.name, read.description, read.creator) == ("churn", "who leaves", "ada")
    assert dict(read.tags) == {"team": "growth"}
    assert read.created_ms == read.updated_ms == registry.clock.now
    (event,) = audit(registry)
    assert (event.action, event.name, event.version, event.actor, event.request_id) == (
        "CreateRegisteredModel",
        "churn",
        0,
        "ada",
        "r-7",
    )


def test_a_name_is_taken_once(registry: Registry) -> None:
    registry.model("churn")
    with pytest.raises(ModelNameTaken):
        registry.model("churn")
    registry.model("Churn")
    with pytest.raises(ModelNotFound):
        registry.service.get_registered_model("chur")


def test_a_repeated_create_returns_the_first_result(registry: Registry) -> None:
    wish = CreateModel("churn", tags={"a": "1", "b": "2"}, request_id="once")
    first = registry.service.create_registered_model(wish)
    again = CreateModel("churn", tags={"b": "2", "a": "1"}, request_id="once")
    assert registry.service.create_registered_model(again).model_id == first.model_id
    assert len(audit(registry)) == 1
    with pytest.raises(RequestIdReused):
        registry.service.create_registered_model(CreateModel("other", request_id="once"))
    with pytest.raises(ModelNotFound):
        registry.service.get_registered_model("other")


def test_a_repeated_create_does_not_bring_back_what_was_deleted(registry: Registry) -> None:
    wish = CreateModel("churn", request_id="once")
    registry.service.create_registered_model(wish)
    registry.service.delete_registered_model("churn", "")
    with pytest.raises(ModelNotFound):
        registry.service.create_registered_model(wish)


def test_request_ids_are_forgotten_after_a_day(registry: Registry) -> None:
    registry.service.create_registered_model(CreateModel("churn", request_id="once"))
    registry.clock.advance(23 * 3600)
    registry.sweeper.sweep()
    with pytest.raises(RequestIdReused):
        registry.service.create_registered_model(CreateModel("b", request_id="once"))
    registry.clock.advance(2 * 3600)
    registry.sweeper.sweep()
    registry.service.create_registered_model(CreateModel("b", request_id="once"))


def test_every_change_changes_the_etag_and_a_stale_one_loses(registry: Registry) -> None:
    service = registry.service
    etags = [registry.model("churn").etag]
    registry.version()
    etags.append(service.get_registered_model("churn").etag)
    registry.clock.advance(5)
    etags.append(service.update_registered_model("churn", "new", etags[-1]).etag)
    etags.append(service.set_registered_model_tags("churn", {"a": "1"}).etag)
    etags.append(service.delete_registered_model_tags("churn", ["a"]).etag)
    etags.append(service.set_model_alias("churn", "best", 1, etags[-1]).etag)
    etags.append(service.delete_model_alias("churn", "best", etags[-1]).etag)
    etags.append(service.rename_registered_model("churn", "churn2", etags[-1]).etag)
    assert len(set(etags)) == len(etags)
    assert service.get_registered_model("churn2").updated_ms == registry.clock.now
    stale = etags[0]
    changes: list[Any] = [
        lambda: service.update_registered_model("churn2", "lost", stale),
        lambda: service.rename_registered_model("churn2", "lost", stale),
        lambda: service.set_model_alias("churn2", "lost", 1, stale),
        lambda: service.delete_registered_model("churn2", stale),
    ]
    before = len(audit(registry))
    for change in changes:
        with pytest.raises(EtagMismatch) as caught:
            change()
        assert caught.value.metadata == {"etag": etags[-1]}
    assert service.get_registered_model("churn2").etag == etags[-1]
    assert len(audit(registry)) == before


def test_tags_are_set_and_deleted_all_or_none(registry: Registry) -> None:
    service = registry.service
    registry.model(tags={"a": "1", "b": "2"})
    assert dict(service.set_registered_model_tags("churn", {"b": "3", "c": ""}).tags) == {
        "a": "1",
        "b": "3",
        "c": "",
    }
    with pytest.raises(TagNotFound):
        service.delete_registered_model_tags("churn", ["a", "x"])
    left = service.delete_registered_model_tags("churn", ["a", "b", "a"])
    assert dict(left.tags) == {"c": ""}


def test_tags_are_bounded_in_all(registry: Registry) -> None:
    registry.model()
    value = "x" * 100_000
    full = MAX_TAGS_BYTES // 100_100
    for start in range(0, full, 50):
        batch = {f"k{index}": value for index in range(start, min(start + 50, full))}
        registry.service.set_registered_model_tags("churn", batch)
    with pytest.raises(InvalidArgument) as caught:
        registry.service.set_registered_model_tags("churn", {f"l{i}": value for i in range(2)})
    assert caught.value.violations[0].field == "tags"
    registry.service.set_registered_model_tags("churn", {"k0": "short"})


def test_an_alias_points_to_one_version(registry: Registry) -> None:
    service = registry.service
    registry.model()
    first, second = registry.version(), registry.version()
    service.set_model_alias("churn", "champion", 1, "")
    moved = service.set_model_alias("churn", "champion", 2, "")
    assert dict(moved.aliases) == {"champion": 2}
    etag = moved.etag
    assert service.set_model_alias("churn", "champion", 2, "").etag == etag
    service.set_model_alias("churn", "also", 2, "")
    versions = registry.store.read(
        lambda tx: [tx.version_by_id(each.model_version_id) for each in (first, second)]
    )
    assert [each.aliases for each in versions if each] == [(), ("also", "champion")]
    assert versions[0] is not None
    assert versions[0].etag != first.etag
    with pytest.raises(VersionNotFound):
        service.set_model_alias("churn", "champion", 3, "")
    with pytest.raises(AliasNotFound):
        service.delete_model_alias("churn", "nobody", "")
    moves = [event for event in audit(registry) if event.action == "SetModelAlias"]
    assert [(event.version, event.details) for event in reversed(moves)] == [
        (1, {"alias": "champion"}),
        (2, {"alias": "champion", "from_version": "1"}),
        (2, {"alias": "also"}),
    ]


def test_renaming_takes_everything_along(registry: Registry) -> None:
    service = registry.service
    registry.model("old", tags={"a": "1"})
    registry.version("old")
    service.set_model_alias("old", "best", 1, "")
    service.transition_model_version_stage(Transition("old", 1, Stage.STAGING))
    registry.model("taken")
    with pytest.raises(ModelNameTaken):
        service.rename_registered_model("old", "taken", "")
    renamed = service.rename_registered_model("old", "new", "")
    assert renamed.name == "new"
    assert [each.name for each in renamed.latest_versions] == ["new"]
    assert dict(renamed.aliases) == {"best": 1}
    with pytest.raises(ModelNotFound):
        service.get_registered_model("old")
    assert registry.version("new").version == 2
    # The old name is free at once, and its history is found under both names.
    registry.model("old")
    new = [event.action for event in audit(registry, "new")]
    assert new[-1] == "CreateRegisteredModel"
    assert {"RenameRegisteredModel", "TransitionModelVersionStage", "SetModelAlias"} <= set(new)
    assert "RenameRegisteredModel" in [event.action for event in audit(registry, "old")]
    rename = next(e for e in audit(registry, "new") if e.action == "RenameRegisteredModel")
    assert rename.details == {"from_name": "old", "to_name": "new"}
    etag = service.get_registered_model("new").etag
    assert service.rename_registered_model("new", "new", "").etag == etag


def test_a_model_in_use_is_not_deleted(registry: Registry) -> None:
    service = registry.service
    registry.model()
    version = registry.version()
    registry.upload()
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        service.transition_model_version_stage(Transition("churn", 1, stage))
        with pytest.raises(ModelInUse):
            service.delete_registered_model("churn", "")
        with pytest.raises(ModelInUse):
            service.delete_model_version("churn", 1, "")
    assert version.model_version_id in registry.artifacts.owners
    service.transition_model_version_stage(Transition("churn", 1, Stage.ARCHIVED))
    service.delete_registered_model("churn", "")
    with pytest.raises(ModelNotFound):
        service.get_registered_model("churn")
    assert registry.artifacts.owners == {}
    assert registry.pending() == []
    assert audit(registry, "churn")[0].action == "DeleteRegisteredModel"
    assert audit(registry, "churn")[0].details == {"versions": "2"}


def test_latest_versions_are_the_newest_of_each_stage(registry: Registry) -> None:
    registry.model()
    for _ in range(5):
        registry.version()
    move = registry.service.transition_model_version_stage
    move(Transition("churn", 2, Stage.PRODUCTION))
    move(Transition("churn", 1, Stage.PRODUCTION))
    move(Transition("churn", 4, Stage.ARCHIVED))
    latest = registry.service.get_registered_model("churn").latest_versions
    assert [(each.stage, each.version) for each in latest] == [
        (Stage.NONE, 5),
        (Stage.PRODUCTION, 2),
        (Stage.ARCHIVED, 4),
    ]

"""A version moves to a stage only when it shows what the model's rules ask, whoever moves it."""

from __future__ import annotations

import pytest

from runstone_kit.errors import InvalidArgument
from runstone_registry.errors import StageRulesBroken
from runstone_registry.model import RequestState, Stage
from runstone_registry.model_commands import AskTransition, CreateModel, Listing, Transition
from support.registry import Registry

RULES = {"runstone.rules.Production": "signature; acc >= 0.8; acc > @champion"}


def shown(accuracy: float) -> dict[str, str]:
    return {"runstone.evaluation": f'{{"metrics": {{"acc": {accuracy}}}, "signature": true}}'}


@pytest.fixture
def ruled(registry: Registry) -> Registry:
    """A model with rules and three versions; the first is in Production, and the champion."""
    registry.model()
    for _ in range(3):
        registry.version()
    service = registry.service
    service.set_model_version_tags("churn", 1, shown(0.85))
    service.transition_model_version_stage(Transition("churn", 1, Stage.PRODUCTION))
    service.set_model_alias("churn", "champion", 1, "")
    service.set_registered_model_tags("churn", RULES)
    return registry


def stage_of(registry: Registry, number: int) -> Stage:
    model = registry.service.get_registered_model("churn")
    found = registry.store.read(lambda tx: tx.version(model.model_id, number))
    assert found is not None
    return found.stage


def test_a_version_that_breaks_rules_stays_and_nothing_else_changes(ruled: Registry) -> None:
    ruled.service.set_model_version_tags("churn", 2, shown(0.82))
    before = ruled.service.list_audit_events(Listing("churn")).items
    with pytest.raises(StageRulesBroken) as caught:
        ruled.service.transition_model_version_stage(
            Transition("churn", 2, Stage.PRODUCTION, archive_existing_versions=True)
        )
    assert caught.value.metadata == {
        "name": "churn",
        "version": "2",
        "stage": "Production",
        "rules": "'acc > @champion': it is 0.82; version 1, which is champion, has 0.85",
    }
    assert (stage_of(ruled, 1), stage_of(ruled, 2)) == (Stage.PRODUCTION, Stage.NONE)
    assert ruled.service.list_audit_events(Listing("churn")).items == before


def test_a_version_that_shows_all_moves(ruled: Registry) -> None:
    ruled.service.set_model_version_tags("churn", 2, shown(0.9))
    moved = ruled.service.transition_model_version_stage(
        Transition("churn", 2, Stage.PRODUCTION, archive_existing_versions=True)
    )
    assert (moved.version.stage, moved.archived) == (Stage.PRODUCTION, (1,))


def test_rules_are_those_of_one_stage_and_of_those_that_come(ruled: Registry) -> None:
    service = ruled.service
    service.transition_model_version_stage(Transition("churn", 2, Stage.STAGING))
    service.delete_model_version_tags("churn", 1, ["runstone.evaluation"])
    stayed = service.transition_model_version_stage(Transition("churn", 1, Stage.PRODUCTION))
    assert stayed.version.stage is Stage.PRODUCTION


def test_an_approval_is_held_to_the_rules_and_may_come_later(ruled: Registry) -> None:
    service = ruled.service
    request = service.create_transition_request(AskTransition("churn", 3, Stage.PRODUCTION))
    with pytest.raises(StageRulesBroken, match="version 3 of 'churn' may not move to Production"):
        service.approve_transition_request(request.transition_request_id, "")
    again = ruled.store.read(lambda tx: tx.transition_request(request.transition_request_id))
    assert again is not None
    assert again.state is RequestState.OPEN
    service.set_model_version_tags("churn", 3, shown(0.99))
    approved, moved = service.approve_transition_request(request.transition_request_id, "")
    assert (approved.state, moved.version.stage) == (RequestState.APPROVED, Stage.PRODUCTION)


def test_rules_that_cannot_be_read_are_not_kept(ruled: Registry) -> None:
    wrong = {"runstone.rules.Staging": "acc is high"}
    with pytest.raises(InvalidArgument, match="must have rules such as"):
        ruled.service.set_registered_model_tags("churn", wrong)
    with pytest.raises(InvalidArgument, match="must have rules such as"):
        ruled.service.create_registered_model(CreateModel("other", tags=wrong))
    assert ruled.service.get_registered_model("churn").tags == RULES

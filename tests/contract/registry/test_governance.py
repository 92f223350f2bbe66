"""Stages, transition requests, comments, and the audit of them."""

import pytest

from runstone_registry.errors import (
    CommentNotFound,
    CommentOfAnother,
    ModelNotFound,
    RequestIdReused,
    TransitionRequestClosed,
    TransitionRequestNotFound,
    TransitionRequestOpen,
    VersionNotFound,
)
from runstone_registry.model import AuditEvent, RequestState, Stage
from runstone_registry.model_commands import (
    AskTransition,
    CreateRemark,
    Listing,
    Transition,
)
from support.registry import Registry

UNKNOWN = "f" * 32


@pytest.fixture
def three(registry: Registry) -> Registry:
    """A model with three versions."""
    registry.model()
    for _ in range(3):
        registry.version()
    return registry


def moves(registry: Registry) -> list[AuditEvent]:
    """The audit of stage changes, oldest first."""
    events = registry.service.list_audit_events(Listing("churn")).items
    return [event for event in reversed(events) if "to_stage" in event.details]


def in_stage(registry: Registry, stage: Stage) -> list[int]:
    model = registry.service.get_registered_model("churn")
    found = registry.store.read(lambda tx: tx.numbers_in(model.model_id, [stage]))
    return [number for number, _ in found]


def test_a_transition_leaves_one_event(three: Registry) -> None:
    with three.acting("ada", "r-9"):
        moved = three.service.transition_model_version_stage(
            Transition("churn", 2, Stage.STAGING, comment="looks good")
        )
    assert moved.version.stage is Stage.STAGING
    assert moved.archived == ()
    (event,) = moves(three)
    assert (event.action, event.version, event.actor) == ("TransitionModelVersionStage", 2, "ada")
    assert (event.comment, event.request_id) == ("looks good", "r-9")
    assert event.details == {"from_stage": "None", "to_stage": "Staging"}


def test_the_same_stage_again_changes_nothing(three: Registry) -> None:
    wish = Transition("churn", 1, Stage.PRODUCTION, archive_existing_versions=True)
    three.service.transition_model_version_stage(Transition("churn", 2, Stage.STAGING))
    first = three.service.transition_model_version_stage(Transition("churn", 1, Stage.PRODUCTION))
    model = three.service.get_registered_model("churn")
    again = three.service.transition_model_version_stage(wish)
    assert again.version == first.version
    assert again.archived == ()
    assert three.service.get_registered_model("churn") == model
    assert len(moves(three)) == 2


def test_existing_versions_are_archived_in_the_same_step(three: Registry) -> None:
    move = three.service.transition_model_version_stage
    for number in (1, 2):
        move(Transition("churn", number, Stage.PRODUCTION))
    three.clock.advance(1)
    moved = move(Transition("churn", 3, Stage.PRODUCTION, archive_existing_versions=True))
    assert moved.archived == (1, 2)
    assert in_stage(three, Stage.PRODUCTION) == [3]
    assert in_stage(three, Stage.ARCHIVED) == [1, 2]
    assert [(event.version, event.details) for event in moves(three)[2:]] == [
        (1, {"from_stage": "Production", "to_stage": "Archived", "replaced_by": "3"}),
        (2, {"from_stage": "Production", "to_stage": "Archived", "replaced_by": "3"}),
        (3, {"from_stage": "None", "to_stage": "Production", "archived_versions": "1, 2"}),
    ]
    archived = three.store.read(lambda tx: tx.version(moved.version.model_id, 1))
    assert archived is not None
    assert archived.updated_ms == three.clock.now


def test_others_are_archived_when_the_version_is_in_the_stage_already(three: Registry) -> None:
    move = three.service.transition_model_version_stage
    for number in (1, 2, 3):
        move(Transition("churn", number, Stage.PRODUCTION))
    before = three.service.get_registered_model("churn")
    moved = move(Transition("churn", 2, Stage.PRODUCTION, archive_existing_versions=True))
    assert moved.archived == (1, 3)
    assert in_stage(three, Stage.PRODUCTION) == [2]
    assert [(event.version, event.details) for event in moves(three)[3:]] == [
        (number, {"from_stage": "Production", "to_stage": "Archived", "replaced_by": "2"})
        for number in (1, 3)
    ]
    assert three.service.get_registered_model("churn").etag != before.etag


def test_a_version_may_go_back_to_none(three: Registry) -> None:
    move = three.service.transition_model_version_stage
    move(Transition("churn", 1, Stage.ARCHIVED))
    assert move(Transition("churn", 1, Stage.NONE)).version.stage is Stage.NONE


def test_an_approved_request_moves_the_version(three: Registry) -> None:
    service = three.service
    service.transition_model_version_stage(Transition("churn", 1, Stage.PRODUCTION))
    with three.acting("ada"):
        asked = service.create_transition_request(
            AskTransition(
                "churn", 2, Stage.PRODUCTION, archive_existing_versions=True, comment="please"
            )
        )
    assert (asked.state, asked.creator, asked.comment) == (RequestState.OPEN, "ada", "please")
    three.clock.advance(60)
    with three.acting("bob"):
        closed, moved = service.approve_transition_request(asked.transition_request_id, "fine")
    assert (closed.state, closed.decider, closed.decision_comment, closed.decided_ms) == (
        RequestState.APPROVED,
        "bob",
        "fine",
        three.clock.now,
    )
    assert (moved.version.version, moved.version.stage, moved.archived) == (
        2,
        Stage.PRODUCTION,
        (1,),
    )
    event = moves(three)[-1]
    assert (event.action, event.actor, event.version) == ("ApproveTransitionRequest", "bob", 2)
    assert event.details["transition_request_id"] == asked.transition_request_id
    for_two = [event for event in moves(three) if event.version == 2]
    assert len(for_two) == 1
    for decide in (service.approve_transition_request, service.reject_transition_request):
        with pytest.raises(TransitionRequestClosed) as caught:
            decide(asked.transition_request_id, "")
        assert caught.value.metadata["state"] == "APPROVED"
        with pytest.raises(TransitionRequestNotFound):
            decide(UNKNOWN, "")


def test_a_request_for_the_stage_it_is_in_by_now_is_closed(three: Registry) -> None:
    service = three.service
    asked = service.create_transition_request(AskTransition("churn", 1, Stage.STAGING))
    service.transition_model_version_stage(Transition("churn", 1, Stage.STAGING))
    closed, moved = service.approve_transition_request(asked.transition_request_id, "")
    assert closed.state is RequestState.APPROVED
    assert moved.version.stage is Stage.STAGING
    assert len(moves(three)) == 1
    event = service.list_audit_events(Listing("churn", 1)).items[0]
    assert event.details == {
        "transition_request_id": asked.transition_request_id,
        "stage": "Staging",
        "unchanged": "true",
    }


def test_a_rejected_request_moves_nothing(three: Registry) -> None:
    service = three.service
    asked = service.create_transition_request(AskTransition("churn", 1, Stage.PRODUCTION))
    with three.acting("bob"):
        closed = service.reject_transition_request(asked.transition_request_id, "no")
    assert (closed.state, closed.decider) == (RequestState.REJECTED, "bob")
    assert in_stage(three, Stage.PRODUCTION) == []
    assert moves(three) == []
    assert service.list_audit_events(Listing("churn")).items[0].action == "RejectTransitionRequest"
    with pytest.raises(TransitionRequestClosed):
        service.approve_transition_request(asked.transition_request_id, "")


def test_one_open_request_for_a_version_and_stage(three: Registry) -> None:
    service = three.service
    wish = AskTransition("churn", 1, Stage.STAGING, request_id="once")
    asked = service.create_transition_request(wish)
    assert (
        service.create_transition_request(wish).transition_request_id == asked.transition_request_id
    )
    with pytest.raises(TransitionRequestOpen) as caught:
        service.create_transition_request(AskTransition("churn", 1, Stage.STAGING))
    assert caught.value.metadata == {"transition_request_id": asked.transition_request_id}
    with pytest.raises(RequestIdReused):
        service.create_transition_request(
            AskTransition("churn", 2, Stage.STAGING, request_id="once")
        )
    service.create_transition_request(AskTransition("churn", 1, Stage.PRODUCTION))
    service.create_transition_request(AskTransition("churn", 2, Stage.STAGING))
    service.reject_transition_request(asked.transition_request_id, "")
    service.create_transition_request(AskTransition("churn", 1, Stage.STAGING))
    with pytest.raises(VersionNotFound):
        service.create_transition_request(AskTransition("churn", 9, Stage.STAGING))


def test_requests_are_listed_newest_first(three: Registry) -> None:
    service = three.service
    asked = [
        service.create_transition_request(AskTransition("churn", number, stage))
        for number in (1, 2, 3)
        for stage in (Stage.STAGING, Stage.PRODUCTION)
    ]
    service.reject_transition_request(asked[0].transition_request_id, "")
    ids = [each.transition_request_id for each in reversed(asked)]

    def listed(**conditions: object) -> list[str]:
        found: list[str] = []
        token = ""
        while True:
            page = service.list_transition_requests(
                Listing(page_size=2, page_token=token, **conditions)  # type: ignore[arg-type]
            )
            found += [each.transition_request_id for each in page.items]
            token = page.next_page_token
            if not token:
                return found

    assert listed() == ids
    assert listed(name="churn", version=2) == ids[2:4]
    assert listed(state=RequestState.OPEN) == ids[:5]
    assert listed(name="churn", state=RequestState.REJECTED) == ids[5:]
    assert listed(name="nobody") == []
    service.rename_registered_model("churn", "leave", "")
    assert listed(name="leave") == ids


def test_comments_belong_to_their_author(three: Registry) -> None:
    service = three.service
    with three.acting("ada"):
        comment = service.create_comment(CreateRemark("churn", 1, "hm", request_id="once"))
        assert service.create_comment(CreateRemark("churn", 1, "hm", request_id="once")) == comment
        with pytest.raises(RequestIdReused):
            service.create_comment(CreateRemark("churn", 1, "hm!", request_id="once"))
    with three.acting("bob"):
        with pytest.raises(CommentOfAnother) as caught:
            service.update_comment(comment.comment_id, "no")
        assert caught.value.metadata["author"] == "ada"
        with pytest.raises(CommentOfAnother):
            service.delete_comment(comment.comment_id)
        second = service.create_comment(CreateRemark("churn", 1, "well"))
    three.clock.advance(5)
    with three.acting("ada"):
        changed = service.update_comment(comment.comment_id, "aha")
    assert (changed.text, changed.author) == ("aha", "ada")
    assert changed.updated_ms == changed.created_ms + 5000
    first = service.list_comments(Listing("churn", 1, page_size=1))
    assert [each.text for each in first.items] == ["aha"]
    rest = service.list_comments(Listing("churn", 1, page_size=1, page_token=first.next_page_token))
    assert [each.comment_id for each in rest.items] == [second.comment_id]
    assert rest.next_page_token == ""
    with three.acting("ada"):
        service.delete_comment(comment.comment_id)
        for change in (
            lambda: service.update_comment(comment.comment_id, "x"),
            lambda: service.delete_comment(comment.comment_id),
        ):
            with pytest.raises(CommentNotFound):
                change()
    assert service.list_comments(Listing("churn", 2)).items == []
    with pytest.raises(VersionNotFound):
        service.list_comments(Listing("churn", 9))
    with pytest.raises(ModelNotFound):
        service.create_comment(CreateRemark("nobody", 1, "hm"))
    events = service.list_audit_events(Listing("churn", 1)).items[:4]
    assert [(event.action, event.actor, event.comment) for event in events] == [
        ("DeleteComment", "ada", ""),
        ("UpdateComment", "ada", "aha"),
        ("CreateComment", "bob", "well"),
        ("CreateComment", "ada", "hm"),
    ]


def test_the_audit_outlives_the_model(three: Registry) -> None:
    service = three.service
    service.delete_registered_model("churn", "")
    first = service.list_audit_events(Listing("churn", page_size=2))
    assert [event.action for event in first.items] == [
        "DeleteRegisteredModel",
        "CreateModelVersion",
    ]
    rest = service.list_audit_events(
        Listing("churn", page_size=2, page_token=first.next_page_token)
    )
    last = service.list_audit_events(Listing("churn", page_size=2, page_token=rest.next_page_token))
    ids = [event.event_id for event in first.items + rest.items + last.items]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 5


def test_a_page_ends_early_when_texts_are_long(three: Registry) -> None:
    service = three.service
    for index in range(100):
        service.create_comment(CreateRemark("churn", 1, f"{index:03}" + "x" * 65_000))
    first = service.list_comments(Listing("churn", 1, page_size=1000))
    assert 50 < len(first.items) < 70
    second = service.list_comments(
        Listing("churn", 1, page_size=1000, page_token=first.next_page_token)
    )
    texts = [each.text[:3] for each in first.items + second.items]
    assert texts == [f"{index:03}" for index in range(100)]
    assert second.next_page_token == ""

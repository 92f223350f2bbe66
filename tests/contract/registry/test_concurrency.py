"""Many writers at once: changes of one model happen one after another."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from runstone_kit.context import RequestContext, use
from runstone_kit.errors import RunstoneError
from runstone_registry.errors import ModelNotFound
from runstone_registry.model import Stage
from runstone_registry.model_commands import (
    AskTransition,
    CreateModel,
    CreateVersion,
    Listing,
    RunSource,
    Transition,
    VersionSelector,
)
from support.registry import RUN, Registry

T = TypeVar("T")

THREADS = 16


def at_once(count: int, work: Callable[[int], T]) -> list[T | str]:
    """What ``work(i)`` returned, or the reason of its error, for each i; all begin together."""
    barrier = threading.Barrier(min(count, THREADS))

    def one(index: int) -> T | str:
        if index < THREADS:
            barrier.wait(30)
        try:
            with use(RequestContext(actor=f"t{index}")):
                return work(index)
        except RunstoneError as error:
            return error.reason

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(count)))


def test_one_version_is_in_production_at_the_end(registry: Registry) -> None:
    registry.model()
    for _ in range(THREADS):
        registry.version()

    def promote(index: int) -> None:
        registry.service.transition_model_version_stage(
            Transition("churn", index % THREADS + 1, Stage.PRODUCTION, True)
        )

    assert at_once(THREADS * 4, promote) == [None] * (THREADS * 4)
    model = registry.service.get_registered_model("churn")
    production = registry.store.read(lambda tx: tx.numbers_in(model.model_id, [Stage.PRODUCTION]))
    assert len(production) == 1
    # The audit tells one unbroken story of each version, and who was in Production when.
    stages = dict.fromkeys(range(1, THREADS + 1), "None")
    events = registry.service.list_audit_events(Listing("churn", page_size=1000)).items
    for event in reversed(events):
        if "to_stage" in event.details:
            assert stages[event.version] == event.details["from_stage"]
            stages[event.version] = event.details["to_stage"]
            assert list(stages.values()).count("Production") <= 1
    assert stages[production[0][0]] == "Production"


def test_one_of_many_with_the_same_etag_wins(registry: Registry) -> None:
    registry.model()
    etag = registry.version().etag

    def describe(index: int) -> str:
        service = registry.service
        return service.update_model_version("churn", 1, f"by {index}", etag).description

    outcomes = at_once(THREADS, describe)
    won = [outcome for outcome in outcomes if outcome != "ETAG_MISMATCH"]
    assert len(won) == 1
    now = registry.service.get_model_version(VersionSelector("churn", version=1))
    assert now.description == won[0]
    events = registry.service.list_audit_events(Listing("churn", 1)).items
    assert [event.action for event in events] == ["UpdateModelVersion", "CreateModelVersion"]


def test_sixty_four_creates_give_sixty_four_numbers(registry: Registry) -> None:
    registry.model()

    def create(index: int) -> int:
        # Every third one fails; that must leave no gap.
        path = "nothing" if index % 3 == 2 else "model"
        return registry.version(path=path).version

    outcomes = at_once(96, create)
    numbers = sorted(outcome for outcome in outcomes if isinstance(outcome, int))
    assert numbers == list(range(1, 65))
    assert outcomes.count("SOURCE_NOT_FOUND") == 32
    assert len(registry.artifacts.owners) == 64
    assert registry.pending() == []


def test_the_same_create_sent_many_times_happens_once(registry: Registry) -> None:
    def create_model(_index: int) -> str:
        wish = CreateModel("churn", request_id="model")
        return registry.service.create_registered_model(wish).model_id

    assert len(set(at_once(THREADS, create_model))) == 1

    def create_version(_index: int) -> int:
        wish = CreateVersion("churn", RunSource(RUN, "model"), request_id="version")
        return registry.service.create_model_version(wish).version

    assert set(at_once(THREADS, create_version)) == {1}
    assert len(registry.artifacts.owners) == 1
    assert registry.pending() == []

    def ask(_index: int) -> str:
        wish = AskTransition("churn", 1, Stage.STAGING, request_id="ask")
        return registry.service.create_transition_request(wish).transition_request_id

    (asked,) = set(at_once(THREADS, ask))

    def approve(_index: int) -> str:
        registry.service.approve_transition_request(asked, "")
        return "approved"

    outcomes = at_once(THREADS, approve)
    assert outcomes.count("approved") == 1
    assert outcomes.count("TRANSITION_REQUEST_CLOSED") == THREADS - 1
    events = registry.service.list_audit_events(Listing("churn")).items
    assert len(events) == 4


def test_one_of_many_takes_a_name(registry: Registry) -> None:
    for index in range(THREADS):
        registry.model(f"m{index}")

    def rename(index: int) -> str:
        return registry.service.rename_registered_model(f"m{index}", "best", "").name

    outcomes = at_once(THREADS, rename)
    assert outcomes.count("best") == 1
    assert outcomes.count("MODEL_NAME_TAKEN") == THREADS - 1


def test_names_may_be_swapped_by_two_at_once(registry: Registry) -> None:
    registry.model("a")
    registry.model("b")

    def rename(index: int) -> str:
        names = ("a", "b") if index % 2 else ("b", "a")
        return registry.service.rename_registered_model(*names, "").name

    outcomes = at_once(THREADS, rename)
    assert set(outcomes) <= {"a", "b", "MODEL_NAME_TAKEN", "MODEL_NOT_FOUND"}


def test_a_model_is_deleted_while_versions_are_made(registry: Registry) -> None:
    registry.model()

    def work(index: int) -> str:
        if index % 4 == 3:
            registry.service.delete_registered_model("churn", "")
            return "deleted"
        if index % 4 == 2:
            registry.service.create_registered_model(CreateModel("churn"))
            return "made"
        registry.version()
        return "version"

    outcomes = at_once(64, work)
    assert set(outcomes) <= {"deleted", "made", "version", "MODEL_NOT_FOUND", "MODEL_NAME_TAKEN"}
    with suppress(ModelNotFound):
        registry.service.delete_registered_model("churn", "")
    registry.sweeper.sweep()
    assert registry.artifacts.owners == {}
    assert registry.pending() == []

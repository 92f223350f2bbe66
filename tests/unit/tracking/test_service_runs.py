"""Rules of runs: names, users, times, repeated creates. The store is a fake."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from runstone_kit import context
from runstone_tracking.errors import RequestIdReused, RunNotFound
from runstone_tracking.model import (
    RUN_NAME_TAG,
    CreateRequest,
    NewRun,
    Run,
    RunChanges,
    RunInfo,
    RunRequest,
    RunStatus,
    RunUpdate,
    Stage,
)
from runstone_tracking.service_names import ADJECTIVES, NOUNS, RandomNames
from runstone_tracking.service_repeats import FORGET_EVERY, KEPT_MS, Repeats
from runstone_tracking.service_runs import RunService

T = TypeVar("T")


class FakeRuns:
    """Keeps runs in a dict; remembers the last changes asked for."""

    def __init__(self) -> None:
        self.held: dict[str, Run] = {}
        self.changes: RunChanges | None = None

    def create(self, new: NewRun) -> RunInfo:
        info = RunInfo(
            *(new.run_id, new.experiment_id, new.name, RunStatus.RUNNING, Stage.ACTIVE),
            *(new.user_id, new.start_time),
        )
        self.held[new.run_id] = Run(info, tags={**new.tags, RUN_NAME_TAG: new.name})
        return info

    def get(self, run_id: str) -> Run:
        if run_id not in self.held:
            raise RunNotFound(run_id)
        return self.held[run_id]

    def update(self, run_id: str, changes: RunChanges) -> RunInfo:
        self.changes = changes
        return self.get(run_id).info


class FakeRequests:
    """Remembers creates in a dict."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], tuple[CreateRequest, str]] = {}
        self.forgotten: list[tuple[int, int]] = []

    def claim(self, request: CreateRequest, resource_id: str) -> str | None:
        key = (request.method, request.request_id)
        if key in self.held:
            before, resource = self.held[key]
            if before.now >= request.forget_before:
                if before.content != request.content:
                    raise RequestIdReused(request.request_id)
                return resource
        self.held[key] = (request, resource_id)
        return None

    def assign(self, request: CreateRequest, resource_id: str) -> None:
        self.held[request.method, request.request_id] = (request, resource_id)

    def forget(self, before: int, limit: int) -> int:
        self.forgotten.append((before, limit))
        return 0


class FakeTransactions:
    """One session for all; nothing is rolled back."""

    def __init__(self) -> None:
        self.runs = FakeRuns()
        self.requests = FakeRequests()

    def read(self, work: Callable[[Any], T], *, bounded: bool = False) -> T:
        return work(self)

    def write(self, work: Callable[[Any], T]) -> T:
        return work(self)


class FakeClock:
    """Stands still until it is set."""

    def __init__(self, now: int) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now


class CountedIds:
    """r1, r2 …"""

    def __init__(self) -> None:
        self._count = 0

    def run_id(self) -> str:
        self._count += 1
        return f"r{self._count}"

    def hex_id(self) -> str:
        return self.run_id()


class OneName:
    """Always the same."""

    def run_name(self) -> str:
        return "made-up-1"


class Parts:
    """The service and what it works with."""

    def __init__(self) -> None:
        self.clock = FakeClock(1_000_000_000_000)
        self.store = FakeTransactions()
        repeats = Repeats(self.store, self.clock)
        self.service = RunService(self.store, self.clock, CountedIds(), OneName(), repeats)


@pytest.fixture
def parts() -> Parts:
    return Parts()


REQUEST = RunRequest(experiment_id="0")


def test_what_is_left_out_is_chosen(parts: Parts) -> None:
    with context.use(context.RequestContext(actor="ann")):
        run = parts.service.create(REQUEST)
    assert (run.info.name, run.info.user_id, run.info.start_time) == (
        *("made-up-1", "ann"),
        parts.clock.now_ms(),
    )
    assert run.tags == {RUN_NAME_TAG: "made-up-1"}


def test_what_is_given_is_kept(parts: Parts) -> None:
    with context.use(context.RequestContext(actor="ann")):
        run = parts.service.create(
            replace(REQUEST, name="mine", user_id="bob", start_time=0, tags={"a": "b"})
        )
    assert (run.info.name, run.info.user_id, run.info.start_time) == ("mine", "bob", 0)
    assert run.tags == {"a": "b", RUN_NAME_TAG: "mine"}


def test_a_repeated_create_gives_the_run_as_it_is_now(parts: Parts) -> None:
    request = replace(REQUEST, request_id="q")
    first = parts.service.create(request)
    now = replace(first, info=replace(first.info, name="renamed"))
    parts.store.runs.held[first.info.run_id] = now
    assert parts.service.create(request) == now
    assert len(parts.store.runs.held) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"experiment_id": "1"},
        {"name": "x"},
        {"user_id": "x"},
        {"start_time": 5},
        {"tags": {"a": "c"}},
    ],
)
def test_a_request_id_with_other_content(parts: Parts, change: Mapping[str, Any]) -> None:
    request = replace(REQUEST, request_id="q", tags={"a": "b"})
    parts.service.create(request)
    with pytest.raises(RequestIdReused):
        parts.service.create(replace(request, **change))


def test_a_request_id_is_kept_for_a_day(parts: Parts) -> None:
    request = replace(REQUEST, request_id="q")
    first = parts.service.create(request).info.run_id
    parts.clock.now += KEPT_MS
    assert parts.service.create(request).info.run_id == first
    parts.clock.now += 1
    assert parts.service.create(request).info.run_id != first


def test_a_purged_run_is_made_anew(parts: Parts) -> None:
    request = replace(REQUEST, request_id="q")
    first = parts.service.create(request).info.run_id
    del parts.store.runs.held[first]
    second = parts.service.create(request).info.run_id
    assert second != first
    assert parts.service.create(request).info.run_id == second


def test_old_requests_are_forgotten_now_and_then(parts: Parts) -> None:
    for number in range(2 * FORGET_EVERY):
        parts.service.create(replace(REQUEST, request_id=str(number)))
    cutoff = parts.clock.now_ms() - KEPT_MS
    assert [before for before, _ in parts.store.requests.forgotten] == [cutoff, cutoff]


NOW = 1_000_000_000_000


@pytest.mark.parametrize(
    ("asked", "changes"),
    [
        (RunUpdate("r1", name="n"), RunChanges(name="n")),
        (
            RunUpdate("r1", status=RunStatus.FINISHED),
            RunChanges(status=RunStatus.FINISHED, default_end_time=NOW),
        ),
        (
            RunUpdate("r1", status=RunStatus.KILLED, sets_end_time=True, end_time=5),
            RunChanges(status=RunStatus.KILLED, end_time=5, default_end_time=NOW),
        ),
        (
            RunUpdate("r1", status=RunStatus.FAILED, sets_end_time=True),
            RunChanges(status=RunStatus.FAILED, clear_end_time=True, default_end_time=NOW),
        ),
        (
            RunUpdate("r1", status=RunStatus.RUNNING),
            RunChanges(status=RunStatus.RUNNING, clear_end_time=True),
        ),
        (
            RunUpdate("r1", status=RunStatus.SCHEDULED, sets_end_time=True, end_time=5),
            RunChanges(status=RunStatus.SCHEDULED, end_time=5),
        ),
        (RunUpdate("r1", sets_end_time=True), RunChanges(clear_end_time=True)),
    ],
)
def test_the_end_time_follows_the_status(
    parts: Parts, asked: RunUpdate, changes: RunChanges
) -> None:
    parts.service.create(REQUEST)
    parts.service.update(asked)
    assert parts.store.runs.changes == changes


def test_names_are_made_of_known_words() -> None:
    adjective, noun, number = RandomNames().run_name().split("-")
    assert adjective in ADJECTIVES
    assert noun in NOUNS
    assert 0 <= int(number) < 1000
    assert len(set(ADJECTIVES)) == len(ADJECTIVES)
    assert len(set(NOUNS)) == len(NOUNS)

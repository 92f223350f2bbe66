"""Hooks of frameworks that make many runs, with modules of those frameworks that do nothing."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from runstone._integrations.report import Report
from runstone.exceptions import Unauthenticated, Unavailable


class TrialPruned(Exception):
    """Optuna's."""


def standing_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def optuna(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    standing_in(monkeypatch, "optuna", TrialPruned=TrialPruned)
    monkeypatch.delitem(sys.modules, "runstone.integrations.optuna", raising=False)
    hook = importlib.import_module("runstone.integrations.optuna")
    yield hook
    hook._unfinished.clear()
    del sys.modules["runstone.integrations.optuna"]


class Ended:
    """A report that says what it is told."""

    def __init__(self, told: list[str], run_name: str) -> None:
        self.told = told
        self.run_name = run_name

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None

    def end(self, status: str, wait: bool | float) -> None:
        assert wait is True or wait < 5
        self.told.append(f"{self.run_name} {status}")


class Server:
    """Begins reports, unless there is an `error`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.ended: list[str] = []
        self.given: list[tuple[Any, dict[str, Any]]] = []
        monkeypatch.setattr(Report, "begin", self.begin)

    def begin(self, library: str, choice: Any, **named: Any) -> Ended:
        if self.error is not None:
            raise self.error
        self.given.append((choice, named))
        return Ended(self.ended, named["run_name"])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


STUDY = SimpleNamespace(study_name="square")


def trial(number: int) -> Any:
    return SimpleNamespace(
        number=number,
        user_attrs={},
        params={},
        intermediate_values={},
        state=SimpleNamespace(name="COMPLETE"),
    )


@pytest.mark.parametrize("error", [Unavailable("away"), Unauthenticated("exchanged")])
def test_the_last_trials_are_logged_when_the_program_ends(
    optuna: Any, server: Server, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    server.error = error
    hook = optuna.RunstoneCallback()
    hook(STUDY, trial(3))
    hook(STUDY, trial(4))
    del hook
    assert server.ended == []
    assert caplog.text.count("the run of trial 3 could not be begun") == 2, "3 holds up 4"
    server.error = None
    optuna._end_left_over()
    assert server.ended == ["3 FINISHED", "4 FINISHED"]
    assert optuna._unfinished == {}


def test_trials_that_are_lost_are_named(
    optuna: Any, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.error = Unavailable("away")
    hook = optuna.RunstoneCallback()
    hook(STUDY, trial(3))
    hook(STUDY, trial(4))
    optuna._end_left_over()
    assert "runs of trials 3, 4 could not be begun: the program ends" in caplog.text


def test_a_child_process_leaves_the_last_trials_to_its_parent(optuna: Any, server: Server) -> None:
    server.error = Unavailable("away")
    hook = optuna.RunstoneCallback()
    hook(STUDY, trial(3))
    server.error = None
    for each in optuna._unfinished:
        optuna._unfinished[each] = os.getpid() + 1
    optuna._end_left_over()
    assert server.ended == []


def test_trials_are_not_the_run_of_the_job_they_are_in(
    optuna: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTONE_RUN_ID", "a" * 32)
    monkeypatch.setenv("RUNSTONE_RESUME", "job 1")
    hook = optuna.RunstoneCallback(run_name="named")
    hook(STUDY, trial(0))
    [(choice, named)] = server.given
    assert (choice.fresh, choice.resume, choice.run_name) == (True, None, "named")
    assert named["parent_run_id"] == "a" * 32


def test_the_mark_of_a_training_in_ray_has_no_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    training = SimpleNamespace(
        get_experiment_name=lambda: "it's mine", get_world_rank=lambda: 1, get_world_size=lambda: 2
    )
    context = SimpleNamespace(get_placement_group_id=lambda: "6a7b")
    standing_in(monkeypatch, "ray", get_runtime_context=lambda: context)
    standing_in(monkeypatch, "ray.train", get_context=lambda: training)
    standing_in(monkeypatch, "ray.tune", logger=SimpleNamespace(LoggerCallback=object))
    standing_in(monkeypatch, "ray.tune.trainable")
    standing_in(
        monkeypatch, "ray.tune.trainable.trainable_fn_utils", _in_tune_session=lambda: False
    )
    monkeypatch.delitem(sys.modules, "runstone.integrations.ray", raising=False)
    place = importlib.import_module("runstone.integrations.ray")._place()
    monkeypatch.delitem(sys.modules, "runstone.integrations.ray")
    assert tuple(place) == ("it's mine", "it%27s mine", "6a7b", 1, 2, False)

"""The beginning of a run id stands for the run where it is unique."""

import re
from typing import Any

import click
import pytest

from runstone.cli import _runids
from runstone.cli._session import Session
from runstone.exceptions import RunNotFound, Unavailable
from runstone.registry.v1 import model_pb2, model_version_pb2
from runstone.tracking.v1 import experiment_pb2, run_pb2

RUNS = {"1": ["abcd" + "0" * 28, "abce" + "0" * 28], "1500": ["abcd" + "1" * 28]}


class World:
    """Searches over RUNS in more experiments than one search takes, and a version of each run."""

    def __init__(self) -> None:
        self.calls = 0
        self.registry_is_away = False

    def SearchExperiments(self, request: Any) -> Any:
        self.calls += 1
        start = int(request.page_token or 0)
        ids = range(start, min(start + request.page_size, 2000))
        return experiment_pb2.SearchExperimentsResponse(
            experiments=[experiment_pb2.Experiment(experiment_id=str(each)) for each in ids],
            next_page_token=str(ids.stop) if ids.stop < 2000 else "",
        )

    def SearchRuns(self, request: Any) -> Any:
        self.calls += 1
        assert len(request.experiment_ids) <= 1000
        assert request.view_type == experiment_pb2.VIEW_TYPE_ALL
        beginning = re.fullmatch(r"attributes\.run_id LIKE '(\w+)%'", request.filter)
        assert beginning is not None
        return run_pb2.SearchRunsResponse(
            runs=[
                run_pb2.Run(run_id=run_id, name="n")
                for each in request.experiment_ids
                for run_id in RUNS.get(each, [])
                if run_id.startswith(beginning[1])
            ]
        )

    def SearchModelVersions(self, request: Any) -> Any:
        if self.registry_is_away:
            raise Unavailable("the registry is away")
        version = model_pb2.ModelVersion(
            name="net", version=3, stage=model_pb2.STAGE_PRODUCTION, run_id=RUNS["1"][0]
        )
        found = [version] if version.run_id in request.filter else []
        return model_version_pb2.SearchModelVersionsResponse(model_versions=found)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(Session, "service", lambda _self, _name: made)
    return made


@pytest.mark.usefixtures("world")
def test_a_unique_beginning_is_the_run() -> None:
    session = Session()
    assert _runids.whole_run_id(session, "abce") == RUNS["1"][1]
    assert _runids.whole_run_id(session, "ABCD1") == RUNS["1500"][0]
    assert _runids.whole_run_ids(session, ["abce", RUNS["1"][1]]) == [RUNS["1"][1]]


@pytest.mark.usefixtures("world")
def test_an_ambiguous_one_lists_the_matches_of_all_experiments() -> None:
    with pytest.raises(click.ClickException) as told:
        _runids.whole_run_id(Session(), "abcd")
    assert told.value.message == (
        f"several run ids begin with abcd: {RUNS['1'][0]} (n), {RUNS['1500'][0]} (n)"
    )


@pytest.mark.usefixtures("world")
def test_one_that_no_run_has_is_told() -> None:
    with pytest.raises(RunNotFound, match="begins with ffff"):
        _runids.whole_run_id(Session(), "ffff")


@pytest.mark.parametrize("text", ["abc", "0" * 32, "xyzxyz", "", "ab%cd", "a'b'c"])
def test_what_is_no_beginning_is_left_to_the_service(world: World, text: str) -> None:
    assert _runids.whole_run_id(Session(), text) == text
    assert world.calls == 0


def test_versions_that_came_from_a_run_are_told(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"{number:032x}" for number in range(250)]
    _runids.warn_of_versions(Session(), ids)
    assert capsys.readouterr().err == ""
    _runids.warn_of_versions(Session(), [*ids, "not'an id", RUNS["1"][0]])
    assert capsys.readouterr().err == (
        f"Warning: version 3 of model 'net' (Production) came from run {RUNS['1'][0]};"
        " the version keeps its own files.\n"
    )
    _runids.warn_of_versions(Session(as_json=True), [RUNS["1"][0]])
    assert capsys.readouterr().err == ""
    world.registry_is_away = True
    _runids.warn_of_versions(Session(), [RUNS["1"][0]])
    assert "is not known: the registry is away" in capsys.readouterr().err

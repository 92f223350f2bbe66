"""`runstone gc` may be killed after any of its calls; the next one finishes the work."""

import itertools
import json
from typing import Any

import pytest
from click.testing import CliRunner

from runstone.artifact.v1 import artifact_pb2
from runstone.cli import cli, gc
from runstone.cli._session import Session
from runstone.exceptions import RunNotDeleted
from runstone.tracking.v1 import run_pb2

BATCH = 2


class Killed(Exception):
    pass


class World:
    """Tracking and artifacts, as far as gc sees them, and a bound on the calls they take."""

    def __init__(self) -> None:
        self.deleted_runs = [f"run{n}" for n in range(5)]
        self.files = dict.fromkeys([*self.deleted_runs, "active"], 2)
        self.experiments = {"1": set(self.deleted_runs)}
        self.garbage = 3
        self.left = 10**9
        self.changes: list[str] = []
        self.restored_late = ""

    def service(self, _name: str) -> Any:
        return self

    def _count(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def PurgeRuns(self, request: Any) -> Any:
        self._count()
        assert request.HasField("deleted_before")
        if self.restored_late in request.run_ids:
            self.deleted_runs.remove(self.restored_late)
            raise RunNotDeleted("restored")
        if request.dry_run and request.run_ids:
            return run_pb2.PurgeRunsResponse(run_ids=request.run_ids)
        if request.dry_run:
            listed = self.deleted_runs[:BATCH]
            return run_pb2.PurgeRunsResponse(
                run_ids=listed, more=len(self.deleted_runs) > len(listed)
            )
        for run in request.run_ids:
            assert run not in self.files, "a run is purged while it still names files"
            self.deleted_runs.remove(run)
            self.experiments["1"].discard(run)
        self.changes.append("purge runs")
        return run_pb2.PurgeRunsResponse(run_ids=request.run_ids)

    def DeleteArtifacts(self, request: Any) -> Any:
        self._count()
        assert request.owner.run_id in self.deleted_runs
        self.changes.append("delete files")
        return artifact_pb2.DeleteArtifactsResponse(deleted=self.files.pop(request.owner.run_id, 0))

    def PurgeExperiments(self, request: Any) -> Any:
        self._count()
        empty = [key for key, runs in self.experiments.items() if not runs]
        if not request.dry_run:
            self.changes.append("purge experiments")
            for key in empty:
                del self.experiments[key]
        return run_pb2.PurgeExperimentsResponse(experiment_ids=empty)

    def CollectGarbage(self, request: Any) -> Any:
        self._count()
        found, more = min(self.garbage, BATCH), self.garbage > BATCH
        if not request.dry_run:
            self.changes.append("collect")
            self.garbage -= found
        return artifact_pb2.CollectGarbageResponse(objects=found, size=10 * found, more=more)


def collect(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    monkeypatch.setattr(Session, "service", lambda _self, name: world.service(name))
    result = CliRunner().invoke(cli, ["gc", "--json", *arguments])
    if result.exception is not None:
        raise result.exception
    answer: dict[str, Any] = json.loads(result.output)
    return answer


def test_everything_goes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    answer = collect(world, monkeypatch)
    assert answer["run_ids"] == [f"run{n}" for n in range(5)]
    assert (answer["artifacts"], answer["experiment_ids"], answer["objects"]) == (10, ["1"], 3)
    assert world.files == {"active": 2}
    assert [kind for kind, _ in itertools.groupby(world.changes)] == [
        *["delete files", "purge runs"] * 5,
        "purge experiments",
        "collect",
    ]


def test_a_run_that_is_restored_meanwhile_keeps_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.restored_late = "run1"
    answer = collect(world, monkeypatch)
    assert answer["run_ids"] == ["run0", "run2", "run3", "run4"]
    assert world.files == {"active": 2, "run1": 2}
    assert world.deleted_runs == []


def test_a_dry_run_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    answer = collect(world, monkeypatch, "--dry-run")
    assert (answer["run_ids"], answer["objects"], answer["more"]) == (["run0", "run1"], 2, True)
    assert world.changes == []


def test_killed_after_any_call_the_next_one_finishes(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = World()
    collect(whole, monkeypatch)
    calls = 10**9 - whole.left
    for survived in range(calls):
        world = World()
        world.left = survived
        with pytest.raises(Killed):
            collect(world, monkeypatch)
        world.left = 10**9
        collect(world, monkeypatch)
        assert (world.deleted_runs, world.experiments, world.garbage) == ([], {}, 0)
        assert world.files == {"active": 2}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43200), ("30d", 2592000), ("0s", 0)]
)
def test_ages(text: str, seconds: float) -> None:
    assert gc.Age().convert(text, None, None) == seconds

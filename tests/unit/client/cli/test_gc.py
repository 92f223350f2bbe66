"""`runstone gc` may be killed after any of its calls; the next one finishes the work."""

import contextlib
import io
import itertools
import json
from typing import Any

import pytest
from click.testing import CliRunner

from runstone.artifact.v1 import artifact_pb2
from runstone.cli import cli, gc, main
from runstone.cli._main import DECLINED, WRONG_USAGE
from runstone.cli._session import Session
from runstone.exceptions import LoggedModelNotDeleted, RunNotDeleted
from runstone.registry.v1 import model_pb2, model_version_pb2
from runstone.tracking.v1 import experiment_pb2, logged_model_pb2, run_pb2

BATCH = 2
DELETED_AT = 1_700_000_000


class Killed(Exception):
    pass


class World:
    """Tracking and artifacts, as far as gc sees them, and a bound on the calls they take."""

    def __init__(self) -> None:
        self.deleted_runs = [f"run{n}" for n in range(5)]
        self.files = dict.fromkeys([*self.deleted_runs, "active"], 2)
        self.deleted_models: list[str] = []
        self.experiments = {"1": set(self.deleted_runs)}
        self.garbage = 3
        self.left = 10**9
        self.changes: list[str] = []
        self.restored_late = ""
        self.restored_model = ""
        self.young = 0

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

    def add_models(self, *model_ids: str) -> None:
        """Deleted logged models of the experiment, with two files each."""
        self.deleted_models += model_ids
        self.files.update(dict.fromkeys(model_ids, 2))
        self.experiments["1"].update(model_ids)

    def PurgeLoggedModels(self, request: Any) -> Any:
        self._count()
        assert request.HasField("deleted_before")
        if self.restored_model in request.model_ids:
            self.deleted_models.remove(self.restored_model)
            raise LoggedModelNotDeleted("restored")
        if request.dry_run and request.model_ids:
            return logged_model_pb2.PurgeLoggedModelsResponse(model_ids=request.model_ids)
        if request.dry_run:
            listed = self.deleted_models[:BATCH]
            return logged_model_pb2.PurgeLoggedModelsResponse(
                model_ids=listed, more=len(self.deleted_models) > len(listed)
            )
        for model in request.model_ids:
            assert model not in self.files, "a model is purged while it still names files"
            self.deleted_models.remove(model)
            self.experiments["1"].discard(model)
        self.changes.append("purge models")
        return logged_model_pb2.PurgeLoggedModelsResponse(model_ids=request.model_ids)

    def ListArtifacts(self, request: Any) -> Any:
        self._count()
        assert request.recursive
        count = self.files.get(owner_of(request), 0)
        return artifact_pb2.ListArtifactsResponse(
            artifacts=[artifact_pb2.Artifact(path=f"{n}", size=1500) for n in range(count)]
        )

    def SearchModelVersions(self, _request: Any) -> Any:
        return model_version_pb2.SearchModelVersionsResponse(
            model_versions=[
                model_pb2.ModelVersion(
                    name="net", version=3, stage=model_pb2.STAGE_NONE, run_id="run0"
                )
            ]
        )

    def DeleteArtifacts(self, request: Any) -> Any:
        self._count()
        assert owner_of(request) in {*self.deleted_runs, *self.deleted_models}
        self.changes.append("delete files")
        return artifact_pb2.DeleteArtifactsResponse(deleted=self.files.pop(owner_of(request), 0))

    def SearchExperiments(self, request: Any) -> Any:
        assert request.view_type == experiment_pb2.VIEW_TYPE_DELETED_ONLY
        found = [experiment_pb2.Experiment(experiment_id=key) for key in self.experiments]
        for each in found:
            each.delete_time.FromSeconds(DELETED_AT)
        return experiment_pb2.SearchExperimentsResponse(experiments=found)

    def PurgeExperiments(self, _request: Any) -> Any:
        self._count()
        empty = [key for key, runs in self.experiments.items() if not runs]
        self.changes.append("purge experiments")
        for key in empty:
            del self.experiments[key]
        return run_pb2.PurgeExperimentsResponse(experiment_ids=empty)

    def CollectGarbage(self, request: Any) -> Any:
        self._count()
        if request.dry_run:
            found = self.garbage + (self.young if request.min_age_seconds == 1 else 0)
            return artifact_pb2.CollectGarbageResponse(objects=found, size=10 * found)
        found, more = min(self.garbage, BATCH), self.garbage > BATCH
        self.changes.append("collect")
        self.garbage -= found
        return artifact_pb2.CollectGarbageResponse(objects=found, size=10 * found, more=more)


def owner_of(request: Any) -> str:
    """The run or logged model that is named."""
    return request.owner.run_id or request.owner.logged_model_id


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
    assert (answer["artifact_bytes"], answer["bytes"]) == (15000, 30)
    assert (answer["held_objects"], answer["held_bytes"]) == (0, 0)
    assert world.files == {"active": 2}
    assert [kind for kind, _ in itertools.groupby(world.changes)] == [
        *["delete files", "purge runs"] * 5,
        "purge experiments",
        "collect",
    ]


def test_logged_models_go_behind_the_runs_and_before_the_experiment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.deleted_runs = world.deleted_runs[:1]
    world.experiments["1"] = set(world.deleted_runs)
    world.add_models("m-1", "m-2", "m-3")
    answer = collect(world, monkeypatch)
    assert answer["logged_model_ids"] == ["m-1", "m-2", "m-3"]
    assert (answer["artifacts"], answer["experiment_ids"]) == (8, ["1"])
    assert not {"m-1", "m-2", "m-3"} & world.files.keys()
    assert [kind for kind, _ in itertools.groupby(world.changes)] == [
        *("delete files", "purge runs"),
        *["delete files", "purge models"] * 3,
        *("purge experiments", "collect"),
    ]


def test_a_logged_model_that_is_restored_meanwhile_keeps_its_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.add_models("m-1", "m-2")
    world.restored_model = "m-1"
    answer = collect(world, monkeypatch)
    assert answer["logged_model_ids"] == ["m-2"]
    assert world.files == {"active": 2, "m-1": 2}
    assert answer["experiment_ids"] == []


def test_logged_models_are_counted_in_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add_models("m-1")
    code, _, err = asked(world, monkeypatch, "n\n")
    assert code == DECLINED
    assert "at least 2 runs and 1 logged model (6 files, 9.0 kB), 1 experiment" in err


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
    assert (answer["run_ids"], answer["objects"], answer["more"]) == (["run0", "run1"], 3, True)
    assert (answer["artifacts"], answer["artifact_bytes"]) == (4, 6000)
    assert answer["experiment_ids"] == ["1"]
    assert (
        collect(world, monkeypatch, "--dry-run", "--older-than", "36525d")["experiment_ids"] == []
    )
    assert world.changes == []


def test_killed_after_any_call_the_next_one_finishes(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = World()
    whole.add_models("m-1")
    collect(whole, monkeypatch)
    calls = 10**9 - whole.left
    for survived in range(calls):
        world = World()
        world.add_models("m-1")
        world.left = survived
        with pytest.raises(Killed):
            collect(world, monkeypatch)
        world.left = 10**9
        collect(world, monkeypatch)
        assert (world.deleted_runs, world.experiments, world.garbage) == ([], {}, 0)
        assert world.deleted_models == []
        assert world.files == {"active": 2}


def asked(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: str, *arguments: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a gc that somebody looks at."""
    monkeypatch.setattr(Session, "service", lambda _self, name: world.service(name))
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["gc", *arguments])
    return code, out.getvalue(), err.getvalue()


def test_the_question_says_how_much_and_no_deletes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    code, out, err = asked(world, monkeypatch, "n\n")
    assert (code, out) == (DECLINED, "Nothing deleted.\n")
    amount = "at least 2 runs (4 files, 6.0 kB), 1 experiment, 3 stored objects (30 B)"
    assert f"Remove for good {amount} and 0 abandoned uploads? [y/N]: " in err
    assert "version 3 of model 'net' came from run run0" in err
    assert world.changes == []


def test_yes_removes_all_and_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    code, out, err = asked(world, monkeypatch, "y\n")
    assert code == 0
    assert out.startswith("Removed 5 runs (10 files, 15.0 kB), 1 experiment, 3 stored objects")
    assert err.count("Warning: ") == 1
    assert (world.deleted_runs, world.garbage) == ([], 0)


def test_nobody_who_answers_is_a_wrong_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    code, out, err = asked(world, monkeypatch, "")
    assert (code, out) == (WRONG_USAGE, "")
    assert err.splitlines()[-1].startswith("Error: nobody answered; --yes deletes without asking")
    assert world.changes == []


@pytest.mark.parametrize("arguments", [(), ("--yes",), ("--dry-run",)])
def test_what_the_age_limit_holds_back_is_told(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    world = World()
    world.deleted_runs, world.experiments, world.garbage, world.young = [], {}, 0, 250
    code, out, _ = asked(world, monkeypatch, "", *arguments)
    assert code == 0
    assert "Held back by --objects-older-than: 250 stored objects (2.5 kB)" in out
    _, out, _ = asked(world, monkeypatch, "n\n", *arguments, "--objects-older-than", "0s")
    assert "Held back" not in out


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43200), ("30d", 2592000), ("0s", 0)]
)
def test_ages(text: str, seconds: float) -> None:
    assert gc.Age().convert(text, None, None) == seconds

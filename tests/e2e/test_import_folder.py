"""`runstone import mlflow` of a folder: what is not carried is told, and crashes are outlived."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstone import Client, _connection, cli
from runstone._migrate import marks
from runstone.entities import ViewType
from runstone.registry.v1 import model_version_pb2
from support import dump_runstone, mlruns

PARENT, CHILD, GONE, LIVE = (letter * 32 for letter in "abcd")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a bit of everything."""
    root = tmp_path / "mlruns"
    first = mlruns.experiment(root, "1", "first", {"team": "x"})
    second = mlruns.experiment(root, "2", "second")
    points = [f"{mlruns.START + step} {step / 7} {step}" for step in range(50)]
    mlruns.run(
        first,
        PARENT,
        params={"lr": "0.1"},
        tags={"note": "n"},
        metrics={"loss": points, "acc": [*points[:3], points[0]]},
        files={"model/MLmodel": b"m", "log": b"text"},
    )
    # By its name it is read before its parent's experiment.
    mlruns.run(first, CHILD, tags={"mlflow.parentRunId": LIVE}, metrics={"loss": points[:2]})
    mlruns.run(first, GONE, status=5, stage="deleted", files={"x": b"x"})
    mlruns.run(second, LIVE, status=1, metrics={"loss": points[:5]})
    mlruns.model(root, "net", {1: f"runs:/{PARENT}/model", 3: f"runs:/{PARENT}/model"})
    return root


def imported(
    source: Path, target: Client, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, Any]:
    """The exit code and the report."""
    arguments = ["import", "mlflow", str(source), *options, "--json"]
    arguments += ["--tracking-uri", target.tracking_uri]
    code = cli.main(arguments)
    said = capsys.readouterr()
    assert said.out, said.err
    return code, json.loads(said.out)


def by_mark(target: Client) -> dict[str, Any]:
    """Our runs by their ids in MLflow."""
    ids = [each.experiment_id for each in target.search_experiments(ViewType.ALL)]
    found = target.search_runs(ids, "", ViewType.ALL)
    assert len({each.data.tags[marks.RUN] for each in found}) == len(found)
    return {each.data.tags[marks.RUN]: target.get_run(each.info.run_id) for each in found}


class Crash(BaseException):
    """The process ends here, as far as what is under test can tell."""


def test_a_crash_at_any_call_leaves_what_the_next_import_goes_on_from(
    source: Path,
    target: Client,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real: Callable[..., Any] = _connection._Unary.__call__
    left = 0

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash
        answer = real(self, *arguments, **named)
        if left == 0 and crashes % 2:
            raise Crash  # the call was done, and its answer is lost
        return answer

    monkeypatch.setattr(_connection._Unary, "__call__", counted)
    crashes = 0
    while True:
        # In each round a call more than in the one before, which it had to look for.
        left = 5 + crashes
        try:
            code, report = imported(source, target, capsys)
            break
        except Crash:
            crashes += 1
    monkeypatch.undo()
    assert crashes > 10
    assert (code, report["complete"]) == (0, True)
    assert report["at_source"] == report["at_target"]
    runs = by_mark(target)
    assert set(runs) == {PARENT, CHILD, GONE, LIVE}
    assert runs[CHILD].data.tags["mlflow.parentRunId"] == runs[LIVE].info.run_id
    assert runs[GONE].info.lifecycle_stage == "deleted"
    assert runs[PARENT].data.metric_summaries["loss"].count == 50
    assert len(target.get_metric_columns(runs[PARENT].info.run_id, "acc")) == 3
    versions = dump_runstone.dump(target)["models"]["net"]["versions"]
    assert set(versions) == {"1", "3"}
    assert {each["stage"] for each in versions.values()} == {"Staging"}
    assert all(set(each["files"]) == {"MLmodel"} for each in versions.values())
    request = model_version_pb2.SearchModelVersionsRequest()
    links = {each.run_link for each in target._registry.SearchModelVersions(request).model_versions}
    assert links == {"http://ci/1", "http://ci/3"}


def test_what_grew_is_added_and_what_was_changed_here_is_left_alone(
    source: Path, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(source, target, capsys)
    runs = by_mark(target)
    target.set_tag(runs[PARENT].info.run_id, "note", "mine")
    target.delete_run(runs[CHILD].info.run_id)
    lines = [f"{mlruns.START + step} {step / 7} {step}" for step in range(3, 9)]
    with (source / "2" / LIVE / "metrics" / "loss").open("a") as file:
        file.writelines(f"{each}\n" for each in lines)
    mlruns.run(source / "2", "e" * 32)

    code, report = imported(source, target, capsys)
    assert code == 0
    written = {name: count for name, count in report["written"].items() if count}
    assert written == {"runs": 1, "points": 4}
    after = by_mark(target)
    assert after[PARENT].data.tags["note"] == "mine"
    assert after[CHILD].info.lifecycle_stage == "deleted"
    assert after[LIVE].data.metric_summaries["loss"].count == 9
    assert len(report["notes"]) == 2


def test_what_cannot_be_carried_is_told_by_name_each_time(
    tmp_path: Path, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "mlruns"
    folder = mlruns.experiment(root, "1", "odd", {"t": "x" * 20_001})
    mlruns.run(
        folder,
        PARENT,
        params={"long": "x" * 6_001, "bad%key": "1", "good": "2"},
        tags={"huge": "y" * 8_001},
        metrics={"early": ["-5 1.0 0", "7 2.0 1"], "b@d": ["7 1.0 0"], "fine": ["7 inf 0"]},
        files={"back\\slash": b"1", "fine": b"2"},
    )
    mlruns.model(root, "lost", {1: f"runs:/{CHILD}/model"})
    for _ in range(2):
        code, report = imported(root, target, capsys)
        assert code == 1
        told = "\n".join([*report["lost"], *report["differences"]])
        for name in ("'long'", "bad%key", "'huge'", "'t' of experiment", "back\\slash", "lost"):
            assert name in told, (name, told)
        assert not report["complete"]
    run = by_mark(target)[PARENT]
    assert run.data.params == {"long": "x" * 6_000, "good": "2"}
    assert len(run.data.tags["huge"]) == 8_000
    assert {key: each.count for key, each in run.data.metric_summaries.items()} == {
        "early": 1,
        "fine": 1,
    }
    assert run.data.metrics["fine"] == float("inf")
    assert target.get_model_version("lost", 1).status == "PENDING"


def test_a_line_that_is_no_point_leaves_its_run_for_the_next_import(
    tmp_path: Path, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "mlruns"
    folder = mlruns.experiment(root, "1", "odd")
    run = mlruns.run(folder, PARENT, metrics={"a": ["1 2 3", "what"]})
    mlruns.run(folder, CHILD, params={"a": "1"})
    code, report = imported(root, target, capsys)
    assert code == 1
    assert any("'what" in each for each in report["lost"])
    assert by_mark(target)[CHILD].data.params == {"a": "1"}
    (run / "metrics" / "a").write_text("1 2 3\n")
    code, report = imported(root, target, capsys)
    assert (code, report["written"]["points"]) == (0, 1)


def test_what_others_made_is_joined_and_never_deleted_with_what_joined_it(
    tmp_path: Path, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "mlruns"
    for experiment_id, name in (("1", "shared"), ("2", "gone")):
        folder = mlruns.experiment(root, experiment_id, name, {"team": "x"}, stage="deleted")
        mlruns.run(folder, experiment_id * 32, stage="deleted")
    own = target.create_experiment("shared", tags={"team": "ours"})
    run_id = target.create_run(own).info.run_id
    for _ in range(2):
        code, report = imported(root, target, capsys, "--on-conflict", "merge")
        assert (code, report["lost"]) == (0, [])
        there = target.get_experiment(own)
        assert (there.lifecycle_stage, there.tags["team"]) == ("active", "ours")
        assert target.get_run(run_id).info.lifecycle_stage == "active"
        gone = target.get_experiment_by_name("gone")
        assert gone is not None
        assert gone.lifecycle_stage == "deleted"
        (joined,) = target.search_runs([own], "", ViewType.DELETED_ONLY)
        assert joined.data.tags[marks.RUN] == "1" * 32
    assert not any(report["written"].values())
    # Both come back when they do at the source.
    for experiment_id, name in (("1", "shared"), ("2", "gone")):
        folder = mlruns.experiment(root, experiment_id, name, {"team": "x"})
        mlruns.run(folder, experiment_id * 32)
    imported(root, target, capsys)
    back = target.get_experiment_by_name("gone")
    assert back is not None
    assert back.lifecycle_stage == "active"
    for each in (own, back.experiment_id):
        active = target.search_runs([each], "", ViewType.ACTIVE_ONLY)
        assert {run.data.tags.get(marks.RUN, "") for run in active} >= {
            "1" * 32 if each == own else "2" * 32
        }

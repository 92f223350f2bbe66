"""What every hook in a training framework does, by one of a framework of three lines."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone._integrations import report as reports
from runstone._integrations import where
from runstone._integrations.report import Report
from runstone._integrations.where import Choice
from runstone.entities import Run
from runstone.exceptions import ExperimentDeleted, RunNotFound, Unavailable
from support import fluent, toy_framework
from support.processes import wait_until
from support.suites import SuiteProcess, clean_environment


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("integrations")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def client(data_dir: Path, tmp_path: Path) -> Iterator[runstone.Client]:
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        yield runstone.Client()
        reports._open.clear()


def begin(active: bool = True, endless: bool = True, **said: Any) -> Report:
    return Report.begin("toy", Choice.of(said), active=active, endless=endless)


def read(report: Report) -> Run:
    return report.client.get_run(report.run_id)


def test_a_run_of_its_own() -> None:
    report = begin(experiment_name="toys", run_name="first", tags={"team": "risk"})
    assert runstone.active_run().info.run_id == report.run_id  # type: ignore[union-attr]
    report.params({"model": {"layers": [4, 2]}, **{f"p{n}": n for n in range(250)}})
    report.metrics({"loss": 0.5, "ok": True, "ndcg@5": 1, "none": None}, 3)
    report.tags({"long": "x" * 9000, "a@b": 1})
    report.text("line", "notes.txt")
    report.end()
    assert runstone.active_run() is None
    run = read(report)
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params["model.layers"] == "[4, 2]"
    assert len(run.data.params) == 251
    assert run.data.metrics == {"loss": 0.5, "ok": 1.0, "ndcg_at_5": 1.0}
    assert run.data.tags["team"] == "risk"
    assert runstone.artifacts.load_text(f"runs:/{report.run_id}/notes.txt") == "line"
    # What comes after the end is the run's all the same.
    report.metrics({"test": 1.0}, 4)
    runstone.flush(30)
    assert read(report).data.metrics["test"] == 1.0


def test_the_active_run_is_logged_to_and_left_open() -> None:
    with runstone.start_run() as mine:
        report = begin(run_name="ignored")
        report.end("FAILED")
        assert report.run_id == mine.info.run_id
        assert read(report).info.status == "RUNNING"
        child = begin(nested=True)
        assert read(child).data.tags["mlflow.parentRunId"] == mine.info.run_id
        child.end()
        beside = begin(active=False, nested=True)
        assert runstone.active_run().info.run_id == mine.info.run_id  # type: ignore[union-attr]
        beside.end()
        assert read(beside).data.tags["mlflow.parentRunId"] == mine.info.run_id


def test_a_run_by_its_id_by_the_environment_and_by_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    first = begin(resume="job 1")
    first.end("FAILED")
    for said in ({"resume": "job 1"}, {"run_id": first.run_id}):
        again = begin(**said)
        assert again.run_id == first.run_id
        assert read(again).info.status == "RUNNING"
        again.end("KILLED")
        assert read(again).info.status == "KILLED"
    monkeypatch.setenv("RUNSTONE_RUN_ID", first.run_id)
    found = begin()
    found.end()
    assert found.run_id == first.run_id
    other = begin(resume="job 2")
    assert other.run_id != first.run_id
    other.end()


def test_one_of_many_does_not_take_over_the_run_of_the_environment(
    client: runstone.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.create_run("0").info.run_id
    monkeypatch.setenv("RUNSTONE_RUN_ID", job)
    many = Choice.of({}).alone()
    trials = [Report.begin("toy", many, active=False, run_name=str(n)) for n in range(2)]
    trials.append(Report.begin("toy", many, active=False, parent_run_id=trials[0].run_id))
    for trial in trials:
        trial.end()
    parents = [read(trial).data.tags["mlflow.parentRunId"] for trial in trials]
    assert parents == [job, job, trials[0].run_id]
    assert client.get_run(job).info.status == "RUNNING"
    # The variable is left to whom it is meant for.
    with runstone.start_run() as mine:
        assert mine.info.run_id == job


def test_what_keeps_a_run_from_being_begun_is_raised(client: runstone.Client) -> None:
    with pytest.raises(RunNotFound):
        begin(run_id="0" * 32)
    gone = client.create_experiment("gone")
    client.delete_experiment(gone)
    with pytest.raises(ExperimentDeleted):
        begin(experiment_name="gone")
    assert runstone.active_run() is None


def test_a_parameter_that_changed_is_said_and_the_others_are_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    report = begin()
    report.params({"lr": 0.1, "epochs": 10})
    report.params({"lr": 0.2, "epochs": 10, "more": 1})
    report.end()
    assert read(report).data.params == {"lr": "0.1", "epochs": "10", "more": "1"}
    assert "another value of lr could not be logged" in caplog.text


def test_nothing_that_goes_wrong_reaches_the_training(caplog: pytest.LogCaptureFixture) -> None:
    report = begin()
    report.metrics({"text": "a", "good": 1.0, "list": [1, 2]}, 1)
    report.metrics({"good": 2.0, "text": "a"}, "no step")
    report.params(3)
    report.artifact("missing")
    report.client.delete_run(report.run_id)
    report.tags({"late": 1})
    report.end()
    for said in ("the metric 'text'", "parameters", "missing", "tags"):
        assert f"toy: {said} could not be logged" in caplog.text, said
    assert caplog.text.count("the metric 'text'") == 1


def test_a_training_that_raised_is_over_when_the_next_begins() -> None:
    first, second = begin(), begin()
    assert first.run_id != second.run_id
    assert read(first).info.status == "FAILED"
    second.end()
    steady = begin(endless=False)
    assert begin().run_id == steady.run_id
    steady.end()


def test_a_training_inside_another_reports_to_it_and_leaves_it_open() -> None:
    inside: list[Report] = []

    def callback(outer: Report) -> None:
        inside.append(toy_framework.train(Choice.of({})))
        active = runstone.active_run()
        assert active is not None
        assert active.info.run_id == outer.run_id
        assert read(outer).info.status == "RUNNING"

    outer = toy_framework.train(Choice.of({}), callback)
    assert inside[0].run_id == outer.run_id
    assert read(outer).info.status == "FINISHED"


def test_one_of_many_runs_is_a_child_of_the_job_s_run(
    client: runstone.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.create_run("0").info.run_id
    monkeypatch.setenv("RUNSTONE_RUN_ID", job)
    for active in (True, False):
        trial = Report.begin("toy", Choice.of({}).alone("trial"), active=active)
        trial.end()
        assert trial.run_id != job
        assert read(trial).info.run_name == "trial"
        assert read(trial).data.tags["mlflow.parentRunId"] == job
    assert client.get_run(job).info.status == "RUNNING"
    found = begin()
    found.end()
    assert found.run_id == job, "the variable is there for who is meant by it"
    with pytest.raises(TypeError, match="unknown argument 'fresh'"):
        begin(fresh=True)


def test_another_rank_waits_for_the_run_of_this_training(
    client: runstone.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "RANK_SECONDS", 0.0)
    tags = {"toy.name": "twice"}
    failed, finished = (client.create_run("0", tags=tags).info.run_id for _ in range(2))
    client.set_terminated(failed, "FAILED")
    client.set_terminated(finished)
    with pytest.raises(RunNotFound, match="no other process began a run"):
        where.awaited(Choice.of({}), "toy.name", "twice", finished=False)
    begun = client.create_run("0", tags=tags).info.run_id
    assert where.awaited(Choice.of({}), "toy.name", "twice", finished=False) == begun
    again = begin(resume="job 3")
    again.end()
    assert where.awaited(Choice.of({"resume": "job 3"})) == again.run_id


def test_a_run_that_was_joined_is_the_active_one(client: runstone.Client) -> None:
    run_id = client.create_run("0").info.run_id
    with runstone.start_run() as own:
        report = Report.join("toy", run_id, Choice.of({}), own=False, active=True)
        runstone.log_metric("loss", 0.5)
        runstone.end_run()
        report.end()
        assert runstone.active_run() is own
    runstone.flush()
    assert client.get_run(run_id).data.metrics == {"loss": 0.5}
    assert client.get_run(run_id).info.status == "RUNNING", "the other process ends it"


ENDING = """
import sys, runstone
from runstone._integrations.report import Report
from runstone._integrations.where import Choice
report = Report.begin("toy", Choice.of({"experiment_name": sys.argv[1]}), active=False,
                      endless=sys.argv[2] == "endless")
report.metrics({"loss": 1.0}, 1)
if sys.argv[3] == "raises":
    raise ValueError("no")
if sys.argv[3] == "stopped":
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize(
    ("kind", "how", "status"),
    [
        ("endless", "quiet", "FAILED"),
        ("steady", "quiet", "FINISHED"),
        ("steady", "raises", "FAILED"),
        ("endless", "stopped", "KILLED"),
    ],
)
def test_a_program_that_ends_in_the_midst(
    kind: str, how: str, status: str, client: runstone.Client, data_dir: Path, tmp_path: Path
) -> None:
    name = f"{kind} {how}"
    subprocess.run(
        [sys.executable, "-c", ENDING, name, kind, how],
        env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir), RUNSTONE_JOURNAL_DIR=str(tmp_path)),
        capture_output=True,
        check=False,
        timeout=60,
    )
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.metrics) == (status, {"loss": 1.0})


@pytest.mark.faults
def test_a_server_that_is_away_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reports, "CALL_SECONDS", 0.5)
    monkeypatch.setattr(reports, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("RUNSTONE_JOURNAL_DIR", str(tmp_path / "journals"))
    server = SuiteProcess(tmp_path / "other", "--no-http", "--grpc-port", "0")
    try:
        address = server.wait_serving()["tcp"]
        server.kill()
        server = SuiteProcess(
            tmp_path / "other", "--no-http", "--grpc-port", address.rpartition(":")[2]
        )
        server.wait_serving()
        report = begin(tracking_uri=f"runstone://{address}")
        checkpoint = tmp_path / "last.ckpt"
        checkpoint.write_bytes(b"1234")
        server.kill()
        for step in range(100):
            report.metrics({"loss": 1.0}, step)
        report.params({"lr": 0.1})
        report.artifact(checkpoint, "checkpoints")
        checkpoint.unlink()
        assert "is kept, and logged later" in caplog.text
        server.restart()
        wait_until(lambda: server.status.get("pid") == server.process.pid, 60, "the suite")
        report.end()
        run = read(report)
        assert run.info.status == "FINISHED"
        assert run.data.params == {"lr": "0.1"}
        history = report.client.get_metric_history(report.run_id, "loss")
        assert [point.step for point in history] == list(range(100))
        [file] = report.client.list_artifacts(report.run_id, "checkpoints")
        assert (file.path, file.file_size) == ("checkpoints/last.ckpt", 4)
        assert not list(tmp_path.glob(".runstone-waiting-*"))
    finally:
        server.kill()


def test_a_server_that_is_away_at_the_start_is_told(free_port: int) -> None:
    with pytest.raises(Unavailable):
        begin(tracking_uri=f"runstone://127.0.0.1:{free_port}")
    logging.getLogger("runstone").info("nothing was begun")


def test_a_run_of_another_process_is_ended_when_that_is_said(client: runstone.Client) -> None:
    run = client.create_run("0")
    joined = Report.join("toy", run.info.run_id, Choice.of({}), own=True)
    assert joined not in reports._open, "its end at the exit of this process is not meant"
    joined.metrics({"loss": 1.0}, 2)
    joined.end("KILLED")
    assert read(joined).info.status == "KILLED"
    assert read(joined).data.metrics == {"loss": 1.0}

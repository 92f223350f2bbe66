"""The active run: the stack, resuming, ending, and what is left open at exit."""

from __future__ import annotations

import asyncio
import contextvars
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest

import runstone
from runstone import exceptions
from runstone._fluent import _context, _runs, _state
from runstone._journal import outlet
from runstone.entities import RunStatus
from runstone.tracking.v1 import experiment_pb2, run_pb2
from support.binaries import REPOSITORY


@pytest.fixture
def runs(server: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, run_pb2.Run]:
    """Runs by id, kept by a fake tracking service that the fluent API is pointed at."""
    kept: dict[str, run_pb2.Run] = {}

    def create(request: Any, _: Any) -> Any:
        run = run_pb2.Run(
            run_id=f"{len(kept) + 1:032x}",
            experiment_id=request.experiment_id,
            name=request.name or "made-up",
            status=run_pb2.RUN_STATUS_RUNNING,
            lifecycle_stage=experiment_pb2.LIFECYCLE_STAGE_ACTIVE,
            tags=request.tags,
        )
        kept[run.run_id] = run
        return run_pb2.CreateRunResponse(run=run)

    def update(request: Any, _: Any) -> Any:
        run = kept[request.run.run_id]
        for path in request.update_mask.paths:
            if path == "end_time" and not request.run.HasField("end_time"):
                run.ClearField("end_time")
            elif path == "end_time":
                run.end_time.CopyFrom(request.run.end_time)
            else:
                setattr(run, path, getattr(request.run, path))
        return run_pb2.UpdateRunResponse(run=run)

    def batch(request: Any, _: Any) -> Any:
        kept[request.run_id].tags.update(request.tags)
        kept[request.run_id].params.update(request.params)
        return run_pb2.LogBatchResponse()

    server.answers |= {
        "CreateRun": create,
        "UpdateRun": update,
        "LogBatch": batch,
        "GetRun": lambda request, _: run_pb2.GetRunResponse(run=kept[request.run_id]),
    }
    monkeypatch.setattr(_context, "git", lambda folder: {})
    runstone.set_tracking_uri(server.uri)
    return kept


def status(run: run_pb2.Run) -> str:
    return run_pb2.RunStatus.Name(run.status).removeprefix("RUN_STATUS_")


def test_a_block_that_ends_well(runs: dict[str, run_pb2.Run]) -> None:
    with runstone.start_run(run_name="first", tags={"a": 1}, description="why") as run:
        assert runstone.active_run() is run
        assert runstone.last_active_run() is run
        assert status(runs[run.info.run_id]) == "RUNNING"
    kept = runs[run.info.run_id]
    assert status(kept) == "FINISHED"
    assert kept.HasField("end_time")
    assert kept.name == "first"
    assert kept.experiment_id == "0"
    assert kept.tags["a"] == "1"
    assert kept.tags["mlflow.note.content"] == "why"
    assert kept.tags["mlflow.source.type"] == "LOCAL"
    assert kept.tags["mlflow.user"]
    assert runstone.active_run() is None
    last = runstone.last_active_run()
    assert last is not None
    assert (last.info.run_id, last.info.status) == (run.info.run_id, "FINISHED")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("x"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(0), "FINISHED"),
        (SystemExit(3), "FAILED"),
        (SystemExit(128 + signal.SIGTERM), "KILLED"),
        (SystemExit(128 + signal.SIGINT), "KILLED"),
    ],
)
def test_a_block_that_raises(
    runs: dict[str, run_pb2.Run],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    expected: str,
) -> None:
    asked: list[bool | float] = []
    monkeypatch.setattr(outlet, "flush_visibly", lambda _, wait: asked.append(wait))
    with pytest.raises(type(error)), runstone.start_run() as run:
        raise error
    assert status(runs[run.info.run_id]) == expected
    assert asked == [expected != "KILLED"]  # who stops a program waits for no delivery


def test_a_second_run_must_be_nested(runs: dict[str, run_pb2.Run]) -> None:
    with runstone.start_run() as parent:
        with pytest.raises(exceptions.RunActive, match=r"nested=True"):
            runstone.start_run()
        with runstone.start_run(nested=True) as child:
            assert runstone.active_run() is child
            with runstone.start_run(nested=True) as grandchild:
                pass
        assert runstone.active_run() is parent
    assert "mlflow.parentRunId" not in runs[parent.info.run_id].tags
    assert runs[child.info.run_id].tags["mlflow.parentRunId"] == parent.info.run_id
    assert runs[grandchild.info.run_id].tags["mlflow.parentRunId"] == child.info.run_id


def test_the_parent_can_be_named(runs: dict[str, run_pb2.Run]) -> None:
    with runstone.start_run() as parent:
        pass
    child = runstone.start_run(parent_run_id=parent.info.run_id)
    with pytest.raises(exceptions.InvalidArgument, match="the active run is"):
        runstone.start_run(nested=True, parent_run_id=parent.info.run_id)
    runstone.end_run()
    assert runs[child.info.run_id].tags["mlflow.parentRunId"] == parent.info.run_id
    runs[parent.info.run_id].lifecycle_stage = experiment_pb2.LIFECYCLE_STAGE_DELETED
    with pytest.raises(exceptions.RunDeleted):
        runstone.start_run(parent_run_id=parent.info.run_id)
    assert runstone.active_run() is None


def test_a_child_that_was_not_ended_ends_with_its_parent(runs: dict[str, run_pb2.Run]) -> None:
    with runstone.start_run() as parent:
        child = runstone.start_run(nested=True)
    assert runstone.active_run() is None
    assert status(runs[child.info.run_id]) == status(runs[parent.info.run_id]) == "FINISHED"


def test_a_run_ended_inside_its_block(runs: dict[str, run_pb2.Run]) -> None:
    with runstone.start_run() as run:
        runstone.end_run("KILLED")
        assert runstone.active_run() is None
    assert status(runs[run.info.run_id]) == "KILLED"


def test_end_run_takes_names_and_numbers_and_needs_no_run(runs: dict[str, run_pb2.Run]) -> None:
    runstone.end_run()
    run = runstone.start_run()
    runstone.end_run(RunStatus.FAILED)
    assert status(runs[run.info.run_id]) == "FAILED"


def refused(server: Any) -> ValueError:
    """The user's error, in a program whose server stops answering before it is raised."""
    del server.answers["UpdateRun"]
    return ValueError("mine")


def test_the_users_error_is_seen_when_the_run_cannot_be_ended(
    runs: dict[str, run_pb2.Run], server: Any
) -> None:
    with pytest.raises(ValueError, match="mine") as caught, runstone.start_run():
        raise refused(server)
    assert "could not be ended" in caught.value.__notes__[0]
    assert runstone.active_run() is None
    with pytest.raises(exceptions.Unimplemented), runstone.start_run():
        pass
    assert runstone.active_run() is None


def test_a_block_that_is_left_in_another_context(runs: dict[str, run_pb2.Run]) -> None:
    run = contextvars.Context().run(runstone.start_run)
    contextvars.Context().run(run.__exit__, ValueError, ValueError("x"), None)
    assert status(runs[run.info.run_id]) == "FAILED"
    assert _runs._open == {}
    contextvars.Context().run(run.__exit__, None, None, None)
    assert status(runs[run.info.run_id]) == "FAILED"


def test_resuming(runs: dict[str, run_pb2.Run]) -> None:
    with runstone.start_run() as run:
        pass
    again = runstone.start_run(run_id=run.info.run_id, run_name="renamed", tags={"more": "yes"})
    kept = runs[run.info.run_id]
    assert status(kept) == "RUNNING"
    assert not kept.HasField("end_time")
    assert kept.name == "renamed"
    assert kept.tags["more"] == "yes"
    assert again.info.run_id == run.info.run_id
    with pytest.raises(exceptions.RunActive, match="already"):
        runstone.start_run(run_id=run.info.run_id, nested=True)
    runstone.end_run()
    with pytest.raises(exceptions.InvalidArgument, match="belongs to experiment 0"):
        runstone.start_run(run_id=run.info.run_id, experiment_id="7")
    assert status(kept) == "FINISHED"


def test_the_environment_names_a_run_once(
    runs: dict[str, run_pb2.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    with runstone.start_run() as run:
        pass
    monkeypatch.setenv("RUNSTONE_RUN_ID", run.info.run_id)
    with runstone.start_run() as resumed:
        assert resumed.info.run_id == run.info.run_id
    with runstone.start_run() as fresh:
        assert fresh.info.run_id != run.info.run_id


def test_a_note_is_given_once(runs: dict[str, run_pb2.Run]) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="twice"):
        runstone.start_run(tags={"mlflow.note.content": "a"}, description="b")
    assert runs == {}


def test_threads_have_their_own_runs(runs: dict[str, run_pb2.Run]) -> None:
    seen: list[Any] = []

    def work() -> None:
        seen.append(runstone.active_run())
        with runstone.start_run() as mine:
            seen.append(runstone.active_run() is mine)

    with runstone.start_run() as run:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert runstone.active_run() is run
    assert seen == [None, True]


def test_tasks_share_their_creators_run_and_keep_theirs_apart(
    runs: dict[str, run_pb2.Run],
) -> None:
    async def work(parent: str) -> str:
        active = runstone.active_run()
        assert active is not None
        assert active.info.run_id == parent
        with runstone.start_run(nested=True) as child:
            await asyncio.sleep(0)
            inside = runstone.active_run()
            assert inside is child
        return child.info.run_id

    async def main() -> list[str]:
        with runstone.start_run() as run:
            return await asyncio.gather(*(work(run.info.run_id) for _ in range(3)))

    children = asyncio.run(main())
    assert len(set(children)) == 3


def test_logging_without_a_run_begins_one(runs: dict[str, run_pb2.Run]) -> None:
    runstone.log_param("lr", 0.1)
    run = runstone.active_run()
    assert run is not None
    assert runs[run.info.run_id].params == {"lr": "0.1"}
    runstone.end_run()


def test_a_run_keeps_the_server_it_was_begun_with(runs: dict[str, run_pb2.Run]) -> None:
    with runstone.start_run() as run:
        runstone.set_tracking_uri("runstone://127.0.0.1:1")
        runstone.set_tag("still", "here")
    assert runs[run.info.run_id].tags["still"] == "here"
    assert status(runs[run.info.run_id]) == "FINISHED"


def test_left_over_runs_are_ended_at_exit(runs: dict[str, run_pb2.Run]) -> None:
    outer = runstone.start_run()
    inner = runstone.start_run(nested=True)
    _runs._end_left_over()
    assert [status(runs[r.info.run_id]) for r in (outer, inner)] == ["FINISHED", "FINISHED"]


def test_a_forked_child_leaves_its_parents_run_alone(
    runs: dict[str, run_pb2.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runstone.start_run()
    parent = os.getpid()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: parent + 1)
        _runs._end_left_over()
    assert status(runs[run.info.run_id]) == "RUNNING"


def test_a_child_that_leaves_the_block_ends_nothing(runs: dict[str, run_pb2.Run]) -> None:
    with runstone.start_run() as run:
        child = os.fork()
        if child == 0:
            try:
                run.__exit__(SystemExit, SystemExit(0), None)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert status(runs[run.info.run_id]) == "RUNNING"


def test_clients_and_runs_can_be_sent_to_workers(runs: dict[str, run_pb2.Run]) -> None:
    client = runstone.Client(timeout=7, user="ada")
    copy = pickle.loads(pickle.dumps(client))
    assert copy._arguments() == client._arguments()
    with runstone.start_run() as run:
        sent = pickle.loads(pickle.dumps(run))
    assert sent.info == run.info
    sent.client.set_tag(sent.info.run_id, "from", "a worker")
    assert runs[run.info.run_id].tags["from"] == "a worker"


ENDS = {
    "FINISHED": "runstone.start_run()",
    "FAILED": "runstone.start_run(); raise ValueError('x')",
    "KILLED": "runstone.start_run(); raise KeyboardInterrupt",
}


@pytest.mark.parametrize("expected", ENDS)
def test_how_a_program_ends_is_how_its_run_ends(
    runs: dict[str, run_pb2.Run], expected: str
) -> None:
    script = f"import runstone\n{ENDS[expected]}"
    subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    (run,) = runs.values()
    assert status(run) == expected


def test_the_handler_of_the_readme_ends_the_run_killed(runs: dict[str, run_pb2.Run]) -> None:
    readme = (REPOSITORY / "clients" / "python" / "README.md").read_text("utf-8")
    [handler] = re.findall(r"^ *(signal\.signal\(.*)$", readme, re.MULTILINE)
    script = f"""
import signal, sys, time
import runstone
{handler}
with runstone.start_run():
    print("running", flush=True)
    while True:
        time.sleep(0.1)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "running\n"
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 128 + signal.SIGTERM
    (run,) = runs.values()
    assert status(run) == "KILLED"


def test_a_program_ends_soon_when_its_server_is_gone(
    runs: dict[str, run_pb2.Run], server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_runs, "EXIT_SECONDS", 0.2)
    runstone.start_run()
    server.stop()
    _runs._end_left_over()
    assert _runs._open == {}


class Experiments:
    """A fake tracking service's experiments; ``late`` ones appear when they are created."""

    def __init__(self, server: Any, refuse: Any) -> None:
        self.names = {"Default": "0"}
        self.deleted: set[str] = set()
        self.late: dict[str, str] = {}
        self.refuse = refuse
        server.answers |= {"GetExperiment": self.get, "CreateExperiment": self.create}

    def get(self, request: Any, context: Any) -> Any:
        known = {number: name for name, number in self.names.items()}
        name = request.name or known.get(request.experiment_id)
        if name not in self.names:
            self.refuse("NOT_FOUND", "EXPERIMENT_NOT_FOUND")(request, context)
        stage = "DELETED" if name in self.deleted else "ACTIVE"
        found = experiment_pb2.Experiment(experiment_id=self.names[name], name=name)
        found.lifecycle_stage = experiment_pb2.LifecycleStage.Value(f"LIFECYCLE_STAGE_{stage}")
        return experiment_pb2.GetExperimentResponse(experiment=found)

    def create(self, request: Any, context: Any) -> Any:
        if request.name in self.late:
            self.names[request.name] = self.late[request.name]
            self.refuse("ALREADY_EXISTS", "EXPERIMENT_NAME_TAKEN")(request, context)
        self.names[request.name] = str(len(self.names))
        found = experiment_pb2.Experiment(experiment_id=self.names[request.name])
        return experiment_pb2.CreateExperimentResponse(experiment=found)


@pytest.fixture
def experiments(server: Any, refuse: Any, runs: Any) -> Experiments:
    return Experiments(server, refuse)


def test_set_experiment_creates_what_is_missing(
    experiments: Experiments, runs: dict[str, run_pb2.Run]
) -> None:
    found = runstone.set_experiment("new")
    assert experiments.names["new"] == found.experiment_id == "1"
    assert runstone.set_experiment("new").experiment_id == "1"
    with runstone.start_run() as run:
        assert run.info.experiment_id == "1"
    assert os.environ["RUNSTONE_EXPERIMENT_ID"] == "1"
    runstone.set_experiment(experiment_id="0")
    with runstone.start_run() as run:
        assert run.info.experiment_id == "0"


def test_another_server_has_other_experiments(experiments: Experiments) -> None:
    uri = runstone.get_tracking_uri()
    runstone.set_experiment("here")
    runstone.set_tracking_uri(uri)
    assert _state.experiment_id() == "1"
    runstone.set_tracking_uri("runstone://127.0.0.1:1")
    assert _state.experiment_id() == "0"
    assert "RUNSTONE_EXPERIMENT_ID" not in os.environ


def test_set_experiment_loses_no_race(experiments: Experiments) -> None:
    experiments.late["contested"] = "7"
    assert runstone.set_experiment("contested").experiment_id == "7"


def test_set_experiment_refuses(experiments: Experiments) -> None:
    experiments.names["old"] = "5"
    experiments.deleted.add("old")
    with pytest.raises(exceptions.ExperimentDeleted, match="restore_experiment"):
        runstone.set_experiment("old")
    with pytest.raises(exceptions.ExperimentNotFound):
        runstone.set_experiment(experiment_id="99")
    for arguments in ({}, {"experiment_name": "a", "experiment_id": "0"}):
        with pytest.raises(exceptions.InvalidArgument, match="one of them"):
            runstone.set_experiment(**arguments)  # type: ignore[arg-type]


def test_the_environment_names_the_experiment(
    experiments: Experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _state.experiment_id() == "0"
    monkeypatch.setenv("RUNSTONE_EXPERIMENT_NAME", "by name")
    assert _state.experiment_id() == experiments.names["by name"]
    monkeypatch.setenv("RUNSTONE_EXPERIMENT_ID", "0")
    with pytest.raises(exceptions.InvalidArgument, match="different experiments"):
        _state.experiment_id()
    monkeypatch.delenv("RUNSTONE_EXPERIMENT_NAME")
    assert _state.experiment_id() == "0"


def test_source_and_git(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_context, "_git", {})
    assert _context.git(tmp_path) == {}
    folder = tmp_path / "repository" / "below"
    folder.mkdir(parents=True)
    script = """
        git init -q -b main .
        git -c user.name=n -c user.email=e commit -q --allow-empty -m first
        git remote add origin https://ada:secret@example.org/x.git
    """
    subprocess.run(["sh", "-ec", textwrap.dedent(script)], cwd=folder.parent, check=True)
    found = _context.git(folder)
    assert found[_context.GIT_BRANCH] == "main"
    assert len(found[_context.GIT_COMMIT]) == 40
    assert found[_context.GIT_URL] == "https://example.org/x.git"
    monkeypatch.setattr(sys, "argv", [str(folder / "train.py")])
    assert _context.source() == (str(folder / "train.py"), "LOCAL")

"""What a command is told of its run, and how the end of a run is told."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import runstone
from runstone import projects
from runstone._projects import parameters, running
from runstone._projects.mlproject import EntryPoint, Parameter
from runstone._projects.submitted import ProjectRun
from runstone.exceptions import ExecutionException, ProjectInvalid
from support import fluent


@pytest.fixture(autouse=True)
def process(tmp_path: Path) -> Iterator[None]:
    with fluent.fresh(tmp_path):
        yield


def test_the_run_is_found_by_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An embedded suite speaks no HTTP, and MLflow cannot reach it.
    assert running.variables("r", "7") == {
        "RUNSTONE_RUN_ID": "r",
        "RUNSTONE_EXPERIMENT_ID": "7",
        "RUNSTONE_TRACKING_URI": (tmp_path / "runstone-data").as_uri(),
    }
    uri = "runstone://here:1?artifact=:2"
    runstone.set_tracking_uri(uri)
    runstone.set_registry_uri("runstone://there:3")
    told = {
        "RUNSTONE_RUN_ID": "r",
        "RUNSTONE_EXPERIMENT_ID": "7",
        "RUNSTONE_TRACKING_URI": uri,
        "RUNSTONE_REGISTRY_URI": "runstone://there:3",
        "MLFLOW_RUN_ID": "r",
        "MLFLOW_EXPERIMENT_ID": "7",
        "MLFLOW_TRACKING_URI": uri,
    }
    assert running.variables("r", "7") == told
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://gateway")
    assert running.variables("r", "7") == {**told, "MLFLOW_TRACKING_URI": "http://gateway"}


class Server:
    """Stands for the client: the status that a command left its run in, and what is set."""

    def __init__(self, status: str) -> None:
        self.status = status

    def get_run(self, _: str) -> Any:
        return SimpleNamespace(info=SimpleNamespace(status=self.status))

    def set_terminated(self, _: str, status: str) -> None:
        self.status = status


class Inner:
    run_id, failure = "r", "exit code 3"

    def __init__(self, succeeds: bool) -> None:
        self.succeeds = succeeds
        self.cancels = 0

    def get_status(self) -> str:
        return "RUNNING"

    def wait(self) -> bool:
        return self.succeeds

    def cancel(self) -> None:
        self.cancels += 1


@pytest.mark.parametrize(
    ("succeeds", "left", "told"),
    [
        (True, "RUNNING", "FINISHED"),
        (True, "FINISHED", "FINISHED"),
        (True, "FAILED", "FAILED"),
        (False, "RUNNING", "FAILED"),
        (False, "FINISHED", "FAILED"),
        (False, "KILLED", "KILLED"),
    ],
)
def test_the_end_is_told_where_the_command_has_not(succeeds: bool, left: str, told: str) -> None:
    server: Any = Server(left)
    cleaned: list[int] = []
    run = ProjectRun(server, Inner(succeeds), "main")
    run.at_end(lambda: cleaned.append(1))
    assert [run.wait(), run.wait()] == [succeeds, succeeds]
    assert (server.status, cleaned) == (told, [1])
    run.cancel()
    assert server.status == told
    if not succeeds:
        with pytest.raises(ExecutionException, match="run r of entry point 'main' failed: exit"):
            run.check()


def test_what_interrupts_the_waiting_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = Server("FAILED")
    inner = Inner(False)

    def interrupted() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(inner, "wait", interrupted)
    run = ProjectRun(server, inner, "main")
    with pytest.raises(KeyboardInterrupt):
        run.wait()
    assert (server.status, inner.cancels) == ("KILLED", 1)
    with pytest.raises(ExecutionException, match="was cancelled"):
        run.check()


def test_an_end_whose_telling_is_interrupted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = Server("RUNNING")
    answers = [KeyboardInterrupt()]
    now = server.get_run

    def slow(run_id: str) -> Any:
        if answers:
            raise answers.pop()
        return now(run_id)

    monkeypatch.setattr(server, "get_run", slow)
    inner = Inner(True)
    run = ProjectRun(server, inner, "main")
    with pytest.raises(KeyboardInterrupt):
        run.wait()
    assert (server.status, inner.cancels) == ("FINISHED", 0)


def test_who_is_interrupted_while_a_folder_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "main.py").touch()
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(tmp_path / "p" / "main.py", "main.py")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    make = tempfile.mkdtemp

    def interrupted(prefix: str, **where: Any) -> str:
        if "downloads" in prefix:
            raise KeyboardInterrupt
        return make(prefix=prefix, **where)

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runstone.run(str(tmp_path / "p.zip"), "main.py")
    assert list(scratch.iterdir()) == []


def test_paths_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("main", "cat {d}", {"d": Parameter("d", "path", "data/x.csv")})
    # Where the files of this machine are not, a path is what was said.
    for path in ("data/x.csv", "/mnt/data/x.csv"):
        assert parameters.elsewhere(entry, {"d": path}) == {"d": path}
    with pytest.raises(ProjectInvalid, match="declare it as type uri"):
        parameters.elsewhere(entry, {"d": "runs:/f00/x.csv"})
    # A given one is seen from the folder of who gave it.
    (tmp_path / "asked").mkdir()
    (tmp_path / "asked" / "x").touch()
    given = {"d": "x"}
    place = (tmp_path / "project", tmp_path / "down", tmp_path / "asked")
    found = parameters.on_this_machine(entry, given, given, *place)
    assert found == {"d": str(tmp_path / "asked" / "x")}
    # Two steps of a chain never download to the same place.
    targets = []
    monkeypatch.setattr(
        "runstone.artifacts.download_artifacts",
        lambda _, dst_path: targets.append(dst_path) or dst_path,
    )
    given = {"d": "runs:/f00/x"}
    for _ in range(2):
        parameters.on_this_machine(entry, given, given, *place)
    assert len(set(targets)) == 2


def test_the_configuration_of_a_backend(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"a": [1]}')
    (tmp_path / "list.json").write_text("[1]")
    for given in ({"a": [1]}, '{"a": [1]}', "config.json", tmp_path / "config.json"):
        assert projects.config(given) == {"a": [1]}
    assert projects.config(None) == {}
    for wrong in ("nowhere.json", "list.json", "{a", 3):
        with pytest.raises(ProjectInvalid, match="backend_config must"):
            projects.config(wrong)

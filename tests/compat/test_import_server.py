"""`runstone import mlflow` from a real tracking server and from its database, and the way back.

The tests of this file share one server, and one telling of what it holds: both take seconds.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from runstone import Client, cli
from support import dump_runstone, mlflow_peer, suites
from support.mlflow_environments import FULL

pytestmark = pytest.mark.timeout(400)  # MLflow's own client and server take most of it

KILLED = -signal.SIGKILL

KILLING = """\
import os, signal, sys, threading
from runstone import _connection, cli

left = [int(sys.argv[1])]
lock = threading.Lock()
call = _connection._Unary.__call__


def counted(self, *arguments, **named):
    with lock:
        left[0] -= 1
        last = left[0] == 0
    if last and sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = call(self, *arguments, **named)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


_connection._Unary.__call__ = counted
sys.exit(cli.main(sys.argv[3:]))
"""
"""An import that kills itself at its n-th call of our services, before it or when it is done."""


class Mlflow(NamedTuple):
    """A server, its store, where its files are, and what it held at first."""

    url: str
    store: str
    artifacts: Path
    folder: Path
    held: Any


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A real MLflow with one of everything."""
    folder = tmp_path_factory.mktemp("mlflow")
    store = f"sqlite:///{folder}/mlflow.db"
    with mlflow_peer.served(FULL, store, folder) as url:
        mlflow_peer.fill(FULL, url, folder)
        held = mlflow_peer.dump(FULL, url, folder)
        yield Mlflow(url, store, folder / "artifacts", folder, held)


def run_cli(capsys: pytest.CaptureFixture[str], target: Client, *arguments: str) -> Any:
    """The report of a command that must succeed."""
    code = cli.main([*arguments, "--json", "--tracking-uri", target.tracking_uri])
    said = capsys.readouterr()
    assert code == 0, said
    return json.loads(said.out)


def test_all_of_a_server_comes_over_and_a_second_import_changes_nothing(
    mlflow: Mlflow, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run_cli(capsys, target, "import", "mlflow", mlflow.url)
    assert dump_runstone.dump(target) == mlflow.held
    assert report["complete"]
    assert report["at_source"] == report["at_target"]
    assert report["written"]["runs"] == report["at_source"]["runs"] > 10
    assert report["written"]["points"] == report["at_source"]["points"] > 1500
    events = target.list_audit_events()

    again = run_cli(capsys, target, "import", "mlflow", mlflow.url)
    assert not any(again["written"].values())
    assert again["at_target"] == report["at_target"]
    # Nor by another way to the same MLflow.
    store = ("--artifacts", str(mlflow.artifacts))
    third = run_cli(capsys, target, "import", "mlflow", mlflow.store, *store)
    assert third["written"]["runs"] == third["written"]["points"] == 0
    assert dump_runstone.dump(target) == mlflow.held
    assert target.list_audit_events() == events


def test_a_database_comes_over_without_its_server(
    mlflow: Mlflow, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["import", "mlflow", mlflow.store, "--tracking-uri", target.tracking_uri])
    said = capsys.readouterr().out
    assert code == 1
    assert "--artifacts" in said
    assert target.get_model_version("churn", 1).status == "PENDING"
    run_cli(
        *(capsys, target, "import", "mlflow", mlflow.store, "--artifacts", str(mlflow.artifacts))
    )
    assert dump_runstone.dump(target) == mlflow.held


@pytest.mark.faults
@pytest.mark.parametrize(
    ("step", "when"), [pytest.param(9, "before", marks=pytest.mark.whole), (16, "after")]
)
def test_an_import_that_is_killed_again_and_again_ends_with_the_same(
    mlflow: Mlflow, target: Client, step: int, when: str, tmp_path: Path
) -> None:
    environment = suites.clean_environment(PYTHONPATH=os.pathsep.join(sys.path))
    killed, ended = 0, False
    while not ended:
        # A little further each time: what was killed must have left something to go on from.
        calls = step * (killed + 1)
        done = subprocess.run(
            [
                *(sys.executable, "-c", KILLING, str(calls), when, "--json"),
                *("import", "mlflow", mlflow.url, "--tracking-uri", target.tracking_uri),
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        ended = done.returncode != KILLED
        killed += not ended
        assert killed < 40, "it never ends"
    assert done.returncode == 0, done.stderr[-3000:]
    assert killed > 2
    assert json.loads(done.stdout)["complete"]
    assert dump_runstone.dump(target) == mlflow.held


def test_a_dry_run_changes_nothing_and_one_experiment_comes_alone(
    mlflow: Mlflow, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("--experiments", "second / with a slash")
    found = run_cli(capsys, target, "import", "mlflow", mlflow.url, "--dry-run")
    new = {each["name"]: each["new_runs"] for each in found["experiments"]}
    assert new == {name: len(each["runs"]) for name, each in mlflow.held["experiments"].items()}
    assert dump_runstone.run_count(target) == 0

    run_cli(capsys, target, "import", "mlflow", mlflow.url, *chosen, "--no-artifacts")
    held = dump_runstone.dump(target)
    assert set(held["experiments"]) == {"Default", chosen[1]}
    assert held["models"] == {}
    # The rest later: the child in it finds its parent then.
    run_cli(capsys, target, "import", "mlflow", mlflow.url)
    assert dump_runstone.dump(target) == mlflow.held


def test_a_name_that_stands_here_for_something_else_is_told_before_anything_is_made(
    mlflow: Mlflow, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    own = target.create_experiment("first", tags={"team": "ours"})
    target.create_registered_model("churn")
    command = ["import", "mlflow", mlflow.url, "--tracking-uri", target.tracking_uri]
    assert cli.main(command) == 1
    assert "'first'" in capsys.readouterr().err
    assert dump_runstone.run_count(target) == 0

    run_cli(capsys, target, *command[:3], "--on-conflict", "rename")
    held = dump_runstone.dump(target)
    assert held["experiments"]["first (imported)"]["runs"]["the rich one"]["params"]
    assert held["experiments"]["first"]["runs"] == {}
    assert set(held["models"]["churn (imported)"]["versions"]) == {"1", "3", "4"}
    assert held["models"]["churn"]["versions"] == {}
    assert target.get_experiment(own).tags == {"team": "ours"}
    # What was renamed once is known from then on, whatever is said now.
    again = run_cli(capsys, target, *command[:3])
    assert not any(again["written"].values())


@pytest.mark.whole
def test_an_empty_mlflow_that_all_is_written_back_to_holds_the_same(
    mlflow: Mlflow, target: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run_cli(capsys, target, "import", "mlflow", mlflow.url)
    with mlflow_peer.served(FULL, f"sqlite:///{tmp_path}/back.db", tmp_path) as url:
        report = run_cli(capsys, target, "export", "mlflow", url)
        assert report["at_source"] == report["at_target"]
        again = run_cli(capsys, target, "export", "mlflow", url)
        assert not any(again["written"].values())
        assert mlflow_peer.dump(FULL, url, tmp_path) == mlflow.held


@pytest.mark.whole
def test_what_grows_at_the_source_is_added_by_the_next_import(
    mlflow: Mlflow, target: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last one of the file: it changes the server that they share."""
    run_cli(capsys, target, "import", "mlflow", mlflow.url)
    mlflow_peer.grow(FULL, mlflow.url, mlflow.folder)
    report = run_cli(capsys, target, "import", "mlflow", mlflow.url)
    written = report["written"]
    assert (written["runs"], written["points"], written["versions"]) == (1, 6, 1)
    assert dump_runstone.dump(target) == mlflow_peer.dump(FULL, mlflow.url, mlflow.folder)

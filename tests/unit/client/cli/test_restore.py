"""Restoring what is active already says so, and changes nothing."""

from typing import Any

import pytest
from click.testing import CliRunner

from runstone.cli import cli
from runstone.cli._session import Session
from runstone.tracking.v1 import experiment_pb2, run_pb2

ACTIVE, DELETED = "a" * 32, "d" * 32


class World:
    """Two runs and two experiments, one of each deleted; remembers what is restored."""

    def __init__(self) -> None:
        self.restored: list[str] = []

    def GetRun(self, request: Any) -> Any:
        run = run_pb2.Run(run_id=request.run_id)
        if request.run_id == DELETED:
            run.delete_time.FromSeconds(1)
        return run_pb2.GetRunResponse(run=run)

    def RestoreRun(self, request: Any) -> Any:
        self.restored.append(request.run_id)

    def GetExperiment(self, request: Any) -> Any:
        experiment = experiment_pb2.Experiment(experiment_id=request.experiment_id)
        if request.experiment_id == "2":
            experiment.delete_time.FromSeconds(1)
        return experiment_pb2.GetExperimentResponse(experiment=experiment)

    def RestoreExperiment(self, request: Any) -> Any:
        self.restored.append(request.experiment_id)


@pytest.mark.parametrize(
    ("arguments", "said", "restored"),
    [
        (["runs", "restore", DELETED], f"Restored {DELETED}.", [DELETED]),
        (["runs", "restore", ACTIVE], f"Active already: {ACTIVE}.", []),
        (
            ["runs", "restore", ACTIVE, DELETED],
            f"Restored {DELETED}. Active already: {ACTIVE}.",
            [DELETED],
        ),
        (["experiments", "restore", "2"], "Restored experiment 2.", ["2"]),
        (["experiments", "restore", "1"], "Experiment 1 is active already.", []),
    ],
)
def test_restore_says_what_it_did(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str, restored: list[str]
) -> None:
    world = World()
    monkeypatch.setattr(Session, "service", lambda _self, _name: world)
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, result.output) == (0, f"{said}\n")
    assert world.restored == restored

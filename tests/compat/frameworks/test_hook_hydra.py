"""The callback of Hydra, by what the server holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import runstone
from support.held import Held, runs_of

PROGRAM = """\
import logging, os, sys
import hydra, runstone

@hydra.main(version_base=None, config_path=None, config_name="config")
def main(config):
    logging.getLogger(__name__).info("rate %s", config.optimizer.lr)
    if config.own:
        with runstone.start_run():
            runstone.log_metric("loss", config.optimizer.lr, step=2)
    else:
        runstone.log_metric("loss", config.optimizer.lr, step=2)
    if config.optimizer.lr > 1:
        raise ValueError("too fast")

from hydra.core.config_store import ConfigStore
ConfigStore.instance().store("config", {
    "optimizer": {"lr": 0.1, "name": "sgd", "twice": "${optimizer.lr}"},
    "layers": [4, 2],
    "own": False,
    "hydra": {"callbacks": {"runstone": {
        "_target_": "runstone.integrations.hydra.RunstoneCallback",
        "experiment_name": NAME,
        "tags": {"team": "risk"},
    }}},
})
main()
"""


def run(folder: Path, name: str, *arguments: str, code: int = 0) -> list[Held]:
    program = folder / "train.py"
    program.write_text(PROGRAM.replace("NAME", repr(name)))
    done = subprocess.run(
        [sys.executable, str(program), *arguments], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr.decode()[-3000:]
    assert b"Callback RunstoneCallback" not in done.stderr, done.stderr.decode()[-3000:]
    return runs_of(name)


@pytest.mark.parametrize("own", ["false", "true"])
def test_a_job(own: str, tmp_path: Path) -> None:
    [job] = run(tmp_path, f"hydra {own}", "optimizer.lr=0.5", f"own={own}")
    assert (job.name, job.status) == ("train", "FINISHED")
    assert job.params == {
        "optimizer.lr": "0.5",
        "optimizer.name": "sgd",
        "optimizer.twice": "0.5",
        "layers": "[4, 2]",
        "own": own.capitalize(),
    }
    assert job.points == {"loss": [2]}
    assert job.tags == {"team": "risk", "hydra.overrides": f"optimizer.lr=0.5,own={own}"}
    assert job.files == [f"hydra/{name}" for name in FILES]


FILES = ("config.yaml", "hydra.yaml", "overrides.yaml", "train.log")


@pytest.mark.parametrize("own", ["false", "true"])
def test_a_job_that_raises(own: str, tmp_path: Path) -> None:
    [job] = run(tmp_path, f"hydra raises {own}", "optimizer.lr=5", f"own={own}", code=1)
    assert job.status == "FAILED"
    assert job.tags["hydra.error"] == "ValueError: too fast"
    assert job.points == {"loss": [2]}
    assert "hydra/train.log" in job.files


def test_a_multirun(tmp_path: Path) -> None:
    sweep, *jobs = run(tmp_path, "hydra sweep", "-m", "optimizer.lr=0.1,0.2", "own=true,false")
    assert (sweep.name, sweep.status) == ("train", "FINISHED")
    assert sweep.params == {"optimizer.lr": "0.1,0.2", "own": "true,false"}
    assert sweep.tags == {"hydra.mode": "MULTIRUN", "team": "risk"}
    assert sweep.files == ["hydra/multirun.yaml"]
    assert [job.name for job in jobs] == ["train 0", "train 1", "train 2", "train 3"]
    assert [job.status for job in jobs] == ["FINISHED"] * 4
    assert [job.params["optimizer.lr"] for job in jobs] == ["0.1", "0.1", "0.2", "0.2"]
    assert all(job.points == {"loss": [2]} for job in jobs)
    experiment = runstone.get_experiment_by_name("hydra sweep")
    assert experiment is not None
    found = runstone.Client().search_runs([experiment.experiment_id], order_by=["start_time"])
    parents = {each.data.tags.get("mlflow.parentRunId") for each in found[1:]}
    assert parents == {found[0].info.run_id}


def test_a_multirun_with_a_job_that_raises(tmp_path: Path) -> None:
    sweep, *jobs = run(tmp_path, "hydra stops", "-m", "optimizer.lr=0.1,5", code=1)
    assert sweep.status == "FAILED"
    assert [job.status for job in jobs] == ["FINISHED", "FAILED"]

"""The callbacks of XGBoost and LightGBM, by what the server holds when a training is over."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import runstone
from support.environments import programs
from support.mlflow_environments import FRAMEWORKS
from support.mlflow_plugin import CLIENT
from support.processes import wait_until
from support.suites import clean_environment

SCRIPT = Path(__file__).parent / "scripts" / "hooks_boosting.py"
SECONDS = 240


def ran(uri: str, folder: Path, *arguments: str, code: int = 0) -> Any:
    programs(FRAMEWORKS)
    done = subprocess.run(
        [str(FRAMEWORKS.python), str(SCRIPT), uri, *arguments],
        env=clean_environment(
            PYTHONPATH=f"{CLIENT / 'src'}:{SCRIPT.parents[2]}",
            RUNSTONE_JOURNAL_DIR=str(folder / "journals"),
        ),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == code, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]) if code == 0 else None


@pytest.fixture(scope="module")
def found(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ran(tracking_uri, tmp_path_factory.mktemp("hooks"))


@pytest.mark.timeout(SECONDS)
def test_xgboost(found: Any) -> None:
    plain = found["xgboost_plain"]
    assert (plain["name"], plain["status"]) == ("x", "FINISHED")
    expected = {"mine.a": "1", "max_depth": "2", "objective": "reg:squarederror"}
    assert expected.items() <= plain["params"].items()
    assert plain["points"] == {"train-rmse": [0, 1, 2, 3], "held-rmse": [0, 1, 2, 3]}
    assert plain["models"] == [0]
    assert plain["files"] == ["feature_importance_weight.json"]
    early = found["xgboost_early"]
    assert early["status"] == "FINISHED"
    rounds = early["points"]["validation_0-rmse"]
    assert rounds == list(range(len(rounds)))
    assert len(rounds) == early["values"]["best_iteration"] + 3
    assert len(early["files"]) == 2
    folds = found["xgboost_cv"]
    assert folds["status"] == "FINISHED"
    assert folds["points"]["test-rmse"] == folds["points"]["test-rmse-std"] == [0, 1, 2]


@pytest.mark.timeout(SECONDS)
def test_lightgbm(found: Any) -> None:
    plain = found["lightgbm_plain"]
    assert plain["status"] == "FINISHED"
    expected = {"mine": "1", "num_leaves": "4", "num_boost_round": "4"}
    assert expected.items() <= plain["params"].items()
    assert plain["points"] == {"held-l2": [0, 1, 2, 3]}
    assert plain["models"] == [0]
    assert plain["files"] == ["feature_importance_split.json"]
    for name in ("lightgbm_early", "lightgbm_with"):
        run = found[name]
        assert run["status"] == "FINISHED", name
        rounds = next(steps for key, steps in run["points"].items() if key.endswith("-l2"))
        assert rounds == list(range(len(rounds)))
        assert len(rounds) < 60
    early = found["lightgbm_early"]
    assert len(early["points"]["valid_0-l2"]) == early["values"]["best_iteration"] + 2
    assert len(early["files"]) == 2
    folds = found["lightgbm_cv"]
    assert folds["status"] == "FINISHED"
    assert all(steps == [0, 1, 2] for steps in folds["points"].values())
    assert len(folds["points"]) == 2


@pytest.mark.timeout(SECONDS)
def test_trainings_that_raise(found: Any) -> None:
    for name in ("xgboost_fails", "lightgbm_fails", "lightgbm_forgotten"):
        assert found[name]["status"] == "FAILED", name
    assert found["xgboost_fails"]["points"] == {"train-rmse": [0, 1, 2]}
    assert found["lightgbm_fails"]["points"] == {"valid_0-l2": [0, 1, 2]}


@pytest.mark.timeout(SECONDS)
def test_a_training_that_is_killed_goes_on_in_its_run(tracking_uri: str, tmp_path: Path) -> None:
    ran(tracking_uri, tmp_path, "killed", code=-9)
    run = ran(tracking_uri, tmp_path, "killed")["killed"]
    assert run["status"] == "FINISHED"
    client = runstone.Client(tracking_uri)

    def steps() -> list[int]:
        return sorted(each.step for each in client.get_metric_history(run["id"], "train-rmse"))

    # What the first had logged when it was killed, and all of the second. The first one's journal
    # is delivered by whoever comes next on this machine.
    expected = [0, 0, 1, 1, 2, 2, 3]
    wait_until(lambda: steps() == expected, 60, "the points of the training that was killed")

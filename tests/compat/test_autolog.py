"""Trainings that log by themselves leave what they leave with MLflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from support.compat import answered
from support.environments import programs
from support.mlflow_environments import FRAMEWORKS, FULL
from support.mlflow_plugin import CLIENT
from support.suites import clean_environment, end_suite

SCRIPTS = Path(__file__).parent / "scripts"
SCRIPT = SCRIPTS / "autolog_sklearn.py"
SECONDS = 900

MEANINGLESS = "<class 'inspect._empty'>"
"""What MLflow logs for ``**kwargs`` of a ``fit`` that was given none."""


def held(python: str, *arguments: str, folder: Path) -> Any:
    environment = clean_environment(RUNSTONE_DATA_DIR=str(folder / "data"), MPLBACKEND="agg")
    return answered([python, str(SCRIPT), *arguments], folder, environment, SECONDS)


@pytest.mark.whole
@pytest.mark.timeout(2 * SECONDS)
def test_scikit_learn(tmp_path: Path) -> None:
    theirs_in, ours_in = tmp_path / "theirs", tmp_path / "ours"
    theirs_in.mkdir()
    ours_in.mkdir()
    programs(FULL)
    theirs = held(str(FULL.python), "mlflow", f"sqlite:///{theirs_in}/mlflow.db", folder=theirs_in)
    try:
        ours = held(sys.executable, "runstone", f"file:{ours_in}/data", folder=ours_in)
    finally:
        end_suite(ours_in / "data")
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        assert ours[name] == expected, name


def trained(*arguments: str, folder: Path) -> Any:
    environment = {
        **clean_environment(),
        "PYTHONPATH": str(CLIENT / "src"),
        "RUNSTONE_JOURNAL_DIR": str(folder / "journals"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MPLBACKEND": "agg",
    }
    programs(FRAMEWORKS)
    command = [str(FRAMEWORKS.python), str(SCRIPTS / "autolog_frameworks.py"), *arguments]
    return answered(command, folder, environment, SECONDS)


@pytest.mark.whole
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "statsmodels"])
def test_a_framework(library: str, tracking_uri: str, tmp_path: Path) -> None:
    theirs = trained("mlflow", f"sqlite:///{tmp_path}/mlflow.db", library, folder=tmp_path)
    ours = trained("runstone", tracking_uri, library, folder=tmp_path)
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        if isinstance(expected, dict):
            said = expected["params"].items()
            expected["params"] = {key: value for key, value in said if value != MEANINGLESS}
        assert ours[name] == expected, name


@pytest.mark.timeout(SECONDS)
def test_frameworks_without_mlflow(tracking_uri: str, tmp_path: Path) -> None:
    libraries = "xgboost,lightgbm,catboost,statsmodels"
    found = trained(
        *("runstone", tracking_uri, libraries, "followed", "logistic", "failing"), folder=tmp_path
    )
    for library in libraries.split(","):
        assert f"{library}: failing, raised" in found
        assert found[f"{library}: failing"]["status"] == "FAILED"
    kinds = {
        "xgboost": ("weight", "gain"),
        "lightgbm": ("split", "gain"),
        "catboost": ("PredictionValuesChange",),
    }
    for library, expected in kinds.items():
        run = found[f"{library}: followed"]
        assert run["status"] == "FINISHED"
        [[_, best]] = run["metrics"]["best_iteration"]
        names = set(run["metrics"]) - {"best_iteration", "stopped_iteration"}
        assert len(names) >= 2
        for name in names:
            points = run["metrics"][name]
            assert [step for step, _ in points] == list(range(len(points)))
            # After the last round the best one's value comes again; LightGBM counts from 1.
            place = int(best) - (library == "lightgbm")
            assert points[-1][1] == points[place][1], name
        files = {f"feature_importance_{kind}.{end}" for kind in expected for end in ("json", "png")}
        assert set(run["files"]) == files
    assert found["catboost: followed"]["models"] == 1
    assert found["catboost: followed"]["signature"] is not None
    summed = found["statsmodels: logistic"]
    assert summed["files"] == ["model_summary.txt"]
    assert {"aic", "llf"} <= set(summed["metrics"])
    assert summed["params"]["maxiter"] == "50"

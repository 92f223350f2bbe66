"""Trainings that log by themselves leave what they leave with MLflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.environments import programs
from support.mlflow_environments import FULL
from support.suites import end_suite

SCRIPT = Path(__file__).parent / "scripts" / "autolog_sklearn.py"
SECONDS = 300


def held(python: str, *arguments: str, folder: Path) -> dict[str, Any]:
    environment = {key: value for key, value in os.environ.items() if "RUNSTONE" not in key}
    done = subprocess.run(
        [python, str(SCRIPT), *arguments],
        env={**environment, "RUNSTONE_DATA_DIR": str(folder / "data"), "MPLBACKEND": "agg"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


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

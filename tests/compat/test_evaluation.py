"""Models are judged as MLflow judges them: the same script, with only the API another."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import runstone
from runstone import metrics
from support import fluent
from support.compat import CLIENT_SETTINGS
from support.suites import clean_environment

SCRIPT = Path(__file__).parent / "scripts" / "evaluation.py"
RUN_SECONDS = 240.0
EXTENT = "all" if os.environ.get("RUNSTONE_TEST_COMPAT") else "short"
"""`make test-compat` runs all cases; what takes time is MLflow."""


@pytest.fixture(scope="module")
def judged_by_mlflow(
    mlflow_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("mlflow")
    settings = {**CLIENT_SETTINGS, "MLFLOW_ALLOW_FILE_STORE": "true"}
    subprocess.run(
        [str(mlflow_python), str(SCRIPT), "outcomes.json", EXTENT],
        cwd=folder,
        env=clean_environment() | settings,
        check=True,
        capture_output=True,
        timeout=RUN_SECONDS,
    )
    found: dict[str, Any] = json.loads((folder / "outcomes.json").read_text("utf-8"))
    return found


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evaluation_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def judged_by_us(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ours")
    logging.disable(logging.WARNING)
    with (
        fluent.embedded(folder) as data_dir,
        fluent.fresh(folder, RUNSTONE_DATA_DIR=str(data_dir)),
    ):
        yield script().outcomes(runstone, metrics, lambda model: model, short=EXTENT == "short")
    logging.disable(logging.NOTSET)


def test_metrics_have_mlflows_names_and_values(
    judged_by_us: dict[str, Any], judged_by_mlflow: dict[str, Any]
) -> None:
    assert list(judged_by_us) == list(judged_by_mlflow)
    for case, expected in judged_by_mlflow.items():
        found = judged_by_us[case]
        assert found["metrics"] == pytest.approx(expected["metrics"], rel=1e-9, abs=1e-9), case
        assert found["logged"] == pytest.approx(expected["logged"], rel=1e-9, abs=1e-9), case


def test_artifacts_have_mlflows_names(
    judged_by_us: dict[str, Any], judged_by_mlflow: dict[str, Any]
) -> None:
    for case, expected in judged_by_mlflow.items():
        assert judged_by_us[case]["artifacts"] == expected["artifacts"], case
        files = judged_by_us[case]["files"]
        assert files == expected["files"], case


def test_tables_are_those_of_mlflow(
    judged_by_us: dict[str, Any], judged_by_mlflow: dict[str, Any]
) -> None:
    for case, expected in judged_by_mlflow.items():
        assert judged_by_us[case]["tables"].keys() == expected["tables"].keys(), case
        for name, columns in expected["tables"].items():
            found = judged_by_us[case]["tables"][name]
            assert list(found) == list(columns), (case, name)
            for column, values in columns.items():
                if isinstance(values[0], str):
                    assert found[column] == values
                else:
                    assert found[column] == pytest.approx(values, rel=1e-9, abs=1e-9), column

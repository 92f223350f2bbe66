"""MLflow's Java client: each call answered by MLflow's server and by ours alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compat.known_differences import KNOWN_DIFFERENCES
from support.compat import Servers, compared, documents
from support.environments import programs
from support.java_client import java_scenario
from support.mlflow_environments import FULL


@pytest.mark.whole
def test_answers_are_those_of_mlflow(servers: Servers, tmp_path: Path) -> None:
    # Files it sends and fetches by MLflow's command line, which is Python's.
    path = f"{programs(FULL)}{os.pathsep}{os.environ['PATH']}"
    expected, got = documents(
        java_scenario("Scenario"), servers, "compat-java", tmp_path, PATH=path
    )
    found, gone = compared(expected, got, KNOWN_DIFFERENCES.get("java", {}))
    assert not found, f"{len(found)} differences:\n" + "\n".join(map(str, found))
    assert not gone, f"in KNOWN_DIFFERENCES and no longer true: {gone}"

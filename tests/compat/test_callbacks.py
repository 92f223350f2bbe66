"""What training frameworks report to MLflow by themselves reaches ours as it reaches MLflow's."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.known_differences import KNOWN_DIFFERENCES
from support.compat import Servers, compared, documents
from support.mlflow_environments import CALLBACKS

SCENARIOS = Path(__file__).parent / "scenarios"


@pytest.mark.whole
@pytest.mark.parametrize("framework", ["transformers", "lightning", "optuna"])
def test_a_framework_leaves_the_same_runs(servers: Servers, framework: str, tmp_path: Path) -> None:
    scenario = f"callback_{framework}"
    expected, got = documents(
        [str(CALLBACKS.python), str(SCENARIOS / f"{scenario}.py")],
        servers,
        f"compat-{framework}",
        tmp_path,
        HF_HUB_OFFLINE="1",
    )
    found, gone = compared(expected, got, KNOWN_DIFFERENCES.get(scenario, {}))
    assert not found, f"{len(found)} differences:\n" + "\n".join(map(str, found))
    assert not gone, f"in KNOWN_DIFFERENCES and no longer true: {gone}"

"""Models predict for data sets of Ray, in Ray's own processes."""

from pathlib import Path

import pytest

from support.compat import answered
from support.environments import programs
from support.mlflow_environments import RAY_DATA
from support.mlflow_plugin import CLIENT
from support.suites import clean_environment

SCRIPT = Path(__file__).parent / "scripts" / "ray_batches.py"
SECONDS = 300


@pytest.mark.whole
@pytest.mark.timeout(3 * SECONDS)
def test_data_sets_of_ray(tracking_uri: str, tmp_path: Path) -> None:
    programs(RAY_DATA)
    environment = {
        **clean_environment(),
        "PYTHONPATH": str(CLIENT / "src"),
        "RUNSTONE_JOURNAL_DIR": str(tmp_path / "journals"),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Of its 30 s a busy machine needs more.
        "RAY_raylet_start_wait_time_s": "120",
        # Where it leaves a token of its own.
        "HOME": str(tmp_path),
    }
    command = [str(RAY_DATA.python), str(SCRIPT), str(tmp_path), tracking_uri]
    found = answered(command, tmp_path, environment, SECONDS)
    line = [2.0 * each + 1 for each in range(10)]
    assert found["folder"] == found["run"] == found["alias"] == line
    assert found["batches"] == [5] * 10
    assert found["elsewhere"] is True
    assert "1 predictions for" in found["short"]
    assert "nobody" in found["missing"]
    assert found["untrusted"].startswith("UntrustedModel")

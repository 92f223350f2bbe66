"""Models predict for data sets of Ray, in Ray's own processes."""

import json
import subprocess
from pathlib import Path

import pytest

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
    done = subprocess.run(
        [str(RAY_DATA.python), str(SCRIPT), str(tmp_path), tracking_uri],
        env={
            **clean_environment(),
            "PYTHONPATH": str(CLIENT / "src"),
            "RUNSTONE_JOURNAL_DIR": str(tmp_path / "journals"),
            "RAY_USAGE_STATS_ENABLED": "0",
            # Of its 30 s a busy machine needs more.
            "RAY_raylet_start_wait_time_s": "120",
            # Where it leaves a token of its own.
            "HOME": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    line = [2.0 * each + 1 for each in range(10)]
    assert found["folder"] == found["run"] == found["alias"] == line
    assert found["batches"] == [5] * 10
    assert found["elsewhere"] is True
    assert "1 predictions for" in found["short"]
    assert "nobody" in found["missing"]
    assert found["untrusted"].startswith("UntrustedModel")

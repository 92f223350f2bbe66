"""`make demo`, as a newcomer runs it: twice in the same folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.suites import clean_environment, end_suite, without_patience

pytestmark = pytest.mark.timeout(240)


WIDTH = 80


def test_demo_runs_twice(tmp_path: Path) -> None:
    try:
        for version in (1, 2):
            finished = subprocess.run(
                [sys.executable, "-m", "runstone_suite.demo"],
                cwd=tmp_path,
                env=clean_environment(COLUMNS=str(WIDTH)),
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            assert finished.returncode == 0, finished.stdout + finished.stderr
            assert without_patience(finished.stderr) == ""
            assert "It predicts the same on all 540 test images." in finished.stdout
            assert f"models get digits {version}" in finished.stdout
            # Runs have a line each, whatever params they have.
            rows = [line for line in finished.stdout.splitlines() if line.startswith(("┃", "│"))]
            assert len(rows) == 8
            assert max(map(len, rows)) <= WIDTH
            assert all(re.match(r"[┃│] (run|[0-9a-f]{8}) ", line) for line in rows)
            for name in ("linear", "forest search", "boosting"):
                assert name in finished.stdout
    finally:
        end_suite(tmp_path / "runstone-data")

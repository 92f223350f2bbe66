"""The newcomer's lessons, each run as it is written: a fresh folder, a fresh interpreter."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import runstone
from runstone.entities import Run
from support.suites import clean_environment, without_patience

FOLDER = Path(__file__).parent.parent / "e2e" / "lessons"

MAX_LINES = 60
"""One screen: what is longer is no lesson any more."""

RUN_SECONDS = 100


def script(number: int) -> Path:
    """The lesson of that number."""
    [found] = FOLDER.glob(f"{number:02}_*.py")
    return found


def environment(**changes: str) -> dict[str, str]:
    """Nothing of Runstone's is set, and `runstone` is found as in an activated environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return clean_environment(PATH=path, RUNSTONE_USER="newcomer", **changes)


@dataclass(frozen=True)
class Lesson:
    """Where a lesson runs, and what is there afterwards.

    Attributes:
        folder: Its working folder, empty before.
        data_dir: The data folder of the embedded suite that it meets; None for ./runstone-data.
    """

    folder: Path
    data_dir: Path | None = None

    def run(self, number: int, **changes: str) -> list[str]:
        """The lines that the lesson printed; it must end well, and warn of nothing."""
        if self.data_dir is not None:
            changes["RUNSTONE_DATA_DIR"] = str(self.data_dir)
        ended = subprocess.run(
            [sys.executable, "-W", "error", str(script(number))],
            cwd=self.folder,
            env=environment(**changes),
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_SECONDS,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        said = without_patience(ended.stderr)
        assert said == "", said
        return ended.stdout.splitlines()

    def client(self, data_dir: Path | None = None) -> runstone.Client:
        """What the suite holds."""
        place = data_dir or self.data_dir or self.folder / "runstone-data"
        return runstone.Client(f"file:{place}")

    def runs(self, experiment: str) -> dict[str, Run]:
        """The runs of an experiment by their names."""
        client = self.client()
        found = client.get_experiment_by_name(experiment)
        assert found is not None
        runs = client.search_runs([found.experiment_id])
        return {run.info.run_name: run for run in runs}

"""MLflow clients with Runstone's plug-in, and the scripts that they run.

An environment holds MLflow and what the client distribution needs; the distribution itself, built
from this checkout, is put in front of it, so that its entry points are those that users get.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from support.binaries import REPOSITORY, run_visibly
from support.environments import Environment
from support.suites import clean_environment

CLIENT = REPOSITORY / "clients" / "python"
SCRIPTS = REPOSITORY / "tests" / "compat" / "scripts"

RUN_SECONDS = 100.0
"""A script that takes longer hangs."""

CALLERS_OWN = ("MLFLOW_", "PYTHON")
"""Variables that a script must not inherit from whoever runs the tests."""


def install_client(folder: Path) -> Path:
    """Build and unpack the client distribution below a folder; returns what to put in the path."""
    source, target = folder / "source", folder / "lib"
    shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile")
    run_visibly(
        [*pip, "--no-deps", "--no-build-isolation", "--target", str(target), str(source)],
        "building the client distribution",
        clean_environment(),
    )
    return target


class PluginClient:
    """The Python of an environment with MLflow, the plug-in, and a folder to work in."""

    def __init__(self, environment: Environment, distribution: Path, folder: Path) -> None:
        self.python = environment.python
        self.distribution = distribution
        self.folder = folder
        self.journals = folder / "journals"

    def environment(self, tracking_uri: str, **changes: str) -> dict[str, str]:
        """What a script finds in os.environ."""
        kept = {
            name: value
            for name, value in clean_environment().items()
            if not name.startswith(CALLERS_OWN)
        }
        return {
            **kept,
            "PYTHONPATH": str(self.distribution),
            "PYTHONUNBUFFERED": "1",
            "MLFLOW_TRACKING_URI": tracking_uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "RUNSTONE_JOURNAL_DIR": str(self.journals),
            **changes,
        }

    def start(
        self, script: str, tracking_uri: str, *arguments: str, **changes: str
    ) -> subprocess.Popen[str]:
        """A script of `tests/compat/scripts`, begun. Ours are errors among its warnings."""
        return subprocess.Popen(
            [str(self.python), str(SCRIPTS / script), *arguments],
            cwd=self.folder,
            env=self.environment(tracking_uri, **changes),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, script: str, tracking_uri: str, *arguments: str, **changes: str
    ) -> tuple[str, str]:
        """What a script printed on stdout and stderr; AssertionError unless it succeeded."""
        process = self.start(script, tracking_uri, *arguments, **changes)
        try:
            out, err = process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{script} hangs\n{out}\n{err}") from None
        assert process.returncode == 0, f"{script}: {process.returncode}\n{out}\n{err}"
        return out, err

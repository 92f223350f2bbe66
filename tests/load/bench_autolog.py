"""What autologging adds to small fits of scikit-learn; with --mlflow beside MLflow's own.

Each library in a process of its own environment, with its own local store: our embedded suite, and
MLflow's SQLite without a server, which is its quickest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Row, milliseconds, print_table

from support import mlflow_environments
from support.suites import clean_environment, end_suite

SCRIPT = Path(__file__).with_name("autolog_fits.py")

REACH = 3
"""Times less than what MLflow adds."""


def measured(python: Path | str, library: str, uri: str, folder: str) -> dict[str, float]:
    """Seconds of a fit in each case."""
    environment = clean_environment() if library == "mlflow" else dict(os.environ)
    done = subprocess.run(
        [str(python), str(SCRIPT), library, uri],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=folder,  # where MLflow puts files
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(mlflow_python: Path | None = None) -> list[Row]:
    """A row for each case, beside MLflow's when its interpreter is given."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        try:
            ours = measured(sys.executable, "runstone", data.as_uri(), place)
        finally:
            end_suite(data)
        theirs = None
        if mlflow_python is not None:
            theirs = measured(mlflow_python, "mlflow", f"sqlite:///{place}/mlflow.db", place)
    return [_row(name, ours, theirs) for name in ours if name != "bare"]


def _row(name: str, ours: dict[str, float], theirs: dict[str, float] | None) -> Row:
    added = ours[name] - ours["bare"]
    what, figure = f"autolog, added to a fit: {name}", milliseconds(added)
    if theirs is None:
        return Row(what, figure)
    other = theirs[name] - theirs["bare"]
    detail = f"MLflow {milliseconds(other)}, {other / added:,.1f}x"
    return Row(what, figure, f"MLflow >= {REACH}x", other / added >= REACH, detail)


if __name__ == "__main__":
    beside = "--mlflow" in sys.argv
    python = mlflow_environments.FULL.python if beside else None
    print_table(run(python))

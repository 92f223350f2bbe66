"""What it costs to hold a DataFrame to a model's signature; with --mlflow beside MLflow's own.

The same frames in the same run, each library in a process of its own environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from report import Row, milliseconds, print_table

from support import mlflow_environments
from support.suites import clean_environment

SCRIPT = Path(__file__).with_name("schema_frames.py")

REACH = 5
"""Times faster than MLflow, where nothing is to be converted."""

UNCONVERTED = ("right", "wanted")


def measured(python: Path | str, library: str) -> dict[str, float]:
    """Seconds of each case."""
    environment = clean_environment() if library == "mlflow" else dict(os.environ)
    done = subprocess.run(
        [str(python), str(SCRIPT), library],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(mlflow_python: Path | None = None) -> list[Row]:
    """A row for each case, beside MLflow's when its interpreter is given."""
    ours = measured(sys.executable, "runstone")
    theirs = {} if mlflow_python is None else measured(mlflow_python, "mlflow")
    return [_row(name, seconds, theirs.get(name)) for name, seconds in ours.items()]


def _row(name: str, seconds: float, theirs: float | None) -> Row:
    what, figure = f"held to a signature: {name}, p50", milliseconds(seconds)
    if theirs is None:
        return Row(what, figure)
    detail = f"MLflow {milliseconds(theirs)}, {theirs / seconds:,.1f}x"
    reached = theirs / seconds >= REACH
    if any(word in name for word in UNCONVERTED):
        return Row(what, figure, f"MLflow >= {REACH}x", reached, detail)
    return Row(what, figure, detail=detail)


if __name__ == "__main__":
    beside = "--mlflow" in sys.argv
    print_table(run(mlflow_environments.FULL.python if beside else None))

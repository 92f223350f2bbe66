"""Runs scripts with MLflow, each in a process and on a database of its own.

    python run_fluent_scripts.py FOLDER SCRIPT...

MLflow and its database take seconds to come to life: both are made once, and forked or copied.
FOLDER/<name of the script>/output gets what it prints, errors beside it the rest. Exit code 1 when
one failed.
"""

import os
import runpy
import shutil
import sys
from pathlib import Path

import mlflow
import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import pandas as pd  # noqa: F401 - so that forks have it
import sklearn.tree  # noqa: F401


def apart(folder: Path, work) -> bool:
    """Do the work in a forked process that knows only that folder; whether it went well."""
    folder.mkdir()
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1] == 0
    os.chdir(folder)
    for name, descriptor in (("output", 1), ("errors", 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    work()
    sys.exit(0)


def main(target: Path, scripts: list[Path]) -> int:
    # It would load each model anew in a process of its own.
    mlflow.models.infer_pip_requirements = lambda *_, fallback=(), **__: list(fallback)
    failed = not apart(target / "empty", mlflow.search_experiments)

    def run(script: Path) -> None:
        shutil.copy(target / "empty" / "mlflow.db", "mlflow.db")
        sys.argv = [str(script)]
        runpy.run_path(str(script), run_name="__main__")

    for script in scripts:
        failed |= not apart(target / script.stem, lambda script=script: run(script))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]]))

"""`log_model` and `load_model` of a small model of scikit-learn; with --mlflow beside MLflow's own.

Each in fresh processes that take turns, in one environment: the first call counts the import of the
client, the second is what the next one costs. Runstone speaks to an embedded suite, as it is when
nothing is set, which is a process of its own; MLflow to a SQLite file and a folder, in its process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Row, milliseconds, p50, print_table

from support import mlflow_environments
from support.mlflow_plugin import CLIENT
from support.suites import clean_environment, suite

SCRIPT = Path(__file__).with_name("model_calls.py")

ROUNDS = 3
"""MLflow takes ten seconds and more for a round."""

REACHES = {"log": 3.0, "load": 2.0}
"""Times faster than MLflow, the import counted."""

WORDS = {"log": "import runstone.sklearn and log_model", "load": "import, load_model and predict"}

Found = dict[tuple[str, str], list[tuple[float, float]]]
"""Client and verb to the seconds of the first and the second call."""


def called(python: str, client: str, verb: str, folder: Path, address: str, *uri: str) -> str:
    """What the script printed."""
    environment = {
        **clean_environment(),
        "PYTHONPATH": str(CLIENT / "src"),
        "RUNSTONE_TRACKING_URI": f"runstone://{address}",
        "RUNSTONE_JOURNAL_DIR": str(folder / "journals"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run(
        [python, str(SCRIPT), client, verb, *uri],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def measured(python: str, clients: tuple[str, ...]) -> Found:
    """The clients take turns; a round before them reads the disk, and makes MLflow's tables."""
    found: Found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with suite(folder / "data", "--no-http", "--grpc-port", "0") as started:
            for number in range(ROUNDS + 1):
                for client in clients:
                    uri: list[str] = []
                    for verb in ("log", "load"):
                        said = called(python, client, verb, folder, started.status["tcp"], *uri)
                        line = json.loads(said)
                        uri = [line["uri"]]
                        if number:
                            first, second = line["seconds"]
                            found.setdefault((client, verb), []).append((first, second))
    return found


def run(mlflow_python: Path | None = None) -> list[Row]:
    """A row for each call, beside MLflow's when the interpreter of an environment is given."""
    clients = ("runstone",) if mlflow_python is None else ("runstone", "mlflow", "mlflow-given")
    found = measured(str(mlflow_python or sys.executable), clients)
    return [row for verb in WORDS for row in _rows(verb, found, clients[1:])]


def _rows(verb: str, found: Found, peers: tuple[str, ...]) -> list[Row]:
    rows = []
    for place, what in enumerate((WORDS[verb], f"{verb}_model again in that process")):
        seconds = {
            client: p50([each[place] for each in found[client, verb]])
            for client in ("runstone", *peers)
        }
        ours = seconds["runstone"]
        detail = "; ".join(
            f"{peer} {milliseconds(seconds[peer])}, {seconds[peer] / ours:.1f}x" for peer in peers
        )
        row = Row(f"scikit-learn: {what}, p50", milliseconds(ours), detail=detail)
        if peers and place == 0:
            met = seconds["mlflow"] >= REACHES[verb] * ours
            row = Row(row.what, row.figure, f"MLflow >= {REACHES[verb]:.0f}x", met, detail)
        rows.append(row)
    return rows


if __name__ == "__main__":
    beside = "--mlflow" in sys.argv
    print_table(run(mlflow_environments.FRAMEWORKS.python if beside else None))

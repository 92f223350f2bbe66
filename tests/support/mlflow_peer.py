"""A real MLflow beside ours: its server, what fills it, and what it says it holds."""

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.environments import Environment
from support.mlflow_environments import YEAR_OLD
from support.processes import free_port, kill, wait_until
from support.suites import clean_environment

OLD_STORE = Environment(
    "mlflow-old-store",
    # Its tables were written for SQLAlchemy 2.0; with 2.1 it does not open a database.
    (f"mlflow-skinny=={YEAR_OLD}", "SQLAlchemy==2.0.44", "alembic==1.20.1"),
    f"constraints-mlflow-skinny-{YEAR_OLD}.txt",
)
"""The release of a year ago as one that writes databases and folders."""

START_SECONDS = 180.0
"""It imports for ten of them; the first time its modules are compiled, on busy cores."""

ALLOWED = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""Newer ones refuse folders otherwise."""


@contextmanager
def served(environment: Environment, store: str, folder: Path) -> Iterator[str]:
    """An MLflow server on a store, for the length of a ``with``; its URL."""
    port = free_port()
    log = folder / "mlflow.log"
    command = [
        *(str(environment.python), "-m", "mlflow", "server", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", "1", "--backend-store-uri", store),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean_environment(**ALLOWED),
            cwd=folder,
            start_new_session=True,
        )
    try:
        wait_until(lambda: _healthy(port, process, log), START_SECONDS, "MLflow serving")
        yield f"http://127.0.0.1:{port}"
    finally:
        kill(process)


def _healthy(port: int, process: Any, log: Path) -> bool:
    assert process.poll() is None, log.read_text("utf-8", errors="replace")[-2000:]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _run(environment: Environment, script: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(environment.python), str(Path(__file__).with_name(script)), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(**ALLOWED, MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false"),
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def fill(environment: Environment, uri: str, folder: Path) -> None:
    """Put one of everything into an MLflow; files of a bare database go below the folder."""
    _run(environment, "fill_mlflow.py", folder, uri)


def grow(environment: Environment, uri: str, folder: Path) -> None:
    """Have it hold more than before."""
    _run(environment, "fill_mlflow.py", folder, uri, "grow")


def dump(environment: Environment, uri: str, folder: Path) -> Any:
    """All that it holds, through its own client; runs are named by experiment and name."""
    return json.loads(_run(environment, "dump_mlflow.py", folder, uri))

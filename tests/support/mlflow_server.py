"""A real MLflow tracking server, the reference that ours is compared with, on a free port."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.environments import programs
from support.mlflow_environments import FULL
from support.processes import (
    START_ATTEMPTS,
    EndedEarly,
    ended,
    free_port,
    kill,
    wait_until,
)
from support.suites import clean_environment

# Its imports and its migrations take 15 s of processor time on a machine that does nothing else.
MLFLOW_START_SECONDS = 110.0

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    # Six more processes of 230 MB, which evaluate prompts.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # A webhook is created with a secret; a key that is made up at the start is one per process.
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "cnVuc3RvbmUtcnVuc3RvbmUtcnVuc3RvbmUtcnVuc3Q=",
}


class MlflowServer:
    """`mlflow server` on SQLite and a folder of its own, with one worker."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="runstone-mlflow-"))
        self.log = self.folder / "server.log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What MLFLOW_TRACKING_URI is set to."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        for attempt in range(1, START_ATTEMPTS + 1):
            self.port = free_port()
            with self.log.open("ab") as output:
                self.process = subprocess.Popen(
                    self._command(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.folder,
                    env=clean_environment(**SETTINGS),
                )
            try:
                wait_until(self._answers, MLFLOW_START_SECONDS, "MLflow's server answering")
                return
            except EndedEarly:
                if attempt == START_ATTEMPTS:
                    raise

    def _command(self) -> list[str]:
        return [
            *(str(programs(FULL) / "mlflow"), "server", "--host", "127.0.0.1"),
            *("--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]

    def _answers(self) -> bool:
        assert self.process is not None
        ended(self.process, self.log)
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.read() == b"OK")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def close(self) -> None:
        """Ends it and removes its folder."""
        if self.process is not None:
            # With its worker, which would outlive it; nothing that it stored is read again.
            kill(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def mlflow_server() -> Iterator[MlflowServer]:
    """A server that answers, for the length of a `with`."""
    server = MlflowServer()
    try:
        server.start()
        yield server
    finally:
        server.close()

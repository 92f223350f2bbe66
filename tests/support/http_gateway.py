"""The gateway for tests: a suite with HTTP, asked by plain requests whose paths go as they are."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import create_engine, select

from runstone_artifact.tables import entries, uploads
from runstone_gateway.app import build
from runstone_gateway.server import Served, bind
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.upstream import Addresses
from support.processes import START_SECONDS, ended, free_port, wait_until
from support.suites import SuiteProcess, clean_environment

PROXY = "/api/2.0/mlflow-artifacts"
MLFLOW = "/api/2.0/mlflow"


class Answer(NamedTuple):
    """What the gateway said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        """Status and MLflow's error code."""
        return self.status, self.json["error_code"]


class Front:
    """A gateway on a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        """What MLflow's clients take as their tracking URI."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        """A connection of one's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """The answer to one request; the path is sent as it is."""
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}), **options)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers.items()), answer.read())
        finally:
            connection.close()

    def post(self, path: str, /, **body: Any) -> Answer:
        """The answer to a JSON body."""
        return self.ask("POST", path, json.dumps(body), {"Content-Type": "application/json"})

    def new_run(self, experiment_id: str = "0") -> str:
        """The id of a new run."""
        made = self.post(f"{MLFLOW}/runs/create", experiment_id=experiment_id).json
        return str(made["run"]["info"]["run_id"])


class Gateway(Front):
    """A suite with HTTP, and what lies behind it."""

    def __init__(self, suite: SuiteProcess, ports: tuple[int, int], database_url: str) -> None:
        super().__init__(ports[0])
        self.suite = suite
        self.address = f"127.0.0.1:{ports[1]}"
        self._database_url = database_url

    def wait_serving(self) -> None:
        """Waits until it answers."""

        def answers() -> bool:
            ended(self.suite.process, self.suite.log)
            try:
                return self.ask("GET", "/health").status == 200
            except OSError:
                return False

        wait_until(answers, START_SECONDS, "the gateway serving")

    def open_uploads(self) -> list[str]:
        """Paths of uploads that are neither committed nor given up."""
        return self._rows(select(uploads.c.path).where(uploads.c.commit_ms.is_(None)))

    def files(self) -> list[str]:
        """``<owner>/<path>`` of all files."""
        return self._rows(select(entries.c.owner_id + "/" + entries.c.path))

    def _rows(self, query: Any) -> list[str]:
        engine = create_engine(self._database_url)
        schema = None if engine.dialect.name == "sqlite" else "runstone_artifact"
        translated = engine.execution_options(schema_translate_map={"runstone_artifact": schema})
        try:
            with translated.connect() as connection:
                return sorted(row[0] for row in connection.execute(query))
        finally:
            engine.dispose()


def root(run_id: str, experiment_id: str = "0") -> str:
    """A run's place below the proxy."""
    return f"{experiment_id}/{run_id}/artifacts"


@contextmanager
def front(addresses: Addresses) -> Iterator[Front]:
    """A gateway of this process before services that run."""
    served = Served(build(GatewaySettings.load(), addresses), bind("127.0.0.1", 0), grace_s=1.0)
    served.start()
    try:
        yield Front(served.port)
    finally:
        served.stop()


@contextmanager
def gateway(folder: Path, **environment: str) -> Iterator[Gateway]:
    """A suite with HTTP: on SQLite and a folder, or where the environment says."""
    if "RUNSTONE_DATABASE_URL" in environment:
        subprocess.run(
            [sys.executable, "-m", "runstone.cli", "db", "upgrade"],
            env=clean_environment(**environment),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    ports = free_port(), free_port()
    arguments = ("--http-port", str(ports[0]), "--grpc-port", str(ports[1]))
    started = SuiteProcess(folder / "data", *arguments, environment=environment)
    url = environment.get("RUNSTONE_DATABASE_URL", f"sqlite:///{folder}/data/artifact.db")
    made = Gateway(started, ports, url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        made.wait_serving()
        yield made
    finally:
        started.kill()

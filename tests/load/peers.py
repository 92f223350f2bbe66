"""Metric ingest of Runstone beside MLflow and FastTrackML: one PostgreSQL, one machine, one run.

Each suite in turn gets a database of its own on the same server, one server process, and eight
writers in two processes that log ten metrics each. A point counts when the call that sent it was
answered. Runstone gets its columnar calls; the peers the REST call `runs/log-batch` with 1,000
points, the most they take, over connections that stay open, from bodies that are made before the
clock starts. `make bench-peers` installs the peers from PyPI, each into an environment of its own.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import bench_append_metrics as ours
import bench_autolog as fits
import bench_gateway_artifacts as files
import bench_log_metrics as calls
import bench_models as models
import bench_schema as schemas
import bench_serving as served
import psutil
import psycopg
from report import Row, milliseconds, p50, print_table

from support import mlflow_environments, processes, tracking
from support.environments import Environment, programs
from support.postgres import PostgresServer
from support.suites import clean_environment

POINTS = 100
"""Of each of the ten keys in one request: MLflow takes 1,000 in all."""

BODIES = 150
"""Requests of a writer made beforehand; more than a peer gets through."""

START_S = 180.0


class Peer(NamedTuple):
    """A tracking server that speaks MLflow's REST."""

    name: str
    environment: Environment
    command: Callable[[Path, str, int], list[str]]
    reach: int


def _mlflow(programs: Path, url: str, port: int) -> list[str]:
    # Which driver a bare postgresql:// means depends on the version of SQLAlchemy.
    url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
    return [
        *(str(programs / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)),
        # Its default of four workers adds 40 ms to each call on two cores.
        *("--workers", "1", "--backend-store-uri", url),
        *("--artifacts-destination", tempfile.gettempdir()),
    ]


def _fasttrackml(programs: Path, url: str, port: int) -> list[str]:
    return [
        *(str(programs / "fml"), "server", "--listen-address", f"127.0.0.1:{port}"),
        *("--database-uri", url, "--log-level", "error"),
        *("--default-artifact-root", tempfile.gettempdir()),
    ]


PEERS = (
    Peer("MLflow", mlflow_environments.FULL, _mlflow, 300),
    Peer("FastTrackML", Environment("fasttrackml", ("fasttrackml==0.6.0",)), _fasttrackml, 60),
)


LOGGERS = (
    Environment("tensorboardX", ("tensorboardX==2.6.5",)),
    Environment("wandb", ("wandb==0.31.0",)),
)
"""Not servers: `log_metrics` is measured beside them."""


class Rest:
    """One connection to a server that speaks MLflow's REST."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, call: str, body: bytes) -> Any:
        """The answer of a call; AssertionError with what was said when it is refused."""
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"/api/2.0/mlflow/{call}", body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, f"{call}: {answer.status} {text[:300]!r}"
        return json.loads(text or b"{}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def bodies(writer: int, run_id: str) -> Iterator[bytes]:
    """Requests of ten metrics, each with the next steps."""
    for number in range(BODIES):
        points = [
            {"key": key, "value": value, "timestamp": time_ms, "step": step}
            for key, steps, times, values in ours.columns(writer, number)
            for step, time_ms, value in zip(
                (steps[:POINTS] - number * (ours.POINTS - POINTS)).tolist(),
                times[:POINTS].tolist(),
                values[:POINTS].tolist(),
                strict=True,
            )
        ]
        yield json.dumps({"run_id": run_id, "metrics": points}).encode()


def new_runs(port: int) -> list[str]:
    """A run for each writer, in an experiment."""
    rest = Rest(port)
    try:
        made = rest.post("experiments/create", b'{"name": "ingest"}')
        body = json.dumps({"experiment_id": made["experiment_id"], "start_time": 1}).encode()
        found = [rest.post("runs/create", body) for _ in range(ours.CALLERS)]
        return [str(each["run"]["info"]["run_id"]) for each in found]
    finally:
        rest.close()


def client(port: int, run_ids: Sequence[str], first: int, last: int) -> None:
    """A process of writers: prints what it measured."""
    callers = range(first, last)
    made = {caller: list(bodies(caller, run_ids[caller])) for caller in callers}
    connections = {caller: Rest(port) for caller in callers}
    sent = dict.fromkeys(callers, 0)

    def act(caller: int) -> None:
        queue = made[caller]
        connections[caller].post("runs/log-batch", queue[sent[caller] % len(queue)])
        sent[caller] += 1

    found = ours.timed(act, callers)
    # Sent twice, points collide with their like and say nothing of ingest.
    assert max(sent.values()) <= BODIES, f"{max(sent.values())} requests; make more BODIES"
    print(json.dumps(found))


def drive(port: int, run_ids: Sequence[str]) -> tuple[float, list[float]]:
    """Points a second over all writers, and the seconds each request took."""
    share = ours.CALLERS // ours.CLIENTS

    def one(first: int) -> Any:
        command = [sys.executable, __file__, "--client", str(port), json.dumps(list(run_ids))]
        finished = subprocess.run(
            [*command, str(first), str(first + share)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(finished.stdout.splitlines()[-1])

    with ThreadPoolExecutor(ours.CLIENTS) as pool:
        found = list(pool.map(one, range(0, ours.CALLERS, share)))
    samples = [sample for each in found for sample in each["samples"]]
    points = sum(each["calls"] for each in found) * ours.KEYS * POINTS
    return points / ours.SECONDS, samples


@contextmanager
def serving(peer: Peer, url: str) -> Iterator[int]:
    """The peer's server on a database; the port it answers on."""
    port = processes.free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "server.log"
        command = peer.command(programs(peer.environment), url, port)
        options: dict[str, Any] = {"env": clean_environment(), "cwd": folder}
        with processes.running(command, log, **options) as process:

            def answers() -> bool:
                processes.ended(process, log)
                return processes.listens(port) and _finds_experiments(port)

            processes.wait_until(answers, START_S, f"{peer.name} to serve")
            yield port


def _finds_experiments(port: int) -> bool:
    rest = Rest(port)
    try:
        rest.post("experiments/search", b'{"max_results": 1}')
    except (OSError, AssertionError, http.client.HTTPException):
        return False
    finally:
        rest.close()
    return True


def run() -> list[Row]:
    """COPY, the peers, and Runstone with its ratio to each."""
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url:
            with psycopg.connect(url) as connection:
                connection.execute(ours.COPY_TABLE)
            copied, _ = ours.measure(url, [])
        others: list[tuple[str, float, int, float]] = [("COPY, primary key", copied, 6, 0.0)]
        for peer in PEERS:
            with server.database() as url, serving(peer, url) as port:
                rate, samples = drive(port, new_runs(port))
                others.append((peer.name, rate, peer.reach, p50(samples)))
        with server.database() as url:
            tracking.migrate_database(url)
            with ours.service(url, 1) as process:
                run_ids = ours.new_runs(process.address, ours.CALLERS)
                rate, samples = ours.measure(process.address, run_ids)
    finally:
        server.close()
    return [_own_row(rate, samples), *(_peer_row(rate, *other) for other in others)]


def _own_row(rate: float, samples: Sequence[float]) -> Row:
    return Row(
        "Runstone: 8 writers, 10 keys x 1,000 points a call, 1 process",
        f"{rate / 1e6:.2f} M points/s",
        ">= 3 M points/s",
        rate >= 3e6,
        f"a call p50 {milliseconds(p50(samples))}",
    )


def _peer_row(rate: float, name: str, peer_rate: float, reach: int, call: float) -> Row:
    ratio = rate / peer_rate
    return Row(
        f"{name}, the same points",
        f"{peer_rate / 1e3:,.1f} k points/s",
        f"Runstone >= {reach}x",
        ratio >= reach,
        f"Runstone {ratio:,.0f}x" + (f"; a call p50 {milliseconds(call)}" if call else ""),
    )


@contextmanager
def files_of_mlflow(folder: Path) -> Iterator[files.Place]:
    """MLflow's server with a folder for files, as its own page on artifacts starts it."""
    peer, port = PEERS[0], processes.free_port()
    program = programs(peer.environment) / "mlflow"
    command = [
        *(str(program), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "mlflow")),
    ]
    log = folder / "mlflow.log"
    with processes.running(command, log, env=clean_environment(), cwd=folder) as process:

        def answers() -> bool:
            processes.ended(process, log)
            return processes.listens(port) and _finds_experiments(port)

        processes.wait_until(answers, START_S, "MLflow to serve")
        root = f"{files.PROXY}/0/{'a' * 32}/artifacts"
        yield files.Place("MLflow", port, root, psutil.Process(process.pid))


def loggers() -> dict[str, str]:
    """Name to the Python that has it."""
    return {each.name: str(each.python) for each in LOGGERS}


def main() -> None:
    """Prints the table; with --install only installs the peers."""
    if "--install" in sys.argv:
        for peer in PEERS:
            programs(peer.environment)
        loggers()
    else:
        python = mlflow_environments.FULL.python
        of_models = [
            *schemas.run(python),
            *fits.run(python),
            *models.run(mlflow_environments.FRAMEWORKS.python),
            *served.run(),
        ]
        print_table([*calls.run(loggers()), *run(), *files.run(files_of_mlflow), *of_models])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        client(int(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()

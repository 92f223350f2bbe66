"""MLflow's REST as three servers answer it: MLflow, FastTrackML and Runstone's gateway.

The same requests, one PostgreSQL, one machine, one run; each server has a database of its own and
one process (Runstone: one of the gateway and one of the tracking service). Writers send over
connections that stay open. The 20,000 runs that are searched are written straight into the tables
of MLflow and Runstone. FastTrackML is not asked what no row compares with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bench_search
import peers
import psutil
import psycopg
import rest_client
from report import Row, megabytes, milliseconds, p50, print_table

from support import mlflow_environments, tracking
from support.postgres import PostgresServer
from support.processes import free_port, listens, wait_until
from support.services import ServiceProcess
from support.suites import clean_environment
from support.tracking_service import tracking_process

WRITERS = 8
SEARCHES = {
    "runs/search, first 100 of 20,000 by a metric": {"order_by": ["metrics.metric_3 DESC"]},
    "runs/search, filter on metric and param, first 100": {
        "filter": "metrics.metric_3 > 0.5 AND params.param_2 = 'value_7'"
    },
}
SEARCH_CALLS = 7
HISTORY = 100_000
HISTORIES = 5
FRAME = "20,000 runs as a DataFrame, MLflow's client"

FRAME_SCRIPT = """
import sys, time
import {module} as client
if len(sys.argv) > 1:
    client.set_tracking_uri(sys.argv[1])
begin = time.perf_counter()
frame = client.search_runs(["0"], max_results=20_000)
print(time.perf_counter() - begin, len(frame))
"""


@dataclass
class Found:
    """What one server did: calls a second or seconds, by what was asked, and its memory."""

    rates: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    idle: float = 0.0
    busy: float = 0.0


def writes(port: int, found: Found) -> None:
    """What eight writers and one get through."""
    made = rest_client.ask(port, rest_client.post("experiments/create", {"name": "rest"}))
    body = {"experiment_id": made["experiment_id"], "start_time": 1}
    runs = [
        str(rest_client.ask(port, rest_client.post("runs/create", body))["run"]["info"]["run_id"])
        for _ in range(WRITERS)
    ]
    for what, kind, run_ids, count in (
        ("log-batch of 1,000 metrics, 1 client", "log-batch", runs[:1], 2_000),
        ("log-batch of 1,000 metrics, 8 clients", "log-batch", runs, 800),
        ("log-metric, 8 clients", "log-metric", runs, 6_000),
    ):
        found.rates[what], _ = rest_client.drive(kind, port, run_ids, count)
    wire = rest_client.Wire(port)
    for first in range(0, HISTORY, 1000):
        points = [{**each, "key": "long"} for each in rest_client.metrics(first * 10, 1000)]
        points = [{**each, "step": first + place} for place, each in enumerate(points)]
        wire.ask(rest_client.post("runs/log-batch", {"run_id": runs[0], "metrics": points}))
    asked = rest_client.get(f"metrics/get-history?run_id={runs[0]}&metric_key=long")
    took = []
    for _ in range(HISTORIES):
        begin = time.perf_counter()
        answer = wire.ask(asked)
        took.append(time.perf_counter() - begin)
        assert len(json.loads(answer)["metrics"]) == HISTORY
    found.seconds["metrics/get-history of 100,000 points"] = p50(took)
    wire.close()


def searches(port: int, found: Found) -> None:
    """The searches, and all runs through MLflow's own client."""
    wire = rest_client.Wire(port)
    for what, how in SEARCHES.items():
        body = {"experiment_ids": ["0"], "max_results": 100, **how}
        took = []
        for _ in range(SEARCH_CALLS):
            begin = time.perf_counter()
            answer = wire.ask(rest_client.post("runs/search", body))
            took.append(time.perf_counter() - begin)
        assert len(json.loads(answer)["runs"]) == 100
        found.seconds[what] = p50(took)
    wire.close()
    found.seconds[FRAME] = _frame(
        str(mlflow_environments.FULL.python), "mlflow", f"http://127.0.0.1:{port}"
    )


def _frame(python: str, module: str, uri: str) -> float:
    finished = subprocess.run(
        [python, "-W", "ignore", "-c", FRAME_SCRIPT.format(module=module), uri],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env={**clean_environment(), "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    )
    seconds, count = finished.stdout.split()
    assert int(count) == bench_search.RUNS
    return float(seconds)


def fill_mlflow(url: str) -> None:
    """The runs of ``bench_search`` in MLflow's tables."""
    tables = {
        table: bench_search.rows(table, columns.split(", "))
        for table, columns in bench_search.COLUMNS.items()
    }
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        with cursor.copy(
            "COPY runs (run_uuid, name, source_type, user_id, status, start_time, lifecycle_stage,"
            " artifact_uri, experiment_id) FROM STDIN"
        ) as copy:
            for run_id, _, name, status, stage, user, start, *_rest in tables["runs"]:
                uri = f"mlflow-artifacts:/0/{run_id}/artifacts"
                copy.write_row((run_id, name, "UNKNOWN", user, status, start, stage, uri, 0))
        for table in ("params", "tags"):
            with cursor.copy(f"COPY {table} (run_uuid, key, value) FROM STDIN") as copy:
                for row in tables[table]:
                    copy.write_row(row)
        with cursor.copy(
            "COPY latest_metrics (run_uuid, key, value, is_nan, step, timestamp) FROM STDIN"
        ) as copy:
            for row in tables["metric_summaries"]:
                copy.write_row(tuple(row)[:6])
        for table in ("runs", "params", "tags", "latest_metrics"):
            cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("CHECKPOINT")


def of_peer(server: PostgresServer, peer: peers.Peer) -> Found:
    """What a peer does; only MLflow is asked for the runs."""
    found = Found()
    with server.database() as url, peers.serving(peer, url) as port:
        writes(port, found)
        if peer.name == "MLflow":
            fill_mlflow(url)
            searches(port, found)
    return found


@contextmanager
def gateway(tracking_address: str) -> Iterator[ServiceProcess]:
    """`runstone-gateway` before a tracking service."""
    with tempfile.TemporaryDirectory() as name:
        process = ServiceProcess(
            "gateway",
            Path(name),
            clean_environment(RUNSTONE_GATEWAY_TRACKING_ADDRESS=tracking_address),
            free_port(),
        )
        try:
            wait_until(lambda: listens(process.port), what="the gateway to serve")
            yield process
        finally:
            process.kill()


def ours(server: PostgresServer) -> Found:
    """What Runstone does."""
    found = Found()
    with server.database() as url:
        tracking.migrate_database(url)
        bench_search.load_postgresql(url)
        with tracking_process(url) as service, gateway(service.address) as front:
            process = psutil.Process(front.process.pid)
            found.idle = process.memory_info().rss
            writes(front.port, found)
            searches(front.port, found)
            found.busy = process.memory_info().rss
            uri = f"runstone://{service.address}"
            found.seconds["native"] = _frame(sys.executable, "runstone", uri)
    return found


def _more(what: str, our: float, unit: str, others: dict[str, tuple[float, float]]) -> Row:
    """A row of ratios: name to (its figure, what is to be reached), greater is better for us."""
    told = [f"{name} {ratio:,.1f}x of >= {reach:g}x" for name, (ratio, reach) in others.items()]
    met = all(ratio >= reach for ratio, reach in others.values())
    return Row(what, f"{our:,.0f} {unit}", "by ratio", met, "; ".join(told))


REACHES = {
    "log-batch of 1,000 metrics, 1 client": {"MLflow": 10, "FastTrackML": 3},
    "log-batch of 1,000 metrics, 8 clients": {"MLflow": 10, "FastTrackML": 3},
    "log-metric, 8 clients": {"MLflow": 5, "FastTrackML": 1.5},
    "metrics/get-history of 100,000 points": {"MLflow": 10},
    **{what: {"MLflow": 5} for what in SEARCHES},
    FRAME: {"MLflow": 10},
}


def run() -> list[Row]:
    """Every row of the REST."""
    server = PostgresServer()
    try:
        server.start()
        others = {peer.name: of_peer(server, peer) for peer in peers.PEERS}
        own = ours(server)
    finally:
        server.close()
    rows = []
    for what, reaches in REACHES.items():
        if what in own.rates:
            ratios = {
                name: (own.rates[what] / others[name].rates[what], reach)
                for name, reach in reaches.items()
            }
            rows.append(_more(f"REST: {what}", own.rates[what], "calls/s", ratios))
        else:
            ratios = {
                name: (others[name].seconds[what] / own.seconds[what], reach)
                for name, reach in reaches.items()
            }
            rows.append(_more(f"REST: {what}", 1000 * own.seconds[what], "ms", ratios))
    native = own.seconds["native"]
    rows += [
        Row(
            "20,000 runs as a DataFrame, natively",
            milliseconds(native),
            "<= 2 s",
            native <= 2.0,
            f"20 params, 20 metrics, 4 tags a run; MLflow {others['MLflow'].seconds[FRAME]:.1f} s",
        ),
        Row("gateway memory, idle", megabytes(own.idle), "<= 120 MB", own.idle <= 120e6),
        Row("gateway memory, after all this", megabytes(own.busy), "<= 300 MB", own.busy <= 300e6),
    ]
    return rows


if __name__ == "__main__":
    print_table(run())

"""A model served by Runstone and by `mlflow models serve`: one machine, one run, the same folder.

MLflow saves a linear regression of ten columns; each server in turn gets one process and eight
callers, threads of two processes, over connections that stay open. Bodies are made before the
clock starts: a table in `dataframe_split`, as MLflow's client writes it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rest_client
from report import Row, milliseconds, p50, p99, print_table

from support import mlflow_environments, processes
from support.suites import clean_environment

CALLERS = 8
COLUMNS = 10
START_S = 300.0

REACHES = {1: 3.0, 1000: 2.0}
"""Requests a second, as a multiple of MLflow's, by the rows of a request."""

SAVE = """
import sys
import numpy as np, pandas as pd, mlflow
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression
rows = pd.DataFrame(np.random.default_rng(0).normal(size=(100, int(sys.argv[2]))))
rows.columns = [f"feature_{number}" for number in rows.columns]
model = LinearRegression().fit(rows, rows.sum(axis=1))
signature = infer_signature(rows, model.predict(rows))
mlflow.sklearn.save_model(
    model, sys.argv[1], signature=signature, serialization_format="cloudpickle"
)
"""


def request(rows: int) -> bytes:
    """The bytes of a POST of so many rows."""
    names = [f"feature_{number}" for number in range(COLUMNS)]
    data = [[(row * 7 + at) % 13 / 3 for at in range(COLUMNS)] for row in range(rows)]
    body = json.dumps({"dataframe_split": {"columns": names, "data": data}}).encode()
    head = (
        "POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def client(port: int, rows: int, callers: int) -> None:
    """A process of callers: prints the seconds that each call took."""
    sent = [request(rows)] * 200_000

    def one(_: int) -> list[float]:
        return rest_client._work(port, sent)

    with ThreadPoolExecutor(callers) as pool:
        print(json.dumps([each for took in pool.map(one, range(callers)) for each in took]))


def drive(port: int, rows: int) -> list[float]:
    """The seconds that each call of all callers took."""

    def one(callers: int) -> Any:
        arguments = ["--client", str(port), str(rows), str(callers)]
        done = subprocess.run(
            [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, check=True
        )
        return json.loads(done.stdout)

    with ThreadPoolExecutor(2) as pool:
        return [each for found in pool.map(one, [CALLERS // 2] * 2) for each in found]


@contextmanager
def serving(command: list[str], folder: Path) -> Iterator[int]:
    """A server of the model; the port it answers on."""
    port = processes.free_port()
    log = folder / f"{port}.log"
    arguments = [*command, "-m", str(folder / "model"), "-p", str(port), "-h", "127.0.0.1"]
    # MLflow starts uvicorn by its bare name.
    path = f"{Path(command[0]).parent}:{os.environ['PATH']}"
    options: dict[str, Any] = {"env": clean_environment(PATH=path), "cwd": folder}
    with processes.running(arguments, log, **options) as process:

        def answers() -> bool:
            processes.ended(process, log)
            return processes.listens(port) and _predicts(port)

        processes.wait_until(answers, START_S, "the model to be served")
        yield port


def _predicts(port: int) -> bool:
    try:
        return len(rest_client.ask(port, request(3))["predictions"]) == 3
    except (OSError, AssertionError):
        return False


def run() -> list[Row]:
    """A pair of rows for each size of a request."""
    python = mlflow_environments.FULL.python
    peer = [str(python.parent / "mlflow"), "models", "serve", "--env-manager", "local"]
    own = [sys.executable, "-m", "runstone.cli", "models", "serve", "--allow-pickle"]
    found: dict[str, dict[int, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save = [str(python), "-c", SAVE, str(folder / "model"), str(COLUMNS)]
        subprocess.run(save, check=True, env=clean_environment(), stdout=subprocess.DEVNULL)
        for server, command in (("MLflow", peer), ("Runstone", own)):
            with serving(command, folder) as port:
                found[server] = {rows: drive(port, rows) for rows in REACHES}
    return [row for rows in REACHES for row in _rows(rows, found["Runstone"], found["MLflow"])]


def _rows(
    rows: int, own: dict[int, list[float]], peer: dict[int, list[float]]
) -> tuple[Row, Row, Row]:
    ours, theirs = own[rows], peer[rows]
    rate, peer_rate = len(ours) / rest_client.SECONDS, len(theirs) / rest_client.SECONDS
    what = f"serve {rows:,} row{'s' if rows > 1 else ''} x {COLUMNS}, {CALLERS} callers, 1 process"
    reach = REACHES[rows]
    return (
        Row(
            what,
            f"{rate:,.0f} requests/s",
            f">= {reach:g}x MLflow",
            rate >= reach * peer_rate,
            f"{rate / peer_rate:.1f}x; p50 {milliseconds(p50(ours))}",
        ),
        Row(
            f"{what}, p99",
            milliseconds(p99(ours)),
            "<= half of MLflow",
            p99(ours) <= p99(theirs) / 2,
            f"MLflow {milliseconds(p99(theirs))}",
        ),
        Row("MLflow, the same", f"{peer_rate:,.0f} requests/s", "", None, _p50(theirs)),
    )


def _p50(samples: list[float]) -> str:
    return f"p50 {milliseconds(p50(samples))}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        client(*map(int, sys.argv[2:]))
    else:
        print_table(run())

"""The command line as somebody types it: a process each time, its start included.

`runstone --help` asks nobody. The lists are of 20,000 runs with 20 params, 20 metrics and 4 tags
each, the first 100 of them, from the embedded suite (SQLite) and from a server on PostgreSQL. Both
run already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_search import load_postgresql, load_sqlite
from report import Row, milliseconds, p50, p99, print_table

from support.postgres import PostgresServer
from support.suites import clean_environment, suite

CALLS = 15
WARM_UP = 3
HELP_REACH_S = 0.250
LIST_REACH_S = 0.400

NOT_COMPILED = "PYTHONDONTWRITEBYTECODE"
"""A user's machine compiles a module once, and not at each start."""

COMMAND = [sys.executable, "-m", "runstone.cli"]


def measured(*arguments: str, **environment: str) -> list[float]:
    """How long a command takes, call by call. Its output is read whole."""
    samples = []
    kept = {name: text for name, text in clean_environment().items() if name != NOT_COMPILED}
    for call in range(WARM_UP + CALLS):
        begin = time.perf_counter()
        subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            check=True,
            env={**kept, **environment},
        )
        if call >= WARM_UP:
            samples.append(time.perf_counter() - begin)
    return samples


def row(what: str, samples: list[float], reach: float | None = None) -> Row:
    """The line of the table."""
    return Row(
        f"command line: {what}",
        f"p50 {milliseconds(p50(samples))}",
        f"<= {milliseconds(reach)}" if reach else "",
        p50(samples) <= reach if reach else None,
        f"p99 {milliseconds(p99(samples))}",
    )


def lists(where: str, uri: str) -> list[Row]:
    """What a list of runs takes there, for people and for programs."""
    called = {"RUNSTONE_TRACKING_URI": uri}
    return [
        row(f"runs list of 20,000, {where}", measured("runs", "list", **called), LIST_REACH_S),
        row(f"runs list --json, {where}", measured("runs", "list", "--json", **called)),
    ]


def run() -> list[Row]:
    """Help, and the lists of both stores."""
    found = [row("runstone --help", measured("--help"), HELP_REACH_S)]
    found.append(row("an empty Python beside it", measured_python()))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with suite(data, "--grpc-port", "0"):
            pass
        load_sqlite(data / "tracking.db")
        with suite(data, background=True):
            found += lists("embedded", data.as_uri())
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url, tempfile.TemporaryDirectory() as folder:
            found += on_postgresql(url, Path(folder))
    finally:
        server.close()
    return found


def on_postgresql(url: str, folder: Path) -> list[Row]:
    """The lists of a server whose services share a database."""
    environment = {"RUNSTONE_DATABASE_URL": url, "RUNSTONE_OBJECTS_URL": (folder / "o").as_uri()}
    subprocess.run(
        [*COMMAND, "db", "upgrade"],
        check=True,
        capture_output=True,
        env={**clean_environment(), **environment},
    )
    load_postgresql(url)
    process = subprocess.Popen(
        [*COMMAND, "server", "--grpc-port", "0", "--no-http", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**clean_environment(), **environment},
    )
    try:
        assert process.stdout is not None
        return lists("PostgreSQL", json.loads(process.stdout.readline())["uri"])
    finally:
        process.terminate()
        process.communicate()


def measured_python() -> list[float]:
    """A Python that does nothing: what no command line in it can undercut."""
    samples = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", ""], check=True, env=os.environ)
        samples.append(time.perf_counter() - begin)
    return samples


if __name__ == "__main__":
    print_table(run())

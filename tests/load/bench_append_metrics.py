"""AppendMetrics as many callers use it at once, and the same rows by COPY beside it.

PostgreSQL with its default durability, `runstone-tracking` and the callers are processes of their
own on this machine. A call is 10 series of 1,000 points (or as said) and is counted when it was
answered, which is after the commit. COPY is PostgreSQL's fastest way in for one row per point; it
commits after as many rows, from as many connections, into a table whose primary key makes a retry
harmless.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import psycopg
from report import Row, megabytes, milliseconds, p50, p99, print_table

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from support import tracking
from support.postgres import PostgresServer
from support.processes import free_port
from support.services import ServiceProcess
from support.suites import clean_environment

VIEW = columnar.View(
    metric_pb2.AppendMetricsRequest, ("Series.steps", "Series.timestamps_ms", "Series.values")
)
"""Columns of requests as bytes, as they go over the wire."""

KEYS = 10
POINTS = 1_000
CALLERS = 8
CLIENTS = 2
"""Processes the callers are spread over, so that one interpreter's lock is not what is measured."""
SECONDS = 6.0
WARM_UP_S = 1.5
REACHES = {POINTS: 3e6, 5_000: 6e6, 100: 0.7e6}
"""Points a second, by the points of a series in a call."""

MEMORY_REACH = 400e6
APPEND = "/runstone.tracking.v1.TrackingService/AppendMetrics"

COPY_TABLE = """
    CREATE TABLE points (
        run_id text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, step bigint NOT NULL,
        timestamp_ms bigint NOT NULL, value double precision NOT NULL,
        PRIMARY KEY (run_id, key, step, timestamp_ms, value)
    )
"""


def columns(caller: int, call: int, points: int = POINTS) -> Iterator[tuple[str, Any, Any, Any]]:
    """The series of one call: losses with noise, logged every 50 ms or so."""
    random = np.random.default_rng((caller, call))
    steps = np.arange(call * points, (call + 1) * points)
    for key in range(KEYS):
        times = 1_700_000_000_000 + steps * 50 + random.integers(0, 10, points)
        values = np.exp(-steps / 50_000) + 0.01 * random.standard_normal(points)
        yield f"train/loss_{key}", steps, times, values


def request(caller: int, run_id: str, points: int = POINTS) -> Any:
    """A call's message; ``advance`` makes the next one of it."""
    message = VIEW.message_class(run_id=run_id, writer_id=f"rank-{caller}")
    for key, steps, times, values in columns(caller, 0, points):
        message.series.add(
            key=key,
            steps=[columnar.pack_int64(steps)],
            timestamps_ms=[columnar.pack_int64(times)],
            values=[columnar.pack_double(values)],
        )
    return message


def advance(message: Any, points: int = POINTS) -> None:
    """The next call: the same values, at later steps and times."""
    message.sequence += 1
    for series in message.series:
        for column, by in ((series.steps, points), (series.timestamps_ms, points * 50)):
            column[0] = columnar.pack_int64(np.frombuffer(column[0], "<i8") + by)


def timed(act: Callable[[int], object], callers: range) -> dict[str, Any]:
    """`act(caller)` again and again, a thread each; calls that begin in the time are counted."""
    started = threading.Barrier(len(callers))

    def work(caller: int) -> list[float]:
        started.wait()
        begin = time.monotonic()
        took = []
        while (now := time.monotonic()) < begin + WARM_UP_S + SECONDS:
            act(caller)
            if now >= begin + WARM_UP_S:
                took.append(time.monotonic() - now)
        return took

    with ThreadPoolExecutor(len(callers)) as pool:
        samples = [each for took in pool.map(work, callers) for each in took]
    return {"calls": len(samples), "samples": samples}


def append_calls(address: str, run_ids: list[str], points: int, callers: range) -> dict[str, Any]:
    """Calls of AppendMetrics, each caller on a connection of its own."""
    # One connection for all would end in one of the server's processes.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = {caller: grpc.insecure_channel(address, options) for caller in callers}
    calls = {
        caller: channel.unary_unary(
            APPEND,
            request_serializer=VIEW.message_class.SerializeToString,
            response_deserializer=metric_pb2.AppendMetricsResponse.FromString,
        )
        for caller, channel in channels.items()
    }
    requests = {
        caller: request(caller, run_ids[caller % len(run_ids)], points) for caller in callers
    }

    def act(caller: int) -> None:
        advance(requests[caller], points)
        assert not calls[caller](requests[caller], timeout=60).duplicate

    try:
        return timed(act, callers)
    finally:
        for channel in channels.values():
            channel.close()


def copy_calls(url: str, callers: range) -> dict[str, Any]:
    """COPY of as many rows, binary, each caller on a connection of its own."""
    connections = {caller: psycopg.connect(url, autocommit=True) for caller in callers}
    rows = {caller: _copy_rows(caller) for caller in callers}

    def act(caller: int) -> None:
        table = rows[caller]
        table["step"] += POINTS
        with (
            connections[caller].cursor() as cursor,
            cursor.copy("COPY points FROM STDIN WITH (FORMAT binary)") as copy,
        ):
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + table.tobytes() + b"\xff\xff")

    try:
        return timed(act, callers)
    finally:
        for connection in connections.values():
            connection.close()


def _copy_rows(caller: int) -> Any:
    """PostgreSQL's binary rows: the count of fields, then each field after its length."""
    series = list(columns(caller, 0))
    run_id, key = f"{caller:032x}".encode(), series[0][0].encode()
    fields = [("fields", ">i2"), ("l0", ">i4"), ("run", f"S{len(run_id)}")]
    fields += [("l1", ">i4"), ("key", f"S{len(key)}"), ("l2", ">i4"), ("step", ">i8")]
    fields += [("l3", ">i4"), ("time", ">i8"), ("l4", ">i4"), ("value", ">f8")]
    table: Any = np.empty(KEYS * POINTS, fields)
    table["fields"] = 5
    table["l0"], table["l1"], table["run"] = len(run_id), len(key), run_id
    for name in ("l2", "l3", "l4"):
        table[name] = 8
    for place, (name, steps, times, values) in enumerate(series):
        part = table[place * POINTS : (place + 1) * POINTS]
        part["key"], part["step"], part["time"], part["value"] = name, steps, times, values
    return table


def client(target: str, run_ids: list[str], points: int, first: int, last: int) -> None:
    """A process of callers: prints what it measured. Without runs they copy into a table."""
    callers = range(first, last)
    found = (
        append_calls(target, run_ids, points, callers) if run_ids else copy_calls(target, callers)
    )
    print(json.dumps(found))


def measure(target: str, run_ids: list[str], points: int = POINTS) -> tuple[float, list[float]]:
    """Points a second over all callers, and the seconds each call took."""
    share = CALLERS // CLIENTS
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, __file__, "--client", target, json.dumps(run_ids)),
                *(str(points), str(first), str(first + share)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(0, CALLERS, share)
    ]
    outputs = [process.communicate()[0] for process in processes]
    for process in processes:
        assert process.returncode == 0, f"a client of {target} failed"
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    samples = [sample for each in found for sample in each["samples"]]
    return sum(each["calls"] for each in found) * KEYS * points / SECONDS, samples


@contextmanager
def service(url: str, workers: int) -> Iterator[ServiceProcess]:
    """`runstone-tracking` on the database."""
    environment = clean_environment(
        RUNSTONE_DATABASE_URL=url, RUNSTONE_TRACKING_WORKERS=str(workers)
    )
    with tempfile.TemporaryDirectory() as folder:
        process = ServiceProcess("tracking", Path(folder), environment, free_port())
        try:
            process.wait_serving()
            yield process
        finally:
            process.kill()


def new_runs(address: str, count: int) -> list[str]:
    """Runs to append to."""
    with grpc.insecure_channel(address) as channel:
        stub = TrackingServiceStub(channel)
        return [
            stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0"), timeout=10).run.run_id
            for _ in range(count)
        ]


def run() -> list[Row]:
    """AppendMetrics by one and by two server processes, of several sizes; COPY."""
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url:
            with psycopg.connect(url) as connection:
                connection.execute(COPY_TABLE)
            copied, copy_samples = measure(url, [])
        rows = [
            Row(
                "the same rows by COPY, primary key",
                f"{copied / 1e6:.2f} M points/s",
                detail=_latency(copy_samples),
            )
        ]
        shapes = ((1, CALLERS, POINTS), (1, 1, POINTS), (2, CALLERS, POINTS))
        for workers, runs, points in (*shapes, (1, CALLERS, 5_000), (1, CALLERS, 100)):
            with server.database() as url:
                tracking.migrate_database(url)
                with service(url, workers) as process:
                    run_ids = new_runs(process.address, runs)
                    rate, samples = measure(process.address, run_ids, points)
                    memory = psutil.Process(process.process.pid).memory_info().rss
            rows.append(_append_row(workers, runs, points, rate, samples, copied))
            if (workers, runs, points) == shapes[0]:
                rows.append(
                    Row(
                        "memory of the server then",
                        megabytes(memory),
                        f"<= {megabytes(MEMORY_REACH)}",
                        memory <= MEMORY_REACH,
                    )
                )
        return rows
    finally:
        server.close()


def _append_row(
    workers: int, runs: int, points: int, rate: float, samples: list[float], copied: float
) -> Row:
    where = "one run" if runs == 1 else "a run each"
    processes = "1 process" if workers == 1 else f"{workers} processes"
    reach = REACHES[points]
    return Row(
        f"AppendMetrics of {KEYS * points:,}, {CALLERS} callers, {where}, {processes}",
        f"{rate / 1e6:.2f} M points/s",
        f">= {reach / 1e6:g} M points/s",
        rate >= reach,
        f"{rate / copied:.1f}x of COPY; {_latency(samples)}",
    )


def _latency(samples: list[float]) -> str:
    return f"a call p50 {milliseconds(p50(samples))}, p99 {milliseconds(p99(samples))}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        target, of, size, low, high = sys.argv[2:7]
        client(target, json.loads(of), int(size), int(low), int(high))
    else:
        print_table(run())

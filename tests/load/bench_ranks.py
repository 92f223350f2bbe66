"""A distributed job: 1,000 ranks log into one run, 20 points each, every second.

PostgreSQL with its default durability; `runstone-tracking` is a process of its own, the ranks are
two processes with a connection for each rank. A call is counted from when it is due to its answer,
which is after the commit. The server's memory is looked at when a third of the time is over, and
at the end.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import grpc
import psutil
from bench_append_metrics import APPEND, new_runs, service
from report import Row, megabytes, milliseconds, p50, p99, print_table

from runstone.tracking.v1 import metric_pb2
from support import tracking
from support.postgres import PostgresServer

RANKS = 1_000
KEYS = 20
SECONDS = 180
CLIENTS = 2
ACK_REACH_S = 1.0
CORES_REACH = 1.0
GROWTH_REACH = 32e6


async def rank(number: int, address: str, run_id: str, begin: float) -> list[float]:
    """One rank's calls; the seconds that each took since it was due."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    took = []
    async with grpc.aio.insecure_channel(address, options) as channel:
        await channel.channel_ready()
        call: Any = channel.unary_unary(
            APPEND,
            request_serializer=metric_pb2.AppendMetricsRequest.SerializeToString,
            response_deserializer=metric_pb2.AppendMetricsResponse.FromString,
        )
        for second in range(SECONDS):
            # Ranks of a job are not in step to the millisecond.
            due = begin + second + number / RANKS
            await asyncio.sleep(due - time.time())
            now = int(due * 1000)
            request = metric_pb2.AppendMetricsRequest(
                run_id=run_id, writer_id=f"rank-{number}", sequence=second + 1
            )
            for key in range(KEYS):
                request.series.add(
                    key=f"train/metric_{key}",
                    rank=number,
                    steps=[second],
                    timestamps_ms=[now],
                    values=[1 / (1 + second + key)],
                )
            await call(request, timeout=60)
            took.append(time.time() - due)
    return took


async def client(address: str, run_id: str, begin: float, first: int, last: int) -> None:
    """A process of ranks: prints what it measured."""
    ranks = [rank(number, address, run_id, begin) for number in range(first, last)]
    found = await asyncio.gather(*ranks)
    print(json.dumps([sample for took in found for sample in took]))


def run() -> list[Row]:
    """Latency, processor time and memory of the server."""
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url:
            tracking.migrate_database(url)
            with service(url, 1) as process:
                [run_id] = new_runs(process.address, 1)
                return measured(process.address, run_id, psutil.Process(process.process.pid))
    finally:
        server.close()


def measured(address: str, run_id: str, served: psutil.Process) -> list[Row]:
    """The rows, of ranks that begin together in some seconds."""
    begin = time.time() + 8
    share = RANKS // CLIENTS
    clients = [
        subprocess.Popen(
            [
                *(sys.executable, __file__, "--client", address, run_id, str(begin)),
                *(str(first), str(first + share)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(0, RANKS, share)
    ]
    time.sleep(begin - time.time())
    before = sum(served.cpu_times()[:2])
    time.sleep(SECONDS / 3)
    early = served.memory_info().rss
    samples = [
        sample for each in clients for sample in json.loads(each.communicate()[0].splitlines()[-1])
    ]
    elapsed = time.time() - begin
    cores = (sum(served.cpu_times()[:2]) - before) / elapsed
    growth = served.memory_info().rss - early
    what = f"{RANKS:,} ranks, {KEYS} points a second each, {SECONDS} s"
    late = p99(samples)
    return [
        Row(
            f"{what}: ack p99",
            milliseconds(late),
            f"<= {ACK_REACH_S:.0f} s",
            late <= ACK_REACH_S and len(samples) == RANKS * SECONDS,
            f"p50 {milliseconds(p50(samples))}, {len(samples):,} calls",
        ),
        Row(
            "the server meanwhile: cores",
            f"{cores:.2f}",
            f"<= {CORES_REACH:.0f}",
            cores <= CORES_REACH,
        ),
        Row(
            "its memory's growth in the last two thirds",
            megabytes(growth),
            f"<= {megabytes(GROWTH_REACH)}",
            growth <= GROWTH_REACH,
            f"{megabytes(early + growth)} at the end",
        ),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        target, of, begins, low, high = sys.argv[2:7]
        asyncio.run(client(target, of, float(begins), int(low), int(high)))
    else:
        print_table(run())

"""CreateRun and the UpdateRun that ends the run, one caller, over gRPC."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from google.protobuf.field_mask_pb2 import FieldMask
from report import Row, milliseconds, p50, p99, print_table

from runstone.tracking.v1 import run_pb2 as pb
from support import tracking
from support.postgres import PostgresServer
from support.tracking_service import tracking_process, tracking_stub

CALLS = 400
WARM_UP = 40
REACH_S = 0.010

TAGS = {
    "mlflow.user": "ann",
    "mlflow.source.name": "train.py",
    "mlflow.source.type": "LOCAL",
    "mlflow.source.git.commit": "0123456789abcdef0123456789abcdef01234567",
}


def timed(act: Callable[[], object], samples: list[float]) -> object:
    """What `act` gives; how long it took is added to the samples."""
    begin = time.perf_counter()
    found = act()
    samples.append(time.perf_counter() - begin)
    return found


def measure(url: str, database: str) -> list[Row]:
    """As a client does it: a name, four tags, a request id; then FINISHED."""
    took: dict[str, list[float]] = {"create_run": [], "log_batch, 20 params": [], "end_run": []}
    with tracking_process(url) as process, tracking_stub(process.address) as stub:
        for call in range(WARM_UP + CALLS):
            if call == WARM_UP:
                for samples in took.values():
                    samples.clear()
            create = pb.CreateRunRequest(
                experiment_id="0", name=f"run {call}", tags=TAGS, request_id=f"request-{call}"
            )
            made = timed(lambda c=create: stub.CreateRun(c, timeout=10), took["create_run"])
            run_id = made.run.run_id
            batch = pb.LogBatchRequest(
                run_id=run_id, params={f"param_{key}": str(key) for key in range(20)}
            )
            timed(lambda b=batch: stub.LogBatch(b, timeout=10), took["log_batch, 20 params"])
            end = pb.UpdateRunRequest(
                run=pb.Run(run_id=run_id, status=pb.RUN_STATUS_FINISHED),
                update_mask=FieldMask(paths=["status"]),
            )
            timed(lambda e=end: stub.UpdateRun(e, timeout=10), took["end_run"])
    return [
        Row(
            what=f"{name}, {database}",
            figure=f"p50 {milliseconds(p50(samples))}",
            reach=f"<= {milliseconds(REACH_S)}" if database == "PostgreSQL" else "",
            met=p50(samples) <= REACH_S if database == "PostgreSQL" else None,
            detail=f"p99 {milliseconds(p99(samples))}",
        )
        for name, samples in took.items()
    ]


def run() -> list[Row]:
    """On PostgreSQL, and on SQLite beside it."""
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url:
            tracking.migrate_database(url)
            found = measure(url, "PostgreSQL")
    finally:
        server.close()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'tracking.db'}"
        tracking.migrate_database(url)
        return found + measure(url, "SQLite")


if __name__ == "__main__":
    print_table(run())

"""SearchRuns over 20,000 runs, each with 20 params, 20 metrics and 4 tags.

The rows are written straight into the tables, as the service would have written them; the searches
go through `runstone-tracking`, a process of its own, over gRPC.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
from report import Row, milliseconds, p50, p99, print_table

from runstone.tracking.v1 import run_pb2 as pb
from runstone_tracking.tables import SCHEMA
from support import tracking
from support.postgres import PostgresServer
from support.tracking_service import tracking_process, tracking_stub

RUNS, PARAMS, METRICS, TAGS = 20_000, 20, 20, 4
CALLS = 60
WARM_UP = 20
REACH_S = 0.060

AIMED = "filter on metric and param, order by metric, first 100"

SEARCHES = {
    AIMED: pb.SearchRunsRequest(
        filter="metrics.metric_3 > 0.5 AND params.param_2 = 'value_7'",
        order_by=["metrics.metric_3 DESC"],
        page_size=100,
    ),
    "the same, order by another metric": pb.SearchRunsRequest(
        filter="metrics.metric_3 > 0.1 AND params.param_1 = 'value_1'",
        order_by=["metrics.metric_5"],
        page_size=100,
    ),
    "OR, NOT and LIKE over 3 kinds, first 100": pb.SearchRunsRequest(
        filter=(
            "(metrics.metric_3 > 0.9 OR params.param_2 LIKE 'value_1%') "
            "AND NOT tags.tag_1 = 'team_2'"
        ),
        order_by=["metrics.metric_3 DESC"],
        page_size=100,
    ),
    "no filter, first 100": pb.SearchRunsRequest(page_size=100),
    "no filter, first 1000": pb.SearchRunsRequest(page_size=1000),
}

COLUMNS = {
    "runs": (
        "run_id, experiment_id, name, status, stage, user_id, start_time, deleted_with_experiment,"
        " bytes"
    ),
    "params": "run_id, key, value",
    "tags": "run_id, key, value",
    "metric_summaries": (
        "run_id, key, value, is_nan, step, timestamp_ms, min, max, count, nan_count, first_step"
    ),
}


def rows(table: str, columns: Iterable[str]) -> Iterator[tuple[object, ...]]:
    """The rows of a table; the same ones on every call."""
    source = random.Random(table)
    kept = set(columns)
    for number in range(RUNS):
        run_id = f"{number * 7919 % RUNS:032x}"
        if table == "runs":
            started = 1_700_000_000_000 + number * 60_000
            yield run_id, 0, f"run {number}", "FINISHED", "active", "ann", started, False, 1000
        elif table == "params":
            for key in range(PARAMS):
                yield run_id, f"param_{key}", f"value_{source.randrange(2 + key * 5)}"
        elif table == "tags":
            for key in range(TAGS):
                yield run_id, f"tag_{key}", f"team_{source.randrange(5)}"
        else:
            for key in range(METRICS):
                value = source.random()
                row = (run_id, f"metric_{key}", value, False, 99, 1_700_000_000_000)
                yield (*row, value - 1, value + 1, 100, 0, 0)[: len(kept)]


def load_postgresql(url: str) -> None:
    """All rows by COPY, and what autovacuum would do a minute later."""
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            statement = f"COPY {SCHEMA}.{table} ({columns}) FROM STDIN"
            with cursor.copy(statement) as copy:
                for row in rows(table, columns.split(", ")):
                    copy.write_row(row)
            cursor.execute(f"VACUUM ANALYZE {SCHEMA}.{table}")
        # Else the first search shares the disk and a core with the writing of all this.
        cursor.execute("CHECKPOINT")


def load_sqlite(path: Path) -> None:
    """All rows in one transaction."""
    connection = sqlite3.connect(path)
    for table, columns in COLUMNS.items():
        names = columns.split(", ")
        marks = ", ".join("?" for _ in names)
        connection.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows(table, names)
        )
    connection.commit()
    connection.close()


def measure(url: str, database: str) -> list[Row]:
    """Each search again and again by one caller."""
    found = []
    with tracking_process(url) as process, tracking_stub(process.address) as stub:
        for what, request in SEARCHES.items():
            request.experiment_ids[:] = ["0"]
            samples = []
            for call in range(WARM_UP + CALLS):
                begin = time.perf_counter()
                response = stub.SearchRuns(request, timeout=60)
                if call >= WARM_UP:
                    samples.append(time.perf_counter() - begin)
            aimed = database == "PostgreSQL" and what == AIMED
            found.append(
                Row(
                    what=f"search 20,000 runs, {database}: {what}",
                    figure=f"p50 {milliseconds(p50(samples))}",
                    reach=f"<= {milliseconds(REACH_S)}" if aimed else "",
                    met=p50(samples) <= REACH_S if aimed else None,
                    detail=f"p99 {milliseconds(p99(samples))}, {len(response.runs)} runs, "
                    f"{response.ByteSize() / 1e3:,.0f} kB",
                )
            )
    return found


def run() -> list[Row]:
    """The searches on PostgreSQL, and on SQLite beside it."""
    server = PostgresServer()
    try:
        server.start()
        with server.database() as url:
            tracking.migrate_database(url)
            load_postgresql(url)
            found = measure(url, "PostgreSQL")
    finally:
        server.close()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracking.db"
        tracking.migrate_database(f"sqlite:///{path}")
        load_sqlite(path)
        return found + measure(f"sqlite:///{path}", "SQLite")


if __name__ == "__main__":
    print_table(run())

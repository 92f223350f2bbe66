"""The stores on PostgreSQL and SQLite, bound together in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from runstone_kit.database import Database
from runstone_kit.dbengine import HotWrite
from runstone_tracking.sqlstore_chunks import SqlChunkStore
from runstone_tracking.sqlstore_experiments import SqlExperimentStore
from runstone_tracking.sqlstore_metrics import SqlMetricStore
from runstone_tracking.sqlstore_requests import SqlRequestStore
from runstone_tracking.sqlstore_runs import SqlRunStore
from runstone_tracking.store import Session

T = TypeVar("T")

HOT = HotWrite(lock_wait_s=1.0)
"""Only a purge holds a run for long, and calls of many other runs may wait in the same group."""


class SqlSession:
    """The stores on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.experiments = SqlExperimentStore(connection)
        self.metrics = SqlMetricStore(connection)
        self.chunks = SqlChunkStore(connection)
        self.runs = SqlRunStore(connection, self.metrics)
        self.requests = SqlRequestStore(connection)


class SqlTransactions:
    """Transactions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, work: Callable[[Session], T], *, bounded: bool = False) -> T:
        """``work`` on a snapshot."""
        return self._database.run_read(
            lambda c: work(SqlSession(c)), snapshot=True, bounded=bounded
        )

    def write(self, work: Callable[[Session], T], *, bounded: bool = False) -> T:
        """``work`` in one transaction, repeated when it lost a race."""
        return self._database.run_write(lambda c: work(SqlSession(c)), hot=HOT if bounded else None)

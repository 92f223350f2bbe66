"""The stores on PostgreSQL and SQLite, bound together in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from runstone_kit.database import Database
from runstone_tracking.model_metrics import NewSegment
from runstone_tracking.sqlstore_appends import SingleAppends
from runstone_tracking.sqlstore_chunks import SqlChunkStore
from runstone_tracking.sqlstore_experiments import SqlExperimentStore
from runstone_tracking.sqlstore_logged import SqlLoggedModelStore
from runstone_tracking.sqlstore_metrics import SqlMetricStore
from runstone_tracking.sqlstore_requests import SqlRequestStore
from runstone_tracking.sqlstore_runs import SqlRunStore
from runstone_tracking.sqlstore_traces import SqlTraceStore
from runstone_tracking.store import Session
from runstone_tracking.store_metrics import Appended

T = TypeVar("T")


class SqlSession:
    """The stores on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.experiments = SqlExperimentStore(connection)
        self.metrics = SqlMetricStore(connection)
        self.chunks = SqlChunkStore(connection)
        self.runs = SqlRunStore(connection, self.metrics)
        self.logged = SqlLoggedModelStore(connection)
        self.requests = SqlRequestStore(connection)
        self.traces = SqlTraceStore(connection)


class SqlTransactions:
    """Transactions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._single = SingleAppends(database) if database.dialect == "postgresql" else None

    def append(self, segments: Sequence[NewSegment]) -> list[Appended]:
        """``MetricStore.append`` in a transaction of its own."""
        if self._single is not None and self._single.append(segments):
            return [True] * len(segments)
        outcomes = self._database.run_write(
            lambda c: SqlMetricStore(c).append(segments), bounded=True
        )
        if self._single is not None:
            self._single.learn(
                new for new, outcome in zip(segments, outcomes, strict=True) if outcome is True
            )
        return outcomes

    def read(self, work: Callable[[Session], T], *, bounded: bool = False) -> T:
        """``work`` on a snapshot."""
        return self._database.run_read(
            lambda c: work(SqlSession(c)), snapshot=True, bounded=bounded
        )

    def write(self, work: Callable[[Session], T]) -> T:
        """``work`` in one transaction, repeated when it lost a race."""
        return self._database.run_write(lambda c: work(SqlSession(c)))

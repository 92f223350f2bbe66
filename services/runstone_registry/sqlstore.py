"""The registry's store on PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from runstone_kit.database import Database
from runstone_registry.sqlstore_read import SqlReadSession
from runstone_registry.sqlstore_write import SqlWriteSession
from runstone_registry.store import ReadSession, WriteSession

T = TypeVar("T")


class SqlRegistryStore:
    """``store.RegistryStore`` on a database that was migrated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, work: Callable[[ReadSession], T]) -> T:
        """``work`` on one consistent state."""
        dialect = self._database.dialect
        return self._database.run_read(
            lambda connection: work(SqlReadSession(connection, dialect)), snapshot=True
        )

    def write(self, work: Callable[[WriteSession], T]) -> T:
        """``work`` as one transaction."""
        dialect = self._database.dialect
        return self._database.run_write(
            lambda connection: work(SqlWriteSession(connection, dialect))
        )

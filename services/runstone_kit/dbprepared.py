"""One statement of PostgreSQL that is prepared once and is a transaction of its own.

It goes straight to libpq: SQLAlchemy and psycopg's cursors take a quarter of a millisecond for each
execution, in which nobody else may run Python.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from runstone_kit.dbengine import is_dead

DIVISION_BY_ZERO = "22012"
NOT_PREPARED = "26000"
"""A pooler gave us another connection to the server than the one that knows the statement."""

_BINARY = 1
_NAME = b"runstone_prepared"


class Prepared:
    """``statement``, with $1, $2 … as parameters, on connections that it keeps. Thread-safe."""

    def __init__(self, engine: Engine, statement: str) -> None:
        self._engine = engine
        self._statement = statement
        self._lock = threading.Lock()
        self._idle: list[Any] = []

    def run(self, values: Sequence[bytes]) -> bool:
        """Execute it with ``values``, in PostgreSQL's binary formats.

        False, and nothing was done, if it divided by zero: so a statement may say that it does not
        apply. Raises DBAPIError.
        """
        connection = self._take()
        try:
            state = self._execute(connection.driver_connection.pgconn, values)
        except BaseException:
            connection.invalidate()
            raise
        if state == NOT_PREPARED:
            connection.invalidate()
            return False
        with self._lock:
            self._idle.append(connection)
        return state != DIVISION_BY_ZERO

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Any:
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if not is_dead(connection.driver_connection):
                return connection
            connection.invalidate()
        try:
            connection = self._engine.raw_connection()
        except sys.modules["psycopg"].Error as error:
            raise DBAPIError(None, None, error, connection_invalidated=True) from error
        try:
            pgconn: Any = connection.driver_connection.pgconn  # type: ignore[union-attr]
            self._checked(pgconn, pgconn.prepare(_NAME, self._statement.encode()))
        except BaseException:
            connection.invalidate()
            raise
        return connection

    def _execute(self, pgconn: Any, values: Sequence[bytes]) -> str | None:
        """None when it was done, else which of the two reasons for which it was not."""
        try:
            result = pgconn.exec_prepared(_NAME, values, [_BINARY] * len(values), _BINARY)
        except MemoryError as error:
            # What psycopg says of no result at all, which is what a dead connection gives.
            raise self._failed(pgconn, error) from error
        return self._checked(pgconn, result)

    def _checked(self, pgconn: Any, result: Any) -> str | None:
        # Imported with the first PostgreSQL engine; a suite on SQLite never pays for psycopg.
        psycopg = sys.modules["psycopg"]
        if result.status in (psycopg.pq.ExecStatus.COMMAND_OK, psycopg.pq.ExecStatus.TUPLES_OK):
            return None
        state = (result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"").decode()
        if state in (DIVISION_BY_ZERO, NOT_PREPARED):
            return state
        raise self._failed(pgconn, psycopg.errors.error_from_result(result))

    def _failed(self, pgconn: Any, error: Exception) -> DBAPIError:
        lost = pgconn.status != sys.modules["psycopg"].pq.ConnStatus.OK
        return DBAPIError(self._statement, None, error, connection_invalidated=lost)

"""One statement of PostgreSQL that is prepared once and is a transaction of its own.

It goes straight to libpq: SQLAlchemy and psycopg's cursors take a quarter of a millisecond for each
execution, in which nobody else may run Python.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from runstone_kit.dbengine import is_dead

DIVISION_BY_ZERO = "22012"
NOT_PREPARED = "26000"
"""A pooler gave us another connection to the server than the one that knows the statement."""

ALREADY_PREPARED = "42P05"
"""It gave us one that does."""

KEPT = 2
"""Idle connections kept: one for whoever writes, one for the next."""

_BINARY = 1


class Prepared:
    """``statement``, with $1, $2 … as parameters, on connections that it keeps. Thread-safe."""

    def __init__(self, engine: Engine, statement: str) -> None:
        self._engine = engine
        self._statement = statement
        digest = hashlib.blake2b(statement.encode(), digest_size=8).hexdigest()
        self._name = f"runstone_{digest}".encode()
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._closings = 0

    def run(self, values: Sequence[bytes]) -> bool:
        """Execute it with ``values``, in PostgreSQL's binary formats.

        False, and nothing was done, if it divided by zero: so a statement may say that it does not
        apply. Raises DBAPIError, IntegrityError.
        """
        closings = self._closings
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
            keep = closings == self._closings and len(self._idle) < KEPT
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
        return state != DIVISION_BY_ZERO

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        with self._lock:
            self._closings += 1
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
            self._checked(pgconn, pgconn.prepare(self._name, self._statement.encode()))
        except BaseException:
            connection.invalidate()
            raise
        return connection

    def _execute(self, pgconn: Any, values: Sequence[bytes]) -> str | None:
        """None when it was done, else why it was not: DIVISION_BY_ZERO or NOT_PREPARED."""
        try:
            result = pgconn.exec_prepared(self._name, values, [_BINARY] * len(values), _BINARY)
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
        if state in (DIVISION_BY_ZERO, NOT_PREPARED, ALREADY_PREPARED):
            return state
        raise self._failed(pgconn, psycopg.errors.error_from_result(result))

    def _failed(self, pgconn: Any, error: Exception) -> DBAPIError:
        lost = pgconn.status != sys.modules["psycopg"].pq.ConnStatus.OK
        broken = isinstance(error, sys.modules["psycopg"].IntegrityError)
        kind = IntegrityError if broken else DBAPIError
        return kind(self._statement, None, error, connection_invalidated=lost)

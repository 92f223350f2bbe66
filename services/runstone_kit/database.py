"""One service's database: connections, transactions, retries, errors as kinds.

    with database.read() as connection: ...                one statement, or several unrelated ones
    with database.read(snapshot=True) as connection: ...   several that must see one state; cursors
    with database.read(snapshot=True, bounded=True) ...    the same, given up at the call's deadline
    with database.write() as connection: ...               one transaction, committed at the end
    result = database.run_write(work)                      the same, repeated on a lost race

Inside the blocks, driver errors leave as kinds (``dberrors``); an IntegrityError leaves as it is,
because only the store knows which constraint it means. Blocks never nest in one thread.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeVar, cast

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from runstone_kit import dbengine
from runstone_kit.context import current
from runstone_kit.dberrors import OVERLOADED, is_disconnect, is_lost_race, short_cause, translate
from runstone_kit.dbprepared import Prepared
from runstone_kit.errors import ResourceExhausted

T = TypeVar("T")

Dialect = Literal["sqlite", "postgresql"]

WRITE_ATTEMPTS = 6
"""A write that lost five races in a row meets a hot row; the caller had better know."""

POOL_TIMEOUT_S = 5.0
"""A call that waits longer for a connection is better refused: its caller is about to give up."""


class Database:
    """Connections to one service's schema (PostgreSQL) or file (SQLite). Thread-safe.

    On SQLite there is one writer connection, handed out to one thread at a time.
    """

    def __init__(self, engines: dbengine.Engines, schema: str, pool_timeout: float) -> None:
        self._engines = engines
        self.schema = schema
        self.dialect: Dialect = engines.dialect
        self._pool_timeout = pool_timeout
        self._writer_lock = threading.Lock() if engines.dialect == "sqlite" else None
        self._held = threading.local()
        self._place = dbengine.place(engines.readers.url)
        self._prepared: list[Prepared] = []

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        schema: str,
        pool_size: int = 10,
        pool_timeout: float = POOL_TIMEOUT_S,
        application_name: str = "runstone",
    ) -> Database:
        """Open ``sqlite:///path/to/file.db`` or ``postgresql://user:password@host/database``.

        Nothing is connected yet. ``schema`` is the schema the tables are declared with; on SQLite
        it is left out of every statement. ``pool_timeout`` is how many seconds a call waits for a
        connection. Raises ValueError for any other kind of URL.
        """
        engines = dbengine.create(
            url,
            schema=schema,
            pool_size=pool_size,
            pool_timeout=pool_timeout,
            application_name=application_name,
        )
        return cls(engines, schema, pool_timeout)

    @property
    def engine(self) -> Engine:
        """The engine that writes, for migrations and for a store's own dialect questions."""
        return self._engines.writers

    def qualified(self, table: str) -> str:
        """A table's name for hand-written SQL: with the schema on PostgreSQL, bare on SQLite."""
        return f"{self.schema}.{table}" if self.dialect == "postgresql" else table

    @contextmanager
    def read(self, *, snapshot: bool = False, bounded: bool = False) -> Iterator[Connection]:
        """A connection for reading, with no transaction unless ``snapshot``.

        A snapshot is one consistent, read-only state for every statement of the block, and allows
        server-side cursors (``yield_per``). ``bounded``, for a snapshot only, stops a statement
        that outlives the deadline of the current call: for those that callers can make slow.
        Raises Unavailable, ResourceExhausted; DeadlineExceeded if bounded.
        """
        if bounded and not snapshot:
            raise ValueError("only a snapshot can be bounded")
        remaining = current().remaining() if bounded else None
        begin = dbengine.begin_snapshot(self.dialect, remaining) if snapshot else None
        with (
            self._not_nested(),
            self._kinds(),
            self._connect(self._engines.readers, begin) as connection,
            dbengine.time_limit(connection, remaining),
        ):
            yield connection

    @contextmanager
    def write(self, *, bounded: bool = False) -> Iterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises.

        ``bounded``: none waits for a lock longer than LOCK_WAIT_S (Unavailable, OVERLOADED).
        PostgreSQL: READ COMMITTED. SQLite: BEGIN IMMEDIATE. Costs two round trips more than its
        statements. If the connection is lost *in* the block or at its commit, Unavailable is
        raised and the caller must assume that either may have happened.

        Raises Unavailable, ResourceExhausted (``LostRace``, which ``run_write`` repeats, is one).
        """
        with (
            self._not_nested(),
            self._kinds(),
            self._turn_to_write(),
            self._connect(
                self._engines.writers, dbengine.begin_write(self.dialect, bounded=bounded)
            ) as connection,
        ):
            yield connection
            connection.commit()

    def run_read(
        self, work: Callable[[Connection], T], *, snapshot: bool = False, bounded: bool = False
    ) -> T:
        """``work(connection)`` in ``read()``, repeated once if the connection was lost."""
        return self._repeat_lost_connection(
            lambda: self.read(snapshot=snapshot, bounded=bounded), work
        )

    def run_write(
        self,
        work: Callable[[Connection], T],
        *,
        attempts: int = WRITE_ATTEMPTS,
        bounded: bool = False,
    ) -> T:
        """``work(connection)`` in ``write()``, repeated after a deadlock or a failed serialization.

        ``work`` MUST have no effect outside the transaction. A lost connection is not repeated:
        it may have committed. Raises ``LostRace`` when every attempt lost.
        """
        for attempt in range(1, attempts + 1):
            try:
                with self.write(bounded=bounded) as connection:
                    return work(connection)
            except Exception as error:
                if attempt == attempts or not is_lost_race(error):
                    raise
            # Full jitter: two writers that met once must not meet again in step.
            time.sleep(random.uniform(0, 0.005 * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable: the last attempt returns or raises")

    def prepared(self, statement: str) -> Prepared:
        """A statement that is a transaction of its own, for PostgreSQL; see ``run_prepared``."""
        if self._engines.single is None:
            raise RuntimeError("prepared statements are for PostgreSQL")
        made = Prepared(self._engines.single, statement)
        self._prepared.append(made)
        return made

    def run_prepared(self, prepared: Prepared, values: Sequence[bytes]) -> bool:
        """``Prepared.run``. Waits for a lock at most ``dbengine.LOCK_WAIT_S``.

        Raises as ``write``; ``LostRace`` is not repeated.
        """
        with self._not_nested(), self._kinds():
            return prepared.run(values)

    def ping(self) -> None:
        """Ask the database for anything at all. Raises Unavailable or ResourceExhausted."""
        self.run_read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    def dispose(self) -> None:
        """Close every idle connection; those in use are closed when they come back."""
        for prepared in self._prepared:
            prepared.close()
        self._engines.readers.dispose()
        self._engines.writers.dispose()
        if self._engines.single is not None:
            self._engines.single.dispose()

    def _repeat_lost_connection(
        self,
        opened: Callable[[], AbstractContextManager[Connection]],
        work: Callable[[Connection], T],
    ) -> T:
        try:
            with opened() as connection:
                return work(connection)
        except Exception as error:
            if not is_disconnect(error):
                raise
        with opened() as connection:
            return work(connection)

    @contextmanager
    def _connect(self, engine: Engine, begin: str | None) -> Iterator[Connection]:
        connection = self._begin(engine, begin)
        try:
            yield connection
        finally:
            connection.close()

    def _begin(self, engine: Engine, begin: str | None) -> Connection:
        try:
            return self._begin_once(engine, begin)
        except DBAPIError as error:
            # Nothing was sent yet but BEGIN, and SQLAlchemy has emptied the pool by now.
            if not error.connection_invalidated:
                raise
        return self._begin_once(engine, begin)

    @staticmethod
    def _begin_once(engine: Engine, begin: str | None) -> Connection:
        connection = engine.connect()
        try:
            if begin is not None:
                connection.exec_driver_sql(begin)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        if self._writer_lock is None:
            yield
            return
        if not self._writer_lock.acquire(timeout=self._pool_timeout):
            raise _busy()
        try:
            yield
        finally:
            self._writer_lock.release()

    @contextmanager
    def _not_nested(self) -> Iterator[None]:
        # A thread that holds one connection and waits for a second deadlocks a full pool.
        if getattr(self._held, "now", False):
            raise RuntimeError("database blocks must not nest in one thread")
        self._held.now = True
        try:
            yield
        finally:
            self._held.now = False

    @contextmanager
    def _kinds(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            kind = translate(error)
            if kind is None:
                raise
            kind.private = f"{self._place}: {short_cause(error)}"
            raise kind from error
        except PoolTimeout as error:
            raise _busy() from error


def driver_connection(connection: Connection) -> Any:
    """The psycopg or sqlite3 connection beneath, for COPY and array binds in a store."""
    return cast("Any", connection.connection.driver_connection)


def _busy() -> ResourceExhausted:
    return ResourceExhausted(
        "every database connection is in use; try again",
        reason=OVERLOADED,
        retry_after=1.0,
    )

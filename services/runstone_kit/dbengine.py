"""SQLAlchemy engines as every Runstone service needs them, for PostgreSQL and SQLite.

Both drivers run in autocommit mode and ``Database`` opens a transaction by an explicit statement
from ``BEGIN``: a read then needs no transaction at all (one round trip), and a stale connection
shows itself at the BEGIN of a write, before anything was sent. (An event listener on the engine
would do the same for 30 us more per connection.)
"""

from __future__ import annotations

import math
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError

POSTGRESQL_PORT = 5432

CONNECT_TIMEOUT_S = 5
"""Longer than a busy server needs to accept, shorter than a caller waits."""

BINARY_OPTION = "runstone_binary"
"""Execution option: rows come in binary, and numbers then in a third of the time; no effect on
SQLite, whose rows are binary anyway."""

BUSY_TIMEOUT_MS = 5_000
"""SQLite's wait for another process (a backup, a shell): ours never compete for the lock."""

CACHE_KIB = 8_192
"""Page cache of one SQLite connection; eleven connections stay under the idle memory promise."""

BEGIN_WRITE = {
    "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED",
    "sqlite": "BEGIN IMMEDIATE",
}
BEGIN_SNAPSHOT = {
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "sqlite": "BEGIN",
}


LOCK_WAIT_S = 1
"""For those whom others wait for: only a purge holds a row for long."""

PROGRESS_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock: well under a millisecond."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The pool that reads and the pool that writes; on PostgreSQL they are the same one.

    ``single`` makes PostgreSQL's connections of those who write by single statements: they wait for
    a lock for LOCK_WAIT_S at most, and their plans are kept.
    """

    dialect: Literal["sqlite", "postgresql"]
    readers: Engine
    writers: Engine
    single: Engine | None = None


def create(
    url: str, *, schema: str, pool_size: int, pool_timeout: float, application_name: str
) -> Engines:
    """Engines for ``url``; raises ValueError (without the URL: it may hold a password)."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError("the database URL cannot be read") from error
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        engine = _postgresql(
            parsed,
            application_name,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_timeout,
            pool_use_lifo=True,
        )
        # Its connections are kept by those who prepared something on them.
        single = _postgresql(parsed, application_name, poolclass=NullPool)
        event.listen(single, "connect", _set_single_options)
        return Engines("postgresql", engine, engine, single)
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("a SQLite database must be a file: its connections share no memory")
        translated = {"schema_translate_map": {schema: None}}
        readers = _sqlite(parsed, pool_size, pool_timeout)
        writers = _sqlite(parsed, 1, pool_timeout)
        return Engines(
            "sqlite",
            readers.execution_options(**translated),
            writers.execution_options(**translated),
        )
    raise ValueError(
        f"no such database: {backend!r}; use postgresql://user:password@host:5432/database"
        " or sqlite:////absolute/file"
    )


def place(url: URL) -> str:
    """Which database a URL names, as ``host:port/database`` or a file: never a password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    named = url.query.get("host", "")
    host = url.host or (named if isinstance(named, str) else ",".join(named)) or "localhost"
    return f"{host}:{url.port or POSTGRESQL_PORT}/{url.database or ''}"


def begin_snapshot(dialect: Literal["sqlite", "postgresql"], seconds: float | None) -> str:
    """What opens a snapshot; on PostgreSQL with its time limit, which is no round trip more."""
    begin = BEGIN_SNAPSHOT[dialect]
    if seconds is None or dialect != "postgresql":
        return begin
    # Rounded up: whoever is stopped must find the deadline passed. Zero would mean no limit.
    return f"{begin}; SET LOCAL statement_timeout = {max(1, math.ceil(seconds * 1000))}"


def begin_write(dialect: Literal["sqlite", "postgresql"], *, bounded: bool) -> str:
    """What opens a writing transaction; ``bounded``: that waits for a lock for LOCK_WAIT_S."""
    begin = BEGIN_WRITE[dialect]
    if not bounded or dialect != "postgresql":
        return begin
    return f"{begin}; SET LOCAL lock_timeout = {LOCK_WAIT_S * 1000}"


@contextmanager
def time_limit(connection: Connection, seconds: float | None) -> Iterator[None]:
    """Stop SQLite's statements that take longer; PostgreSQL was told by ``begin_snapshot``."""
    if seconds is None or connection.dialect.name != "sqlite":
        yield
        return
    until = time.monotonic() + seconds
    driver = cast("Any", connection.connection.driver_connection)
    driver.set_progress_handler(lambda: time.monotonic() > until, PROGRESS_STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


def _postgresql(url: URL, application_name: str, **pool: Any) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        **pool,
        connect_args={
            "autocommit": True,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": application_name,
            # A dead host is noticed within about a minute instead of two hours.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        },
    )
    event.listen(engine, "connect", _set_options)
    event.listen(engine, "checkout", _refuse_dead_connection)
    event.listen(engine, "before_cursor_execute", _ask_for_binary)
    return engine


def _sqlite(url: URL, pool_size: int, pool_timeout: float) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        pool_use_lifo=True,
        connect_args={
            "check_same_thread": False,
            "isolation_level": None,
            "timeout": BUSY_TIMEOUT_MS / 1000,
        },
    )
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_options(connection: Any, _record: Any) -> None:
    # Compiling a search of 20,000 runs took 38 ms of its 130: none of our queries runs for long.
    connection.execute("SET jit = off")


def _set_single_options(connection: Any, _record: Any) -> None:
    # A statement with arrays is planned anew for every execution, which is a fifth of its time.
    connection.execute(
        f"SET plan_cache_mode = force_generic_plan; SET lock_timeout = {LOCK_WAIT_S * 1000}"
    )


def _ask_for_binary(
    _connection: Connection, cursor: Any, _sql: str, _values: Any, context: Any, _many: bool
) -> None:
    if context is not None and context.execution_options.get(BINARY_OPTION):
        # Imported with the first PostgreSQL engine; a suite on SQLite never pays for psycopg.
        cursor.format = sys.modules["psycopg"].pq.Format.BINARY


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    try:
        # The timeout first: switching to WAL takes a lock of its own.
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA temp_store = MEMORY")
        cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    finally:
        cursor.close()


def is_dead(connection: Any) -> bool:
    """Whether an idle connection to PostgreSQL was closed, or has something to say.

    The server speaks first only to say goodbye, so a readable idle socket is one that died. This
    costs a microsecond; a ping costs a round trip.
    """
    if connection.closed:
        return True
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    if not poller.poll(0):
        return False
    try:
        connection.pgconn.consume_input()
    except Exception:
        return True
    return bool(connection.closed or poller.poll(0))


def _refuse_dead_connection(connection: Any, _record: Any, _proxy: Any) -> None:
    # A restart killed its neighbours too.
    if is_dead(connection):
        raise InvalidatePoolError("the connection died while idle")

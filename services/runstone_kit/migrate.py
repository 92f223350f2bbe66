"""Schema migrations: run by one process at a time, in one transaction, and asked for at start.

A service's ``migrations/env.py`` is ``from runstone_kit.migrate import run_migrations`` and a call
of it; its revisions declare the schema (``op.create_table(..., schema="runstone_tracking")``), on
SQLite too, where the schema is left out of the statement.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from sqlalchemy import Connection, text

from runstone_kit.database import Database
from runstone_kit.errors import FailedPrecondition, Unavailable

SCHEMA_OUTDATED = "SCHEMA_OUTDATED"

LOCK_TIMEOUT_S = 300.0
"""Longer than a migration of ours takes: replicas that start together wait for the first."""

LOCK_POLL_S = 0.2
"""Polled, not waited for: a waiting statement would hold back CREATE INDEX CONCURRENTLY."""

VERSION_TABLE = "schema_version"

_alembic = threading.Lock()
"""Alembic keeps what it works on in a global of its module."""


def upgrade(database: Database, script_location: Path | str, revision: str = "head") -> None:
    """Bring the schema to ``revision``; nothing happens if it is there. Safe in many processes.

    Everything is done or nothing. Raises Unavailable when another process is still migrating
    after LOCK_TIMEOUT_S, or the database is away.
    """
    config = _config(database, script_location)
    with _alembic, _alone(database), database.write() as connection:
        if database.dialect == "postgresql":
            _create_schema(connection, database.schema)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def current(database: Database) -> str | None:
    """The revision the database is at; None when it was never migrated."""
    with database.read() as connection:
        return MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "version_table_schema": _version_schema(database),
            },
        ).get_current_revision()


def require(database: Database, script_location: Path | str, minimum: str = "head") -> None:
    """Raise FailedPrecondition (SCHEMA_OUTDATED) when the schema is older than ``minimum``.

    A revision that this code does not know is newer, and migrations are safe before their code,
    so it is accepted: a release can be rolled back without its schema.
    """
    found = current(database)
    scripts = ScriptDirectory.from_config(_config(database, script_location))
    needed = scripts.get_current_head() if minimum == "head" else minimum
    if found == needed:
        return
    if found is not None:
        try:
            past = {script.revision for script in scripts.iterate_revisions(found, "base")}
        except RevisionError:
            return
        if needed in past:
            return
    state = f"at revision {found}" if found else "empty"
    raise FailedPrecondition(
        f"the schema {database.schema} is {state} and must be at {needed}: "
        "run `runstone db upgrade`",
        reason=SCHEMA_OUTDATED,
        metadata={"schema": database.schema, "found": found or "", "needed": needed or ""},
    )


def run_migrations() -> None:
    """What a service's ``env.py`` calls: run the revisions on the connection ``upgrade`` opened."""
    attributes = context.config.attributes
    database: Database = attributes["database"]
    context.configure(
        connection=attributes["connection"],
        version_table=VERSION_TABLE,
        version_table_schema=_version_schema(database),
        # SQLite's DDL is transactional too; Alembic assumes otherwise.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _config(database: Database, script_location: Path | str) -> Config:
    config = Config()
    # Alembic reads the location through configparser, to which a percent sign is special.
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["database"] = database
    return config


def _version_schema(database: Database) -> str | None:
    return database.schema if database.dialect == "postgresql" else None


def _create_schema(connection: Connection, schema: str) -> None:
    # IF NOT EXISTS asks for the right to create even when there is nothing to create.
    exists = connection.execute(
        text("SELECT 1 FROM pg_namespace WHERE nspname = :schema"), {"schema": schema}
    ).first()
    if exists is None:
        quoted = connection.dialect.identifier_preparer.quote(schema)
        connection.exec_driver_sql(f"CREATE SCHEMA {quoted}")


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Hold PostgreSQL's advisory lock; on SQLite BEGIN IMMEDIATE is the lock."""
    if database.dialect == "sqlite":
        yield
        return
    key = {"key": zlib.crc32(f"runstone/migrate/{database.schema}".encode())}
    # Engine connections are in autocommit: the lock belongs to the session, not to a transaction.
    with database.engine.connect() as connection:
        until = time.monotonic() + LOCK_TIMEOUT_S
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar():
            if time.monotonic() > until:
                raise Unavailable(
                    f"another process is still migrating {database.schema}",
                    reason="DATABASE_UNAVAILABLE",
                )
            time.sleep(LOCK_POLL_S)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)

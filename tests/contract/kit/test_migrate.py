"""Migrations on SQLite and PostgreSQL: once, all or nothing, and asked for at start."""

import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from runstone_kit import migrate
from runstone_kit.database import Database
from runstone_kit.errors import FailedPrecondition

SCHEMA = "runstone_probe"

REVISION = """
import time
from alembic import op
import sqlalchemy as sa

revision = "{revision}"
down_revision = {down!r}


def upgrade():
    op.create_table("table_{revision}", sa.Column("id", sa.Integer, primary_key=True),
                    schema="runstone_probe")
    op.create_index("index_{revision}", "table_{revision}", ["id"], schema="runstone_probe")
    {extra}
"""


def add_revision(folder: Path, revision: str, down: str | None, extra: str = "pass") -> None:
    (folder / "versions" / f"{revision}.py").write_text(
        REVISION.format(revision=revision, down=down, extra=extra)
    )


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    # A percent sign in the path once broke configparser.
    folder = tmp_path / "100% mine"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(
        textwrap.dedent(
            """
            from runstone_kit.migrate import run_migrations
            run_migrations()
            """
        )
    )
    add_revision(folder, "0001", None)
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'probe.db'}"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_url"))
    made = Database.from_url(url, schema=SCHEMA)
    yield made
    made.dispose()


def has_table(database: Database, name: str) -> bool:
    with database.read() as connection:
        schema = SCHEMA if database.dialect == "postgresql" else None
        return database.engine.dialect.has_table(connection, name, schema)


def test_upgrade_brings_an_empty_database_to_head_and_does_nothing_twice(
    database: Database, scripts: Path
) -> None:
    assert migrate.current(database) is None
    with pytest.raises(FailedPrecondition, match="runstone db upgrade") as caught:
        migrate.require(database, scripts)
    assert caught.value.reason == "SCHEMA_OUTDATED"
    migrate.upgrade(database, scripts)
    migrate.upgrade(database, scripts)
    assert migrate.current(database) == "0001"
    assert has_table(database, "table_0001")
    migrate.require(database, scripts)


def test_a_failed_migration_leaves_nothing(database: Database, scripts: Path) -> None:
    migrate.upgrade(database, scripts)
    add_revision(scripts, "0002", "0001", "raise RuntimeError('halfway')")
    with pytest.raises(RuntimeError, match="halfway"):
        migrate.upgrade(database, scripts)
    assert migrate.current(database) == "0001"
    assert not has_table(database, "table_0002")


def test_replicas_that_start_together_migrate_once(database: Database, scripts: Path) -> None:
    add_revision(scripts, "0002", "0001", "time.sleep(0.2)")
    databases = [
        Database.from_url(database.engine.url.render_as_string(hide_password=False), schema=SCHEMA)
        for _ in range(3)
    ]
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda each: migrate.upgrade(each, scripts), databases))
    finally:
        for each in databases:
            each.dispose()
    assert migrate.current(database) == "0002"


def test_a_service_runs_on_an_older_schema_that_suffices_and_on_a_newer_one(
    database: Database, scripts: Path
) -> None:
    migrate.upgrade(database, scripts)
    add_revision(scripts, "0002", "0001")
    migrate.require(database, scripts, minimum="0001")
    with pytest.raises(FailedPrecondition, match="at revision 0001"):
        migrate.require(database, scripts)
    migrate.upgrade(database, scripts)
    migrate.require(database, scripts, minimum="0001")
    table = "schema_version" if database.dialect == "sqlite" else f"{SCHEMA}.schema_version"
    with database.write() as connection:
        connection.execute(text(f"UPDATE {table} SET version_num = '0003'"))
    migrate.require(database, scripts)

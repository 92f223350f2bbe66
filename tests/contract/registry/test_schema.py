"""The migrations make the tables that the code declares."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from runstone_registry.tables import metadata
from support.registry import Registry


def differences(connection: Connection, schema: str | None) -> list[Any]:
    def ours(_name: str | None, kind: str, names: Any) -> bool:
        return kind != "schema" or _name == schema

    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": False,
            "include_schemas": schema is not None,
            "include_name": ours,
            "version_table": "schema_version",
            "version_table_schema": schema,
        },
    )
    return list(compare_metadata(context, metadata))


def test_migrations_make_the_declared_tables(registry: Registry) -> None:
    if registry.database.dialect == "postgresql":
        with registry.database.read() as connection:
            assert differences(connection, "runstone_registry") == []
        return
    # SQLite has no schemas, so the comparison goes by columns.
    with registry.database.read() as connection:
        for table in metadata.sorted_tables:
            rows = connection.exec_driver_sql(f"PRAGMA table_info({table.name})").all()
            assert [row[1] for row in rows] == [column.name for column in table.columns], table.name
            indexes = connection.exec_driver_sql(f"PRAGMA index_list({table.name})").all()
            made = {row[1] for row in indexes if not row[1].startswith("sqlite_autoindex")}
            assert made == {index.name for index in table.indexes}, table.name

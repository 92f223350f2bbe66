"""Pieces of statements that several stores share, for both databases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Insert,
    Select,
    Table,
    Text,
    bindparam,
    column,
    delete,
    func,
    literal,
    select,
)
from sqlalchemy import any_ as sql_any
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import UserDefinedType

from runstone_kit.dbengine import BINARY_OPTION

INT64_MAX = 2**63 - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")

_NUMBERS = postgresql.ARRAY(BigInteger)


def array_literal(texts: Sequence[str]) -> str:
    """Texts as PostgreSQL writes an array of them.

    psycopg looks at every item to see whether it needs quotes: 10,000 ids took it 40 ms.

    >>> array_literal(["a", 'b"c'])
    '{"a","b\\\\"c"}'
    """
    if not texts:
        return "{}"
    written = '","'.join(texts)
    if "\\" in written or written.count('"') != 2 * (len(texts) - 1):
        written = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in texts])
    return f'{{"{written}"}}'


class TextArray(UserDefinedType[Sequence[str]]):
    """A parameter of PostgreSQL's: an array of texts."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_options: Any) -> str:
        return "TEXT[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        return array_literal


_TEXTS = TextArray()


def experiment_number(experiment_id: str) -> int | None:
    """The key of an experiment; None for a text that no experiment can have as its id."""
    if _DECIMAL.fullmatch(experiment_id) is None:
        return None
    number = int(experiment_id)
    return number if number <= INT64_MAX else None


def is_postgresql(connection: Connection) -> bool:
    """Whether the connection speaks to PostgreSQL; else it is SQLite."""
    return connection.dialect.name == "postgresql"


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT."""
    return postgresql.insert(table) if is_postgresql(connection) else sqlite.insert(table)


def inserted(
    connection: Connection, insert: Insert, rows: list[dict[str, Any]] | None = None
) -> int:
    """Execute an INSERT and return how many rows it wrote."""
    # SQLAlchemy keeps the count of an UPDATE and a DELETE by itself, that of an INSERT if asked.
    return connection.execute(insert, rows, execution_options={"preserve_rowcount": True}).rowcount


def among(
    connection: Connection, column_: ColumnElement[Any], values: Iterable[Any]
) -> ColumnElement[bool]:
    """``column_ IN values``; one array on PostgreSQL, whose plan does not depend on the count."""
    found = list(values)
    if not is_postgresql(connection):
        return column_.in_(found)
    kind = _NUMBERS if found and isinstance(found[0], int) else _TEXTS
    return column_ == sql_any(bindparam(None, found, type_=kind))


class Belonging:
    """Reads the rows that belong to some owners: one statement, made once.

    A page of runs has thousands of them, so they come as the driver gives them, in half the time
    of SQLAlchemy's rows; ``columns`` must need no conversion after the driver's own.
    """

    def __init__(self, owner: ColumnElement[Any], statement: Select[Any]) -> None:
        kind = _TEXTS if isinstance(owner.type, Text) else postgresql.ARRAY(owner.type)
        array = bindparam("owners", type_=kind)
        self._postgresql = statement.where(owner == sql_any(array))
        self._sqlite = statement.where(owner.in_(bindparam("owners", expanding=True)))

    def read(
        self, connection: Connection, owners: Sequence[str] | Sequence[int]
    ) -> Sequence[Sequence[Any]]:
        """The rows, in no order but the statement's."""
        statement = self._postgresql if is_postgresql(connection) else self._sqlite
        result = connection.execute(
            statement, {"owners": list(owners)}, execution_options={BINARY_OPTION: True}
        )
        rows: Sequence[Sequence[Any]] = result.cursor.fetchall() if result.cursor else ()
        result.close()
        return rows


def put_key_values(
    connection: Connection,
    table: Table,
    owner: str,
    owner_id: str | int,
    items: Mapping[str, str],
    *,
    replace: bool,
) -> int:
    """Add rows (owner, key, value), in the order of their keys; returns how many were new.

    Where a key is there already, its value is replaced, or without ``replace`` left alone. The
    count means nothing with ``replace``.
    """
    if not items:
        return 0
    keys = sorted(items)
    insert = insert_into(connection, table)
    rows: list[dict[str, Any]] | None = None
    if is_postgresql(connection):
        values = [items[key] for key in keys]
        pairs = (
            func.unnest(bindparam(None, keys, type_=_TEXTS), bindparam(None, values, type_=_TEXTS))
            .table_valued(column("key", Text), column("value", Text))
            .render_derived()
        )
        source = select(literal(owner_id, table.c[owner].type), pairs.c.key, pairs.c.value)
        insert = insert.from_select([owner, "key", "value"], source)
    else:
        rows = [{owner: owner_id, "key": key, "value": items[key]} for key in keys]
    if replace:
        insert = insert.on_conflict_do_update(
            index_elements=[owner, "key"], set_={"value": insert.excluded.value}
        )
    else:
        insert = insert.on_conflict_do_nothing(index_elements=[owner, "key"])
    return inserted(connection, insert, rows)


def drop_keys(
    connection: Connection, table: Table, owner: str, owner_id: str | int, keys: Sequence[str]
) -> list[str]:
    """Delete rows (owner, key); returns the keys that were not there."""
    statement = (
        delete(table)
        .where(table.c[owner] == owner_id, among(connection, table.c.key, keys))
        .returning(table.c.key)
    )
    dropped = set(connection.execute(statement).scalars())
    return [key for key in keys if key not in dropped]

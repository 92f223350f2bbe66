"""Spans and what traces hold under keys, written many at once: each in the form that is fastest
on its database."""

# ruff: noqa: S608 - statements are made of names of ours only
from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite

from runstone_kit.sqltext import TextBytes
from runstone_tracking.errors import TraceTooLarge
from runstone_tracking.model import ENTRY_BYTES
from runstone_tracking.model_traces import Entries, NewSpan
from runstone_tracking.segment_planes import compress, decompress
from runstone_tracking.sqlstore_metrics_arrays import ByteaArray, Int8Array, TextArray, teach
from runstone_tracking.sqlstore_statements import Belonging, among, insert_into, is_postgresql
from runstone_tracking.tables import SCHEMA
from runstone_tracking.tables_traces import spans

MAX_ENTRIES_BYTES = 4 * 1024 * 1024
"""Tags of a trace, and metadata: with 48 MiB of spans they fit into a message of 64."""

_TEXTS = ("trace_id", "span_id", "parent_id", "name", "type", "status")
_NUMBERS = ("start_ns", "end_ns", "size")
_COLUMNS = (*_TEXTS, *_NUMBERS, "content")
_REPLACE = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[2:])
_CONFLICT = f"ON CONFLICT (trace_id, span_id) DO UPDATE SET {_REPLACE}"
_NAMES = ", ".join(_COLUMNS)

_PUT_ARRAYS = (
    f"INSERT INTO {SCHEMA}.spans ({_NAMES}) SELECT * FROM unnest("
    + ", ".join(["%b::text[]"] * len(_TEXTS) + ["%b::int8[]"] * len(_NUMBERS) + ["%b::bytea[]"])
    + f") {_CONFLICT}"
)
_PUT_ROW = f"INSERT INTO spans ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))}) {_CONFLICT}"

_SIZES_OF_ARRAYS = f"""
SELECT s.trace_id, s.span_id, s.size
FROM unnest(%b::text[], %b::text[]) AS n (trace_id, span_id)
JOIN {SCHEMA}.spans s ON s.trace_id = n.trace_id AND s.span_id = n.span_id
"""
# CROSS keeps the order: the ids first, then a look for each.
_SIZES_OF_JSON = """
SELECT s.trace_id, s.span_id, s.size
FROM json_each(?) n
CROSS JOIN spans s ON s.trace_id = n.value ->> 0 AND s.span_id = n.value ->> 1
"""

_CONTENTS = Belonging(
    spans.c.trace_id,
    select(spans.c.trace_id, spans.c.size, spans.c.content).order_by(
        spans.c.trace_id, spans.c.parent_id != "", spans.c.start_ns, spans.c.span_id
    ),
)


def put_spans(connection: Connection, new: Sequence[NewSpan]) -> None:
    """Upsert them, in the order of their ids."""
    ordered = sorted(new, key=lambda span: (span.trace_id, span.span_id))
    rows = [
        (
            *(span.trace_id, span.span_id, span.parent_id, span.name, span.type, span.status),
            *(span.start_ns, span.end_ns, len(span.content), _packed(span.content)),
        )
        for span in ordered
    ]
    if not rows:
        return
    if not is_postgresql(connection):
        connection.exec_driver_sql(_PUT_ROW, rows)
        return
    teach(connection)
    columns: list[Any] = list(zip(*rows, strict=True))
    split = len(_TEXTS)
    arrays = (
        *map(TextArray.of, columns[:split]),
        *map(Int8Array.of, columns[split:-1]),
        ByteaArray.of(columns[-1]),
    )
    connection.exec_driver_sql(_PUT_ARRAYS, arrays)


def read_sizes(connection: Connection, asked: Iterable[NewSpan]) -> Mapping[tuple[str, str], int]:
    """Bytes of those that are stored, by trace and span."""
    ids = sorted({(span.trace_id, span.span_id) for span in asked})
    if is_postgresql(connection):
        teach(connection)
        arrays = tuple(TextArray.of(each[place] for each in ids) for place in (0, 1))
        rows = connection.exec_driver_sql(_SIZES_OF_ARRAYS, arrays)
    else:
        rows = connection.exec_driver_sql(_SIZES_OF_JSON, (json.dumps(ids),))
    return {(trace_id, span_id): size for trace_id, span_id, size in rows}


def read_spans(connection: Connection, trace_ids: Sequence[str]) -> dict[str, list[bytes]]:
    """The messages of all spans of traces: roots first, then by start."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for trace_id, size, content in _CONTENTS.read(connection, trace_ids):
        found[trace_id].append(_unpacked(bytes(content), size))
    return found


def of_rows(
    connection: Connection,
    insert: postgresql.Insert | sqlite.Insert,
    rows: Sequence[Mapping[str, Any]],
) -> tuple[postgresql.Insert | sqlite.Insert, list[dict[str, Any]] | None]:
    """The INSERT of these rows, and its parameters: one array a column on PostgreSQL.

    A value of its own for each takes psycopg as long as all the rest.
    """
    if not is_postgresql(connection):
        return insert, [dict(row) for row in rows]
    names = list(rows[0])
    types = [insert.table.c[name].type for name in names]
    arrays = [
        bindparam(None, [row[name] for row in rows], type_=postgresql.ARRAY(type_))
        for name, type_ in zip(names, types, strict=True)
    ]
    values = (
        func.unnest(*arrays).table_valued(*map(column, names, types)).render_derived(name="given")
    )
    return insert.from_select(names, select(*(values.c[name] for name in names))), None


def put_entries(connection: Connection, table: Table, items: Entries, *, replace: bool) -> None:
    """Add rows (trace, key, value) in the order of their keys; see ``put_key_values``.

    Raises TraceTooLarge when a trace has more than MAX_ENTRIES_BYTES of them then.
    """
    rows = [
        {"trace_id": trace_id, "key": key, "value": items[trace_id][key]}
        for trace_id in sorted(items)
        for key in sorted(items[trace_id])
    ]
    if not rows:
        return
    insert, parameters = of_rows(connection, insert_into(connection, table), rows)
    if replace:
        insert = insert.on_conflict_do_update(
            index_elements=["trace_id", "key"], set_={"value": insert.excluded.value}
        )
    else:
        insert = insert.on_conflict_do_nothing(index_elements=["trace_id", "key"])
    connection.execute(insert, parameters)
    size = func.sum(TextBytes(table.c.key) + TextBytes(table.c.value) + ENTRY_BYTES)
    over = connection.execute(
        select(table.c.trace_id, size)
        .where(among(connection, table.c.trace_id, sorted(items)))
        .group_by(table.c.trace_id)
        .having(size > MAX_ENTRIES_BYTES)
    ).first()
    if over is not None:
        what = "bytes of tags" if table.name == "trace_tags" else "bytes of metadata"
        raise TraceTooLarge(over[0], what, int(over[1]), MAX_ENTRIES_BYTES)


def _packed(content: bytes) -> bytes:
    frame = compress(content)
    return frame if len(frame) < len(content) else content


def _unpacked(stored: bytes, size: int) -> bytes:
    return stored if len(stored) == size else decompress(stored, size)

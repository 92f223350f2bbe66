"""The statements on rows of two-part keys, each in the form that is fastest on its database."""

# ruff: noqa: S608 - statements are made of names of ours only

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, TextClause, text

from runstone_kit.dbengine import BINARY_OPTION
from runstone_tracking.model_chunks import NewChunk

Pairs = Sequence[tuple[str, int]]
"""Writer and sequence of segments, or name and number of chunks, of one run."""

_WAITING = """
    WITH RECURSIVE found(run_id) AS (
        SELECT min(run_id) FROM {segments} WHERE run_id > :after
        UNION ALL
        SELECT (SELECT min(s.run_id) FROM {segments} s WHERE s.run_id > found.run_id)
        FROM found WHERE found.run_id IS NOT NULL
    )
    SELECT run_id FROM found WHERE run_id IS NOT NULL LIMIT :limit
"""
"""From one run's segments to the next run's by the index: what it costs grows with the runs, not
with the segments."""


COLUMNS = (
    *("name", "number", "count", "first_step", "first_timestamp_ms", "first_bits"),
    *("last_step", "last_timestamp_ms", "last_bits", "min_timestamp_ms", "max_timestamp_ms"),
    *("points", "level0", "level1", "level2"),
)
"""Of a chunk, beside its run: a name, numbers and blobs."""

BLOBS = 4
NUMBERS = len(COLUMNS) - 1 - BLOBS


class ChunkStatements(Protocol):
    """What SqlChunkStore asks of a database."""

    runs_waiting: TextClause

    def read_segments(
        self, connection: Connection, run_id: str, pairs: Pairs
    ) -> Sequence[Sequence[Any]]:
        """Writer, sequence, header and payload in the order given; those that are there."""
        ...

    def read_chunks(
        self, connection: Connection, run_id: str, pairs: Pairs, column: str
    ) -> list[Any]:
        """A blob of those that are there, in the order given."""
        ...

    def insert_chunks(self, connection: Connection, run_id: str, new: Sequence[NewChunk]) -> int:
        """How many had a number that was free."""
        ...

    def delete_segments(self, connection: Connection, run_id: str, pairs: Pairs) -> int:
        """How many were there."""
        ...

    def delete_chunks(self, connection: Connection, run_id: str, pairs: Pairs) -> int:
        """How many were there."""
        ...


def statements(connection: Connection) -> ChunkStatements:
    """The statements for the connection's database."""
    return _POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE


class _PostgreSQL:
    runs_waiting = text(_WAITING.format(segments="runstone_tracking.metric_segments"))

    _segments = """
        SELECT s.writer_id, s.sequence, s.header, s.payload
        FROM unnest(%b::text[], %b::int8[]) WITH ORDINALITY AS n (writer_id, sequence, place)
        JOIN runstone_tracking.metric_segments s
            ON s.run_id = %b AND s.writer_id = n.writer_id AND s.sequence = n.sequence
        ORDER BY n.place
    """

    _chunks = """
        SELECT c.{column}
        FROM unnest(%b::text[], %b::int8[]) WITH ORDINALITY AS n (name, number, place)
        JOIN runstone_tracking.metric_chunks c
            ON c.run_id = %b AND c.name = n.name AND c.number = n.number
        ORDER BY n.place
    """

    _delete_segments = """
        DELETE FROM runstone_tracking.metric_segments s
        USING unnest(%b::text[], %b::int8[]) AS n (writer_id, sequence)
        WHERE s.run_id = %b AND s.writer_id = n.writer_id AND s.sequence = n.sequence
    """

    _delete_chunks = """
        DELETE FROM runstone_tracking.metric_chunks c
        USING unnest(%b::text[], %b::int8[]) AS n (name, number)
        WHERE c.run_id = %b AND c.name = n.name AND c.number = n.number
    """

    _insert = f"""
        INSERT INTO runstone_tracking.metric_chunks (run_id, {", ".join(COLUMNS)})
        SELECT %b, n.* FROM unnest(
            %b::text[], {"%b::int8[], " * NUMBERS} {", ".join(["%b::bytea[]"] * BLOBS)}
        ) AS n
        ON CONFLICT DO NOTHING
    """

    def read_segments(
        self, connection: Connection, run_id: str, pairs: Pairs
    ) -> Sequence[Sequence[Any]]:
        return self._run(connection, self._segments, run_id, pairs).fetchall()  # type: ignore[no-any-return]

    def read_chunks(
        self, connection: Connection, run_id: str, pairs: Pairs, column: str
    ) -> list[Any]:
        statement = self._chunks.replace("{column}", column)
        return [row[0] for row in self._run(connection, statement, run_id, pairs).fetchall()]

    def insert_chunks(self, connection: Connection, run_id: str, new: Sequence[NewChunk]) -> int:
        if not new:
            return 0
        columns = [list(column) for column in zip(*map(_row, new), strict=True)]
        return int(connection.exec_driver_sql(self._insert, (run_id, *columns)).rowcount)

    def delete_segments(self, connection: Connection, run_id: str, pairs: Pairs) -> int:
        return int(self._run(connection, self._delete_segments, run_id, pairs).rowcount)

    def delete_chunks(self, connection: Connection, run_id: str, pairs: Pairs) -> int:
        return int(self._run(connection, self._delete_chunks, run_id, pairs).rowcount)

    @staticmethod
    def _run(connection: Connection, statement: str, run_id: str, pairs: Pairs) -> Any:
        names, numbers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        # As text a blob travels in hexadecimal, at twice its size.
        return connection.exec_driver_sql(
            statement, (names, numbers, run_id), execution_options={BINARY_OPTION: True}
        )


class _SQLite:
    runs_waiting = text(_WAITING.format(segments="metric_segments"))

    _segment = """
        SELECT writer_id, sequence, header, payload FROM metric_segments
        WHERE run_id = ? AND writer_id = ? AND sequence = ?
    """

    _chunk = "SELECT {column} FROM metric_chunks WHERE run_id = ? AND name = ? AND number = ?"

    _delete_segment = """
        DELETE FROM metric_segments WHERE run_id = ? AND writer_id = ? AND sequence = ?
    """

    _delete_chunk = "DELETE FROM metric_chunks WHERE run_id = ? AND name = ? AND number = ?"

    _insert = f"""
        INSERT INTO metric_chunks (run_id, {", ".join(COLUMNS)})
        VALUES (?{", ?" * len(COLUMNS)}) ON CONFLICT DO NOTHING
    """

    def read_segments(
        self, connection: Connection, run_id: str, pairs: Pairs
    ) -> Sequence[Sequence[Any]]:
        return self._read(connection, self._segment, run_id, pairs)

    def read_chunks(
        self, connection: Connection, run_id: str, pairs: Pairs, column: str
    ) -> list[Any]:
        statement = self._chunk.replace("{column}", column)
        return [row[0] for row in self._read(connection, statement, run_id, pairs)]

    def insert_chunks(self, connection: Connection, run_id: str, new: Sequence[NewChunk]) -> int:
        rows = (connection.exec_driver_sql(self._insert, (run_id, *_row(each))) for each in new)
        return sum(row.rowcount for row in rows)

    def delete_segments(self, connection: Connection, run_id: str, pairs: Pairs) -> int:
        return self._delete(connection, self._delete_segment, run_id, pairs)

    def delete_chunks(self, connection: Connection, run_id: str, pairs: Pairs) -> int:
        return self._delete(connection, self._delete_chunk, run_id, pairs)

    @staticmethod
    def _read(
        connection: Connection, statement: str, run_id: str, pairs: Pairs
    ) -> list[Sequence[Any]]:
        rows = (connection.exec_driver_sql(statement, (run_id, *pair)).first() for pair in pairs)
        return [row for row in rows if row is not None]

    @staticmethod
    def _delete(connection: Connection, statement: str, run_id: str, pairs: Pairs) -> int:
        return sum(
            connection.exec_driver_sql(statement, (run_id, *pair)).rowcount for pair in pairs
        )


def _row(chunk: NewChunk) -> tuple[Any, ...]:
    """In the order of COLUMNS."""
    ref = chunk.ref
    levels = chunk.levels or (None,) * (BLOBS - 1)
    numbers = (ref.number, ref.count, *ref.first, *ref.last)
    times = (ref.min_timestamp_ms, ref.max_timestamp_ms)
    return (ref.name, *numbers, *times, chunk.points, *levels)


_POSTGRESQL = _PostgreSQL()
_SQLITE = _SQLite()

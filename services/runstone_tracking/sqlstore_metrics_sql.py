"""The metric statements, each in the form that is fastest on its database.

PostgreSQL takes a whole batch as binary arrays in one statement; SQLite, which has no network to
save, takes row after row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from sqlalchemy import Connection

from runstone_kit.dbengine import BINARY_OPTION
from runstone_tracking import segment
from runstone_tracking.model_metrics import NewSegment, Summaries
from runstone_tracking.segment_statistics import merge_all
from runstone_tracking.sqlstore_metrics_arrays import (
    BinaryArray,
    ByteaArray,
    Float8Array,
    Int8Array,
    TextArray,
    teach,
)

Identity = tuple[str, str, int]
"""Run, writer, sequence."""

Frame = tuple[str, int, int, int]
"""Writer, sequence, offset and length of a frame of a segment."""

NewKey = tuple[str, str]
"""Run and key of a metric that the run did not have."""

RunSummaries = Sequence[tuple[str, Summaries]]
"""Runs in order, with what is to be folded into their summaries."""

HEADER_ROWS = 1_000
"""Headers fetched at a time: a run may have a million, of a kilobyte each."""

_NEWER = """(
    excluded.step > s.step OR excluded.step = s.step AND (
        excluded.timestamp_ms > s.timestamp_ms
        OR excluded.timestamp_ms = s.timestamp_ms
        AND excluded.value IS NOT NULL AND (s.value IS NULL OR excluded.value > s.value)
    )
)"""

_FOLD = f"""
ON CONFLICT (run_id, key) DO UPDATE SET
    value = CASE WHEN {_NEWER} THEN excluded.value ELSE s.value END,
    is_nan = CASE WHEN {_NEWER} THEN excluded.is_nan ELSE s.is_nan END,
    step = CASE WHEN {_NEWER} THEN excluded.step ELSE s.step END,
    timestamp_ms = CASE WHEN {_NEWER} THEN excluded.timestamp_ms ELSE s.timestamp_ms END,
    min = CASE WHEN s.min IS NULL OR excluded.min < s.min THEN excluded.min ELSE s.min END,
    max = CASE WHEN s.max IS NULL OR excluded.max > s.max THEN excluded.max ELSE s.max END,
    count = s.count + excluded.count,
    nan_count = s.nan_count + excluded.nan_count,
    first_step = CASE WHEN excluded.first_step < s.first_step
        THEN excluded.first_step ELSE s.first_step END
"""


# A row that was updated has the updating transaction in xmax; an inserted one has none.
_RETURN_NEW = "RETURNING s.run_id, s.key, s.xmax = 0 AS is_new"

# The lock is the foreign key's own, taken before the look: a purge cannot come in between.
# The subquery of last_sequence tells nothing for good, but a writer that is not there from one
# that is; the update asks again when it has the row.
_NEXT = """next AS (
    INSERT INTO runstone_tracking.metric_writers AS w (run_id, writer_id, last_sequence)
    SELECT * FROM unnest(%b::text[], %b::text[], %b::int8[])
        AS n (run_id, writer_id, sequence)
    WHERE 'active' = (
        SELECT r.stage FROM runstone_tracking.runs r
        WHERE r.run_id = n.run_id FOR KEY SHARE
    )
    AND n.sequence = 1 + coalesce((
        SELECT o.last_sequence FROM runstone_tracking.metric_writers o
        WHERE o.run_id = n.run_id AND o.writer_id = n.writer_id
    ), 0)
    ON CONFLICT (run_id, writer_id) DO UPDATE SET last_sequence = excluded.last_sequence
        WHERE w.last_sequence = excluded.last_sequence - 1
    RETURNING run_id, writer_id, last_sequence
)"""

_WRITE = """
INSERT INTO runstone_tracking.metric_segments
    (run_id, writer_id, sequence, points, digest, header, payload)
SELECT n.* FROM unnest(
    %b::text[], %b::text[], %b::int8[], %b::int8[], %b::bytea[], %b::bytea[], %b::bytea[]
) AS n (run_id, writer_id, sequence, points, digest, header, payload)
JOIN next ON next.run_id = n.run_id AND next.writer_id = n.writer_id
    AND next.last_sequence = n.sequence
RETURNING run_id, writer_id, sequence
"""

# NaN travels as NaN: binary arrays with NULLs cannot be made from numpy in one go.
_SUMMARIZE = """
INSERT INTO runstone_tracking.metric_summaries AS s (
    run_id, key, value, is_nan, step, timestamp_ms, min, max, count, nan_count, first_step
)
SELECT
    run_id, key, nullif(value, 'NaN'), value = 'NaN', step, timestamp_ms,
    nullif(min, 'NaN'), nullif(max, 'NaN'), count, nan_count, first_step
FROM unnest(
    %b::text[], %b::text[], %b::float8[], %b::int8[], %b::int8[], %b::float8[],
    %b::float8[], %b::int8[], %b::int8[], %b::int8[]
) AS n (run_id, key, value, step, timestamp_ms, min, max, count, nan_count, first_step)
"""


class MetricStatements(Protocol):
    """What SqlMetricStore asks of a database."""

    def insert_segments(
        self, connection: Connection, segments: Sequence[NewSegment]
    ) -> set[Identity]:
        """Insert those that are their writer's next and whose run is active; returns which.

        One of a writer at most.
        """
        ...

    def upsert_summaries(self, connection: Connection, summaries: RunSummaries) -> list[NewKey]:
        """Fold summaries into the stored ones, in the order given; returns what is new."""
        ...

    def select_headers(
        self, connection: Connection, run_id: str, patterns: Sequence[bytes]
    ) -> Iterable[tuple[str, int, bytes]]:
        """Writer, sequence and header of the segments that may have one of the patterns."""
        ...

    def select_frames(
        self, connection: Connection, run_id: str, frames: Sequence[Frame]
    ) -> list[bytes]:
        """The frames' bytes in order; fewer when a segment is gone."""
        ...


def statements(connection: Connection) -> MetricStatements:
    """The statements for the connection's database."""
    return _POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE


class _PostgreSQL:
    _insert = "WITH " + _NEXT + _WRITE

    _upsert = _SUMMARIZE + _FOLD + _RETURN_NEW

    _headers = """
        SELECT writer_id, sequence, header FROM runstone_tracking.metric_segments
        WHERE run_id = %b AND (
            position(%b::bytea IN header) > 0 OR position(%b::bytea IN header) > 0
            OR substring(header FROM 2 FOR 1) = %b::bytea
        )
    """

    _frames = """
        SELECT substring(s.payload FROM b.start FOR b.length)
        FROM unnest(%b::text[], %b::int8[], %b::int4[], %b::int4[]) WITH ORDINALITY
            AS b (writer_id, sequence, start, length, place)
        JOIN runstone_tracking.metric_segments s
            ON s.run_id = %b AND s.writer_id = b.writer_id AND s.sequence = b.sequence
        ORDER BY b.place
    """

    def insert_segments(
        self, connection: Connection, segments: Sequence[NewSegment]
    ) -> set[Identity]:
        teach(connection)
        identities, others = _segment_columns(segments)
        values = (*identities, *identities, *others)
        rows = connection.exec_driver_sql(self._insert, values)
        return {(row[0], row[1], row[2]) for row in rows}

    def upsert_summaries(self, connection: Connection, summaries: RunSummaries) -> list[NewKey]:
        teach(connection)
        rows = connection.exec_driver_sql(self._upsert, _summary_columns(summaries))
        return [(run_id, key) for run_id, key, is_new in rows if is_new]

    def select_headers(
        self, connection: Connection, run_id: str, patterns: Sequence[bytes]
    ) -> Iterable[tuple[str, int, bytes]]:
        return _select_headers(connection, self._headers, run_id, patterns)

    def select_frames(
        self, connection: Connection, run_id: str, frames: Sequence[Frame]
    ) -> list[bytes]:
        writers, sequences, offsets, lengths = map(list, zip(*frames, strict=True))
        rows = connection.exec_driver_sql(
            self._frames,
            (writers, sequences, [offset + 1 for offset in offsets], lengths, run_id),
            execution_options={BINARY_OPTION: True},
        )
        return [row[0] for row in rows.fetchall()]


_SUMMARIZE_ROW = """
INSERT INTO metric_summaries AS s (
    run_id, key, value, is_nan, step, timestamp_ms, min, max, count, nan_count, first_step
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def merged(segments: Iterable[NewSegment]) -> Iterable[tuple[str, Summaries]]:
    """One merged set of summaries for each run; the segments are ordered by run."""
    for run_id, group in groupby(segments, key=lambda new: new.run_id):
        yield run_id, merge_all([new.summaries for new in group])


def _numbered(statement: str, numbers: Iterable[int]) -> str:
    """The statement with $1, $2 … as ``numbers`` say, one for each %b in it."""
    first, *others = statement.split("%b")
    return first + "".join(f"${n}{rest}" for n, rest in zip(numbers, others, strict=True))


# The count needs all that was written, so summaries are locked behind segments. Identities, and the
# count, are asked for twice.
APPEND_ALL = _numbered(
    "".join(
        (
            *("WITH ", _NEXT, ", written AS (", _WRITE, "), folded AS (", _SUMMARIZE),
            *("WHERE %b::int8 = (SELECT count(*) FROM written)", _FOLD, _RETURN_NEW),
            ") SELECT 1 / (NOT EXISTS (SELECT 1 FROM folded WHERE is_new)",
            " AND %b::int8 = (SELECT count(*) FROM written))::int4",
        )
    ),
    (*range(1, 4), *range(1, 8), *range(8, 18), 18, 18),
)
"""Writes segments and summaries, both in the order of their keys, to PostgreSQL.

Divides by zero, and does nothing, if one is not its writer's next, if its run is not active or if a
key is new to it.
"""


def append_all_values(segments: Sequence[NewSegment], summaries: RunSummaries) -> list[bytes]:
    """What APPEND_ALL takes."""
    identities, others = _segment_columns(segments)
    count = len(segments).to_bytes(8)
    return [*identities, *others, *_summary_columns(summaries), count]


def _segment_columns(
    segments: Sequence[NewSegment],
) -> tuple[tuple[BinaryArray, ...], tuple[BinaryArray, ...]]:
    """What _NEXT takes, and what _WRITE takes behind the same."""
    identities = (
        TextArray.of([new.run_id for new in segments]),
        TextArray.of([new.writer_id for new in segments]),
        Int8Array.of(np.array([new.sequence for new in segments], np.int64)),
    )
    others = (
        Int8Array.of(np.array([new.points for new in segments], np.int64)),
        ByteaArray.of([new.digest for new in segments]),
        ByteaArray.of([new.header for new in segments]),
        ByteaArray.of([new.payload for new in segments]),
    )
    return identities, others


def _summary_columns(summaries: RunSummaries) -> tuple[BinaryArray, ...]:
    """What _SUMMARIZE takes."""
    records: Any = np.concatenate([found.records for _, found in summaries])
    return (
        TextArray.of([run_id for run_id, found in summaries for _ in found.keys]),
        TextArray.of([key for _, found in summaries for key in found.keys]),
        Float8Array.of(records["value"]),
        Int8Array.of(records["step"]),
        Int8Array.of(records["timestamp_ms"]),
        Float8Array.of(records["min"]),
        Float8Array.of(records["max"]),
        Int8Array.of(records["count"]),
        Int8Array.of(records["nan_count"]),
        Int8Array.of(records["first_step"]),
    )


class _SQLite:
    _first = """
        INSERT INTO metric_writers (run_id, writer_id, last_sequence) SELECT ?, ?, 1
        WHERE EXISTS (SELECT 1 FROM runs WHERE run_id = ? AND stage = 'active')
        ON CONFLICT DO NOTHING
    """

    _next = """
        UPDATE metric_writers SET last_sequence = ?
        WHERE run_id = ? AND writer_id = ? AND last_sequence = ?
            AND EXISTS (SELECT 1 FROM runs WHERE run_id = ? AND stage = 'active')
    """

    _insert = """
        INSERT INTO metric_segments (run_id, writer_id, sequence, points, digest, header, payload)
        VALUES (?, ?, ?, ?, ?, ?, ?)
    """

    _upsert = _SUMMARIZE_ROW + _FOLD

    _absent = """
        SELECT n.value FROM json_each(?) AS n
        WHERE NOT EXISTS (SELECT 1 FROM metric_summaries WHERE run_id = ? AND key = n.value)
    """

    _headers = """
        SELECT writer_id, sequence, header FROM metric_segments
        WHERE run_id = ?
            AND (instr(header, ?) > 0 OR instr(header, ?) > 0 OR substr(header, 2, 1) = ?)
    """

    _frame = """
        SELECT substr(payload, ?, ?) FROM metric_segments
        WHERE run_id = ? AND writer_id = ? AND sequence = ?
    """

    def insert_segments(
        self, connection: Connection, segments: Sequence[NewSegment]
    ) -> set[Identity]:
        inserted = set()
        for new in segments:
            identity = (new.run_id, new.writer_id, new.sequence)
            if self._is_next(connection, *identity):
                values = (*identity, new.points, new.digest, new.header, new.payload)
                connection.exec_driver_sql(self._insert, values)
                inserted.add(identity)
        return inserted

    def _is_next(self, connection: Connection, run_id: str, writer_id: str, sequence: int) -> bool:
        writer = (run_id, writer_id)
        if sequence == 1:
            found = connection.exec_driver_sql(self._first, (*writer, run_id))
        else:
            found = connection.exec_driver_sql(
                self._next, (sequence, *writer, sequence - 1, run_id)
            )
        return bool(found.rowcount)

    def upsert_summaries(self, connection: Connection, summaries: RunSummaries) -> list[NewKey]:
        new = [
            (run_id, key)
            for run_id, found in summaries
            for (key,) in connection.exec_driver_sql(self._absent, (json.dumps(found.keys), run_id))
        ]
        rows = [
            (run_id, key, *_sqlite_row(record))
            for run_id, found in summaries
            for key, record in zip(found.keys, found.records.tolist(), strict=True)
        ]
        connection.exec_driver_sql(self._upsert, rows)
        return new

    def select_headers(
        self, connection: Connection, run_id: str, patterns: Sequence[bytes]
    ) -> Iterable[tuple[str, int, bytes]]:
        return _select_headers(connection, self._headers, run_id, patterns)

    def select_frames(
        self, connection: Connection, run_id: str, frames: Sequence[Frame]
    ) -> list[bytes]:
        found = []
        for writer, sequence, offset, length in frames:
            at = (offset + 1, length, run_id, writer, sequence)
            row = connection.exec_driver_sql(self._frame, at).first()
            if row is not None:
                found.append(row[0])
        return found


def _select_headers(
    connection: Connection, statement: str, run_id: str, patterns: Sequence[bytes]
) -> Iterable[tuple[str, int, bytes]]:
    # One pattern is looked for twice: where it is found, the second look is not taken.
    parameters = (run_id, patterns[0], patterns[-1], segment.flags_of_compressed())
    binary = {BINARY_OPTION: True}
    first = connection.exec_driver_sql(
        f"{statement} LIMIT {HEADER_ROWS}", parameters, execution_options=binary
    ).fetchall()
    if len(first) < HEADER_ROWS:
        # As nearly always: compaction leaves few. A cursor takes three round trips more.
        return ((row[0], row[1], row[2]) for row in first)
    rows = connection.exec_driver_sql(
        statement, parameters, execution_options={"yield_per": HEADER_ROWS, **binary}
    )
    return ((row[0], row[1], row[2]) for row in rows)


_POSTGRESQL = _PostgreSQL()
_SQLITE = _SQLite()


def _sqlite_row(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """SQLite would keep NaN as NULL anyway; said here, and with the flag beside it."""
    value, step, timestamp_ms, low, high, count, nan_count, first_step = record
    return (
        _null_if_nan(value),
        value != value,  # noqa: PLR0124 - the definition of NaN
        step,
        timestamp_ms,
        _null_if_nan(low),
        _null_if_nan(high),
        count,
        nan_count,
        first_step,
    )


def _null_if_nan(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124

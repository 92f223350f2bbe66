"""Chunks on PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, or_, select, tuple_

from runstone_kit.dbengine import BINARY_OPTION
from runstone_tracking.model_chunks import (
    FIRST_SEGMENT,
    ChunkRef,
    NewChunk,
    SegmentPlace,
    StoredSegment,
    WaitingSegment,
)
from runstone_tracking.model_metrics import RANK_MARK, series_name
from runstone_tracking.sqlstore_chunks_sql import statements
from runstone_tracking.sqlstore_statements import among, insert_into, inserted
from runstone_tracking.store_chunks import ChangedMeanwhile
from runstone_tracking.tables import runs
from runstone_tracking.tables_metrics import metric_chunks, metric_folds, metric_segments

AFTER_RANK_MARK = chr(ord(RANK_MARK) + 1)

CHUNKS_AT_ONCE = 64
"""Of half a megabyte each."""

NAMES_AT_ONCE = 1_000
"""SQLite takes a parameter for each."""


class SqlChunkStore:
    """``store_chunks.ChunkStore`` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sql = statements(connection)

    def runs_waiting(self, after: str, limit: int) -> list[str]:
        """See ChunkStore."""
        rows = self._connection.execute(self._sql.runs_waiting, {"after": after, "limit": limit})
        return [row[0] for row in rows]

    def waiting(
        self, run_id: str, limit: int, after: SegmentPlace = FIRST_SEGMENT
    ) -> list[WaitingSegment]:
        """See ChunkStore."""
        table = metric_segments
        rows = self._connection.execute(
            select(table.c.writer_id, table.c.sequence, table.c.points)
            .where(
                table.c.run_id == run_id,
                tuple_(table.c.writer_id, table.c.sequence) > tuple_(*after),
            )
            .order_by(table.c.writer_id, table.c.sequence)
            .limit(limit)
        )
        return [WaitingSegment(*row) for row in rows]

    def claim(self, run_id: str, holder: str, now_ms: int, until_ms: int) -> bool:
        """See ChunkStore."""
        if not self._hold(run_id):
            return False
        table = metric_folds
        insert = insert_into(self._connection, table)
        values = {"run_id": run_id, "holder": holder, "until_ms": until_ms}
        claim = insert.values(**values).on_conflict_do_update(
            index_elements=["run_id"],
            set_={"holder": holder, "until_ms": until_ms},
            where=or_(table.c.holder == holder, table.c.until_ms <= now_ms),
        )
        return inserted(self._connection, claim) == 1

    def release(self, run_id: str, holder: str) -> None:
        """See ChunkStore."""
        table = metric_folds
        mine = and_(table.c.run_id == run_id, table.c.holder == holder)
        self._connection.execute(table.delete().where(mine))

    def read_segments(self, run_id: str, segments: Sequence[WaitingSegment]) -> list[StoredSegment]:
        """See ChunkStore."""
        identities = [(each.writer_id, each.sequence) for each in segments]
        found = self._sql.read_segments(self._connection, run_id, identities)
        if len(found) < len(segments):
            raise ChangedMeanwhile
        return [StoredSegment(*row) for row in found]

    def find(self, run_id: str, names: Sequence[str]) -> list[ChunkRef]:
        """See ChunkStore."""
        found: list[ChunkRef] = []
        for start in range(0, len(names), NAMES_AT_ONCE):
            some = names[start : start + NAMES_AT_ONCE]
            found += self._refs(run_id, among(self._connection, metric_chunks.c.name, some))
        return found

    def find_key(self, run_id: str, key: str, rank: int | None) -> list[ChunkRef]:
        """See ChunkStore."""
        name = metric_chunks.c.name
        if rank is not None:
            return self._refs(run_id, name == series_name(key, rank))
        ranks = and_(name > f"{key}{RANK_MARK}", name < f"{key}{AFTER_RANK_MARK}")
        return self._refs(run_id, or_(name == key, ranks))

    def read(self, run_id: str, chunks: Sequence[ChunkRef]) -> list[bytes]:
        """See ChunkStore."""
        return self._column(run_id, chunks, "points")

    def read_level(self, run_id: str, chunks: Sequence[ChunkRef], level: int) -> list[bytes | None]:
        """See ChunkStore."""
        return self._column(run_id, chunks, f"level{level}")

    def _column(self, run_id: str, chunks: Sequence[ChunkRef], column: str) -> list[Any]:
        places = [(each.name, each.number) for each in chunks]
        found = self._sql.read_chunks(self._connection, run_id, places, column)
        if len(found) < len(chunks):
            raise ChangedMeanwhile
        return found

    def replace(
        self,
        run_id: str,
        segments: Sequence[WaitingSegment],
        old: Sequence[ChunkRef],
        new: Sequence[NewChunk],
        holder: str,
    ) -> None:
        """See ChunkStore."""
        identities = [(each.writer_id, each.sequence) for each in segments]
        places = [(each.name, each.number) for each in old]
        if (
            not self._hold(run_id)
            or not self._is_claimed(run_id, holder)
            or self._sql.delete_segments(self._connection, run_id, identities) < len(segments)
            or self._sql.delete_chunks(self._connection, run_id, places) < len(old)
            or self._insert(run_id, new) < len(new)
        ):
            raise ChangedMeanwhile

    def _hold(self, run_id: str) -> bool:
        """Keep a run from being purged; False when it was. First of all locks, as a purge does."""
        there = select(runs.c.run_id).where(runs.c.run_id == run_id)
        held = there.with_for_update(read=True, key_share=True)
        return self._connection.execute(held).first() is not None

    def _insert(self, run_id: str, new: Sequence[NewChunk]) -> int:
        """Some at a time: a message to PostgreSQL has a gigabyte at most."""
        return sum(
            self._sql.insert_chunks(self._connection, run_id, new[start : start + CHUNKS_AT_ONCE])
            for start in range(0, len(new), CHUNKS_AT_ONCE)
        )

    def _is_claimed(self, run_id: str, holder: str) -> bool:
        """Whether the holder has the run still; nobody else takes it until the transaction ends."""
        table = metric_folds
        mine = select(table.c.holder).where(table.c.run_id == run_id, table.c.holder == holder)
        return self._connection.execute(mine.with_for_update()).first() is not None

    def _refs(self, run_id: str, condition: Any) -> list[ChunkRef]:
        # As the driver gives them: a long series has hundreds, and all columns are plain.
        result = self._connection.execute(
            select(*_REF).where(metric_chunks.c.run_id == run_id, condition),
            execution_options={BINARY_OPTION: True},
        )
        rows = result.cursor.fetchall() if result.cursor else ()
        result.close()
        return [
            ChunkRef(row[0], row[1], row[2], tuple(row[3:6]), tuple(row[6:9]), row[9], row[10])
            for row in rows
        ]


_REF = [
    metric_chunks.c[name]
    for name in (
        *("name", "number", "count", "first_step", "first_timestamp_ms", "first_bits"),
        *("last_step", "last_timestamp_ms", "last_bits", "min_timestamp_ms", "max_timestamp_ms"),
    )
]

"""Metrics on PostgreSQL and SQLite, by hand-written statements that both databases take.

Segments are written before summaries, and both in the order of their keys: two transactions that
meet wait for each other one way round only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from runstone_kit.dberrors import LostRace
from runstone_tracking import segment
from runstone_tracking.errors import (
    RunDeleted,
    RunNotFound,
    SequenceGap,
    SequenceReused,
    TooManyMetrics,
)
from runstone_tracking.model import MetricSummary, RunStatus, Stage
from runstone_tracking.model_metrics import Block, NewSegment, RunProgress
from runstone_tracking.sqlstore_metrics_sql import Identity, MetricStatements, merged, statements
from runstone_tracking.sqlstore_statements import Belonging, among, is_postgresql
from runstone_tracking.store_chunks import ChangedMeanwhile
from runstone_tracking.store_metrics import Appended
from runstone_tracking.tables import runs
from runstone_tracking.tables_metrics import metric_segments, metric_summaries, metric_writers

MAX_KEYS = 100_000
"""Metrics of a run, as the contract says: GetRun brings all their summaries in one message."""


class SqlMetricStore:
    """Segments and summaries on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sql: MetricStatements = statements(connection)

    def append(self, segments: Sequence[NewSegment]) -> list[Appended]:
        """Write the segments and fold their summaries into those of their runs."""
        first: dict[Identity, NewSegment] = {}
        for new in segments:
            first.setdefault(_identity(new), new)
        ordered = [first[identity] for identity in sorted(first)]
        written: set[Identity] = set()
        for each in _rounds(ordered):
            written |= self._sql.insert_segments(self._connection, each)
        added = [new for new in ordered if _identity(new) in written]
        if added:
            new_keys = self._sql.upsert_summaries(self._connection, list(merged(added)))
            self._bound_keys(dict(new_keys))
        refusals = self._refusals(
            [
                new
                for new in segments
                if _identity(new) not in written or first[_identity(new)] is not new
            ]
        )
        return [refusals.get(id(new), True) for new in segments]

    def summaries(self, run_ids: Sequence[str]) -> Mapping[str, tuple[MetricSummary, ...]]:
        """The summaries of each run that has any, ordered by key."""
        found: dict[str, list[MetricSummary]] = defaultdict(list)
        for row in _SUMMARIES.read(self._connection, run_ids):
            found[row[0]].append(_summary(row))
        return {run_id: tuple(sorted(items, key=_KEY)) for run_id, items in found.items()}

    def list_keys(self, run_id: str, after: str | None, limit: int) -> list[MetricSummary]:
        """At most ``limit`` summaries with a key above ``after``."""
        table = metric_summaries
        statement = select(*_SUMMARY_COLUMNS).where(table.c.run_id == run_id)
        if after is not None:
            statement = statement.where(table.c.key > after)
        rows = self._connection.execute(statement.order_by(table.c.key).limit(limit)).all()
        if not rows:
            self._require_run(run_id)
        return [_summary(row) for row in rows]

    def progress(self, run_ids: Sequence[str], keys: Sequence[str]) -> dict[str, RunProgress]:
        """One statement for all, made once: watchers ask it all the time."""
        over: dict[str, bool] = {}
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        statement = _PROGRESS[is_postgresql(self._connection)]
        rows = self._connection.execute(statement, {"run_ids": list(run_ids), "keys": list(keys)})
        for run_id, status, stage, key, count in rows:
            over[run_id] = stage == Stage.DELETED or RunStatus(status).is_terminal
            if key is not None:
                counts[run_id][key] = count
        for run_id in run_ids:
            if run_id not in over:
                raise RunNotFound(run_id)
        return {run_id: RunProgress(over[run_id], counts[run_id]) for run_id in run_ids}

    def find_blocks(self, run_id: str, key: str, rank: int | None = None) -> list[Block]:
        """Every block of a key, or of one of its ranks, in segments."""
        patterns = segment.key_patterns(key, rank)
        rows = self._sql.select_headers(self._connection, run_id, patterns)
        return [
            block
            for writer, number, header in rows
            for block in segment.find_blocks(writer, number, header, key, rank)
        ]

    def read_frames(self, run_id: str, blocks: Sequence[Block]) -> list[bytes]:
        """The frame of each block, in the order given; one of several blocks is read once."""
        frames = [(each.writer_id, each.sequence, each.offset, each.length) for each in blocks]
        distinct = list(dict.fromkeys(frames))
        found = self._sql.select_frames(self._connection, run_id, distinct)
        if len(found) < len(distinct):
            raise ChangedMeanwhile
        data = dict(zip(distinct, found, strict=True))
        return [data[frame] for frame in frames]

    def _bound_keys(self, new: Mapping[str, str]) -> None:
        """Raise TooManyMetrics if a run has too many keys; ``new`` has one of each that got any."""
        count = func.count()
        for run_id, key in new.items():
            found = select(count).where(metric_summaries.c.run_id == run_id)
            if self._connection.execute(found).scalar_one() > MAX_KEYS:
                raise TooManyMetrics(run_id, key, MAX_KEYS)

    def _refusals(self, refused: Sequence[NewSegment]) -> dict[int, Appended]:
        """Why each of these was not written, by its id(): it is there, or its run is not active."""
        if not refused:
            return {}
        connection = self._connection
        run_ids = sorted({new.run_id for new in refused})
        stages = {
            row.run_id: row.stage
            for row in connection.execute(
                select(runs.c.run_id, runs.c.stage).where(among(connection, runs.c.run_id, run_ids))
            )
        }
        last = self._last_sequences(refused, run_ids)
        outcomes: dict[int, Appended] = {}
        for new in refused:
            applied = last.get((new.run_id, new.writer_id), 0)
            if new.sequence <= applied:
                stored = self._stored_digest(new)
                same = stored is None or stored == new.digest
                outcomes[id(new)] = not same and SequenceReused(*_identity(new))
            elif new.run_id not in stages:
                outcomes[id(new)] = RunNotFound(new.run_id)
            elif stages[new.run_id] == Stage.DELETED:
                outcomes[id(new)] = RunDeleted(new.run_id)
            elif new.sequence > applied + 1:
                outcomes[id(new)] = SequenceGap(*_identity(new), expected=applied + 1)
            else:
                # Restored, or the one before committed, since the insert looked: once more.
                raise LostRace
        return outcomes

    def _last_sequences(
        self, segments: Sequence[NewSegment], run_ids: Sequence[str]
    ) -> dict[tuple[str, str], int]:
        table = metric_writers
        writers = sorted({new.writer_id for new in segments})
        rows = self._connection.execute(
            select(table.c.run_id, table.c.writer_id, table.c.last_sequence).where(
                among(self._connection, table.c.run_id, run_ids),
                among(self._connection, table.c.writer_id, writers),
            )
        )
        return {(row.run_id, row.writer_id): row.last_sequence for row in rows}

    def _stored_digest(self, new: NewSegment) -> bytes | None:
        table = metric_segments
        found: bytes | None = self._connection.execute(
            select(table.c.digest).where(
                table.c.run_id == new.run_id,
                table.c.writer_id == new.writer_id,
                table.c.sequence == new.sequence,
            )
        ).scalar()
        return found

    def _require_run(self, run_id: str) -> None:
        found = self._connection.execute(select(runs.c.run_id).where(runs.c.run_id == run_id))
        if found.first() is None:
            raise RunNotFound(run_id)


_SUMMARY_COLUMNS = [
    metric_summaries.c[name]
    for name in (
        *("run_id", "key", "value", "step", "timestamp_ms", "min", "max"),
        *("count", "nan_count", "first_step"),
    )
]


_SUMMARIES = Belonging(metric_summaries.c.run_id, select(*_SUMMARY_COLUMNS))


def _progress(*, postgresql: bool) -> Select[Any]:
    def named(column: Column[Any], name: str) -> ColumnElement[bool]:
        if postgresql:
            return column == any_(bindparam(name, type_=ARRAY(Text)))
        return column.in_(bindparam(name, expanding=True))

    table = metric_summaries
    pairs = and_(table.c.run_id == runs.c.run_id, named(table.c.key, "keys"))
    columns = (runs.c.run_id, runs.c.status, runs.c.stage, table.c.key, table.c.count)
    together = runs.outerjoin(table, pairs)
    return select(*columns).select_from(together).where(named(runs.c.run_id, "run_ids"))


_PROGRESS = {postgresql: _progress(postgresql=postgresql) for postgresql in (False, True)}

_KEY = itemgetter(0)


def _summary(row: Sequence[Any]) -> MetricSummary:
    _, key, value, step, timestamp_ms, low, high, count, nan_count, first_step = row
    return MetricSummary(
        key,
        math.nan if value is None else value,
        step,
        timestamp_ms,
        math.nan if low is None else low,
        math.nan if high is None else high,
        count,
        nan_count,
        first_step,
        step,
    )


def _identity(new: NewSegment) -> Identity:
    return new.run_id, new.writer_id, new.sequence


def _rounds(segments: Sequence[NewSegment]) -> Iterable[list[NewSegment]]:
    """The segments, each writer's in their order and only one of it at a time."""
    rounds: list[list[NewSegment]] = []
    seen: dict[tuple[str, str], int] = {}
    for new in segments:
        writer = (new.run_id, new.writer_id)
        number = seen[writer] = seen.get(writer, -1) + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(new)
    return rounds

"""Runs as columns in SQL.

PostgreSQL gathers a column's numbers as the bytes of one value, so no object is made for each:
20,000 runs of 20 metrics take a tenth of the time of their rows. SQLite, which is in this process,
gives rows.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, TextClause, func, select, text

from runstone_kit.dbengine import BINARY_OPTION
from runstone_tracking.model import RunInfo
from runstone_tracking.model_columns import MetricColumn, RunColumns, TextColumn
from runstone_tracking.sqlstore_inputs import load_inputs
from runstone_tracking.sqlstore_logged_runs import load_models
from runstone_tracking.sqlstore_statements import (
    Belonging,
    among,
    array_literal,
    is_postgresql,
)
from runstone_tracking.tables import SCHEMA, params, runs, tags
from runstone_tracking.tables_metrics import metric_summaries

MAX_ENTRIES = 400_000
MAX_BYTES = 32 * 2**20
"""Of what is gathered at once, metrics and texts: a service has many callers, and one message of 64
MiB holds both."""

FEW = 100
"""Runs that are gathered without a look at how large they are."""

UNCOUNTED_BYTES = 2**20
"""What a run is taken to hold whose texts were never counted."""

# A row is known by its run's id: a join with the rows' numbers takes twice the time of the rest.
# No text holds a zero byte, so it stands between them.
_GATHERED = f"""
    SELECT held.key, string_agg(textsend(held.run_id), CAST('\\x00' AS bytea)), {{values}}
    FROM {SCHEMA}.{{table}} AS held
    WHERE held.run_id = ANY(CAST(:owners AS text[]))
    GROUP BY held.key
"""  # noqa: S608 - no value is in it
_VALUES = "string_agg(float8send(coalesce(held.value, 'NaN')), '')"
_POINTS = (
    f"{_VALUES}, string_agg(int8send(held.step), ''), string_agg(int8send(held.timestamp_ms), '')"
)
_TEXTS = "string_agg(textsend(held.value), CAST('\\x00' AS bytea))"

_METRICS = text(_GATHERED.format(values=_POINTS, table="metric_summaries"))
_METRIC_VALUES = text(_GATHERED.format(values=_VALUES, table="metric_summaries"))
_PARAMS, _TAGS = (text(_GATHERED.format(values=_TEXTS, table=each)) for each in ("params", "tags"))

_SUMMARY = (metric_summaries.c.key, metric_summaries.c.value, metric_summaries.c.step)
_METRIC_ROWS = Belonging(
    metric_summaries.c.run_id,
    select(metric_summaries.c.run_id, *_SUMMARY, metric_summaries.c.timestamp_ms),
)
_PARAM_ROWS, _TAG_ROWS = (
    Belonging(table.c.run_id, select(table.c.run_id, table.c.key, table.c.value))
    for table in (params, tags)
)


def fitting(connection: Connection, infos: Sequence[RunInfo]) -> int:
    """How many of the runs, from the first, are gathered at once: fewer of larger ones."""
    if len(infos) <= FEW:
        return len(infos)
    ids = [info.run_id for info in infos]
    held = select(func.sum(func.coalesce(runs.c.bytes, UNCOUNTED_BYTES)))
    size = connection.execute(held.where(among(connection, runs.c.run_id, ids))).scalar() or 0
    counted = select(func.count()).select_from(metric_summaries)
    found = counted.where(among(connection, metric_summaries.c.run_id, ids))
    entries = connection.execute(found).scalar() or 0
    share = min(1.0, MAX_BYTES / (size + 1), MAX_ENTRIES / (entries + 1))
    return max(FEW, int(share * len(infos)))


def load_columns(
    connection: Connection, infos: Sequence[RunInfo], *, values_only: bool
) -> RunColumns:
    """What the runs hold, in their order; ``values_only`` leaves out steps and times."""
    ids = [info.run_id for info in infos]
    if not ids:
        return RunColumns(infos)
    inputs = load_inputs(connection, ids, large=False)
    models = load_models(connection, [info.run_id for info in infos if info.has_models])
    gather = _gathered if is_postgresql(connection) else _transposed
    found_metrics, found_params, found_tags = gather(connection, ids, values_only)
    return RunColumns(
        infos=infos,
        metrics=sorted(found_metrics, key=_key),
        params=sorted(found_params, key=_key),
        tags=sorted(found_tags, key=_key),
        inputs=_by_row(ids, inputs),
        model_inputs=_by_row(ids, {key: held["model_inputs"] for key, held in models.items()}),
        model_outputs=_by_row(ids, {key: held["model_outputs"] for key, held in models.items()}),
    )


T = TypeVar("T")


def _by_row(ids: Sequence[str], held: Mapping[str, Sequence[T]]) -> dict[int, Sequence[T]]:
    """What runs hold, of those that hold something."""
    return {row: held[run_id] for row, run_id in enumerate(ids) if held.get(run_id)}


Gathered = tuple[list[MetricColumn], list[TextColumn], list[TextColumn]]


def _key(column: MetricColumn | TextColumn) -> str:
    return column.key


def _gathered(connection: Connection, ids: Sequence[str], values_only: bool) -> Gathered:
    owners = array_literal(ids)
    places = _Places(ids)

    def read(statement: TextClause) -> Sequence[Sequence[Any]]:
        result = connection.execute(
            statement, {"owners": owners}, execution_options={BINARY_OPTION: True}
        )
        rows: Sequence[Sequence[Any]] = result.cursor.fetchall() if result.cursor else ()
        result.close()
        return rows

    metrics = []
    for key, holders, *numbers in read(_METRIC_VALUES if values_only else _METRICS):
        rows, order = places.of(holders)
        columns = [
            _numbers(np.frombuffer(raw, kind)[order])
            for raw, kind in zip(numbers, (">f8", ">i8", ">i8"), strict=False)
        ]
        metrics.append(MetricColumn(key, rows, *columns))
    texts: tuple[list[TextColumn], list[TextColumn]] = ([], [])
    for statement, found in zip((_PARAMS, _TAGS), texts, strict=True):
        for key, holders, values in read(statement):
            rows, order = places.of(holders)
            ordered = np.array(values.split(b"\0"), object)[order].tolist()
            found.append(TextColumn(key, rows, ordered))
    return metrics, *texts


def _numbers(column: Any) -> array[Any]:
    """Numbers of 8 bytes as an array of this machine's."""
    numbers: array[Any] = array("d" if column.dtype.kind == "f" else "q")
    numbers.frombytes(column.astype(column.dtype.newbyteorder("=")).tobytes())
    return numbers


class _Places:
    """Tells where in the runs' order those stand that have a key.

    The aggregates of a group see its rows in the same order, whatever it is; and most keys have
    theirs in the order of another one, whose answer is kept.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        names = np.array([each.encode() for each in ids])
        self._by_name = np.argsort(names)
        self._names = names[self._by_name]
        lengths = {len(each) for each in ids}
        self._length = lengths.pop() if len(lengths) == 1 and "".join(ids).isascii() else None
        self._known: dict[bytes, tuple[Sequence[int], Any]] = {}

    def of(self, holders: bytes) -> tuple[Sequence[int], Any]:
        """The rows, ascending and none for all, and the places of their values.

        ``holders`` are ids with zero bytes between them.
        """
        known = self._known.get(holders)
        if known is None:
            known = self._known[holders] = self._find(holders)
        return known

    def _find(self, holders: bytes) -> tuple[Sequence[int], Any]:
        if self._length is None:
            names = np.array(holders.split(b"\0"))
        else:
            names = np.frombuffer(holders + b"\0", f"S{self._length + 1}")
        rows = self._by_name[np.searchsorted(self._names, names.astype(self._names.dtype))]
        order = np.argsort(rows)
        return () if len(rows) == len(self._names) else rows[order].tolist(), order


def _transposed(connection: Connection, ids: Sequence[str], values_only: bool) -> Gathered:
    place = {run_id: row for row, run_id in enumerate(ids)}
    by_key: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for run_id, key, value, step, time in _METRIC_ROWS.read(connection, ids):
        number = math.nan if value is None else value
        by_key[key].append((place[run_id], number, step, time))
    metrics = []
    for key, found in by_key.items():
        rows, values, steps, times = zip(*sorted(found, key=_row), strict=True)
        points = () if values_only else (steps, times)
        metrics.append(MetricColumn(key, _unless_all(rows, len(ids)), values, *points))
    texts: tuple[list[TextColumn], list[TextColumn]] = ([], [])
    for kind, columns in zip((_PARAM_ROWS, _TAG_ROWS), texts, strict=True):
        by_key.clear()
        for run_id, key, value in kind.read(connection, ids):
            by_key[key].append((place[run_id], value.encode()))
        for key, found in by_key.items():
            rows, values = zip(*sorted(found, key=_row), strict=True)
            columns.append(TextColumn(key, _unless_all(rows, len(ids)), values))
    return metrics, *texts


def _row(found: tuple[Any, ...]) -> int:
    row: int = found[0]
    return row


def _unless_all(rows: Sequence[int], count: int) -> Sequence[int]:
    return () if len(rows) == count else rows

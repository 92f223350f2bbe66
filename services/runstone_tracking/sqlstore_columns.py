"""Runs as columns in SQL.

PostgreSQL gathers a column's numbers as the bytes of one value, so no object is made for each:
20,000 runs of 20 metrics take a tenth of the time of their rows. SQLite, which is in this process,
gives rows.
"""

from __future__ import annotations

import math
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
from runstone_tracking.sqlstore_statements import Belonging, among, is_postgresql
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

# The condition says nothing new: without it the planner reads the whole table to join it.
_METRICS = text(f"""
    SELECT m.key,
           string_agg(int8send(wanted.row), ''),
           string_agg(float8send(coalesce(m.value, 'NaN')), ''),
           string_agg(int8send(m.step), ''), string_agg(int8send(m.timestamp_ms), '')
    FROM unnest(CAST(:owners AS text[])) WITH ORDINALITY AS wanted (run_id, row)
    JOIN {SCHEMA}.metric_summaries AS m ON m.run_id = wanted.run_id
    WHERE m.run_id = ANY(CAST(:owners AS text[]))
    GROUP BY m.key
""")  # noqa: S608 - no value is in it


def _texts(table: str) -> TextClause:
    return text(f"""
        SELECT t.key, string_agg(int8send(wanted.row), ''), array_agg(t.value)
        FROM unnest(CAST(:owners AS text[])) WITH ORDINALITY AS wanted (run_id, row)
        JOIN {SCHEMA}.{table} AS t ON t.run_id = wanted.run_id
        WHERE t.run_id = ANY(CAST(:owners AS text[]))
        GROUP BY t.key
    """)  # noqa: S608 - the table is one of ours


_PARAMS, _TAGS = _texts("params"), _texts("tags")

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


def load_columns(connection: Connection, infos: Sequence[RunInfo]) -> RunColumns:
    """What the runs hold, in their order."""
    ids = [info.run_id for info in infos]
    if not ids:
        return RunColumns(infos)
    inputs = load_inputs(connection, ids, large=False)
    models = load_models(connection, [info.run_id for info in infos if info.has_models])
    gather = _gathered if is_postgresql(connection) else _transposed
    found_metrics, found_params, found_tags = gather(connection, ids)
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


def _gathered(connection: Connection, ids: Sequence[str]) -> Gathered:
    def read(statement: TextClause) -> Sequence[Sequence[Any]]:
        result = connection.execute(
            statement, {"owners": list(ids)}, execution_options={BINARY_OPTION: True}
        )
        rows: Sequence[Sequence[Any]] = result.cursor.fetchall() if result.cursor else ()
        result.close()
        return rows

    metrics = []
    for key, places, *numbers in read(_METRICS):
        rows, order = _in_order(places, len(ids))
        values, steps, times = (
            np.frombuffer(raw, kind)[order].tolist()
            for raw, kind in zip(numbers, (">f8", ">i8", ">i8"), strict=True)
        )
        metrics.append(MetricColumn(key, rows, values, steps, times))
    texts: tuple[list[TextColumn], list[TextColumn]] = ([], [])
    for statement, columns in zip((_PARAMS, _TAGS), texts, strict=True):
        for key, places, values in read(statement):
            rows, order = _in_order(places, len(ids))
            columns.append(TextColumn(key, rows, [values[place] for place in order.tolist()]))
    return metrics, *texts


def _in_order(places: bytes, count: int) -> tuple[Sequence[int], Any]:
    """The rows, ascending and none for all, and the places of their values.

    The aggregates of a group see its rows in the same order, whatever it is.
    """
    rows = np.frombuffer(places, ">i8") - 1
    order = np.argsort(rows, kind="stable")
    return () if len(rows) == count else rows[order].tolist(), order


def _transposed(connection: Connection, ids: Sequence[str]) -> Gathered:
    place = {run_id: row for row, run_id in enumerate(ids)}
    by_key: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for run_id, key, value, step, time in _METRIC_ROWS.read(connection, ids):
        number = math.nan if value is None else value
        by_key[key].append((place[run_id], number, step, time))
    metrics = []
    for key, found in by_key.items():
        rows, values, steps, times = zip(*sorted(found, key=_row), strict=True)
        metrics.append(MetricColumn(key, _unless_all(rows, len(ids)), values, steps, times))
    texts: tuple[list[TextColumn], list[TextColumn]] = ([], [])
    for kind, columns in zip((_PARAM_ROWS, _TAG_ROWS), texts, strict=True):
        by_key.clear()
        for run_id, key, value in kind.read(connection, ids):
            by_key[key].append((place[run_id], value))
        for key, found in by_key.items():
            rows, values = zip(*sorted(found, key=_row), strict=True)
            columns.append(TextColumn(key, _unless_all(rows, len(ids)), values))
    return metrics, *texts


def _row(found: tuple[Any, ...]) -> int:
    row: int = found[0]
    return row


def _unless_all(rows: Sequence[int], count: int) -> Sequence[int]:
    return () if len(rows) == count else rows

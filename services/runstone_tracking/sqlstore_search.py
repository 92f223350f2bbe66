"""Finding runs and experiments: filter, order and keyset, in one query."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Text,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
)

from runstone_kit.dbengine import BINARY_OPTION
from runstone_kit.filterlang import Expression, OrderBy
from runstone_kit.paging import KeyValue
from runstone_kit.sqlfilter import Condition
from runstone_tracking.model import RUN_NAME_TAG, Stage
from runstone_tracking.sqlstore_filter import Joined, Subject, condition
from runstone_tracking.sqlstore_statements import among, experiment_number, is_postgresql
from runstone_tracking.store_query import MAX_SORT_TEXT, Query
from runstone_tracking.tables import (
    experiment_tags,
    experiments,
    params,
    runs,
    tags,
)
from runstone_tracking.tables_metrics import metric_summaries

Found: TypeAlias = list[tuple[Row[Any], tuple[KeyValue, ...]]]

RUN_COLUMNS: tuple[Column[Any], ...] = (
    runs.c.run_id,
    runs.c.experiment_id,
    runs.c.name,
    runs.c.status,
    runs.c.stage,
    runs.c.user_id,
    runs.c.start_time,
    runs.c.end_time,
    runs.c.delete_time,
    runs.c.has_models,
)

RUNS = Subject(
    id=runs.c.run_id,
    owner="run_id",
    attributes={
        "run_id": runs.c.run_id,
        "run_name": runs.c.name,
        "status": runs.c.status,
        "user_id": runs.c.user_id,
        # What MLflow's clients are told; Runstone's own never see a location.
        "artifact_uri": (
            literal("mlflow-artifacts:/", Text)
            + runs.c.experiment_id.cast(Text)
            + literal("/", Text)
            + runs.c.run_id
            + literal("/artifacts", Text)
        ),
        "start_time": runs.c.start_time,
        "end_time": runs.c.end_time,
    },
    key_values={"param": params, "tag": tags},
    nullable=frozenset({"end_time"}),
    name=(RUN_NAME_TAG, "run_name"),
)

EXPERIMENTS = Subject(
    id=experiments.c.experiment_id,
    owner="experiment_id",
    attributes={
        "name": experiments.c.name,
        "experiment_id": experiments.c.experiment_id,
        "creation_time": experiments.c.create_time,
        "last_update_time": experiments.c.update_time,
    },
    key_values={"tag": experiment_tags},
)

MAX_PLANNED_JOINS = 4
"""Sort keys for which PostgreSQL may look for the best order of joins: with 16 it takes three
seconds to find that the order written is the best."""

_NUMBER, _NAN, _MISSING = 0, 1, 2

_SHORT = frozenset({"run_id", "model_id", "request_id", "status"})
"""Texts that are never longer than what is sorted by."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of an order. ``rank`` tells values from NaN from nothing, where that can be."""

    value: ColumnElement[Any]
    ascending: bool
    rank: ColumnElement[int] | None = None

    def clauses(self) -> list[ColumnElement[Any]]:
        """For ORDER BY: values, then NaN, then rows that have nothing, in both directions."""
        value = self.value.asc() if self.ascending else self.value.desc()
        return [value] if self.rank is None else [self.rank, value]

    def columns(self) -> list[ColumnElement[Any]]:
        """What a row's key is read from."""
        return [self.value] if self.rank is None else [self.value, self.rank]

    def after(self, key: KeyValue) -> Condition:
        """Rows that come after those with ``key``, by this key alone."""
        if key is None:
            return false()
        if _is_nan(key):
            return false() if self.rank is None else self.rank > _NAN
        beyond = self.value > key if self.ascending else self.value < key
        return beyond if self.rank is None else or_(self.rank > _NUMBER, beyond)

    def same(self, key: KeyValue) -> Condition:
        """Rows with ``key``."""
        if key is None:
            return false() if self.rank is None else self.rank == _MISSING
        if _is_nan(key):
            return false() if self.rank is None else self.rank == _NAN
        return self.value == key


def find_runs(connection: Connection, query: Query) -> Found:
    """The rows of RUN_COLUMNS and their keys."""
    here = in_experiments(connection, query, runs.c.experiment_id)
    if here is None:
        return []
    return find(connection, query, RUNS, runs, RUN_COLUMNS, [here])


def find_experiments(connection: Connection, query: Query) -> Found:
    """The rows of experiments and their keys."""
    return find(connection, query, EXPERIMENTS, experiments, tuple(experiments.c), [])


def in_experiments(
    connection: Connection, query: Query, column: ColumnElement[Any]
) -> Condition | None:
    """That ``column`` is one of the query's experiments; None when no such can be."""
    numbers = [
        number for each in query.experiment_ids if (number := experiment_number(each)) is not None
    ]
    if not numbers:
        return None
    return column == numbers[0] if len(numbers) == 1 else among(connection, column, numbers)


@dataclass(frozen=True, slots=True)
class Source:
    """The table that is searched, joined with what it is sorted by, and the keys of the order.

    ``joined`` is what comparisons may read there; ``joins`` counts all.
    """

    table: FromClause
    keys: Sequence[SortKey]
    joined: Joined
    joins: int


def find(
    connection: Connection,
    query: Query,
    subject: Subject,
    table: FromClause,
    columns: Sequence[ColumnElement[Any]],
    conditions: list[Condition],
    *,
    translate: Callable[[Connection, Subject, Expression, Joined], Condition] = condition,
    source: Source | None = None,
) -> Found:
    """The rows of ``columns`` that the query finds under the conditions, and their keys.

    ``source`` is the table with what it is sorted by, where that is not as usual.
    """
    if len(query.stages) < len(Stage):
        conditions.append(table.c.stage == query.stages[0])

    def read(chosen: Source) -> Found:
        found = list(conditions)
        if query.filter is not None:
            found.append(translate(connection, subject, query.filter, chosen.joined))
        return _read(connection, query, columns, found, chosen)

    if source is None and query.order[0].entity == "metric" and _is_number(query.after):
        # Rows with a number come before all others, whatever the direction: an index has them in
        # their order, and a page of them needs no other row.
        found = read(_order(subject, table, query.order, numbers=True))
        if len(found) == query.limit:
            return found
    return read(source or _order(subject, table, query.order))


def _is_number(after: Sequence[KeyValue] | None) -> bool:
    """Whether rows that have a number in their first key may follow."""
    return after is None or (isinstance(after[0], int | float) and not _is_nan(after[0]))


def _read(
    connection: Connection,
    query: Query,
    columns: Sequence[ColumnElement[Any]],
    conditions: list[Condition],
    source: Source,
) -> Found:
    keys = source.keys
    if query.after is not None:
        conditions.append(_after(keys, query.after))
    wanted = [column for key in keys for column in key.columns()]
    labelled = [column.label(f"key_{place}") for place, column in enumerate(wanted)]
    statement: Select[Any] = (
        select(*columns, *labelled)
        .select_from(source.table)
        .where(*conditions)
        .order_by(*(clause for key in keys for clause in key.clauses()))
        .limit(query.limit)
    )
    if source.joins > MAX_PLANNED_JOINS and is_postgresql(connection):
        connection.exec_driver_sql("SET LOCAL join_collapse_limit = 1")
    read = _reader(keys, len(columns))
    found = connection.execute(statement, execution_options={BINARY_OPTION: True}).all()
    return [(row, read(row)) for row in found]


def _order(
    subject: Subject, table: FromClause, order: Iterable[OrderBy], *, numbers: bool = False
) -> Source:
    """As usual; with ``numbers`` only rows that have a number in their first key, a metric."""
    source = table
    all_joined: dict[tuple[str, str], FromClause] = {}
    keys: list[SortKey] = []
    for place, each in enumerate(order):
        attribute = subject.attributes.get(each.key) if each.entity == "attribute" else None
        if attribute is not None:
            keys.append(attribute_key(subject, each, attribute))
            continue
        found = metric_summaries if each.entity == "metric" else subject.key_values[each.entity]
        joined = found.alias(f"sorted_{place}")
        belongs = and_(joined.c[subject.owner] == subject.id, joined.c.key == each.key)
        all_joined[each.entity, each.key] = joined
        if numbers and place == 0:
            source = source.join(joined, and_(belongs, joined.c.value.is_not(None)))
            keys.append(SortKey(joined.c.value, each.ascending))
            continue
        source = source.outerjoin(joined, belongs)
        keys.append(joined_key(each, joined))
    return Source(source, keys, all_joined, len(all_joined))


def joined_key(order: OrderBy, joined: FromClause) -> SortKey:
    """The key of a metric, param or tag: a row of ``joined``, where there is one."""
    missing = (joined.c.key.is_(None), literal(_MISSING))
    if order.entity == "metric":
        # The value of a NaN is NULL; without is_nan the index alone can answer.
        number = (joined.c.value.is_not(None), literal(_NUMBER))
        rank = case(number, missing, else_=literal(_NAN))
        return SortKey(joined.c.value, order.ascending, rank)
    value = func.substr(joined.c.value, 1, MAX_SORT_TEXT, type_=Text)
    return SortKey(value, order.ascending, case(missing, else_=literal(_NUMBER)))


def attribute_key(subject: Subject, order: OrderBy, column: ColumnElement[Any]) -> SortKey:
    """The key of an attribute."""
    rank = None
    if order.key in subject.nullable:
        rank = case((column.is_(None), literal(_MISSING)), else_=literal(_NUMBER))
    if isinstance(column.type, Text) and order.key not in _SHORT:
        column = func.substr(column, 1, MAX_SORT_TEXT, type_=Text)
    return SortKey(column, order.ascending, rank)


def _after(keys: Sequence[SortKey], after: Sequence[KeyValue]) -> Condition:
    """Rows after the one with these keys: beyond it in one key, the same in all keys before."""
    alternatives: list[Condition] = []
    before: list[Condition] = []
    for key, value in zip(keys, after, strict=True):
        alternatives.append(and_(*before, key.after(value)))
        before.append(key.same(value))
    found = or_(*alternatives)
    first = keys[0]
    if first.rank is not None:
        return found
    # Says nothing new, but is a range that an index can begin at.
    start = first.value >= after[0] if first.ascending else first.value <= after[0]
    return and_(start, found)


def _reader(keys: Sequence[SortKey], offset: int) -> Callable[[Row[Any]], tuple[KeyValue, ...]]:
    places: list[tuple[int, bool]] = []
    for key in keys:
        places.append((offset, key.rank is not None))
        offset += len(key.columns())

    if not any(ranked for _, ranked in places):
        return lambda row: row[-len(keys) :]

    def read(row: Row[Any]) -> tuple[KeyValue, ...]:
        return tuple(
            math.nan if ranked and row[place + 1] == _NAN else row[place]
            for place, ranked in places
        )

    return read


def _is_nan(key: KeyValue) -> bool:
    return isinstance(key, float) and math.isnan(key)

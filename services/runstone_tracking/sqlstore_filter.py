"""Filters as conditions: a tree of the search language becomes one SQL expression.

Every condition made here is true or false, never NULL, so that NOT means what it says. What a row
holds under a key is asked for by EXISTS, which PostgreSQL turns into joins where it can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Table,
    Text,
    and_,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from runstone_kit.filterlang import And, Comparison, Expression, In, IsNull, Not, Operator, Or
from runstone_kit.sqlfilter import (
    COMPARE,
    MAX_JOINED,
    Condition,
    comparisons,
    has_row,
    ilike,
    like,
)
from runstone_tracking.model import DATASET_CONTEXT_TAG
from runstone_tracking.sqlstore_statements import (
    INT64_MAX,
    among,
    experiment_number,
    is_postgresql,
)
from runstone_tracking.tables import (
    INDEXED_VALUE_CHARS,
    ExactText,
    datasets,
    input_tags,
    run_inputs,
)
from runstone_tracking.tables_metrics import metric_summaries


@dataclass(frozen=True, slots=True)
class Subject:
    """What is searched: the column of its id, its attributes, and its tables of keys and values.

    ``owner`` is the id's name in ``key_values``. Attributes are texts or whole numbers, but for
    ``experiment_id``, a number that filters compare as a text. ``nullable`` are those that a row
    may lack, ``name`` is the tag that is one of them, and which. A comparison with a metric is
    true when it is of any row of ``metrics`` for which ``measured`` holds too.
    """

    id: ColumnElement[Any]
    owner: str
    attributes: Mapping[str, ColumnElement[Any]]
    key_values: Mapping[str, Table]
    nullable: frozenset[str] = frozenset()
    name: tuple[str, str] | None = None
    metrics: Table = metric_summaries
    measured: tuple[Condition, ...] = ()


Joined: TypeAlias = Mapping[tuple[str, str], FromClause]
"""Entity and key of what the query joins already, to sort by it: at most one row for each."""


def condition(
    connection: Connection, subject: Subject, tree: Expression, joined: Joined
) -> Condition:
    """The condition that holds for the rows that ``tree`` matches."""
    return Translator(connection, subject, tree, joined).translate(tree)


class Translator:
    """Translates one tree; a search with leaves of its own derives from it."""

    def __init__(
        self, connection: Connection, subject: Subject, tree: Expression, joined: Joined
    ) -> None:
        self._connection = connection
        self._subject = subject
        self._joined = joined
        self._may_join = comparisons(tree) <= MAX_JOINED
        self._leaves: dict[str, Callable[[Comparison | In], Condition]] = {
            "attribute": self._attribute,
            "metric": self._metric,
            "dataset": self._dataset,
        }

    def translate(self, tree: Expression) -> Condition:
        """The condition of a tree or a part of it."""
        match tree:
            case And(terms):
                return and_(*map(self.translate, terms))
            case Or(terms):
                return or_(*map(self.translate, terms))
            case Not(term):
                return not_(self.translate(term))
            case IsNull():
                return not_(self._has(tree)) if not tree.negated else self._has(tree)
        return self._leaves.get(tree.entity, self._key_value)(tree)

    def _has(self, leaf: IsNull) -> Condition:
        if leaf.entity == "attribute":
            return self._names[leaf.key].is_not(None)
        name = self._name(leaf)
        if name is not None:
            return self._names[name].is_not(None) if name in self._subject.nullable else true()
        table = self._subject.key_values[leaf.entity]
        return self._exists(table, table.c.key == leaf.key)

    @property
    def _names(self) -> Mapping[str, ColumnElement[Any]]:
        return self._subject.attributes

    def _name(self, leaf: Comparison | In | IsNull) -> str | None:
        """The attribute that this tag is, if it is the tag of the subject's name."""
        name = self._subject.name
        return name[1] if name is not None and (leaf.entity, leaf.key) == ("tag", name[0]) else None

    def _exists(self, table: Table, *conditions: Condition) -> Condition:
        """Whether ``table`` has a row of the subject's for which the conditions hold."""
        owner = table.c[self._subject.owner]
        if is_postgresql(self._connection):
            return has_row(owner == self._subject.id, *conditions, may_join=self._may_join)
        # SQLite would look once for every run; this it does once for all.
        return self._subject.id.in_(select(owner).where(*conditions))

    def _key_value(self, leaf: Comparison | In) -> Condition:
        name = self._name(leaf)
        if name is not None:
            return self._known(name, self._text(self._names[name], leaf))
        joined = self._joined.get((leaf.entity, leaf.key))
        if joined is not None:
            value = joined.c.value
            return and_(value.is_not(None), self._text(value, leaf))
        table = self._subject.key_values[leaf.entity]
        return self._exists(table, table.c.key == leaf.key, *self._indexed(table.c.value, leaf))

    def _indexed(self, column: ColumnElement[Any], leaf: Comparison | In) -> list[Condition]:
        """What is asked of a column whose beginning is indexed."""
        if isinstance(leaf, Comparison) and leaf.op is Operator.EQ:
            return self._equal_indexed(column, str(leaf.value))
        return [self._text(column, leaf)]

    @staticmethod
    def _equal_indexed(column: ColumnElement[Any], value: str) -> list[Condition]:
        """Equality by the index, which holds the beginning of a value only."""
        # Written out: SQLite knows the index's expression by its text, not with parameters in it.
        first, last = (
            literal_column("1", Integer),
            literal_column(str(INDEXED_VALUE_CHARS), Integer),
        )
        start = func.substr(column, first, last, type_=ExactText)
        found = [start == value[:INDEXED_VALUE_CHARS]]
        # Said twice, it would be half as likely to a planner that takes both for independent.
        return found if len(value) < INDEXED_VALUE_CHARS else [*found, column == value]

    def _attribute(self, leaf: Comparison | In) -> Condition:
        column = self._names[leaf.key]
        if leaf.key == "experiment_id":
            return self._experiment_id(column, leaf)
        if isinstance(column.type, Text):
            return self._known(leaf.key, self._text(column, leaf))
        assert isinstance(leaf, Comparison)
        return self._known(leaf.key, _compare_whole(column, leaf.op, leaf.value))

    def _known(self, name: str, found: Condition) -> Condition:
        """What was found of an attribute, but not of a row that lacks it."""
        return (
            and_(self._names[name].is_not(None), found) if name in self._subject.nullable else found
        )

    def _experiment_id(self, column: ColumnElement[Any], leaf: Comparison | In) -> Condition:
        if isinstance(leaf, In):
            numbers = [
                number
                for value in leaf.values
                if (number := experiment_number(str(value))) is not None
            ]
            found = among(self._connection, column, numbers) if numbers else false()
            return not_(found) if leaf.negated else found
        if leaf.op in (Operator.EQ, Operator.NE):
            number = experiment_number(str(leaf.value))
            equal = column == number if number is not None else false()
            return equal if leaf.op is Operator.EQ else not_(equal)
        return self._text(column.cast(Text), leaf)

    def _metric(self, leaf: Comparison | In) -> Condition:
        assert isinstance(leaf, Comparison)
        joined = self._joined.get((leaf.entity, leaf.key))
        table = self._subject.metrics if joined is None else joined
        column = table.c.value
        # The value of a NaN is NULL, which no comparison holds for but this one.
        found = and_(column.is_not(None), COMPARE[leaf.op](column, float(leaf.value)))
        if leaf.op is Operator.NE:
            found = or_(found, and_(table.c.key.is_not(None), column.is_(None)))
        if joined is not None:
            return found
        measured = self._subject.measured
        return self._exists(
            self._subject.metrics, self._subject.metrics.c.key == leaf.key, *measured, found
        )

    def _dataset(self, leaf: Comparison | In) -> Condition:
        if leaf.key == "context":
            return self._exists(
                input_tags,
                input_tags.c.key == DATASET_CONTEXT_TAG,
                self._text(input_tags.c.value, leaf),
            )
        return self._exists(
            run_inputs,
            datasets.c.dataset_id == run_inputs.c.dataset_id,
            self._text(datasets.c[leaf.key], leaf),
        )

    def _text(self, column: ColumnElement[Any], leaf: Comparison | In) -> Condition:
        if isinstance(leaf, In):
            found = among(self._connection, column, map(str, leaf.values))
            return not_(found) if leaf.negated else found
        value = str(leaf.value)
        match leaf.op:
            case Operator.EQ:
                return column == value
            case Operator.NE:
                return column != value
        matches = like if leaf.op is Operator.LIKE else ilike
        return matches(column, value, postgresql=is_postgresql(self._connection))


def _compare_whole(column: ColumnElement[Any], op: Operator, value: str | float) -> Condition:
    """Compare an int64 column with any number, exactly: PostgreSQL would round the column."""
    if isinstance(value, (str, int)):
        return COMPARE[op](column, int(value))
    if abs(value) > INT64_MAX:
        return true() if COMPARE[op](0.0, value) else false()
    if value.is_integer():
        return COMPARE[op](column, int(value))
    if op in (Operator.EQ, Operator.NE):
        return true() if op is Operator.NE else false()
    # Nothing lies between a fraction and its neighbours: x < 1.5 is x <= 1.
    if op in (Operator.LT, Operator.LE):
        return column <= math.floor(value)
    return column >= math.ceil(value)

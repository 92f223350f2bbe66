"""A filter's tree and an order as SQL, for PostgreSQL and SQLite alike.

Every condition made here is true or false and never NULL, so that NOT means what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Text,
    and_,
    false,
    literal,
    not_,
    or_,
    true,
)
from sqlalchemy.sql.schema import Table

from runstone_kit.filterlang import (
    And,
    Comparison,
    Expression,
    In,
    IsNull,
    Not,
    Operator,
    Or,
    OrderBy,
    Value,
)
from runstone_kit.paging import KeyValue
from runstone_kit.sqlfilter import (
    COMPARE,
    MAX_JOINED,
    Condition,
    comparisons,
    has_row,
    ilike,
    like,
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a search's names are found: columns by key, the tags' table and what joins it.

    A value of "" in one of ``optional`` means that the row does not have it.
    """

    attributes: Mapping[str, ColumnElement[Any]]
    tags: Table
    tag_owner: ColumnElement[bool]
    optional: frozenset[str] = frozenset()


class FilterCompiler:
    """Turns trees into conditions on ``columns`` for one dialect."""

    def __init__(self, columns: Columns, dialect: str) -> None:
        self._columns = columns
        self._dialect = dialect
        self._may_join = True

    def compile(self, tree: Expression | None) -> Condition:
        """The condition that rows fulfil which match ``tree``; None matches all."""
        self._may_join = comparisons(tree) <= MAX_JOINED
        return self._condition(tree)

    def _condition(self, tree: Expression | None) -> Condition:
        match tree:
            case None:
                return true()
            case And(terms):
                return and_(*map(self._condition, terms))
            case Or(terms):
                return or_(*map(self._condition, terms))
            case Not(term):
                return not_(self._condition(term))
            case Comparison(entity, key, op, value):
                return self._on(entity, key, lambda column: self._compare(column, op, value))
            case In(entity, key, values, negated):
                return self._on(entity, key, lambda column: _in(column, values, negated=negated))
            case IsNull(entity, key, negated):
                return self._is_null(entity, key, negated=negated)

    def _on(
        self, entity: str, key: str, condition: Callable[[ColumnElement[Any]], Condition]
    ) -> Condition:
        if entity == "tag":
            return self._has_tag(key, condition(self._columns.tags.c.value))
        column = self._columns.attributes[key]
        if key in self._columns.optional:
            return and_(column != "", condition(column))
        return condition(column)

    def _is_null(self, entity: str, key: str, *, negated: bool) -> Condition:
        if entity == "tag":
            present = self._has_tag(key, true())
        elif key in self._columns.optional:
            present = self._columns.attributes[key] != ""
        else:
            present = true()
        return present if negated else not_(present)

    def _has_tag(self, key: str, condition: Condition) -> Condition:
        tags = self._columns.tags
        return has_row(
            self._columns.tag_owner, tags.c.key == key, condition, may_join=self._may_join
        )

    def _compare(self, column: ColumnElement[Any], op: Operator, value: Value) -> Condition:
        if op in (Operator.LIKE, Operator.ILIKE):
            matches = like if op is Operator.LIKE else ilike
            return matches(column, str(value), postgresql=self._dialect == "postgresql")
        return COMPARE[op](column, _typed(value))


def sort_keys(
    order: Sequence[OrderBy], columns: Mapping[str, ColumnElement[Any]]
) -> list[ColumnElement[Any]]:
    """What to give to ORDER BY."""
    return [
        columns[each.key].asc() if each.ascending else columns[each.key].desc() for each in order
    ]


def after(
    order: Sequence[OrderBy],
    columns: Mapping[str, ColumnElement[Any]],
    key: Sequence[KeyValue] | None,
) -> Condition:
    """The condition of rows that stand behind ``key`` in ``order``; None means all rows."""
    if key is None:
        return true()
    choices: list[Condition] = []
    same: list[Condition] = []
    for each, value in zip(order, key, strict=True):
        column = columns[each.key]
        assert isinstance(value, str | int)
        bound = _typed(value)
        choices.append(and_(*same, column > bound if each.ascending else column < bound))
        same.append(column == bound)
    return or_(false(), *choices)


def _in(column: ColumnElement[Any], values: Sequence[Value], *, negated: bool) -> Condition:
    found = column.in_([_typed(value) for value in values])
    return not_(found) if negated else found


def _typed(value: Value) -> ColumnElement[Any]:
    # With the column's type a driver would round 1.5 to 2 before it compares.
    if isinstance(value, str):
        return literal(value, Text())
    return literal(value, Double() if isinstance(value, float) else BigInteger())

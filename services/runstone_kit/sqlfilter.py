"""The pieces of a filter in SQL that depend on the database, for PostgreSQL and SQLite alike.

How a service finds what a name stands for is its own business; these are the operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Text, exists, literal, true

from runstone_kit.filterlang import And, Expression, Not, Operator, Or

Condition: TypeAlias = ColumnElement[bool]

MAX_JOINED = 6
"""Comparisons that PostgreSQL may make joins of: the plan of 20 takes it ten seconds to find."""

COMPARE: Mapping[Operator, Callable[[Any, Any], Condition]] = {
    Operator.EQ: lambda left, right: left == right,
    Operator.NE: lambda left, right: left != right,
    Operator.LT: lambda left, right: left < right,
    Operator.LE: lambda left, right: left <= right,
    Operator.GT: lambda left, right: left > right,
    Operator.GE: lambda left, right: left >= right,
}

_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})


def comparisons(tree: Expression | None) -> int:
    """How many there are in ``tree``."""
    match tree:
        case None:
            return 0
        case And(terms) | Or(terms):
            return sum(map(comparisons, terms))
        case Not(term):
            return comparisons(term)
    return 1


def has_row(*conditions: Condition, may_join: bool) -> Condition:
    """Whether there is a row for which all hold; ``may_join``: see MAX_JOINED."""
    found = exists().where(*conditions)
    # Inside IS TRUE it stays a subquery, which is planned by itself.
    return found if may_join else found.is_(true())


def like(column: ColumnElement[Any], pattern: str, *, postgresql: bool) -> Condition:
    """LIKE that minds case; nothing escapes ``%`` and ``_``."""
    if postgresql:
        return column.like(literal(pattern, Text()), escape="")
    # SQLite's LIKE ignores case; its GLOB does not.
    return column.op("GLOB", is_comparison=True)(literal(pattern.translate(_GLOB), Text()))


def ilike(column: ColumnElement[Any], pattern: str, *, postgresql: bool) -> Condition:
    """LIKE that ignores the case of ASCII letters; PostgreSQL needs the collation "C" for that."""
    if postgresql:
        return column.ilike(literal(pattern, Text()), escape="")
    return column.op("LIKE", is_comparison=True)(literal(pattern, Text()))

"""What a filter means: a tree of frozen nodes.

The tree has two truth values. A comparison with something the row does not have (a metric, param
or tag that was never logged) is false, whatever the operator, ``!=`` and ``NOT IN`` included; so
``params.a != '1'`` finds rows that have another ``a``, and ``NOT params.a = '1'`` finds those and
the rows without ``a``. A metric that is NaN satisfies ``!=`` and nothing else. Who turns the tree
into SQL must keep a NULL from leaking out of a comparison under ``Not``.

``position`` is the column, from 1, at which the node's identifier stands in the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from runstone_kit.filterlang.vocabulary import Operator

Value: TypeAlias = str | int | float
"""A string, an integer that fits int64, or any other number as a float (infinite if too large)."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``entity.key op value``; ``entity`` and ``key`` have the vocabulary's canonical names.

    ``value`` has the field's type: int or float for a number, else str. In a LIKE (and ILIKE,
    which ignores case) ``%`` stands for any characters and ``_`` for one; nothing escapes them.
    """

    entity: str
    key: str
    op: Operator
    value: Value
    position: int = 0


@dataclass(frozen=True, slots=True)
class In:
    """``entity.key [NOT] IN (values)``; ``values`` is not empty and keeps the order written."""

    entity: str
    key: str
    values: tuple[Value, ...]
    negated: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class IsNull:
    """``entity.key IS [NOT] NULL``: true when the row does not have it (has it, if negated)."""

    entity: str
    key: str
    negated: bool = False
    position: int = 0


@dataclass(frozen=True, slots=True)
class Not:
    """True when ``term`` is false."""

    term: Expression


@dataclass(frozen=True, slots=True)
class And:
    """True when all of the two or more ``terms`` are."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when any of the two or more ``terms`` is."""

    terms: tuple[Expression, ...]


Expression: TypeAlias = And | Or | Not | Comparison | In | IsNull


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One sort key. Rows that lack it come last and NaN after numbers, in both directions."""

    entity: str
    key: str
    ascending: bool = True

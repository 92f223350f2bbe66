"""What a filter and an order mean, said once more in plain Python: slow, short, and sure."""

import math
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cmp_to_key

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
)

Held = str | int | float | None

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
SORTED_CHARS = 256


@dataclass(frozen=True)
class Row:
    """A run or an experiment: its attributes, and what it holds under keys."""

    id: str
    attributes: Mapping[str, Held]
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[Mapping[str, str], ...] = ()

    def held(self, entity: str, key: str) -> list[Held]:
        """What the row has there: nothing, one value, or one per data set."""
        if entity == "dataset":
            return [each[key] for each in self.datasets if key in each]
        if entity == "attribute":
            value = self.attributes[key]
            return [] if value is None else [value]
        things: Mapping[str, Held] = self.tags
        if entity != "tag":
            things = self.metrics if entity == "metric" else self.params
        return [things[key]] if key in things else []


def matches(tree: Expression | None, row: Row) -> bool:
    """Whether the filter holds for the row."""
    match tree:
        case None:
            return True
        case And(terms):
            return all(matches(term, row) for term in terms)
        case Or(terms):
            return any(matches(term, row) for term in terms)
        case Not(term):
            return not matches(term, row)
        case IsNull(entity, key, negated):
            return bool(row.held(entity, key)) is negated
        case In(entity, key, values, negated):
            return any((value in values) is not negated for value in row.held(entity, key))
        case Comparison(entity, key, op, value):
            return any(_compare(held, op, value) for held in row.held(entity, key))


def _compare(held: Held, op: Operator, value: str | float) -> bool:
    match op:
        case Operator.EQ:
            return held == value
        case Operator.NE:
            return held != value
        case Operator.LIKE:
            return _like(str(held), str(value))
        case Operator.ILIKE:
            return _like(str(held).translate(_LOWER), str(value).translate(_LOWER))
    assert held is not None
    return {
        Operator.LT: held < value,  # type: ignore[operator]
        Operator.LE: held <= value,  # type: ignore[operator]
        Operator.GT: held > value,  # type: ignore[operator]
        Operator.GE: held >= value,  # type: ignore[operator]
    }[op]


def _like(text: str, pattern: str) -> bool:
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(char) or re.escape(char) for char in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def ordered(rows: list[Row], order: list[OrderBy]) -> list[Row]:
    """The rows in order; what a row lacks comes last, after NaN, in both directions."""

    def compare(left: Row, right: Row) -> int:
        for each in order:
            found = _compare_keys(_key(left, each), _key(right, each), each.ascending)
            if found:
                return found
        return 0

    return sorted(rows, key=cmp_to_key(compare))


def _key(row: Row, order: OrderBy) -> tuple[int, Held]:
    found = row.held(order.entity, order.key)
    if not found:
        return 2, None
    (value,) = found
    if isinstance(value, float) and math.isnan(value):
        return 1, None
    if isinstance(value, str):
        return 0, value[:SORTED_CHARS]
    return 0, value


def _compare_keys(left: tuple[int, Held], right: tuple[int, Held], ascending: bool) -> int:
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    if left[1] == right[1]:
        return 0
    before = left[1] < right[1]  # type: ignore[operator]
    return -1 if before is ascending else 1

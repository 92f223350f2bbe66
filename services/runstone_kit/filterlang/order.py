"""order_by: a list of ``ident [ASC | DESC]``."""

from __future__ import annotations

from collections.abc import Sequence

from runstone_kit.errors import Violations
from runstone_kit.filterlang.ast import OrderBy
from runstone_kit.filterlang.lexer import Kind, fail, tokenize
from runstone_kit.filterlang.parser import resolve
from runstone_kit.filterlang.vocabulary import Vocabulary
from runstone_kit.validation import check_count

MAX_ORDER_BY = 16
"""Each sort key is a join; nobody reads a table sorted by more."""


def parse_order_by(
    items: Sequence[str], vocabulary: Vocabulary, *, field: str = "order_by"
) -> tuple[OrderBy, ...]:
    """The sort keys in order; ascending unless DESC is written.

    A later entry with the same entity and key has no effect and is left out. Raises
    InvalidArgument (reason FILTER_INVALID) naming ``order_by[2]`` for the third entry, or (reason
    INVALID_FIELD) ``order_by`` when there are more than MAX_ORDER_BY.
    """
    violations = Violations()
    check_count(violations, field, len(items), MAX_ORDER_BY)
    violations.raise_if_any()
    found: dict[tuple[str, str], OrderBy] = {}
    for index, item in enumerate(items):
        order = _parse_one(item, vocabulary, f"{field}[{index}]")
        found.setdefault((order.entity, order.key), order)
    return tuple(found.values())


def _parse_one(item: str, vocabulary: Vocabulary, field: str) -> OrderBy:
    tokens = tokenize(item, field)
    name, rest = next(tokens), next(tokens)
    entity, key, declared = resolve(name, vocabulary, field)
    if not declared.sortable:
        fail(field, name.column, f"{name.shown} cannot be sorted by")
    ascending = not rest.is_keyword("DESC")
    if rest.is_keyword("ASC") or rest.is_keyword("DESC"):
        rest = next(tokens)
    if rest.kind is not Kind.END:
        fail(field, rest.column, "ASC, DESC or the end", rest.shown)
    return OrderBy(entity, key, ascending)

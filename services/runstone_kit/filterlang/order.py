"""order_by: a list of ``ident [ASC | DESC]``."""

from __future__ import annotations

from collections.abc import Sequence

from runstone_kit.filterlang.ast import OrderBy
from runstone_kit.filterlang.lexer import Kind, fail, tokenize
from runstone_kit.filterlang.parser import resolve
from runstone_kit.filterlang.vocabulary import Vocabulary

MAX_ORDER_BY = 20
"""Each sort key is a join; nobody reads a table sorted by more."""


def parse_order_by(
    items: Sequence[str], vocabulary: Vocabulary, *, field: str = "order_by"
) -> tuple[OrderBy, ...]:
    """The sort keys in order; ascending unless DESC is written.

    A later entry with the same entity and key has no effect and is left out. Raises
    InvalidArgument (reason FILTER_INVALID) naming ``order_by[2]`` for the third entry.
    """
    if len(items) > MAX_ORDER_BY:
        fail(field, 1, f"at most {MAX_ORDER_BY} entries", str(len(items)))
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

"""Keyset paging: tokens that carry the last row's key and a hash of the query they belong to.

A token is not a secret: one made by hand can only name another place in the same result. A checksum
over query and key refuses what was altered, cut or put together from others, so that a caller's
mistake is told and not answered with another page. Whoever decodes says which types the key has.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from runstone_kit.errors import InvalidArgument, Violation, invalid_field
from runstone_kit.validation import INT64_MAX, INT64_MIN

KeyValue = str | int | float | None
"""What a keyset may hold; floats may be NaN and infinite. Booleans are not key values."""

T = TypeVar("T")

MAX_TOKEN = 65_536
"""A tag value of 8,000 four-byte characters in base64, with room to spare."""

HASH_DIGITS = 8
"""Hex digits of a query's hash and of a checksum: nobody alters a token four billion times."""

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")

PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105 - a reason
PAGE_TOKEN_OTHER_QUERY = "PAGE_TOKEN_OTHER_QUERY"  # noqa: S105 - a reason


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; ``next_page_token`` is empty on the last."""

    items: list[T]
    next_page_token: str = ""


def resolve_page_size(value: int, *, default: int, maximum: int, field: str = "page_size") -> int:
    """The page size to use: 0 means ``default``, above ``maximum`` means ``maximum``.

    Raises InvalidArgument naming ``field`` when ``value`` is negative.
    """
    if value < 0:
        raise invalid_field(field, f"must not be negative, as {value} is")
    return min(value or default, maximum)


def query_hash(*parts: object) -> str:
    """Eight hex digits that identify a query: method, parent, filter, order; not the page size.

    Parts are compared by their ``repr``, so give plain strings, numbers, lists and tuples.
    """
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:HASH_DIGITS]


def encode_token(query: str, key: Sequence[KeyValue]) -> str:
    """The token for "after the row with this key" in the query hashed to ``query``."""
    return _sealed(query, json.dumps(list(key), ensure_ascii=False, separators=(",", ":")))


def decode_token(
    token: str,
    query: str,
    types: Sequence[tuple[type, ...]] | None = None,
    *,
    field: str = "page_token",
) -> list[KeyValue] | None:
    """The key held by ``token``, or None for the empty token (the first page).

    ``types`` gives the allowed types of each key value in order, e.g.
    ``[(int, float, type(None)), (str,)]``; a token whose key has another shape is invalid. Strings
    never hold NUL or surrogates and integers fit int64, so a key may go to the database as it is.

    Raises InvalidArgument: PAGE_TOKEN_INVALID, or PAGE_TOKEN_OTHER_QUERY when the token belongs
    to another query. Nothing else, whatever the token.
    """
    if not token:
        return None
    try:
        found, key = _read(token)
    except (ValueError, RecursionError) as error:
        raise _invalid(field) from error
    if found != query:
        description = "belongs to another query: filter, order and parent must stay the same"
        raise InvalidArgument(
            f"{field} {description}",
            reason=PAGE_TOKEN_OTHER_QUERY,
            violations=[Violation(field, description)],
        )
    if types is not None and not _fits(key, types):
        raise _invalid(field)
    return key


def cut_page(
    rows: Sequence[T],
    size: int,
    query: str,
    key: Callable[[T], Sequence[KeyValue]],
) -> Page[T]:
    """Make a page of ``size`` from rows read with ``LIMIT size + 1``; ``key`` gives a row's key."""
    if len(rows) <= size:
        return Page(list(rows))
    items = list(rows[:size])
    return Page(items, encode_token(query, key(items[-1])))


def _read(token: str) -> tuple[str, list[KeyValue]]:
    if len(token) > MAX_TOKEN:
        raise ValueError("too long")
    raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    query, text = raw[:HASH_DIGITS], raw[2 * HASH_DIGITS :]
    # Compared whole: base64 has several spellings of the same bytes.
    if token != _sealed(query, text):
        raise ValueError("altered")
    key = json.loads(text)
    if not isinstance(key, list) or not all(map(_is_key_value, key)):
        raise ValueError("not a key")
    return query, key


def _sealed(query: str, text: str) -> str:
    checksum = hashlib.sha256((query + text).encode()).hexdigest()[:HASH_DIGITS]
    return base64.urlsafe_b64encode((query + checksum + text).encode()).decode().rstrip("=")


def _is_key_value(value: object) -> bool:
    if type(value) is int:
        return INT64_MIN <= value <= INT64_MAX
    if type(value) is str:
        return _UNSTORABLE.search(value) is None
    return value is None or type(value) is float


def _fits(key: list[KeyValue], types: Sequence[tuple[type, ...]]) -> bool:
    return len(key) == len(types) and all(
        type(value) in allowed for value, allowed in zip(key, types, strict=True)
    )


def _invalid(field: str) -> InvalidArgument:
    description = "is not a token this server gave out"
    return InvalidArgument(
        f"{field} {description}",
        reason=PAGE_TOKEN_INVALID,
        violations=[Violation(field, description)],
    )

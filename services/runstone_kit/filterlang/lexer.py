"""Text to tokens, in one pass of one regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn

from runstone_kit.errors import InvalidArgument, Violation

FILTER_INVALID = "FILTER_INVALID"
"""The reason of every error about a filter or an order_by."""

MAX_LENGTH = 262_144
"""Characters in a filter: room for 7,000 run ids in one IN, and read in under a second."""

_MAX_SHOWN = 40


class Kind(Enum):
    """What a token is."""

    DOTTED = auto()
    WORD = auto()
    QUOTED = auto()
    NUMBER = auto()
    OPERATOR = auto()
    OPEN = auto()
    CLOSE = auto()
    COMMA = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: as written, with its column from 1.

    ``value`` is the content of a quoted token or the key of a dotted one, ``entity`` what stood
    before the dot; both are unquoted.
    """

    kind: Kind
    text: str
    column: int
    value: str = ""
    entity: str = ""

    def is_keyword(self, word: str) -> bool:
        """Whether this is the keyword ``word`` (upper case) in any case."""
        return self.kind is Kind.WORD and self.text.upper() == word

    @property
    def shown(self) -> str:
        """The token for an error message."""
        if self.kind is Kind.END:
            return "the end"
        if len(self.text) > _MAX_SHOWN:
            return self.text[:_MAX_SHOWN] + "…"
        return self.text


# Possessive quantifiers: an unterminated quote must fail at once, not after backtracking.
_TOKEN = re.compile(
    r"""
      (?P<DOTTED>(?P<entity>`\w++`|[^\W\d]\w*+)\.(?P<key>`[^`]*+`|"[^"]*+"|[\w./:\-]++))
    | (?P<NUMBER>[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+(?![\w.]))
    | (?P<WORD>[^\W\d]\w*+)
    | (?P<QUOTED>'[^']*+(?:''[^']*+)*+'|"[^"]*+(?:""[^"]*+)*+"|`[^`]*+`)
    | (?P<OPERATOR><=|>=|!=|<>|==|=|<|>)
    | (?P<OPEN>\()
    | (?P<CLOSE>\))
    | (?P<COMMA>,)
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*+")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_WRONG_WORD = re.compile(r"[^\s(),<>=!]{1,40}")
_QUOTES = "'\"`"


def fail(field: str, column: int, wanted: str, found: str = "") -> NoReturn:
    """Raise FILTER_INVALID naming ``field``, the column, what would be right and what was found."""
    description = f"at column {column}: {wanted}" + (f", found {found}" if found else "")
    raise InvalidArgument(
        f"{field} is wrong {description}",
        reason=FILTER_INVALID,
        metadata={"field": field, "column": str(column)},
        violations=[Violation(field, description)],
    )


def tokenize(text: str, field: str) -> Iterator[Token]:
    """The tokens of ``text`` as they are asked for, and END tokens ever after.

    Raises InvalidArgument naming ``field`` for what is no token, or a text over MAX_LENGTH. One
    token at a time, so that a parser that stops at its first error has not read on for nothing.
    """
    if len(text) > MAX_LENGTH:
        fail(
            field,
            MAX_LENGTH + 1,
            f"the text must have at most {MAX_LENGTH} characters",
            f"{len(text)}",
        )
    bad = _UNSTORABLE.search(text)
    if bad is not None:
        fail(field, bad.start() + 1, f"U+{ord(bad[0]):04X} is not allowed")
    at = _skip_space(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            _explain(text, at, field)
        yield _token(match, field)
        at = _skip_space(text, match.end())
    end = Token(Kind.END, "", len(text) + 1)
    while True:
        yield end


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _token(match: re.Match[str], field: str) -> Token:
    kind = Kind[match.lastgroup or ""]
    text = match[0]
    column = match.start() + 1
    if kind is Kind.QUOTED:
        return Token(kind, text, column, value=_unquote(text))
    if kind is not Kind.DOTTED:
        return Token(kind, text, column)
    key = _unquote(match["key"])
    if not key:
        fail(field, match.start("key") + 1, "a key must not be empty")
    return Token(kind, text, column, value=key, entity=match["entity"].strip("`"))


def _unquote(text: str) -> str:
    quote = text[0]
    if quote not in _QUOTES:
        return text
    return text[1:-1].replace(quote + quote, quote)


def _explain(text: str, at: int, field: str) -> NoReturn:
    """Say why no token starts at ``at``."""
    char = text[at]
    if char in _QUOTES:
        fail(field, at + 1, f"a closing {char} for the one that opens here", "none")
    word = _WRONG_WORD.match(text, at)
    if char.isdigit() or (char in "+-." and text[at + 1 : at + 2].isdigit()):
        fail(field, at + 1, "a number such as 0.5 or 1e-3", word[0] if word else char)
    if char == ".":
        fail(field, at + 1, "a key right after the dot, with quotes if it has special characters")
    fail(
        field,
        at + 1,
        "a keyword, a name, a value, an operator or a parenthesis",
        word[0] if word else char,
    )

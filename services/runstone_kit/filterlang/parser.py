"""Tokens to tree, by recursive descent with a bounded depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import NoReturn

from runstone_kit.filterlang.ast import (
    And,
    Comparison,
    Expression,
    In,
    IsNull,
    Not,
    Or,
    Value,
)
from runstone_kit.filterlang.lexer import Kind, Token, fail, tokenize
from runstone_kit.filterlang.vocabulary import Field, Operator, ValueType, Vocabulary
from runstone_kit.validation import INT64_MAX, INT64_MIN

MAX_DEPTH = 25
"""Parentheses and NOTs inside each other. Each may become several of SQL, and the stack of SQLite's
parser holds 100 symbols: 40 were too many for it."""

MAX_COMPARISONS = 200
"""Each becomes a subquery; SQLite refuses an expression tree deeper than 1,000."""

MAX_VALUES = 10_000
"""Values in all; SQLite binds at most 32,766 parameters to a statement, PostgreSQL 65,535."""

MAX_GUESSED = 50
"""Characters of a name that likenesses are looked for: the time grows with the square."""

_OPERATORS = {"<>": Operator.NE, "==": Operator.EQ}
_TYPE_WORDS = {
    ValueType.NUMBER: "a number, without quotes",
    ValueType.STRING: "a string in quotes",
    ValueType.ENUM: "a string in quotes",
}


def parse(text: str, vocabulary: Vocabulary, *, field: str = "filter") -> Expression | None:
    """The tree of a filter, or None for a text that is empty or blank (everything matches).

    Raises InvalidArgument (reason FILTER_INVALID, metadata ``field`` and ``column``) naming
    ``field``, where the text is wrong, what was found and what would be right. Never anything
    else, whatever the text: length, depth, comparisons and values are bounded.
    """
    parser = _Parser(tokenize(text, field), vocabulary, field)
    if parser.at_end():
        return None
    tree = parser.parse_or(0)
    parser.expect_end()
    return tree


def resolve(token: Token, vocabulary: Vocabulary, field: str) -> tuple[str, str, Field]:
    """The canonical entity and key that an identifier token names, and the key's field.

    Raises InvalidArgument when the token is no identifier, or names what the vocabulary lacks.
    """
    if token.kind is Kind.DOTTED:
        name, key = token.entity, token.value
    elif token.kind is Kind.WORD:
        name, key = "attribute", token.text
    elif token.kind is Kind.QUOTED and not token.text.startswith("'"):
        name, key = "attribute", token.value
    else:
        fail(field, token.column, "a name such as metrics.loss or status", token.shown)
    entity = vocabulary.entity(name)
    if entity is None:
        known = ", ".join(vocabulary.names)
        hint = _meant(name, vocabulary.every_name)
        fail(field, token.column, f"one of {known} before the dot{hint}", name)
    found = entity.resolve(key)
    if found is None:
        keys = ", ".join(entity.fields)
        hint = _meant(key, [*entity.fields, *entity.key_aliases])
        if not hint and token.kind is Kind.WORD:
            hint = _logged(key, vocabulary)
        fail(field, token.column, f"{entity.name} must be one of {keys}{hint}", token.shown)
    return entity.name, *found


class _Parser:
    def __init__(self, tokens: Iterator[Token], vocabulary: Vocabulary, field: str) -> None:
        self._tokens = tokens
        self._next = next(tokens)
        self._vocabulary = vocabulary
        self._field = field
        self._comparisons = 0
        self._values = 0

    def parse_or(self, depth: int) -> Expression:
        terms = [self._parse_and(depth)]
        while self._take_keyword("OR"):
            terms.append(self._parse_and(depth))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def at_end(self) -> bool:
        return self._next.kind is Kind.END

    def expect_end(self) -> None:
        token = self._peek()
        if token.kind is Kind.CLOSE:
            self._fail(token, "no closing parenthesis without an opening one")
        if token.kind is not Kind.END:
            self._fail(token, "AND, OR or the end")

    def _parse_and(self, depth: int) -> Expression:
        terms = [self._parse_not(depth)]
        while self._take_keyword("AND"):
            terms.append(self._parse_not(depth))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _parse_not(self, depth: int) -> Expression:
        token = self._peek()
        if depth > MAX_DEPTH:
            fail(
                self._field,
                token.column,
                f"parentheses and NOTs inside each other at most {MAX_DEPTH} deep",
            )
        if self._take_keyword("NOT"):
            return Not(self._parse_not(depth + 1))
        if token.kind is not Kind.OPEN:
            return self._parse_comparison()
        self._take()
        tree = self.parse_or(depth + 1)
        if self._peek().kind is not Kind.CLOSE:
            self._fail(
                self._peek(),
                f"AND, OR or a closing parenthesis for the one at column {token.column}",
            )
        self._take()
        return tree

    def _parse_comparison(self) -> Expression:
        name = self._take()
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            fail(self._field, name.column, f"at most {MAX_COMPARISONS} comparisons")
        entity, key, field = resolve(name, self._vocabulary, self._field)
        token = self._take()
        if token.is_keyword("IS"):
            negated = self._take_keyword("NOT")
            if not self._take_keyword("NULL"):
                self._fail(self._peek(), "NULL" if negated else "NULL or NOT NULL")
            self._check_operator(Operator.IS_NULL, field, name, token)
            return IsNull(entity, key, negated, name.column)
        if token.is_keyword("IN"):
            return self._parse_list(entity, key, field, name, token, negated=False)
        if token.is_keyword("NOT"):
            if self._peek().is_keyword("LIKE") or self._peek().is_keyword("ILIKE"):
                self._fail(self._peek(), f"IN (to negate a LIKE write NOT {name.shown} LIKE …)")
            if not self._take_keyword("IN"):
                self._fail(self._peek(), "IN")
            return self._parse_list(entity, key, field, name, token, negated=True)
        op = self._operator(token, field, name)
        value = self._value(self._take(), field, op, name)
        return Comparison(entity, key, op, value, name.column)

    def _parse_list(
        self, entity: str, key: str, field: Field, name: Token, keyword: Token, *, negated: bool
    ) -> In:
        self._check_operator(Operator.IN, field, name, keyword)
        opening = self._take()
        if opening.kind is not Kind.OPEN:
            self._fail(opening, "a list such as ('a', 'b')")
        values = [self._value(self._take(), field, Operator.IN, name)]
        while self._peek().kind is Kind.COMMA:
            self._take()
            if self._peek().kind is Kind.CLOSE:
                break
            values.append(self._value(self._take(), field, Operator.IN, name))
        if self._peek().kind is not Kind.CLOSE:
            self._fail(self._peek(), "a comma or the list's closing parenthesis")
        self._take()
        return In(entity, key, tuple(values), negated, name.column)

    def _operator(self, token: Token, field: Field, name: Token) -> Operator:
        text = token.text.upper()
        op: Operator | None = None
        if token.kind is Kind.OPERATOR:
            op = _OPERATORS.get(text) or Operator(text)
        elif token.kind is Kind.WORD and text in ("LIKE", "ILIKE"):
            op = Operator(text)
        if op is None:
            self._fail(token, f"an operator: {_operator_list(field)}")
        self._check_operator(op, field, name, token)
        return op

    def _check_operator(self, op: Operator, field: Field, name: Token, token: Token) -> None:
        if op not in field.operators:
            self._fail(token, f"{name.shown} can be compared by {_operator_list(field)}")

    def _value(self, token: Token, field: Field, op: Operator, name: Token) -> Value:
        self._values += 1
        if self._values > MAX_VALUES:
            fail(self._field, token.column, f"at most {MAX_VALUES} values")
        wanted = Kind.NUMBER if field.type is ValueType.NUMBER else Kind.QUOTED
        if token.kind is not wanted or token.text.startswith("`"):
            wanted_words = _TYPE_WORDS[field.type]
            if token.kind is Kind.NUMBER:
                wanted_words += f" ('{token.text}')"
            self._fail(token, f"{name.shown} is compared with {wanted_words}")
        if field.type is ValueType.NUMBER:
            return _number(token.text)
        if field.type is ValueType.ENUM and op not in (Operator.LIKE, Operator.ILIKE):
            self._check_choice(token, field, name)
        return token.value

    def _check_choice(self, token: Token, field: Field, name: Token) -> None:
        if token.value not in field.choices:
            choices = ", ".join(repr(choice) for choice in field.choices)
            self._fail(token, f"{name.shown} is one of {choices}")

    def _peek(self) -> Token:
        return self._next

    def _take(self) -> Token:
        token = self._next
        self._next = next(self._tokens)
        return token

    def _take_keyword(self, word: str) -> bool:
        if not self._next.is_keyword(word):
            return False
        self._take()
        return True

    def _fail(self, token: Token, wanted: str) -> NoReturn:
        fail(self._field, token.column, wanted, token.shown)


def _logged(key: str, vocabulary: Vocabulary) -> str:
    """Who forgot what stands before the dot is told what can."""
    kinds = [each.aliases[0] for each in vocabulary.entities if each.any_key is not None]
    written = ", ".join(f"{kind}.{key[:MAX_GUESSED]}" for kind in kinds)
    return f" (what was logged is written with its kind: {written})" if kinds else ""


def _meant(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name.lower()[:MAX_GUESSED], known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _operator_list(field: Field) -> str:
    return ", ".join(op for op in Operator if op in field.operators)


def _number(text: str) -> int | float:
    """An int when written as one that fits int64 (what databases compare with), else a float."""
    if text.isascii() and text.lstrip("+-").isdigit() and len(text) <= len(str(INT64_MIN)):
        value = int(text)
        if INT64_MIN <= value <= INT64_MAX:
            return value
    return float(text)

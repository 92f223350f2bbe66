"""Properties of the search language, for texts and trees nobody thought of."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from runstone_kit.errors import InvalidArgument
from runstone_kit.filterlang import (
    METRICS,
    PARAMS,
    And,
    Comparison,
    Expression,
    In,
    IsNull,
    Not,
    Operator,
    Or,
    Vocabulary,
    attributes,
    parse,
    parse_order_by,
    string,
)

RUNS = Vocabulary(METRICS, PARAMS, attributes({"run_id": string(Operator.IN)}))

keys = st.text("abc/-_. :é", min_size=1, max_size=12)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)

leaves = st.one_of(
    st.builds(
        Comparison,
        st.just("metric"),
        keys,
        st.sampled_from([Operator.EQ, Operator.NE, Operator.LT, Operator.GE]),
        numbers,
    ),
    st.builds(
        Comparison,
        st.just("param"),
        keys,
        st.sampled_from([Operator.EQ, Operator.NE, Operator.LIKE, Operator.ILIKE]),
        texts,
    ),
    st.builds(IsNull, st.just("param"), keys, st.booleans()),
    st.builds(
        In,
        st.just("attribute"),
        st.just("run_id"),
        st.lists(texts, min_size=1, max_size=4).map(tuple),
        st.booleans(),
    ),
)


def _several(terms: st.SearchStrategy[Expression]) -> st.SearchStrategy[tuple[Expression, ...]]:
    return st.lists(terms, min_size=2, max_size=3).map(tuple)


trees: st.SearchStrategy[Expression] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(And, _several(inner)),
        st.builds(Or, _several(inner)),
        st.builds(Not, inner),
    ),
    max_leaves=10,
)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _written(tree: Expression) -> str:
    match tree:
        case And(terms):
            return " AND ".join(f"({_written(term)})" for term in terms)
        case Or(terms):
            return " or ".join(f"({_written(term)})" for term in terms)
        case Not(term):
            return f"not ({_written(term)})"
        case Comparison(entity, key, op, value):
            if isinstance(value, str):
                return f"{entity}.`{key}` {op} {_quoted(value)}"
            return f'{entity}s."{key}"{op}{_decimal(value)}'
        case IsNull(entity, key, negated):
            return f"{entity}.`{key}` IS {'NOT ' if negated else ''}NULL"
        case In(entity, key, values, negated):
            listed = ",".join(map(_quoted, values))
            return f"{entity}.`{key}` {'NOT ' if negated else ''}IN ({listed})"


def _decimal(value: float) -> str:
    if value in (float("inf"), float("-inf")):
        return "-1e999" if value < 0 else "1e999"
    return repr(value)


def _placeless(tree: Expression) -> Expression:
    match tree:
        case And(terms):
            return And(tuple(map(_placeless, terms)))
        case Or(terms):
            return Or(tuple(map(_placeless, terms)))
        case Not(term):
            return Not(_placeless(term))
        case Comparison(entity, key, op, value):
            return Comparison(entity, key, op, value)
        case IsNull(entity, key, negated):
            return IsNull(entity, key, negated)
        case In(entity, key, values, negated):
            return In(entity, key, values, negated)


@given(trees)
def test_what_is_written_is_what_is_read(tree: Expression) -> None:
    found = parse(_written(tree), RUNS)
    assert found is not None
    assert _placeless(found) == tree


WORDS = """
    metrics.a params.b run_id AND OR NOT IN IS NULL LIKE > = != ( ) , 'x' "y" `z` 1 -2.5 .
"""
words = st.sampled_from(WORDS.split())


def _error_of(parse_it: Callable[[], object]) -> InvalidArgument | None:
    try:
        parse_it()
    except InvalidArgument as error:
        return error
    return None


@given(st.lists(words, max_size=30).map(" ".join) | st.text(max_size=60))
def test_any_text_gives_a_tree_or_a_clear_error(text: str) -> None:
    error = _error_of(lambda: parse(text, RUNS))
    if error is not None:
        assert error.reason == "FILTER_INVALID"
        assert 1 <= int(error.metadata["column"]) <= len(text) + 1
        assert error.message.encode()


@given(st.lists(st.lists(words, max_size=4).map(" ".join) | st.text(max_size=20), max_size=3))
def test_any_order_by_gives_keys_or_a_clear_error(items: list[str]) -> None:
    error = _error_of(lambda: parse_order_by(items, RUNS))
    if error is not None:
        assert error.reason == "FILTER_INVALID"
        assert error.metadata["field"].startswith("order_by[")

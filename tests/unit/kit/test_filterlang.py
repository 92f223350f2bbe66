"""The search language: what each text means, and what each wrong text is told."""

from __future__ import annotations

import re

import pytest

from runstone_kit.errors import InvalidArgument
from runstone_kit.filterlang import (
    DATASETS,
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_VALUES,
    METRICS,
    PARAMS,
    TAGS,
    And,
    Comparison,
    Entity,
    In,
    IsNull,
    Not,
    Operator,
    Or,
    Vocabulary,
    attributes,
    enumeration,
    number,
    parse,
    string,
)

RUNS = Vocabulary(
    METRICS,
    PARAMS,
    TAGS,
    attributes(
        {
            "run_id": string(Operator.IN),
            "run_name": string(),
            "status": enumeration(("RUNNING", "FINISHED")),
            "start_time": number(),
            "end_time": number(Operator.IS_NULL),
        },
        {"created": "start_time", "Created": "start_time", "run name": "run_name"},
        names=("attributes", "attr", "run"),
    ),
    DATASETS,
)

# Checked side by side with the parser of MLflow 3: what both accept means the same.
MEANINGS = [
    ("metrics.acc > 0.9", ("metric", "acc", ">", 0.9)),
    ("metrics.acc>=0.9", ("metric", "acc", ">=", 0.9)),
    ("metric.acc < -0.9", ("metric", "acc", "<", -0.9)),
    ("metrics.acc <= 1e3", ("metric", "acc", "<=", 1000.0)),
    ("metrics.acc = 1E-3", ("metric", "acc", "=", 0.001)),
    ("metrics.acc != .5", ("metric", "acc", "!=", 0.5)),
    ("metrics.acc <> 5.", ("metric", "acc", "!=", 5.0)),
    ("metrics.acc == +1", ("metric", "acc", "=", 1)),
    ("metrics.a.b > 1", ("metric", "a.b", ">", 1)),
    ("metrics.`a b` > 1", ("metric", "a b", ">", 1)),
    ('metrics."a b" > 1', ("metric", "a b", ">", 1)),
    ("metrics.train/loss > 1", ("metric", "train/loss", ">", 1)),
    ("metrics.val-loss>-1", ("metric", "val-loss", ">", -1)),
    ("metrics.1 > 1", ("metric", "1", ">", 1)),
    ("metrics.1a > 1", ("metric", "1a", ">", 1)),
    ("`metrics`.a > 1", ("metric", "a", ">", 1)),
    ("metrics.ключ > 1", ("metric", "ключ", ">", 1)),
    ("params.lr = '0.1'", ("param", "lr", "=", "0.1")),
    ('param.lr = "0.1"', ("param", "lr", "=", "0.1")),
    ("parameter.lr != ''", ("param", "lr", "!=", "")),
    ('parameters.lr = "it\'s"', ("param", "lr", "=", "it's")),
    ("params.lr = 'it''s'", ("param", "lr", "=", "it's")),
    ("params.dir = 'C:\\'", ("param", "dir", "=", "C:\\")),
    ("params.and = ' AND '", ("param", "and", "=", " AND ")),
    ("params.lr like '%a_'", ("param", "lr", "LIKE", "%a_")),
    ("tags.mlflow.user ilike '%A%'", ("tag", "mlflow.user", "ILIKE", "%A%")),
    ("tags.\"mlflow.user\" = 'x'", ("tag", "mlflow.user", "=", "x")),
    ("tag.`mlflow.user` = 'x'", ("tag", "mlflow.user", "=", "x")),
    ("status = 'RUNNING'", ("attribute", "status", "=", "RUNNING")),
    ("attr.status != 'FINISHED'", ("attribute", "status", "!=", "FINISHED")),
    ("run.status LIKE 'R%'", ("attribute", "status", "LIKE", "R%")),
    ("\"run name\" = 'x'", ("attribute", "run_name", "=", "x")),
    ("attributes.`run name` = 'x'", ("attribute", "run_name", "=", "x")),
    ("start_time > 12", ("attribute", "start_time", ">", 12)),
    ("created > 12.5", ("attribute", "start_time", ">", 12.5)),
    ("Created > 1", ("attribute", "start_time", ">", 1)),
    ("datasets.name = 'x'", ("dataset", "name", "=", "x")),
    ("dataset.digest ILIKE 'x'", ("dataset", "digest", "ILIKE", "x")),
    ("\n\tmetrics.a\n>\n1 ", ("metric", "a", ">", 1)),
]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS, ids=[text for text, _ in MEANINGS])
def test_comparison(text: str, meaning: tuple[str, str, str, object]) -> None:
    found = parse(text, RUNS)
    assert isinstance(found, Comparison)
    assert (found.entity, found.key, str(found.op), found.value) == meaning
    assert type(found.value) is type(meaning[3])


@pytest.mark.parametrize("text", ["", "  ", "\n\t "])
def test_blank_matches_everything(text: str) -> None:
    assert parse(text, RUNS) is None


def test_position_is_the_column_of_the_identifier() -> None:
    found = parse("metrics.a > 1 AND  params.b = 'x'", RUNS)
    assert isinstance(found, And)
    assert [term.position for term in found.terms if isinstance(term, Comparison)] == [1, 20]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("run_id IN ('a','b')", In("attribute", "run_id", ("a", "b"), position=1)),
        ('run_id in ("a")', In("attribute", "run_id", ("a",), position=1)),
        ("run_id IN('a', )", In("attribute", "run_id", ("a",), position=1)),
        ("run_id not in ('a')", In("attribute", "run_id", ("a",), True, 1)),
        ("params.lr NOT IN ('a')", In("param", "lr", ("a",), True, position=1)),
        ("tags.team IN ('a', 'b')", In("tag", "team", ("a", "b"), position=1)),
        ("datasets.`name` IN ('x')", In("dataset", "name", ("x",), position=1)),
        ("params.lr IS NULL", IsNull("param", "lr", position=1)),
        ("tags.`a b` is  not   null", IsNull("tag", "a b", True, 1)),
        ("end_time IS NULL", IsNull("attribute", "end_time", position=1)),
    ],
)
def test_lists_and_nulls(text: str, meaning: object) -> None:
    assert parse(text, RUNS) == meaning


def _shape(text: str) -> object:
    def strip(node: object) -> object:
        match node:
            case And(terms):
                return ("and", *map(strip, terms))
            case Or(terms):
                return ("or", *map(strip, terms))
            case Not(term):
                return ("not", strip(term))
            case Comparison(key=key):
                return key
        raise AssertionError(node)

    return strip(parse(re.sub(r"\b[abc]\b", r"metrics.\g<0> > 1", text), RUNS))


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("a AND b AND c", ("and", "a", "b", "c")),
        ("a OR b OR c", ("or", "a", "b", "c")),
        ("a OR b AND c", ("or", "a", ("and", "b", "c"))),
        ("a AND b OR c", ("or", ("and", "a", "b"), "c")),
        ("(a OR b) AND c", ("and", ("or", "a", "b"), "c")),
        ("NOT a AND b", ("and", ("not", "a"), "b")),
        ("NOT (a AND b)", ("not", ("and", "a", "b"))),
        ("NOT NOT a", ("not", ("not", "a"))),
        ("((a))", "a"),
        ("(a)OR(b)", ("or", "a", "b")),
    ],
)
def test_precedence(text: str, shape: object) -> None:
    assert _shape(text) == shape


# text, column of the mistake, a part of what the message says
MISTAKES = [
    ("metrics.acc > '1'", 15, "metrics.acc is compared with a number"),
    ("metrics.acc > nan", 15, "found nan"),
    ("metrics.acc > 0x10", 15, "found 0x10"),
    ("metrics.acc > 1.2.3", 15, "found 1.2.3"),
    ("metrics.acc LIKE '1'", 13, "=, !=, <, <=, >, >="),
    ("metrics.acc IN (1)", 13, "found IN"),
    ("metrics.acc IS NULL", 13, "found IS"),
    ("metrics.acc", 12, "an operator: =, !=, <, <=, >, >=, found the end"),
    ("metrics. a > 1", 8, "a key right after the dot"),
    ("metrics.`` > 1", 9, "a key must not be empty"),
    ('metrics."" > 1', 9, "a key must not be empty"),
    ("params.lr = 0.1", 13, "params.lr is compared with a string in quotes ('0.1'), found 0.1"),
    ("metric.lr = 0.1 AND parms.a = 'b'", 21, "before the dot (did you mean params?), found parms"),
    ("start_tme > 1", 1, "(did you mean start_time?)"),
    ("acc > 1", 1, "with its kind: metrics.acc, params.acc, tags.acc), found acc"),
    ("params.lr = abc", 13, "a string in quotes, found abc"),
    ("params.lr = `abc`", 13, "a string in quotes"),
    ("params.lr > '1'", 11, "can be compared by =, !=, LIKE, ILIKE, IN, IS NULL"),
    ("params.lr IN ()", 15, "params.lr is compared with a string in quotes, found )"),
    ("params.lr NOT LIKE 'a'", 15, "write NOT params.lr LIKE"),
    ("params.lr NOT = 'a'", 15, "IN, found ="),
    ("params.lr IS 'a'", 14, "NULL or NOT NULL"),
    ("params.lr IS NOT 'a'", 18, "NULL, found 'a'"),
    ("params.lr = 'abc", 13, "a closing '"),
    ("params.lr = 'a'''' b", 13, "a closing '"),
    ("params.lr ~ 'a'", 11, "found ~"),
    ("params.lr = 'a\x00'", 15, "U+0000"),
    ("params.lr = '\ud800'", 14, "U+D800"),
    ("METRICS.a > 1", 1, "one of metric, param, tag, attribute, dataset before the dot"),
    ("foo.bar = 'x'", 1, "found foo"),
    ("`metrics.a` > 1", 1, "attribute must be one of run_id"),
    ("foo = 'x'", 1, "attribute must be one of run_id, run_name, status"),
    ("datasets.profile = 'x'", 1, "dataset must be one of name, digest, context"),
    ("status = 'foo'", 10, "status is one of 'RUNNING', 'FINISHED', found 'foo'"),
    ("status = RUNNING", 10, "a string in quotes"),
    ("start_time > '12'", 14, "a number, without quotes"),
    ("start_time IS NULL", 12, "found IS"),
    ("run_id IN ()", 12, "run_id is compared with a string in quotes, found )"),
    ("run_id IN 'a'", 11, "a list such as"),
    ("run_id IN ('a' 'b')", 16, "a comma or the list's closing parenthesis"),
    ("run_id IN ('a', 1)", 17, "found 1"),
    ("run_id IN ('a'", 15, "found the end"),
    ("1 < metrics.a", 1, "a name such as metrics.loss"),
    ("'a' = params.b", 1, "a name such as"),
    ("run name = 'x'", 1, "attribute must be one of"),
    ("metrics.a > 1 AND", 18, "found the end"),
    ("AND metrics.a > 1", 1, "found AND"),
    ("metrics.a > 1 metrics.b > 1", 15, "AND, OR or the end, found metrics.b"),
    ("metrics.a > 1;", 14, "found ;"),
    ("metrics.a > 1 -- hi", 15, "found --"),
    ("metrics.a > 1 && metrics.b > 1", 15, "found &&"),
    ("metrics.a BETWEEN 1 AND 2", 11, "an operator"),
    ("(metrics.a > 1", 15, "closing parenthesis for the one at column 1"),
    ("metrics.a > 1)", 14, "no closing parenthesis without an opening one"),
    ("()", 2, "found )"),
    ("NOT", 4, "found the end"),
]


@pytest.mark.parametrize(("text", "column", "said"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_mistake(text: str, column: int, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text, RUNS)
    error = caught.value
    assert error.reason == "FILTER_INVALID"
    assert error.metadata == {"field": "filter", "column": str(column)}
    assert [violation.field for violation in error.violations] == ["filter"]
    assert said in error.violations[0].description
    assert f"column {column}" in error.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", 2.0**63),
        ("1" + "0" * 5000, float("inf")),
        ("-1e400", float("-inf")),
        ("007", 7),
    ],
)
def test_number_fits_the_database(text: str, value: float) -> None:
    found = parse(f"start_time > {text}", RUNS)
    assert isinstance(found, Comparison)
    assert found.value == value
    assert type(found.value) is type(value)


@pytest.mark.parametrize("text", ["١٢", "1٢", "1.٢", "1e٢", "१२"])
def test_digits_of_other_scripts_are_no_number(text: str) -> None:
    with pytest.raises(InvalidArgument, match="found"):
        parse(f"start_time > {text}", RUNS)


def _nested(depth: int, opening: str = "(", closing: str = ")") -> str:
    return opening * depth + "metrics.a > 1" + closing * depth


def _and(count: int) -> str:
    return " AND ".join(["metrics.a > 1"] * count)


def _in(count: int) -> str:
    return "run_id IN (" + ",".join(["'a'"] * count) + ")"


def _long(length: int) -> str:
    text = "metrics.a > 1"
    return text + " " * (length - len(text))


@pytest.mark.parametrize(
    ("allowed", "refused", "said"),
    [
        (_nested(MAX_DEPTH), _nested(MAX_DEPTH + 1), "at most 25 deep"),
        (_nested(MAX_DEPTH, "NOT ", ""), _nested(MAX_DEPTH + 1, "NOT ", ""), "at most 25 deep"),
        (_and(MAX_COMPARISONS), _and(MAX_COMPARISONS + 1), "at most 200 comparisons"),
        (_in(MAX_VALUES), _in(MAX_VALUES + 1), "at most 10000 values"),
        (_long(MAX_LENGTH), _long(MAX_LENGTH + 1), "at most 262144 characters"),
    ],
    ids=["parentheses", "nots", "comparisons", "values", "length"],
)
def test_limits_at_and_past(allowed: str, refused: str, said: str) -> None:
    assert parse(allowed, RUNS) is not None
    with pytest.raises(InvalidArgument, match=said) as caught:
        parse(refused, RUNS)
    assert caught.value.reason == "FILTER_INVALID"


@pytest.mark.parametrize(
    "text",
    [
        _nested(10_000),
        "(" * 10_000,
        ")" * 10_000,
        "NOT " * 10_000,
        "'" * 9_999,
        "`" * 9_999,
        '"' * 9_999,
        "a" * 10_000_000,
        "(" * 10_000_000,
        "." * 10_000,
        "9" * 10_000,
        "metrics." * 10_000,
        _and(10_000),
    ],
    ids=lambda text: f"{text[:8]}x{len(text)}",
)
def test_hostile_text_gets_a_short_clear_error(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text, RUNS)
    assert caught.value.reason == "FILTER_INVALID"
    assert len(caught.value.message) < 300


def test_two_entities_of_one_name_are_the_services_mistake() -> None:
    with pytest.raises(ValueError, match="two entities are called 'metrics'"):
        Vocabulary(METRICS, Entity("mine", ("metrics",)))


def test_field_is_named_as_the_caller_says() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse("x", RUNS, field="query.filter")
    assert caught.value.violations[0].field == "query.filter"

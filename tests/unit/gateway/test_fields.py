"""Parameters: what is taken, and how the rest is refused."""

import math
from typing import Any

import pytest

from runstone_gateway.errors import GatewayError
from runstone_gateway.fields import (
    BOOL,
    DURATION,
    INT,
    MAP,
    NUMBER,
    PAIRS,
    TEXT,
    TEXTS,
    TIME,
    UNIQUE_PAIRS,
    Field,
    listed,
    nested,
    one_of,
    read_object,
)


def deep(levels: int) -> Any:
    """A list in a list in a list."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


STATUS = one_of({"RUNNING": 1, "FINISHED": 3})


@pytest.mark.parametrize(
    ("field", "given", "read"),
    [
        (TEXT, "a", "a"),
        (TEXT, "", ""),
        (INT, 5, 5),
        (INT, "5", 5),
        (INT, "-5", -5),
        (INT, 5.0, 5),
        (INT, 2**63 - 1, 2**63 - 1),
        (INT, str(-(2**63)), -(2**63)),
        (NUMBER, 1, 1.0),
        (NUMBER, 1.5, 1.5),
        (NUMBER, "1e3", 1000.0),
        (NUMBER, "Infinity", math.inf),
        (NUMBER, "-Infinity", -math.inf),
        (NUMBER, 10**400, math.inf),
        (BOOL, True, True),
        (BOOL, "False", False),
        (MAP, {"a": 1}, {"a": 1}),
        (TEXTS, ["a", "b"], ["a", "b"]),
        (STATUS, "RUNNING", "RUNNING"),
        (STATUS, 3, "FINISHED"),
        (STATUS, "3", "FINISHED"),
        (PAIRS, [{"key": "a", "value": "1"}, {"key": "a"}], {"a": ""}),
        (UNIQUE_PAIRS, [{"key": "a", "value": "1"}], {"a": "1"}),
        (listed(nested(a=INT)), [{"a": "1", "unknown": 2}], [{"a": 1}]),
    ],
)
def test_what_is_taken(field: Field, given: Any, read: Any) -> None:
    assert read_object({"it": field}, {"it": given}) == {"it": read}


def test_nan_is_a_number() -> None:
    assert math.isnan(read_object({"it": NUMBER}, {"it": "NaN"})["it"])


@pytest.mark.parametrize(
    ("field", "given"),
    [
        *((TEXT, each) for each in (5, 1.5, True, [], {})),
        *((INT, each) for each in ("a", "", "1_000", "+5", " 5", "٣", "1e3", "²")),
        *((INT, each) for each in (1.5, math.nan, math.inf, True, [], {}, 2**63, -(2**63) - 1)),
        (INT, "9" * 30),
        *((NUMBER, each) for each in ("a", "", "nan", "inf", "1_0", " 1", "0x10", True, [], {})),
        *((BOOL, each) for each in ("yes", "", 0, 1, [], {})),
        *((MAP, each) for each in ("{}", 1, [])),
        *((TEXTS, each) for each in ("a", [1], [None], {}, 5)),
        *((STATUS, each) for each in ("running", 0, 2, "9", "²", "٣", "9" * 5000, True, [], 1.0)),
        *((each, deep(1000)) for each in (TEXT, INT, NUMBER, BOOL, STATUS, TIME, DURATION)),
        *((TEXTS, [deep(levels)]) for levels in (300, 1020)),
        *((TIME, each) for each in ("²", "2020-01-01T00:00:00.²Z", "99999-01-01T00:00:00Z")),
        (TIME, "9999-12-31T23:59:59-23:59"),
        (TIME, f"2020-01-01T00:00:00+{10**30}:00"),
        *((DURATION, each) for each in ("²s", "9" * 30 + "s", "1e400s", f"{2**63}s", "nans")),
        *((PAIRS, each) for each in ({"a": "1"}, ["a"], [{"key": 1}], [{"value": "1"}], "a")),
        *((PAIRS, each) for each in ([{"key": ""}], [{"key": "a", "value": 1}])),
        (UNIQUE_PAIRS, [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]),
    ],
)
def test_what_is_refused_by_its_name(field: Field, given: Any) -> None:
    with pytest.raises(GatewayError) as raised:
        read_object({"it": field}, {"it": given})
    assert raised.value.code == "INVALID_PARAMETER_VALUE"
    assert "'it" in raised.value.message


@pytest.mark.parametrize("given", [{}, {"run_id": None}, {"run_id": ""}])
def test_a_required_parameter_that_is_missing(given: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as raised:
        read_object({"run_id": TEXT.required}, given)
    assert raised.value.message.startswith("Missing value for required parameter 'run_id'.")


def test_what_is_null_is_not_there() -> None:
    assert read_object({"a": TEXT, "b": INT}, {"a": None, "c": 1}) == {}


@pytest.mark.parametrize("name", ["run_id", "runId", "run_uuid"])
def test_the_names_of_a_parameter(name: str) -> None:
    fields = {"run_id": TEXT.required.called("run_uuid")}
    assert read_object(fields, {name: "x"}) == {"run_id": "x"}


def test_the_path_of_what_is_wrong_in_the_depth() -> None:
    fields = {"datasets": listed(nested(dataset=nested(name=TEXT.required).required))}
    with pytest.raises(GatewayError, match=r"'datasets\[1\]\.dataset\.name'"):
        read_object(fields, {"datasets": [{"dataset": {"name": "a"}}, {"dataset": {}}]})


def test_a_long_value_is_not_told_whole() -> None:
    with pytest.raises(GatewayError) as raised:
        read_object({"it": INT}, {"it": "x" * 10_000})
    assert len(raised.value.message) < 400


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (["x"] * 10**6, '["x", "x", '),
        ({"a": "x" * 10**7}, '{"a": "xx'),
        ({"a": deep(1020)}, '{"a": [['),
        (deep(1020), "[[["),
    ],
)
def test_of_a_large_value_only_the_beginning_is_told(value: Any, shown: str) -> None:
    with pytest.raises(GatewayError) as raised:
        read_object({"it": TEXT}, {"it": value})
    assert f"Invalid value {shown}" in raised.value.message
    assert len(raised.value.message) < 400

"""Arguments: what is a number, what is cut, what is refused."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from runstone import _modeluri, _values
from runstone._client._metrics import series_of
from runstone._modeluri import ModelUri, RunUri
from runstone.entities import Metric, Param, RunStatus, ViewType
from runstone.exceptions import InvalidField, InvalidUri


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (0.5, 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.array([2.5]), 2.5),
        (np.array(2.5), 2.5),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (math.inf, math.inf),
        (-(10**400), -math.inf),
    ],
)
def test_metric_values(value: Any, expected: float) -> None:
    result = _values.metric_value("m", value)
    assert type(result) is float
    assert result == expected


def test_nan_is_a_number() -> None:
    assert math.isnan(_values.metric_value("m", float("nan")))


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), "1", b"1", None, [1], 1j, np.array([1, 2]), np.array(["1"])]
)
def test_what_is_no_metric_value(value: Any) -> None:
    with pytest.raises(InvalidField, match="must be") as caught:
        _values.metric_value("m", value)
    assert caught.value.field_violations[0].field == "metrics['m']"


@pytest.mark.parametrize(
    ("value", "expected"), [(3, 3), (np.int32(3), 3), (3.0, 3), (-1, -1), (2**63 - 1, 2**63 - 1)]
)
def test_whole_numbers(value: Any, expected: int) -> None:
    assert _values.whole_number("step", value) == expected


@pytest.mark.parametrize("value", [True, 1.5, "x", None, math.nan, math.inf, 2**63, -(2**63) - 1])
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(InvalidField, match=r"^step must"):
        _values.whole_number("step", value)


def test_long_values_are_cut_with_a_warning_that_names_the_callers_line() -> None:
    exact = "x" * _values.MAX_PARAM_VALUE
    assert _values.texts("param", {"a": exact}, _values.MAX_PARAM_VALUE) == {"a": exact}
    with pytest.warns(UserWarning, match="param 'a' has 6001 characters and is cut to 6000"):
        found = _values.texts("param", {"a": exact + "y"}, _values.MAX_PARAM_VALUE)
    assert found == {"a": exact}


def test_texts_of_mappings_and_entities() -> None:
    assert _values.texts("param", {"a": 1, "b": None}, 10) == {"a": "1", "b": "None"}
    assert _values.texts("param", [Param("a", "1")], 10) == {"a": "1"}
    assert _values.texts("param", None, 10) == {}
    with pytest.raises(InvalidField, match="twice"):
        _values.texts("param", [Param("a", "1"), Param("a", "2")], 10)
    with pytest.raises(InvalidField, match="text as key"):
        _values.texts("param", {1: "x"}, 10)


def test_points_are_gathered_by_key() -> None:
    series = series_of([Metric("a", 1, 10, 0), Metric("b", 2, 10, 0), Metric("a", 3, 20, 1)])
    assert [(s.key, list(s.steps), list(s.timestamps_ms), list(s.values)) for s in series] == [
        ("a", [0, 1], [10, 20], [1.0, 3.0]),
        ("b", [0], [10], [2.0]),
    ]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("runs:/abc/model", RunUri("abc", "model")),
        ("runs:/abc/a/b.txt", RunUri("abc", "a/b.txt")),
        ("runs:/abc", RunUri("abc")),
        ("models:/m/3", ModelUri("m", "3")),
        ("models:/m/Production/a/b", ModelUri("m", "Production", path="a/b")),
        ("models:/m/latest", ModelUri("m", "latest")),
        ("models:/m@champion", ModelUri("m", alias="champion")),
        ("models:/a@b@champion/x", ModelUri("a@b", alias="champion", path="x")),
        ("./model", None),
        ("file:///model", None),
    ],
)
def test_artifact_uris(uri: str, expected: RunUri | ModelUri | None) -> None:
    assert _modeluri.parse_artifact_uri(uri) == expected


@pytest.mark.parametrize(
    "uri", ["runs:", "runs:/", "runs:abc", "models:/", "models:/m", "models:/m/", "models:/@a"]
)
def test_incomplete_artifact_uris(uri: str) -> None:
    with pytest.raises(InvalidUri):
        _modeluri.parse_artifact_uri(uri)


def test_local_paths() -> None:
    assert str(_modeluri.local_path("file:///a%20b/c")) == "/a b/c"
    assert str(_modeluri.local_path("a/b")) == "a/b"
    for uri in ("s3://bucket/x", "http://x", "dbfs:/x"):
        with pytest.raises(InvalidUri):
            _modeluri.local_path(uri)


def test_statuses_and_views_by_name_and_number() -> None:
    assert RunStatus.to_string(RunStatus.FINISHED) == "FINISHED"
    assert RunStatus.from_string("killed") == RunStatus.KILLED
    assert RunStatus.is_terminated("FAILED")
    assert not RunStatus.is_terminated(RunStatus.RUNNING)
    assert ViewType.from_string("all") == ViewType.ALL
    for bad in ("", "nothing", "from_string"):
        with pytest.raises(ValueError, match="RunStatus"):
            RunStatus.from_string(bad)
    with pytest.raises(ValueError, match="RunStatus"):
        RunStatus.to_string(99)

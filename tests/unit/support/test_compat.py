"""What counts as a difference between two servers' answers, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from support.compat import compared, differences
from support.rest import Answer, Endpoint, difference, filled, requests, shape

REFUSED = {"error": "RestException", "error_code": "INVALID_PARAMETER_VALUE", "message": "no"}


def places(expected: Any, got: Any) -> list[str]:
    return [each.item for each in differences(expected, got, "it")]


def test_a_difference_is_told_by_its_place() -> None:
    assert places({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}) == ["it / a / 1 / b"]
    assert places({"a": 1}, {"b": 1}) == ["it / a", "it / b"]
    assert places([1], [1, 2]) == ["it"]
    assert places(1, True) == ["it"]
    assert places({"a": [1.0, None]}, {"a": [1.0, None]}) == []


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("no", "another text", True),
        (
            "Missing value for required parameter 'a'.",
            "Missing value for required parameter 'a'",
            True,
        ),
        ("Missing value for required parameter 'a'.", "a is required", False),
        ("x for parameter 'a' supplied", "y for parameter 'a[0].b' supplied", True),
        ("x for parameter 'a' supplied", "y for parameter 'ab' supplied", False),
        (
            "Invalid value 1 for parameter 'a' supplied",
            "Invalid value 2 for parameter 'b' supplied",
            False,
        ),
    ],
)
def test_only_messages_that_people_test_are_compared(expected: str, got: str, same: bool) -> None:
    told = places({**REFUSED, "message": expected}, {**REFUSED, "message": got})
    assert (told == []) is same


def test_a_fault_of_mlflow_asks_for_a_refusal() -> None:
    fault = {**REFUSED, "error_code": "INTERNAL_ERROR", "message": "too many 500 error responses"}
    assert places(fault, REFUSED) == []
    assert places(fault, fault) == ["it / fault"]
    assert places(fault, {"answer": 1}) == ["it"]


def test_known_differences_are_left_out_and_must_be_true() -> None:
    expected, got = {"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"x": 5, "y": 6}, "b": 1}
    found, gone = compared(expected, got, {"a": "why", "b": "why", "of another client": "why"})
    assert found == []
    assert gone == ["b"]
    found, gone = compared(expected, got, {"a / x": "why"})
    assert [each.item for each in found] == ["a / y"]
    assert gone == []
    assert [each.item for each in compared({"a": 1}, {"b": 1}, {})[0]] == ["a", "b"]


def test_answers_differ_by_status_code_and_shape() -> None:
    good = Answer(200, {"runs": [{"id": "a"}, {"id": "b", "n": 1}]})
    assert difference(good, Answer(200, {"runs": [{"id": "c", "n": 2.5}]})) is None
    assert difference(good, Answer(200, {"runs": [{"id": 5}]}))
    assert difference(good, Answer(201, good.body))
    wrong = Answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "for parameter 'a'"})
    assert difference(good, wrong)
    assert difference(good, wrong, wrong="a") is None
    assert difference(good, wrong, wrong="b")
    assert difference(wrong, Answer(404, {"error_code": "INVALID_PARAMETER_VALUE"}))
    assert difference(Answer(500, "<html>"), wrong) is None
    assert difference(Answer(500, "<html>"), Answer(500, "<html>"))
    assert difference(Answer(405, "<html>"), Answer(405, {"error_code": "X"})) is None
    assert shape({"a": 1, "b": 2}, ["b"]) == {"a": "number"}


def test_each_parameter_is_left_out_and_made_wrong() -> None:
    endpoint = Endpoint("POST", "/x/{run}", {"run_id": ("string", "{run}"), "n": ("integer", 1)})
    made = [filled(each, {"run": "r1"}) for each in requests(endpoint)]
    assert {each.path for each in made} == {"/x/r1"}
    assert {"without run_id", "n is 'abc'", "with an unknown field"} <= {e.name for e in made}
    assert made[-1].body == b'{"run_id": "r1", "n": 1}'
    assert len({each.name for each in made}) == len(made)
    # What needs a request of its own is asked for once, and as it should be.
    assert [each.name for each in requests(endpoint.about("x"))] == ["as it should be"]


def test_a_file_is_sent_with_its_parameters_in_the_query() -> None:
    endpoint = Endpoint("PUT", "/{file}", {"path": ("string", "{file}")}, b"bytes")
    last = filled(list(requests(endpoint))[-1], {"file": "f"})
    assert (last.path, last.query, last.body) == ("/f", {"path": "f"}, b"bytes")


def test_names_with_dots_are_fields_of_objects() -> None:
    endpoint = Endpoint("POST", "/x", {"a.b": ("string", "1"), "a.c.d": ("list", [])})
    made = {each.name: each.body for each in requests(endpoint)}
    assert made["as it should be"] == b'{"a": {"b": "1", "c": {"d": []}}}'
    assert made["without a.b"] == b'{"a": {"c": {"d": []}}}'

"""The exceptions: one tree, a class for each reason, and nothing lost on the way."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

import runstone
from runstone import exceptions
from runstone.exceptions import BY_CODE, BY_REASON, RunstoneException
from support import protos

REASONS = [
    (reason, code) for name in protos.SERVICES for reason, code in protos.reasons(name).items()
]


@pytest.mark.parametrize(("reason", "code"), REASONS)
def test_every_reason_has_a_class_of_its_code(reason: str, code: str) -> None:
    kind = BY_REASON[reason]
    assert kind.reason == reason
    assert kind.code == code
    assert kind.__name__ in exceptions.__all__


def test_the_classes_are_drawn_in_one_tree() -> None:
    drawing = exceptions.__doc__ or ""
    for name in exceptions.__all__:
        kind = getattr(exceptions, name)
        if isinstance(kind, type) and issubclass(kind, RunstoneException):
            assert kind.__module__ == "runstone.exceptions"
            assert re.search(rf"\b{kind.__name__}\b", drawing), kind


def test_every_code_has_a_kind() -> None:
    assert {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION"} < set(BY_CODE)
    assert {"ABORTED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL", "DATA_LOSS"} < set(BY_CODE)


def test_a_failed_call_tells_everything(server: Any, refuse: Callable[..., Any]) -> None:
    server.answers["GetRun"] = refuse(
        "NOT_FOUND", "RUN_NOT_FOUND", "there is no run x", metadata={"run_id": "x"}
    )
    with pytest.raises(exceptions.RunNotFound) as caught:
        runstone.Client(server.uri).get_run("x")
    error = caught.value
    assert isinstance(error, exceptions.NotFound)
    assert error.message == str(error) == "there is no run x"
    assert (error.code, error.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")
    assert error.metadata == {"run_id": "x"}
    assert error.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert error.request_id == server.calls[0][1]["x-request-id"]


def test_field_violations_and_retry_delay_arrive(server: Any, refuse: Callable[..., Any]) -> None:
    server.answers["CreateRun"] = refuse(
        "INVALID_ARGUMENT", "INVALID_FIELD", violations=[("name", "is too long")]
    )
    with pytest.raises(exceptions.InvalidField) as caught:
        runstone.Client(server.uri).create_run("0")
    assert caught.value.field_violations == [("name", "is too long")]
    assert caught.value.field_violations[0].field == "name"
    server.answers["CreateRun"] = refuse("RESOURCE_EXHAUSTED", "OVERLOADED", retry_after=1.5)
    with pytest.raises(exceptions.Overloaded) as busy:
        # No time to come again as asked.
        runstone.Client(server.uri, timeout=1).create_run("0")
    assert busy.value.retry_after == 1.5


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("files[0].path", "the artifact's path"),
        ("keys[3]", "key"),
        ("run.run_id", "run_id"),
        ("experiment.name", "name"),
        ("owner.run_id", "run_id"),
        ("inputs[1].dataset.name", "dataset.name"),
        ("series[0].timestamps_ms[2]", "series[0].timestamp"),
        ("series[0].steps[2]", "series[0].step"),
        ('params["a.b"]', 'params["a.b"]'),
    ],
)
def test_a_wrong_field_is_told_as_the_caller_knows_it(
    server: Any, refuse: Callable[..., Any], field: str, shown: str
) -> None:
    server.answers["GetRun"] = refuse(
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        f"{field} is wrong; page_size is too",
        violations=[(field, "is wrong"), ("page_size", "is too")],
    )
    with pytest.raises(exceptions.InvalidField) as caught:
        runstone.Client(server.uri).get_run("x")
    assert str(caught.value) == caught.value.message == f"{shown} is wrong; page_size is too"
    assert caught.value.field_violations == [(field, "is wrong"), ("page_size", "is too")]


def test_an_unknown_reason_becomes_the_kind_of_its_code(
    server: Any, refuse: Callable[..., Any]
) -> None:
    server.answers["GetRun"] = refuse("FAILED_PRECONDITION", "FROM_A_LATER_RELEASE", "later")
    with pytest.raises(exceptions.FailedPrecondition) as caught:
        runstone.Client(server.uri).get_run("x")
    assert type(caught.value) is exceptions.FailedPrecondition
    assert caught.value.reason == "FROM_A_LATER_RELEASE"


def test_a_server_without_the_call_is_told_apart(server: Any) -> None:
    with pytest.raises(exceptions.Unimplemented, match="does not know this call"):
        runstone.Client(server.uri).get_run("x")


def test_exceptions_survive_pickling() -> None:
    error = exceptions.RunNotFound("gone", metadata={"run_id": "x"}, request_id="r")
    error.code = "NOT_FOUND"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is exceptions.RunNotFound
    assert (copy.message, copy.metadata, copy.request_id) == ("gone", {"run_id": "x"}, "r")


def test_mlflows_name_catches_them() -> None:
    assert exceptions.MlflowException is RunstoneException
    assert exceptions.ParamImmutable("x").error_code == "INVALID_PARAMETER_VALUE"
    assert exceptions.ModelNameTaken("x").error_code == "RESOURCE_ALREADY_EXISTS"


@pytest.mark.parametrize("kind", ["AliasNotFound", "ExperimentDeleted", "RunDeleted"])
def test_what_mlflow_calls_a_wrong_value(kind: str) -> None:
    assert getattr(exceptions, kind)("no").error_code == "INVALID_PARAMETER_VALUE"

"""Errors and the statuses they become."""

import pytest
from google.rpc import error_details_pb2

from runstone_kit import errors
from runstone_kit.interceptors.error_mapping import MAX_DETAILS_BYTES, domain_of, status_of


class RunNotFound(errors.NotFound):
    reason = "RUN_NOT_FOUND"


def test_a_service_error_has_the_code_of_its_kind_and_its_own_reason() -> None:
    error = RunNotFound("no run x", metadata={"run_id": "x"})
    assert (error.code, error.reason, error.message) == ("NOT_FOUND", "RUN_NOT_FOUND", "no run x")
    assert str(error) == "no run x"


def test_no_violation_raises_nothing() -> None:
    errors.Violations().raise_if_any()


def test_one_error_names_every_field() -> None:
    violations = errors.Violations()
    violations.add("name", "is required")
    violations.add("tags[3].key", "must be short")
    with pytest.raises(errors.InvalidArgument) as caught:
        violations.raise_if_any()
    assert caught.value.reason == "INVALID_FIELD"
    assert caught.value.message == "name is required (and 1 more)"
    assert [v.field for v in caught.value.violations] == ["name", "tags[3].key"]


def test_violations_past_the_limit_are_counted_not_kept() -> None:
    violations = errors.Violations()
    for number in range(1000):
        violations.add(f"f[{number}]", "is wrong")
    assert len(violations) == 1000
    assert len(violations.items) == errors.MAX_VIOLATIONS
    with pytest.raises(errors.InvalidArgument, match="999 more"):
        violations.raise_if_any()


def test_the_domain_is_the_errors_own_or_the_services() -> None:
    assert domain_of("runstone.tracking.v1.TrackingService") == "tracking.runstone"
    assert domain_of("grpc.health.v1.Health") == "runstone"
    info = error_details_pb2.ErrorInfo()
    status_of(RunNotFound("x"), "tracking.runstone").details[0].Unpack(info)
    assert info.domain == "tracking.runstone"


@pytest.mark.parametrize("text", ["é" * 100_000, "x" * 100_000, "\ud800", "\0\n"])
def test_a_status_fits_the_headers_whatever_it_quotes(text: str) -> None:
    violations = [errors.Violation(text, text)] * 50
    error = errors.InvalidArgument(text, metadata={"value": text}, violations=violations)
    status = status_of(error, "tracking.runstone")
    assert status.ByteSize() <= MAX_DETAILS_BYTES + 1024
    request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(request)
    assert request.field_violations

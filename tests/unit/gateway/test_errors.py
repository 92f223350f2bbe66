"""What a service's refusal is to a client: its status, and whether to try again."""

import pytest

from runstone_gateway.errors import of_failure
from runstone_kit.peers import PeerFailure


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        ("UNAVAILABLE", "", 503),
        ("UNAVAILABLE", "STORAGE_FULL", 503),
        ("ABORTED", "OVERLOADED", 429),
    ],
)
def test_what_may_pass_is_to_be_tried_again(code: str, reason: str, status: int) -> None:
    error = of_failure(PeerFailure(code, "No.", reason))
    assert (error.status, error.headers) == (status, {"retry-after": "1"})


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *(("INVALID_ARGUMENT", 400), ("FAILED_PRECONDITION", 400), ("RESOURCE_EXHAUSTED", 400)),
        *(("NOT_FOUND", 404), ("ALREADY_EXISTS", 400), ("PERMISSION_DENIED", 403)),
    ],
)
def test_a_mistake_is_not_to_be_repeated(code: str, status: int) -> None:
    error = of_failure(PeerFailure(code, "No.", "WHY"))
    assert (error.status, error.headers, error.message) == (status, {}, "No.")

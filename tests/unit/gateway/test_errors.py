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


@pytest.mark.parametrize(
    ("field", "told", "beginning"),
    [
        ('tags["a#b"]', "may contain only letters, not 'a#b'", "value 'a#b' for parameter 'key'"),
        ("series[0].key", "must be a path, not '..' (and 2 more)",
         "value '..' for parameter 'name'"),
        ("series[0].timestamps_ms[7]", "must not be below 0, as -1 is",
         "value -1 for parameter 'timestamp'"),
        ("model_metrics[0].key", "must be a path, not '..'", "value '..' for parameter 'name'"),
        ("model_metrics[2].timestamp_ms", "must not be negative, as -1 is",
         "value -1 for parameter 'timestamp'"),
        ("model_metrics[0].dataset_name", "is too long", "value for parameter 'dataset_name'"),
        ("files[0].path", "must not have '..'", "value for parameter 'path'"),
        ("webhook.name", "is required", "value for parameter 'name'"),
        ("page_size", "must not be negative, as -1 is", "value -1 for parameter 'max_results'"),
        ("run.end_time", "must be before the year 9999", "value for parameter 'end_time'"),
        ("experiment_id", "is required", "value for parameter 'experiment_id'"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_told_as_the_parameter_it_was(
    field: str, told: str, beginning: str
) -> None:
    failure = PeerFailure("INVALID_ARGUMENT", f"{field} {told}", "INVALID_FIELD", field=field)
    assert of_failure(failure).message == f"Invalid {beginning} supplied: it {told}"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("there is no run with id 1", "There is no run with id 1"),
        ("order_by is wrong at column 3", "order_by is wrong at column 3"),
        ("order_by[0] is wrong", "order_by[0] is wrong"),
    ],
)
def test_messages_are_sentences(said: str, told: str) -> None:
    assert of_failure(PeerFailure("NOT_FOUND", said, "WHY")).message == told

"""Each error has a reason of the contract."""

import inspect

from runstone.registry.v1 import error_reason_pb2
from runstone_kit.errors import RunstoneError
from runstone_registry import errors

REASONS = {
    value.name.removeprefix("ERROR_REASON_")
    for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values
}

# Raised by the kit around or below the service.
OF_THE_KIT = {
    "UNSPECIFIED",
    "INVALID_FIELD",
    "FILTER_INVALID",
    "PAGE_TOKEN_INVALID",
    "PAGE_TOKEN_OTHER_QUERY",
    "DATABASE_UNAVAILABLE",
    "STORAGE_FULL",
    "OVERLOADED",
    "PERMISSION_RULE_MISSING",
    "UNAUTHENTICATED",
    "DEADLINE_EXCEEDED",
    "UNFORESEEN",
}


def test_every_reason_has_an_error_and_every_error_a_reason() -> None:
    ours = {
        member.reason
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, RunstoneError) and member.__module__ == errors.__name__
    }
    assert ours == REASONS - OF_THE_KIT

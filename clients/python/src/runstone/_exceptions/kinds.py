"""The root of the exceptions, and one kind for each status code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple


class FieldViolation(NamedTuple):
    """One wrong field of a request: its path (``series[17].key``) and what it must be."""

    field: str
    description: str


class RunstoneException(Exception):
    """The root of all of them.

    Attributes:
        code: Name of the gRPC status code, such as ``"NOT_FOUND"``.
        reason: What happened, for programs, such as ``"RUN_NOT_FOUND"``; empty when unknown.
        message: What happened, for people.
        metadata: Strings that belong to the reason, such as ``{"run_id": "…"}``.
        field_violations: The fields of the request that are wrong.
        request_id: Names the call in the server's logs; empty when no call was made.
        retry_after: Seconds to wait before the call is repeated; None when nobody said.
        error_code: The name that MLflow gives to this kind of error.
    """

    code: str = "UNKNOWN"
    reason: str = ""
    _mlflow_code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        field_violations: Iterable[FieldViolation] = (),
        request_id: str = "",
        retry_after: float | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})
        self.field_violations: list[FieldViolation] = list(field_violations)
        self.request_id = request_id
        self.retry_after = retry_after
        if reason is not None:
            self.reason = reason

    @property
    def error_code(self) -> str:
        """The name that MLflow gives to this kind of error, such as RESOURCE_DOES_NOT_EXIST."""
        return self._mlflow_code

    def __reduce__(self) -> tuple[object, ...]:
        # The default would lose the keyword arguments, and process pools pickle exceptions.
        return (_rebuild, (type(self), self.message, dict(self.__dict__)))


def _rebuild(
    kind: type[RunstoneException], message: str, state: dict[str, object]
) -> RunstoneException:
    error = kind(message)
    error.__dict__.update(state)
    return error


MlflowException = RunstoneException
"""So that ``except mlflow.exceptions.MlflowException`` still catches after the import changed."""


class InvalidArgument(RunstoneException):
    """The request is wrong whatever the state of the server."""

    code = "INVALID_ARGUMENT"
    _mlflow_code = "INVALID_PARAMETER_VALUE"


class NotFound(RunstoneException):
    """The named thing does not exist."""

    code = "NOT_FOUND"
    _mlflow_code = "RESOURCE_DOES_NOT_EXIST"


class AlreadyExists(RunstoneException):
    """The name or identity is taken."""

    code = "ALREADY_EXISTS"
    _mlflow_code = "RESOURCE_ALREADY_EXISTS"


class FailedPrecondition(RunstoneException):
    """The state forbids it; change the state first."""

    code = "FAILED_PRECONDITION"
    _mlflow_code = "INVALID_STATE"


class Aborted(RunstoneException):
    """Another change came between; read again and retry."""

    code = "ABORTED"
    _mlflow_code = "RESOURCE_CONFLICT"


class ResourceExhausted(RunstoneException):
    """A disk is full, or too much was asked at once."""

    code = "RESOURCE_EXHAUSTED"
    _mlflow_code = "RESOURCE_EXHAUSTED"


class Unavailable(RunstoneException):
    """The server, or a part of it, cannot be reached; the call may be repeated as it is."""

    code = "UNAVAILABLE"
    _mlflow_code = "TEMPORARILY_UNAVAILABLE"


class PermissionDenied(RunstoneException):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"
    _mlflow_code = "PERMISSION_DENIED"


class Unauthenticated(RunstoneException):
    """The server does not know who calls: no token, or one that it does not know."""

    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"
    _mlflow_code = "UNAUTHENTICATED"


class DeadlineExceeded(RunstoneException):
    """No answer came in time; a change may have been made or not."""

    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"
    _mlflow_code = "TEMPORARILY_UNAVAILABLE"


class Unimplemented(RunstoneException):
    """The server does not know the call: it is older than this client."""

    code = "UNIMPLEMENTED"
    _mlflow_code = "NOT_IMPLEMENTED"


class Cancelled(RunstoneException):
    """The call was given up before an answer came."""

    code = "CANCELLED"
    _mlflow_code = "CANCELLED"


class DataLoss(RunstoneException):
    """Stored bytes are damaged or gone."""

    code = "DATA_LOSS"
    _mlflow_code = "DATA_LOSS"


class InternalError(RunstoneException):
    """A defect of the server; report it with its ``request_id``."""

    code = "INTERNAL"

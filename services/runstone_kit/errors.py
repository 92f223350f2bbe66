"""The errors a service may answer with.

    RunstoneError
    ├── InvalidArgument      the request is wrong whatever the state of the system
    ├── NotFound             the named thing does not exist
    ├── AlreadyExists        the thing to be created is there already
    ├── FailedPrecondition   the system must change first; retrying alone will not help
    ├── Aborted              another writer came first (stale etag, lost race); read again
    ├── ResourceExhausted    a limit, a quota, a full disk, a busy pool
    ├── Unavailable          a dependency is away; the same call may be repeated as it is
    ├── DataLoss             stored bytes are damaged; only a backup helps
    └── EdgeError            raised by the kit, not by a service's rules
        ├── Unauthenticated
        ├── PermissionDenied
        └── DeadlineExceeded

A service derives its own errors from these kinds and gives each a ``reason``: the name of
a value of its ``ErrorReason`` enum without the prefix ``ERROR_REASON_``. The kit renders them
once, in the error interceptor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

MAX_VIOLATIONS = 50
"""More would not fit the 8 KiB of trailing metadata that gRPC peers accept by default."""

INVALID_FIELD = "INVALID_FIELD"
"""The reason of every InvalidArgument that carries field violations."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is wrong: its path in the request (``series[17].key``) and what it must be."""

    field: str
    description: str


class RunstoneError(Exception):
    """An error meant for the caller; its message is public text.

    ``code`` is the name of a gRPC status code. ``reason`` identifies the error for programs.
    ``domain`` names the service (``tracking.runstone``); left empty, the error interceptor fills
    in the domain of the service that was called. ``metadata`` are strings a program may read.
    ``retry_after`` is in seconds and is sent as ``google.rpc.RetryInfo``. ``private`` is for the
    operator alone (which host, what the driver said): it may stand in a log and is never sent.
    """

    code: ClassVar[str] = "UNKNOWN"
    domain: ClassVar[str] = ""
    reason: str = ""

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations: list[Violation] = list(violations)
        self.retry_after = retry_after
        self.private = ""

    @property
    def for_operator(self) -> str:
        """The message with what only the operator may read."""
        return f"{self.message} ({self.private})" if self.private else self.message


class InvalidArgument(RunstoneError):
    """The request is wrong, whatever the state of the system."""

    code = "INVALID_ARGUMENT"
    reason = INVALID_FIELD


class NotFound(RunstoneError):
    """The named thing does not exist, or is deleted and was asked for as if it were not."""

    code = "NOT_FOUND"


class AlreadyExists(RunstoneError):
    """The thing to be created is there already."""

    code = "ALREADY_EXISTS"


class FailedPrecondition(RunstoneError):
    """The system must change first; repeating the call alone will not help."""

    code = "FAILED_PRECONDITION"


class Aborted(RunstoneError):
    """Another writer came first; read again and start over."""

    code = "ABORTED"


class ResourceExhausted(RunstoneError):
    """A limit, a quota, a full disk or a busy pool."""

    code = "RESOURCE_EXHAUSTED"


class Unavailable(RunstoneError):
    """A dependency is away; the same call may be repeated as it is."""

    code = "UNAVAILABLE"


class DataLoss(RunstoneError):
    """Stored bytes are damaged; only a backup helps."""

    code = "DATA_LOSS"


class EdgeError(RunstoneError):
    """Raised before or around a handler, or where it waits; no rule of a service raises one."""


class Unauthenticated(EdgeError):
    """The server asks callers for a token, and this one has none that it knows."""

    code = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"


class PermissionDenied(EdgeError):
    """The caller may not do this, or no rule says who may."""

    code = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"


class DeadlineExceeded(EdgeError):
    """The call's deadline passed: before its work began, between two messages of a stream, or while
    it waited for the database."""

    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"


class Violations:
    """Gathers the field violations of one request, so that one answer names them all.

    Past ``MAX_VIOLATIONS`` further ones are counted and not kept; the message tells the count.
    """

    def __init__(self) -> None:
        self._items: list[Violation] = []
        self._count = 0

    def add(self, field: str, description: str) -> None:
        """Record that ``field`` is wrong; ``description`` reads on from the field's name."""
        self._count += 1
        if len(self._items) < MAX_VIOLATIONS:
            self._items.append(Violation(field, description))

    def __bool__(self) -> bool:
        return bool(self._items)

    def __len__(self) -> int:
        return self._count

    @property
    def items(self) -> list[Violation]:
        """The violations kept so far, in the order in which they were added."""
        return list(self._items)

    def raise_if_any(self) -> None:
        """Raise InvalidArgument (reason INVALID_FIELD) if anything was added."""
        if not self._items:
            return
        first = self._items[0]
        message = f"{first.field} {first.description}"
        if self._count > 1:
            message += f" (and {self._count - 1} more)"
        raise InvalidArgument(message, reason=INVALID_FIELD, violations=self._items)


def invalid_field(field: str, description: str) -> InvalidArgument:
    """The InvalidArgument (reason INVALID_FIELD) for exactly one wrong field."""
    return InvalidArgument(
        f"{field} {description}",
        reason=INVALID_FIELD,
        violations=[Violation(field, description)],
    )

"""What is known about the call being served, for whoever needs it below the servicer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

REQUEST_ID_METADATA = "x-request-id"
"""Carries the request id, in from the caller and back in the trailing metadata."""

ACTOR_METADATA = "x-runstone-user"
"""Carries the caller's claimed name; it proves nothing and grants nothing."""

VERSION_METADATA = "x-runstone-version"
"""Of the server, in the trailing metadata of health's answers."""

TIME_METADATA = "x-runstone-time-us"
"""The server's clock there: unix microseconds."""


AUTHORIZATION_METADATA = "authorization"
"""Carries "Bearer" and the caller's token, where a server asks for one."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One call. ``deadline`` is on the ``time.monotonic()`` scale, None when there is none.

    ``authorization`` is what the caller proved itself by, for the services that are asked in turn.

    Outside a call (a background job, a test) every text is empty and there is no deadline.
    """

    request_id: str = ""
    actor: str = ""
    method: str = ""
    deadline: float | None = None
    authorization: str = field(default="", repr=False)

    def remaining(self) -> float | None:
        """Seconds until the deadline, negative once it has passed; None without a deadline."""
        return None if self.deadline is None else self.deadline - time.monotonic()


_NO_CALL = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("runstone_request", default=_NO_CALL)

enter = _current.set
"""Make a context current; returns the token that ``leave`` takes."""

leave = _current.reset
"""Undo one ``enter``, in the same thread."""


def current() -> RequestContext:
    """The call being served by this thread, or an empty context outside a call."""
    return _current.get()


@contextmanager
def use(context: RequestContext) -> Iterator[RequestContext]:
    """Make ``context`` current inside the block: for background jobs and tests."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)

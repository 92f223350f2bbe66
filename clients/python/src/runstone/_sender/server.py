"""The tracking service as a sender sees it: one call, four outcomes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from runstone import _credentials, _embedded, _uri
from runstone._failures import plainly
from runstone._sender import wire
from runstone.exceptions import RunstoneException

if TYPE_CHECKING:
    import grpc

CALL_SECONDS = 30.0
"""An answer that takes longer is not waited for: the same batch is sent again."""

REFUSALS = frozenset(
    {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "OUT_OF_RANGE"}
)
"""With a reason of ours: sending the same batch again would be answered the same way. Without one
it was not our server that spoke, but something on the way."""

ROOM_LATER = frozenset({"OVERLOADED", "STORAGE_FULL"})
"""RESOURCE_EXHAUSTED for these reasons passes; for others the run has reached a limit."""


def is_refusal(error: RunstoneException) -> bool:
    """Whether the same call would be answered the same way."""
    full = (
        error.code == "RESOURCE_EXHAUSTED"
        and error.retry_after is None
        and error.reason not in ROOM_LATER
    )
    return bool(error.reason) and (error.code in REFUSALS or full)


class NotNow(Exception):
    """The batch may have been applied or not; the same call is to be made again later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class Refused(Exception):
    """The batch was not applied and never will be."""

    def __init__(self, code: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


class Gap(Exception):
    """The batch was not applied: the server expects another number of this writer."""

    def __init__(self, expected: int, message: str) -> None:
        super().__init__(message)
        self.expected = expected


class Server:
    """Where a journal's points go.

    Args:
        tracking_uri: As the journal's owner resolved it.
        user: Who is at work, for the server's log.
        ambient: Whether the environment's token is meant for this server.
    """

    def __init__(self, tracking_uri: str, user: str = "", *, ambient: bool = True) -> None:
        target = _uri.parse(tracking_uri).tracking
        self.place = str(target)
        self._ambient = ambient
        self._user = quote(user, safe=" @.+-_\\")
        self._suite = (
            _embedded.suite(target.data_dir) if isinstance(target, _uri.Embedded) else None
        )
        self._remote = target if isinstance(target, _uri.Remote) else None
        self._channel: grpc.Channel | None = None
        self._target = ""
        self._call: Any = None

    def append(self, request: bytes, timeout: float = CALL_SECONDS) -> bool:
        """Send a serialized AppendMetricsRequest; returns when it is committed.

        Returns:
            False when it had been applied before.

        Raises:
            NotNow, Refused, Gap
        """
        import grpc

        try:
            call = self._connected()
            metadata = [("x-request-id", os.urandom(16).hex())]
            if self._user:
                metadata.append(("x-runstone-user", self._user))
            if self._remote is not None:
                metadata += _credentials.metadata(self._remote, ambient=self._ambient)
            # In the process that logs there may be less time, as at its end.
            left = _embedded.earliest(time.monotonic() + timeout) - time.monotonic()
            answer: bytes = call(request, timeout=max(left, 0.001), metadata=metadata)
        except grpc.RpcError as error:
            raise self._outcome(error) from None
        except RunstoneException as error:
            # The embedded suite does not start; the next sender may find it installed.
            raise NotNow(error.message) from None
        return not wire.is_duplicate(answer)

    def release(self) -> None:
        """Close the channel, and let an embedded suite end when nobody else uses it."""
        self.close()
        if self._suite is not None:
            self._suite.release()

    def close(self) -> None:
        """Close the channel; the next call opens another."""
        self._drop()

    def _connected(self) -> Any:
        target = self._remote.address if self._remote else ""
        if self._suite is not None:
            # Data that somebody deleted are not made anew for points of runs that are gone.
            target = self._suite.address(create=False)
        if self._channel is None or target != self._target:
            self._drop()
            self._channel = _open(target, tls=self._remote is not None and self._remote.tls)
            self._target = target
            self._call = self._channel.unary_unary(wire.METHOD)
        return self._call

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = self._call = None

    def _outcome(self, error: grpc.RpcError) -> Exception:
        code: str = error.code().name
        message: str = error.details() or code
        trailing: Any = error.trailing_metadata() or ()
        found = wire.details(dict(trailing).get("grpc-status-details-bin", b""))
        if code == "UNAVAILABLE" and self._suite is not None:
            # Its socket may have changed hands; a channel in backoff would notice late.
            self._suite.doubt()
            self._drop()
        if found.reason == "SEQUENCE_GAP":
            expected = found.metadata.get("expected_sequence", "")
            if expected.isdecimal() and int(expected) > 0:
                return Gap(int(expected), message)
        full = (
            code == "RESOURCE_EXHAUSTED"
            and found.retry_after is None
            and found.reason not in ROOM_LATER
        )
        if found.reason and (code in REFUSALS or full):
            return Refused(code, found.reason, message)
        if not found.reason:
            message = plainly(code, message, self.place)
        return NotNow(message, found.retry_after)


def _open(target: str, *, tls: bool) -> grpc.Channel:
    import grpc

    from runstone import _channel

    # Without the contract's configuration: reading that would load the generated code.
    plain = _channel.Service("tracking", None, "{}", {})
    options = _channel.options(plain, _channel.Address(target, tls, retries=False))
    if tls:
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
    return grpc.insecure_channel(target, options)

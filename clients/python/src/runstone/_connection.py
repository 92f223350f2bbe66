"""Calls: where they go, how long they may take, when they are tried again, how they fail.

A service is used through an object with the methods of its generated stub. Each takes the request
and a ``timeout`` in seconds (else the client's, else the one in service_config.json), and raises
exceptions of ours. The client's timeout is not for transfers: they take as long as their bytes do.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self
from urllib.parse import quote

import grpc

from runstone import _credentials, _embedded, _fork, _uri
from runstone._channel import Address, Method, pool, service
from runstone.exceptions import RunstoneException

REQUEST_ID = "x-request-id"
USER = "x-runstone-user"

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
"""Between attempts while a server restarts: soon enough to resume well within ten seconds."""

AWAY_SECONDS = 60.0
"""How long a transfer, which itself may take a day, waits for a server that does not answer."""


TELL_SECONDS = 4.0
"""A restart takes less. What is looked at after each of gRPC's attempts is told within 7 s."""

SET_BY = "RUNSTONE_TIMEOUT sets how long"

_log = logging.getLogger("runstone")


def new_id() -> str:
    """32 random hexadecimal digits."""
    return os.urandom(16).hex()


class Connection:
    """The way to one target, shared by its services.

    ``token`` is carried by every call; None: the one that is found for the target.
    """

    def __init__(
        self,
        target: _uri.Target,
        *,
        user: str = "",
        timeout: float | None = None,
        token: str | None = None,
    ) -> None:
        self.target = target
        self._token = token
        self.timeout = timeout
        # Metadata is ASCII; the server decodes this.
        self.user = quote(user, safe=" @.+-_\\") if user else ""
        self._suite = (
            _embedded.suite(target.data_dir) if isinstance(target, _uri.Embedded) else None
        )
        self._remote = (
            Address(target.address, target.tls) if isinstance(target, _uri.Remote) else None
        )
        self._reached = False
        self._told = False

    def service(self, name: str) -> Any:
        """An object with the methods of the generated stub of "tracking", "artifact", …"""
        return ServiceProxy(self, name)

    def address(self, *, reads: bool = False) -> Address:
        """Where to call now. For an embedded suite this may start one.

        ``reads``: the call changes nothing, so it makes no data folder either.
        """
        if self._remote is not None:
            return self._remote
        assert self._suite is not None
        return Address(self._suite.address(create=not reads), retries=False)

    def metadata(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """What every call carries. Raises InvalidArgument for a token that cannot be sent."""
        token = _credentials.metadata(self.target, self._token)
        if self.user:
            return (REQUEST_ID, request_id), (USER, self.user), *token
        return (REQUEST_ID, request_id), *token

    def reached(self) -> None:
        """A server has answered."""
        self._reached = True
        if self._told:
            self._told = False
            _log.info("%s answers again", self.target)

    def tell(self, failure: RunstoneException, seconds: float, limit: str) -> None:
        """Say once in an outage what a call waits for: silence looks like a hung script."""
        if not self._told:
            self._told = True
            _log.warning("%s; trying for %.0f s more (%s)", failure.message, seconds, limit)

    def unknown(self, failure: RunstoneException) -> RunstoneException:
        """A server does not know who calls: the failure, with where the token is from."""
        if self._token is not None:
            return failure  # who gave it knows
        return _with(failure, _credentials.advice(self.target))

    @property
    def suite_log(self) -> str:
        """Where the embedded suite tells what it does; empty for a server of somebody else's."""
        return str(self._suite.data_dir / "suite.log") if self._suite is not None else ""

    def lost(self, address: Address) -> bool:
        """A server did not answer; tells whether it is worth trying again.

        A remote one that never answered may be a wrong address, which the user should hear at once.
        """
        if self._suite is not None:
            self._suite.doubt()
            # Its socket may have changed hands; a channel in backoff would notice late.
            pool.drop(address)
            return True
        return self._reached

    def close(self) -> None:
        """Let the channels go; a later call opens new ones."""
        if self._remote is not None:
            pool.drop(self._remote)


class ServiceProxy:
    """A service as its stub, with our timeouts, retries and exceptions."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def __getattr__(self, name: str) -> Any:
        method = service(self._name).methods.get(name)
        if method is None:
            raise AttributeError(f"the {self._name} service has no method {name}")
        kind = _Streaming if method.response_streaming else _Unary
        bound = kind(self._connection, self._name, method)
        setattr(self, name, bound)
        return bound


class _Attempts:
    """The attempts of one call: its deadline, its request id, and whether to go on."""

    def __init__(self, connection: Connection, method: Method, timeout: float | None) -> None:
        self.connection = connection
        self.method = method
        self.request_id = new_id()
        self.metadata = connection.metadata(self.request_id)
        self.address = connection.address(reads=method.reads)
        own = connection.timeout
        self._began = self._answered = time.monotonic()
        # How long one server is away does not depend on how long the bytes take.
        self._away = (own or AWAY_SECONDS) if method.transfer else float("inf")
        self._limit = SET_BY if timeout is None else "set by the caller"
        if timeout is None:
            timeout = method.timeout if own is None or method.transfer else own
        # Counted from here: starting a suite is not the call's time.
        self.deadline = _embedded.earliest(self._began + timeout)
        self._until = self.deadline
        self._pause = FIRST_PAUSE_SECONDS
        self._unavailable: RunstoneException | None = None

    def remaining(self) -> float:
        """Seconds left; never quite none, so that gRPC gives the error."""
        return max(self.deadline - time.monotonic(), 0.001)

    def answered(self) -> None:
        """A message came: a later outage is another one, with a patience of its own."""
        self._answered = time.monotonic()
        if self._unavailable is not None:
            self._unavailable = None
            self._until = self.deadline
            self._pause = FIRST_PAUSE_SECONDS

    def failed(self, error: grpc.RpcError, *, repeatable: bool) -> None:
        """Return when the call is to be tried again, at a fresh address; else raise."""
        from runstone import _errors

        place = str(self.connection.target)
        failure = _errors.from_rpc(error, self.request_id, place)
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise self._too_late(failure) from None
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            self._come_again(failure)
            return
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            raise self.connection.unknown(failure) from None
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise failure from None
        again = self.connection.lost(self.address)
        now = time.monotonic()
        if self._unavailable is None:
            self._until = min(self.deadline, now + self._away)
        left = self._until - now
        if not (again and repeatable):
            raise failure from None
        if left <= self._pause:
            raise self._given_up(failure) from None
        self._unavailable = failure
        if now - self._answered >= TELL_SECONDS:
            self.connection.tell(failure, left, self._limit)
        # Many clients that lost one server must not come back in step.
        time.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        self.address = self.connection.address(reads=self.method.reads)

    def _come_again(self, failure: RunstoneException) -> None:
        """Wait as long as an overloaded server asks for; raise if there is no time for that.

        It refused the call before it did anything, so even a create may be repeated.
        """
        pause = failure.retry_after
        if pause is None or failure.reason != "OVERLOADED" or self.method.request_streaming:
            raise failure from None
        # Who moves bytes or watches may take an hour, but not for the wait in front of the door.
        until = min(self.deadline, self._answered + self._away)
        if pause >= until - time.monotonic():
            raise self._given_up(failure) from None
        time.sleep(pause)

    def _too_late(self, failure: RunstoneException) -> RunstoneException:
        if self._unavailable is not None:
            return self._given_up(self._unavailable)
        log = self.connection.suite_log
        waited = f"{self.deadline - self._began:.3g} s; {self._limit}"
        return _with(failure, f"{waited}; {log} may tell why" if log else waited)

    def _given_up(self, failure: RunstoneException) -> RunstoneException:
        tried = time.monotonic() - self._answered
        return _with(failure, f"tried for {tried:.3g} s; {self._limit}")


def _with(failure: RunstoneException, more: str) -> RunstoneException:
    failure.message = f"{failure.message} ({more})"
    failure.args = (failure.message,)
    return failure


class _Unary:
    """An RPC with one response; the request may be a stream, which is then not repeated."""

    def __init__(self, connection: Connection, name: str, method: Method) -> None:
        self._connection = connection
        self._name = name
        self._method = method

    def __call__(self, request: Any, timeout: float | None = None) -> Any:
        method = self._method
        attempts = _Attempts(self._connection, method, timeout)
        while True:
            stub = pool.stub(attempts.address, self._name)
            try:
                call = getattr(stub, method.name)
                how = {"timeout": attempts.remaining(), "metadata": attempts.metadata}
                if method.request_streaming:
                    response = call(_fork.gate.paced(request), **how)
                else:
                    with _fork.gate.call():
                        response = call(request, **how)
            except grpc.RpcError as error:
                repeatable = method.idempotent and not method.request_streaming
                attempts.failed(error, repeatable=repeatable)
            else:
                self._connection.reached()
                return response


class _Streaming:
    """An RPC that streams its responses."""

    def __init__(self, connection: Connection, name: str, method: Method) -> None:
        self._connection = connection
        self._name = name
        self._method = method

    def __call__(self, request: Any, timeout: float | None = None) -> ResponseStream:
        return ResponseStream(self._connection, self._name, self._method, request, timeout)


class ResponseStream(Iterable[Any]):
    """The responses as they come. Repeated from the start only before the first one, or when the
    caller can begin anew: set ``restart`` to what forgets the responses that came so far.

    Leave it early with ``cancel()`` or as a context manager.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        method: Method,
        request: Any,
        timeout: float | None,
    ) -> None:
        self._name = name
        self._request = request
        self._attempts = _Attempts(connection, method, timeout)
        self._begun = False
        self._cancelled = False
        self.restart: Callable[[], None] | None = None
        self._call: Any = self._open()

    def _open(self) -> Any:
        attempts = self._attempts
        stub = pool.stub(attempts.address, self._name)
        with _fork.gate.call():
            return getattr(stub, attempts.method.name)(
                self._request, timeout=attempts.remaining(), metadata=attempts.metadata
            )

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        attempts = self._attempts
        while True:
            try:
                with _fork.gate.call():
                    message = next(self._call)
            except grpc.RpcError as error:
                possible = not self._begun or self.restart is not None
                attempts.failed(error, repeatable=attempts.method.idempotent and possible)
                if self._begun and self.restart is not None:
                    self.restart()
                    self._begun = False
                self._call = self._open()
                if self._cancelled:
                    self._call.cancel()
            else:
                attempts.answered()
                if not self._begun:
                    self._begun = True
                    attempts.connection.reached()
                return message

    def cancel(self) -> None:
        """Tell the server that nobody reads on."""
        self._cancelled = True
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

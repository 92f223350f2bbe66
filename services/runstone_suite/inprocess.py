"""Calls between services of one process, without a network and without a second thread.

A service's peers speak to a gRPC channel; in the suite that channel is a `LocalChannel`, which
calls the other service's handler in the caller's own thread. So a call never waits for a thread
of the pool that it holds itself, and the peers are the same code as between processes. Request id,
actor and deadline pass on by themselves: the handler runs in the caller's context.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import grpc
from google.rpc import status_pb2

from runstone_kit.errors import RunstoneError
from runstone_kit.interceptors.error_mapping import domain_of, status_of
from runstone_kit.spec import ServiceParts


class LocalError(grpc.RpcError):
    """What a failed call raises: the status that the same failure has over a network."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self._status = status

    def code(self) -> grpc.StatusCode:
        """The status code."""
        return next(code for code in grpc.StatusCode if code.value[0] == self._status.code)

    def details(self) -> str:
        """The message for people."""
        return str(self._status.message)

    def trailing_metadata(self) -> Any:
        """The details where grpc_status looks for them."""
        return (("grpc-status-details-bin", self._status.SerializeToString()),)


class LocalChannel(grpc.Channel):
    """A channel to services of this process. `connect` them before the first call.

    Only unary calls: services ask each other nothing else.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Callable[[Any, Any], Any]] = {}

    def connect(self, parts: ServiceParts) -> None:
        """Let calls reach the service."""
        parts.add_to_server(_Recorder(self._handlers))  # type: ignore[arg-type]

    def unary_unary(self, method: str, *_arguments: Any, **_options: Any) -> Any:
        """The callable of a stub; messages pass as they are, by reference."""
        domain = domain_of(method[1:].rpartition("/")[0])

        def call(request: Any, *_arguments: Any, **_options: Any) -> Any:
            try:
                return self._handlers[method](request, _NO_CONTEXT)
            except RunstoneError as error:
                raise LocalError(status_of(error, domain)) from error

        return call

    def unary_stream(self, *_arguments: Any, **_options: Any) -> Any:
        """A callable that cannot be called: stubs ask for one for every RPC they have."""
        return _no_streams

    stream_unary = unary_stream
    stream_stream = unary_stream

    def subscribe(self, *_arguments: Any, **_options: Any) -> None:
        """Nothing to hear: the channel is always there."""

    def unsubscribe(self, *_arguments: Any, **_options: Any) -> None:
        """Nothing to hear."""

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


class _Recorder:
    """Stands in for a server while a servicer registers itself."""

    def __init__(self, handlers: dict[str, Callable[[Any, Any], Any]]) -> None:
        self._handlers = handlers

    def add_registered_method_handlers(self, service: str, methods: dict[str, Any]) -> None:
        for name, handler in methods.items():
            if handler.unary_unary is not None:
                self._handlers[f"/{service}/{name}"] = handler.unary_unary

    def add_generic_rpc_handlers(self, _handlers: Any) -> None:
        """The same handlers once more, in gRPC's older form."""


class _Context:
    """What a handler may ask of its call."""

    def is_active(self) -> bool:
        return True

    def time_remaining(self) -> float | None:
        return None

    def invocation_metadata(self) -> tuple[()]:
        return ()


_NO_CONTEXT = _Context()


def _no_streams(*_arguments: Any, **_options: Any) -> Any:
    raise TypeError("services of one process stream nothing to each other")

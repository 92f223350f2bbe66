"""One gRPC interceptor made of layers, composed once per method instead of once per call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError

from runstone_kit.errors import INVALID_FIELD, InvalidArgument, Violation
from runstone_kit.interceptors.waiting import CallPool, WaitingLimit

Call = Callable[[Any, grpc.ServicerContext], Any]
"""(request or request iterator, context) -> response, or iterator of responses."""


@dataclass(frozen=True, slots=True)
class Method:
    """What is known about an RPC before it is called; ``refused``: its calls do no work."""

    path: str
    request_streaming: bool
    response_streaming: bool
    known: bool = True
    refused: bool = False

    @property
    def service(self) -> str:
        """The full name of the service, ``runstone.tracking.v1.TrackingService``."""
        return self.path[1:].rpartition("/")[0]

    @property
    def name(self) -> str:
        """The bare name of the method, ``CreateRun``."""
        return self.path.rpartition("/")[2]


class Layer(Protocol):
    """Wraps something around every call.

    ``wrap`` is called once per method, so what does not change between calls belongs in it. When
    ``method.response_streaming`` the returned call MUST be a generator function or return an
    iterator, and MUST let GeneratorExit pass: it means that the client went away.
    """

    def wrap(self, method: Method, call: Call) -> Call:
        """``call`` with this layer around it."""
        ...


@dataclass(frozen=True, slots=True)
class _Limited:
    """The pool that a method's calls wait for, and what those get that are too many."""

    pool: CallPool
    refusal: grpc.RpcMethodHandler[Any, Any]


class Chain(grpc.ServerInterceptor):
    """Runs ``layers`` (outermost first) around every RPC, known to the server or not.

    Requests are deserialized inside the layers, so that bytes that are no message are refused as
    INVALID_ARGUMENT, counted and logged; gRPC itself would answer INTERNAL. The handler's own
    deserializer is the one used. Handlers that gRPC runs without blocking (health's Watch) pass
    unwrapped: they have another signature. ``pools`` gives services, and methods by their paths,
    a thread pool of their own; ``gate`` refuses calls of the others, and of those whose pool is a
    CallPool, while too many wait for a thread of the same pool.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        pools: Mapping[str, ThreadPoolExecutor] | None = None,
        gate: WaitingLimit | None = None,
    ) -> None:
        self._layers = tuple(layers)
        self._pools = dict(pools or {})
        self._gate = gate
        self._limited: dict[str, _Limited] = {}
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        unknown = Method("/unknown/unknown", True, True, known=False)
        self._unknown: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            self._compose(unknown, _refuse_unknown)
        )

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """The wrapped handler, made at the first call of the method and kept."""
        path = handler_call_details.method
        wrapped = self._handlers.get(path)
        if wrapped is None:
            handler = continuation(handler_call_details)
            if handler is None:
                # Not kept: the names callers invent must not fill the memory.
                return self._unknown
            wrapped = self._wrap(path, handler)
            self._handlers[path] = wrapped
        limited = self._limited.get(path)
        if limited is not None and self._gate is not None and self._gate.is_full(limited.pool):
            return limited.refusal
        return wrapped

    def _wrap(
        self, path: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        behavior, make = _parts(handler)
        if getattr(behavior, "experimental_non_blocking", False):
            return handler
        method = Method(path, bool(handler.request_streaming), bool(handler.response_streaming))
        call = self._compose(method, _decoding(method, behavior, handler.request_deserializer))
        pool = self._pools.get(path) or self._pools.get(method.service)
        if pool is not None:
            call.experimental_thread_pool = pool  # type: ignore[attr-defined]
        calls = self._gate.calls if pool is None and self._gate is not None else pool
        if self._gate is not None and isinstance(calls, CallPool):
            self._limited[path] = _Limited(calls, self._refusal(method, self._gate))
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            call, request_deserializer=None, response_serializer=handler.response_serializer
        )
        return wrapped

    def _refusal(self, method: Method, gate: WaitingLimit) -> grpc.RpcMethodHandler[Any, Any]:
        """Answers without reading the request: what waits holds as little as can be."""
        composed = self._compose(replace(method, refused=True), gate.refuse)

        def call(requests: Any, context: grpc.ServicerContext) -> Any:
            return composed(requests, context)

        call.experimental_thread_pool = gate.pool  # type: ignore[attr-defined]
        return grpc.stream_stream_rpc_method_handler(call)

    def _compose(self, method: Method, call: Call) -> Call:
        for layer in reversed(self._layers):
            call = layer.wrap(method, call)
        return call


def _parts(handler: grpc.RpcMethodHandler[Any, Any]) -> tuple[Call, Callable[..., Any]]:
    if handler.request_streaming:
        if handler.response_streaming:
            return handler.stream_stream, grpc.stream_stream_rpc_method_handler  # type: ignore[return-value]
        return handler.stream_unary, grpc.stream_unary_rpc_method_handler  # type: ignore[return-value]
    if handler.response_streaming:
        return handler.unary_stream, grpc.unary_stream_rpc_method_handler  # type: ignore[return-value]
    return handler.unary_unary, grpc.unary_unary_rpc_method_handler  # type: ignore[return-value]


def _decoding(method: Method, call: Call, decode: Callable[[bytes], Any] | None) -> Call:
    if decode is None:
        return call

    def one(raw: bytes, context: grpc.ServicerContext) -> Any:
        try:
            request = decode(raw)
        except (DecodeError, ValueError) as error:
            raise _unreadable() from error
        return call(request, context)

    def each(raws: Iterator[bytes]) -> Iterator[Any]:
        for raw in raws:
            try:
                request = decode(raw)
            except (DecodeError, ValueError) as error:
                raise _unreadable() from error
            yield request

    def many(raws: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        return call(each(raws), context)

    return many if method.request_streaming else one


def _unreadable() -> InvalidArgument:
    description = "cannot be read: it is not the message of this RPC, or a string is not UTF-8"
    return InvalidArgument(
        f"the request {description}",
        reason=INVALID_FIELD,
        violations=[Violation("request", description)],
    )


def _refuse_unknown(_requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
    yield from ()
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server has no such method")

"""Calls from one service to another: same request id, same caller, no more time than is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from runstone_kit.context import (
    ACTOR_METADATA,
    AUTHORIZATION_METADATA,
    REQUEST_ID_METADATA,
    current,
)

MAX_MESSAGE_BYTES = 64 * 2**20
"""What a server of ours may send at most."""

_DETAILS_METADATA = "grpc-status-details-bin"

_CODES = {code.value[0]: code for code in grpc.StatusCode}

_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class PeerFailure:
    """What a peer answered instead of a response. ``reason`` is empty when it gave none.

    ``field`` is the first field that the peer called wrong, if any; the message begins with it.
    """

    code: str
    message: str
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] | None = None
    field: str = ""

    @property
    def is_away(self) -> bool:
        """Whether the peer could not answer at all, so that the call may be repeated later."""
        return self.code in _AWAY


def channel(address: str, *, service_config: str | None = None, token: str = "") -> grpc.Channel:
    """A channel to another service; connects when first used and reconnects by itself.

    ``service_config`` is the text of the ``service_config.json`` beside the peer's proto. Calls
    carry the current call's request id, actor and authorization, and its deadline if that is the
    nearer one. ``token`` is the service's own, for what it does by itself.
    """
    return grpc.intercept_channel(
        grpc.insecure_channel(address, options(service_config)), _PassOn(token)
    )


def options(service_config: str | None = None) -> list[tuple[str, Any]]:
    """What a channel to a service of ours is opened with."""
    chosen: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # A restarted peer is found again within seconds, well inside promise 8's ten.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    if service_config is not None:
        chosen.append(("grpc.service_config", service_config))
    return chosen


def failure(error: grpc.RpcError) -> PeerFailure:
    """The code, reason, metadata and wrong field of a failed call."""
    code = error.code().name
    message = error.details() or ""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        status = None
    info = error_details_pb2.ErrorInfo()
    wrong = error_details_pb2.BadRequest()
    for detail in () if status is None else status.details:
        # Unpacks what is of its own type, and leaves the rest.
        detail.Unpack(info)
        detail.Unpack(wrong)
    field = wrong.field_violations[0].field if wrong.field_violations else ""
    return PeerFailure(code, message, info.reason, info.domain, dict(info.metadata), field)


def refusal(status: bytes) -> grpc.aio.AioRpcError:
    """What a call raises that is answered by this google.rpc.Status, as ``failure`` reads it."""
    told = status_pb2.Status.FromString(status)
    return grpc.aio.AioRpcError(
        _CODES.get(told.code, grpc.StatusCode.UNKNOWN),
        grpc.aio.Metadata(),
        grpc.aio.Metadata((_DETAILS_METADATA, status)),
        details=told.message,
    )


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _PassOn(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def __init__(self, token: str) -> None:
        self._own = f"Bearer {token}" if token else ""

    def _pass_on(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return continuation(_with_context(details, self._own), request)

    # What is added does not depend on the kind of call.
    intercept_unary_unary: Any = _pass_on
    intercept_unary_stream: Any = _pass_on
    intercept_stream_unary: Any = _pass_on
    intercept_stream_stream: Any = _pass_on


def _with_context(details: Any, own: str) -> _Details:
    about = current()
    metadata = list(details.metadata or ())
    if about.request_id:
        metadata.append((REQUEST_ID_METADATA, about.request_id))
    if about.actor:
        metadata.append((ACTOR_METADATA, quote(about.actor, safe=" ")))
    if authorization := about.authorization or own:
        metadata.append((AUTHORIZATION_METADATA, authorization))
    timeout = details.timeout
    remaining = about.remaining()
    if remaining is not None:
        # Zero is not "no time" to gRPC in every version; a millisecond is.
        remaining = max(remaining, 0.001)
        timeout = remaining if timeout is None else min(timeout, remaining)
    return _Details(
        details.method,
        timeout,
        metadata,
        details.credentials,
        details.wait_for_ready,
        details.compression,
    )

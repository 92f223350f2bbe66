"""The gRPC health protocol (grpc.health.v1), spoken without its generated code.

The client does not depend on grpcio-health-checking, and a probe should work where protobuf is
broken: the request is one string, the answer one number.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

METHOD = "/grpc.health.v1.Health/Check"

SERVING = 1
NOT_SERVING = 2

VERSION = "x-runstone-version"
TIME = "x-runstone-time-us"

_NAME = b"\x0a"
"""Field 1, length-delimited."""

_STATUS = 0x08
"""Field 1, a number."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says of one name.

    Args:
        status: ``SERVING``, ``NOT_SERVING``, another number; None: the name is not known.
        began, ended: This machine's clock around the call; unix seconds.
        seconds: How long it took.
        version: The server's; empty when it does not tell.
        time: The server's clock in between, unix seconds; None when it does not tell.
    """

    status: int | None
    began: float
    ended: float
    seconds: float
    version: str
    time: float | None


def request(name: str) -> bytes:
    """A HealthCheckRequest. ``name``: shorter than 128 bytes."""
    data = name.encode()
    return _NAME + bytes([len(data)]) + data if data else b""


def status(response: bytes) -> int:
    """The status in a HealthCheckResponse. Raises ValueError when it is none."""
    if not response:
        return 0
    if len(response) != 2 or response[0] != _STATUS:
        raise ValueError("the answer is none of the health protocol")
    return response[1]


def ask(channel: Any, name: str, seconds: float) -> Answer:
    """Ask a server whether it serves what has this name; an empty one: all of it.

    Raises:
        grpc.RpcError: there is no answer, or one that says something else than "not known".
        ValueError: it does not speak the health protocol.
    """
    import grpc

    call = channel.unary_unary(METHOD)
    began, clock = time.time(), time.perf_counter()
    said: int | None = None
    try:
        response, under_way = call.with_call(request(name), timeout=seconds)
        told = under_way.trailing_metadata()
        said = status(response)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        told = error.trailing_metadata()
    took = time.perf_counter() - clock
    metadata = {str(key): value for key, value in told or ()}
    return Answer(
        said, began, began + took, took, str(metadata.get(VERSION, "")), _time(metadata.get(TIME))
    )


def _time(text: Any) -> float | None:
    try:
        return int(text) / 1e6
    except (TypeError, ValueError):
        return None

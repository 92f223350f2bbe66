"""What gRPC raises, as exceptions of ours. Loaded when a call fails."""

from __future__ import annotations

from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from runstone.exceptions import BY_CODE, BY_REASON, FieldViolation, RunstoneException


def from_rpc(error: grpc.RpcError, request_id: str, place: str) -> RunstoneException:
    """The exception for a failed call: by its reason, else by its status code.

    ``place`` is the address that was called, for errors that no server wrote.
    """
    code: grpc.StatusCode = error.code()
    message: str = error.details() or ""
    reason, metadata, retry_after = "", {}, None
    violations: list[FieldViolation] = []
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations = [FieldViolation(v.field, v.description) for v in bad.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    kind = BY_REASON.get(reason) or BY_CODE.get(code.name, RunstoneException)
    if not reason:
        message = _without_server(code, message, place)
    result = kind(
        message,
        metadata=metadata,
        field_violations=violations,
        request_id=request_id,
        retry_after=retry_after,
        reason=reason or None,
    )
    # A reason that this client knows under another code: what the server says holds.
    result.code = code.name
    return result


def _details(error: grpc.RpcError) -> list[Any]:
    try:
        status = rpc_status.from_call(error)
    except (ValueError, AttributeError):
        # The details contradict the call or are not there: the code alone has to do.
        return []
    return list(status.details) if status is not None else []


def _without_server(code: grpc.StatusCode, message: str, place: str) -> str:
    if code is grpc.StatusCode.UNAVAILABLE:
        return f"no Runstone server answers at {place}: {_plainly(message)}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"no answer from {place} in time"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"the server at {place} does not know this call: {message}"
    return message or code.name


_PLAINLY = (
    ("Connection refused", "the connection was refused"),
    ("DNS resolution failed", "the host's name is not known"),
    ("Domain name not found", "the host's name is not known"),
    ("No route to host", "there is no route to the host"),
    ("Network is unreachable", "the network cannot be reached"),
    ("No such file or directory", "its socket is gone"),
    ("andshake", "the TLS handshake failed (is it runstones://, with a certificate trusted here?)"),
    ("timed out", "the connection was not answered in time"),
    ("before receiving SETTINGS", "what answers there does not speak gRPC"),
    ("reset by peer", "the connection was lost"),
    ("Socket closed", "the connection was lost"),
    ("Broken pipe", "the connection was lost"),
    ("GOAWAY", "the connection was lost"),
)
"""What gRPC's messages have in them, most telling first, and what they mean."""


def _plainly(message: str) -> str:
    return next((meaning for part, meaning in _PLAINLY if part in message), message)

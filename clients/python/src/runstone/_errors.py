"""What gRPC raises, as exceptions of ours. Loaded when a call fails."""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from runstone._failures import plainly
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
    for wrong in violations:
        message = message.replace(
            f"{wrong.field} {wrong.description}", f"{_shown(wrong.field)} {wrong.description}"
        )
    kind = BY_REASON.get(reason) or BY_CODE.get(code.name, RunstoneException)
    if not reason:
        message = plainly(code.name, message, place)
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


_SHOWN = (
    (re.compile(r"^files\[\d+\]\.path$"), "the artifact's path"),
    (re.compile(r"^keys\[\d+\]$"), "key"),
    (re.compile(r"^(?:run|experiment|registered_model|model_version|owner)\."), ""),
    (re.compile(r"^inputs\[\d+\]\."), ""),
    (re.compile(r"\.timestamps_ms\[\d+\]$"), ".timestamp"),
    (re.compile(r"\.(step|value)s\[\d+\]$"), r".\1"),
)
"""Parts of requests that the caller never saw, and what they are to them."""


def _shown(field: str) -> str:
    """A field of a request, as whoever called a method knows it. The violation keeps the path."""
    for pattern, name in _SHOWN:
        field = pattern.sub(name, field)
    return field

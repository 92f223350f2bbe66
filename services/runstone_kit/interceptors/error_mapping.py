"""The one place where errors become statuses: code, ErrorInfo, BadRequest, RetryInfo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from runstone_kit.context import REQUEST_ID_METADATA, current
from runstone_kit.errors import RunstoneError, Violation
from runstone_kit.interceptors.chain import Call, Method
from runstone_kit.interceptors.outcome import is_abort, is_gone

UNFORESEEN = "UNFORESEEN"

MAX_MESSAGE = 500
"""Characters of the message; it travels in a header, percent-encoded."""

MAX_METADATA_VALUE = 256
"""Characters of one ErrorInfo metadata value, which may be a caller's own key or name."""

MAX_DETAILS_BYTES = 4_096
"""Of the serialized status: in base64 it must fit 8 KiB of headers with the message beside it."""

_DETAILS_METADATA = "grpc-status-details-bin"
_log = structlog.get_logger("runstone_kit.errors")


class ErrorMappingLayer:
    """Ends a call that raised.

    A ``RunstoneError`` becomes its code with details. ``context.abort`` passes as it is, and so
    does the news that the client went away. Anything else is INTERNAL: the caller gets the request
    id and no text, the log gets the traceback.
    """

    def wrap(self, method: Method, call: Call) -> Call:
        """``call`` whose errors are statuses."""
        domain = domain_of(method.service)

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return call(request, context)
            except RunstoneError as error:
                _abort(context, error, domain)
            except Exception as error:
                if is_abort(context, error) or is_gone(error):
                    raise
                _abort(context, _unforeseen(error), domain)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                yield from call(request, context)
            except RunstoneError as error:
                _abort(context, error, domain)
            except Exception as error:
                if is_abort(context, error) or is_gone(error):
                    raise
                _abort(context, _unforeseen(error), domain)

        return stream if method.response_streaming else unary


def domain_of(service: str) -> str:
    """``tracking.runstone`` for ``runstone.tracking.v1.TrackingService``, else ``runstone``."""
    parts = service.split(".")
    return f"{parts[1]}.runstone" if parts[0] == "runstone" and len(parts) > 2 else "runstone"


def status_of(error: RunstoneError, domain: str) -> status_pb2.Status:
    """``error`` as a google.rpc.Status; violations that do not fit the headers are left out."""
    details: list[Any] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason,
            domain=error.domain or domain,
            metadata={
                key: _encodable(value[:MAX_METADATA_VALUE]) for key, value in error.metadata.items()
            },
        )
    ]
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(
        code=grpc.StatusCode[error.code].value[0],
        message=_encodable(error.message[:MAX_MESSAGE]),
        details=[_packed(detail) for detail in details],
    )
    if error.violations:
        room = MAX_DETAILS_BYTES - status.ByteSize()
        status.details.append(_packed(_bad_request(error.violations, room)))
    return status


def status_of_any(error: BaseException, domain: str) -> status_pb2.Status:
    """The status of what is no error meant for the caller, too: as ``ErrorMappingLayer`` tells it,
    and logs it. For calls that answer several requests, each by itself."""
    if not isinstance(error, RunstoneError):
        error = _unforeseen(error)
    return status_of(error, domain)


def _bad_request(violations: list[Violation], room: int) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    # Type URL and length prefixes of the enclosing messages.
    used = 64
    for violation in violations:
        item = error_details_pb2.BadRequest.FieldViolation(
            field=_encodable(violation.field[:MAX_METADATA_VALUE]),
            description=_encodable(violation.description[:MAX_MESSAGE]),
        )
        used += item.ByteSize() + 4
        if used > room and request.field_violations:
            break
        request.field_violations.append(item)
    return request


def _abort(context: grpc.ServicerContext, error: RunstoneError, domain: str) -> NoReturn:
    status = status_of(error, domain)
    context.set_trailing_metadata(
        (
            (REQUEST_ID_METADATA, current().request_id),
            (_DETAILS_METADATA, status.SerializeToString()),
        )
    )
    context.abort(grpc.StatusCode[error.code], status.message)


def _unforeseen(error: BaseException) -> RunstoneError:
    about = current()
    _log.error("unforeseen error", method=about.method, exc_info=error)
    return _Unforeseen(
        f"internal error; request id {about.request_id}",
        metadata={"request_id": about.request_id},
    )


class _Unforeseen(RunstoneError):
    code = "INTERNAL"
    reason = UNFORESEEN


def _packed(detail: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _encodable(text: str) -> str:
    # A lone surrogate in an echoed value must not turn a refusal into a crash.
    return text.encode("utf-8", "replace").decode("utf-8")

"""traces.json, the file in which MLflow's clients before 3.6 send the spans of a trace.

A span of MLflow 3 has ``span_id`` in base64 (3.5.0: hexadecimal digits), one of MLflow 2 a
``context``. Attributes are JSON texts, those of events are values.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_gateway.body import parse
from runstone_gateway.errors import refused
from runstone_gateway.otlp import REQUEST_ID, as_json, calls_of

_STATUS = {
    "UNSET": pb.SPAN_STATUS_CODE_UNSPECIFIED,
    "OK": pb.SPAN_STATUS_CODE_OK,
    "ERROR": pb.SPAN_STATUS_CODE_ERROR,
}


_WRONG = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What reading a span raises that is none: the file is a stranger's."""


def read(body: bytes, experiment_id: str, trace_id: str) -> list[pb.LogSpansRequest]:
    """The calls that store the file of one trace. Raises GatewayError."""
    found = parse(body)
    given = found.get("spans") if isinstance(found, dict) else None
    if not isinstance(given, list):
        raise refused('traces.json must be an object with a list of "spans".')
    spans = []
    for place, each in enumerate(given):
        try:
            spans.append(_span(each, trace_id))
        except _WRONG as error:
            raise refused(
                f"spans[{place}] of traces.json is no span of MLflow's: {str(error)[:100]}"
            ) from None
    return list(calls_of(spans, experiment_id, {}))


def _span(given: Mapping[str, Any], trace_id: str) -> pb.Span:
    attributes = _texts(given.get("attributes"))
    attributes[REQUEST_ID] = as_json(trace_id)
    if "context" in given:
        span_id, parent = given["context"]["span_id"], given.get("parent_id")
        start, end = given["start_time"], given.get("end_time")
        code, message = given.get("status_code"), given.get("status_message")
    else:
        span_id, parent = given["span_id"], given.get("parent_span_id")
        start, end = given["start_time_unix_nano"], given.get("end_time_unix_nano")
        status = given.get("status") or {}
        code, message = status.get("code"), status.get("message")
    return pb.Span(
        trace_id=trace_id,
        span_id=_span_id(span_id),
        parent_span_id=_span_id(parent) if parent else "",
        name=given["name"],
        start_time_ns=int(start),
        end_time_ns=int(end or 0),
        status_code=_STATUS[(code or "UNSET").removeprefix("STATUS_CODE_")],
        status_message=message or "",
        attributes=attributes,
        events=[_event(each) for each in given.get("events") or ()],
        links=[_link(each) for each in given.get("links") or ()],
    )


def _event(given: Mapping[str, Any]) -> pb.SpanEvent:
    time = given["time_unix_nano"] if "time_unix_nano" in given else given["timestamp"]
    attributes = {key: as_json(value) for key, value in (given.get("attributes") or {}).items()}
    return pb.SpanEvent(name=given["name"], time_ns=int(time), attributes=attributes)


def _link(given: Mapping[str, Any]) -> pb.SpanLink:
    attributes = {key: as_json(value) for key, value in (given.get("attributes") or {}).items()}
    return pb.SpanLink(trace_id=given["trace_id"], span_id=given["span_id"], attributes=attributes)


def _texts(given: Mapping[str, Any] | None) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else as_json(value)
        for key, value in (given or {}).items()
    }


def _span_id(given: str) -> str:
    """Sixteen hexadecimal digits, of themselves, behind 0x, or of eight bytes in base64."""
    if given.endswith("="):
        try:
            return base64.b64decode(given, validate=True).hex()
        except binascii.Error:
            raise ValueError(f"{given!r} is not the base64 of an id") from None
    return given.removeprefix("0x").rjust(16, "0")

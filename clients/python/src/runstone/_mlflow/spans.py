"""Our traces and spans as MLflow's, and the reverse.

Both keep an attribute as JSON. MLflow's spans are made from and to dicts in the form of its own
files, which both releases that are tested read: ids in base64, JSON texts as attributes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from mlflow import entities as theirs

from runstone import entities as ours

_OTEL_TRACE_ID = re.compile(r"tr-([0-9a-f]{32})")
SPANS_LOCATION = "mlflow.trace.spansLocation"
HERE = "TRACKING_STORE"
"""What MLflow's client wants to read in that tag: else it writes spans as a file of the trace, and
looks for them there."""

REQUEST_ID = "mlflow.traceRequestId"
STATUS_PREFIX = "STATUS_CODE_"


def info(of: ours.TraceInfo) -> theirs.TraceInfo:
    """A trace without its spans."""
    return theirs.TraceInfo(
        trace_id=of.trace_id,
        trace_location=theirs.TraceLocation.from_experiment_id(of.experiment_id),
        request_time=of.request_time,
        state=theirs.TraceState(of.state),
        request_preview=of.request_preview,
        response_preview=of.response_preview,
        client_request_id=of.client_request_id,
        execution_duration=of.execution_duration,
        trace_metadata=dict(of.trace_metadata),
        tags={**of.tags, SPANS_LOCATION: HERE},
    )


def our_info(of: theirs.TraceInfo) -> ours.TraceInfo:
    """MLflow's as ours."""
    return ours.TraceInfo(
        trace_id=of.trace_id,
        experiment_id=of.experiment_id,
        request_time=of.request_time,
        state=str(getattr(of.state, "value", of.state)),
        execution_duration=of.execution_duration,
        request_preview=of.request_preview,
        response_preview=of.response_preview,
        client_request_id=of.client_request_id,
        trace_metadata=dict(of.trace_metadata),
        tags=dict(of.tags),
    )


def trace(of: ours.Trace) -> theirs.Trace:
    """A trace with its spans."""
    return theirs.Trace(info(of.info), theirs.TraceData([span(each) for each in of.spans]))


def span(of: ours.Span) -> theirs.Span:
    """A span that has ended, or not yet."""
    attributes = {key: _encoded(value) for key, value in of.attributes.items()}
    attributes.setdefault(REQUEST_ID, json.dumps(of.trace_id))
    return theirs.Span.from_dict(
        {
            "trace_id": base64.b64encode(_trace_bytes(of.trace_id)).decode("ascii"),
            "span_id": _base64(of.span_id),
            "parent_span_id": _base64(of.parent_id) if of.parent_id else "",
            "name": of.name,
            "start_time_unix_nano": of.start_time_ns,
            "end_time_unix_nano": of.end_time_ns or None,
            "status": {"code": f"{STATUS_PREFIX}{of.status}", "message": of.status_message},
            "attributes": attributes,
            "events": [
                {
                    "name": each.name,
                    "time_unix_nano": each.timestamp_ns,
                    "attributes": dict(each.attributes),
                }
                for each in of.events
            ],
            "links": [
                {
                    "trace_id": each.trace_id,
                    "span_id": each.span_id,
                    "attributes": dict(each.attributes),
                }
                for each in of.links
            ],
        }
    )


def our_span(of: theirs.Span) -> ours.Span:
    """MLflow's as ours."""
    told: Mapping[str, Any] = of.to_dict()
    return ours.Span(
        trace_id=of.trace_id,
        span_id=of.span_id,
        name=of.name,
        start_time_ns=of.start_time_ns,
        end_time_ns=of.end_time_ns or 0,
        parent_id=of.parent_id,
        status=str(told["status"]["code"]).removeprefix(STATUS_PREFIX),
        status_message=of.status.description or "",
        attributes={key: _decoded(value) for key, value in told["attributes"].items()},
        events=[
            ours.SpanEvent(each.name, each.timestamp, dict(each.attributes or {}))
            for each in of.events
        ],
        links=[
            ours.SpanLink(each.trace_id, each.span_id, dict(each.attributes or {}))
            for each in getattr(of, "links", ())  # not in MLflow 3.6
        ],
    )


def _trace_bytes(trace_id: str) -> bytes:
    """The sixteen bytes of a trace's id. One that is not OpenTelemetry's has others that are its
    own, always the same; as the HTTP gateway answers."""
    if given := _OTEL_TRACE_ID.fullmatch(trace_id):
        return bytes.fromhex(given[1])
    return hashlib.blake2b(trace_id.encode(), digest_size=16).digest()


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode("ascii")


def _encoded(value: Any) -> str:
    """The JSON of an attribute; its text when it is nested deeper than JSON is written."""
    try:
        return json.dumps(value)
    except RecursionError:
        return json.dumps("nested too deep to be shown")


def _decoded(value: Any) -> Any:
    """An attribute from its JSON; what another tracer wrote may be none."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value

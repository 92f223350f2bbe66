"""Traces and their spans."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from runstone import _values
from runstone._convert.times import to_ms, to_timestamp
from runstone._entities.traces import Span, SpanEvent, SpanLink, Trace, TraceInfo
from runstone._values import MAX_TAG_VALUE, invalid
from runstone.tracking.v1 import trace_pb2 as pb

_STATE, _STATUS, _KIND = "TRACE_STATE_", "SPAN_STATUS_CODE_", "SPAN_KIND_"


def state_value(name: str) -> pb.TraceState.ValueType:
    """The message's value of a state by name. Raises InvalidField."""
    known = {"STATE_UNSPECIFIED": "UNSPECIFIED"}.get(str(name).upper(), str(name).upper())
    return pb.TraceState.ValueType(_number(pb.TraceState, "state", _STATE, known))


def info(message: pb.TraceInfo) -> TraceInfo:
    """A trace without its spans."""
    state = pb.TraceState.Name(message.state).removeprefix(_STATE)
    duration = message.execution_duration
    return TraceInfo(
        trace_id=message.trace_id,
        experiment_id=message.experiment_id,
        request_time=to_ms(message.request_time),
        state="STATE_UNSPECIFIED" if state == "UNSPECIFIED" else state,
        execution_duration=(
            duration.seconds * 1000 + duration.nanos // 1_000_000
            if message.HasField("execution_duration")
            else None
        ),
        request_preview=_optional(message, "request_preview"),
        response_preview=_optional(message, "response_preview"),
        client_request_id=_optional(message, "client_request_id"),
        trace_metadata=dict(message.metadata),
        tags=dict(message.tags),
        span_count=message.span_count,
    )


def trace(message: pb.Trace) -> Trace:
    """A trace."""
    return Trace(info(message.info), list(map(span, message.spans)), message.complete)


def span(message: pb.Span) -> Span:
    """A span."""
    status = pb.SpanStatusCode.Name(message.status_code).removeprefix(_STATUS)
    return Span(
        trace_id=message.trace_id,
        span_id=message.span_id,
        name=message.name,
        start_time_ns=message.start_time_ns,
        end_time_ns=message.end_time_ns,
        parent_id=message.parent_span_id or None,
        status="UNSET" if status == "UNSPECIFIED" else status,
        status_message=message.status_message,
        kind=pb.SpanKind.Name(message.kind).removeprefix(_KIND),
        attributes=_values_of(message.attributes),
        events=[
            SpanEvent(each.name, each.time_ns, _values_of(each.attributes))
            for each in message.events
        ],
        links=[
            SpanLink(each.trace_id, each.span_id, _values_of(each.attributes))
            for each in message.links
        ],
    )


def info_message(entity: TraceInfo) -> pb.TraceInfo:
    """The message. Raises InvalidField."""
    message = pb.TraceInfo(
        trace_id=entity.trace_id,
        experiment_id=str(entity.experiment_id),
        request_time=to_timestamp(entity.request_time),
        state=state_value(entity.state),
        request_preview=entity.request_preview,
        response_preview=entity.response_preview,
        client_request_id=entity.client_request_id,
        metadata=_values.texts("metadata", entity.trace_metadata, MAX_TAG_VALUE),
        tags=_values.texts("tag", entity.tags, MAX_TAG_VALUE),
    )
    if entity.execution_duration is not None:
        took = _values.whole_number("execution_duration", entity.execution_duration)
        seconds, rest = divmod(took, 1000)
        message.execution_duration.CopyFrom(Duration(seconds=seconds, nanos=rest * 1_000_000))
    return message


def span_message(entity: Span) -> pb.Span:
    """The message. Raises InvalidField."""
    status = "UNSPECIFIED" if entity.status == "UNSET" else str(entity.status).upper()
    kind = str(entity.kind).upper()
    return pb.Span(
        trace_id=entity.trace_id,
        span_id=entity.span_id,
        parent_span_id=entity.parent_id or "",
        name=entity.name,
        kind=pb.SpanKind.ValueType(_number(pb.SpanKind, "kind", _KIND, kind)),
        start_time_ns=_values.whole_number("start_time_ns", entity.start_time_ns),
        end_time_ns=_values.whole_number("end_time_ns", entity.end_time_ns),
        status_code=pb.SpanStatusCode.ValueType(
            _number(pb.SpanStatusCode, "status", _STATUS, status)
        ),
        status_message=entity.status_message,
        attributes=json_of(entity.attributes),
        events=[
            pb.SpanEvent(
                name=each.name, time_ns=each.timestamp_ns, attributes=json_of(each.attributes)
            )
            for each in entity.events
        ],
        links=[
            pb.SpanLink(
                trace_id=each.trace_id, span_id=each.span_id, attributes=json_of(each.attributes)
            )
            for each in entity.links
        ],
    )


def json_of(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Attributes as the service keeps them; what JSON does not know becomes its text."""
    return {
        key: json.dumps(value, ensure_ascii=False, default=str) for key, value in attributes.items()
    }


def _values_of(attributes: Mapping[str, str]) -> dict[str, Any]:
    return {key: _value_of(value) for key, value in attributes.items()}


def _value_of(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _optional(message: pb.TraceInfo, name: str) -> str | None:
    return getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]


def _number(enum: Any, field: str, prefix: str, name: str) -> int:
    if prefix + name not in enum.keys():  # noqa: SIM118 - an enum's wrapper is no mapping
        known = ", ".join(each.removeprefix(prefix) for each in enum.keys())  # noqa: SIM118
        raise invalid(field, f"must be one of {known}, not {name!r:.60}")
    number: int = enum.Value(prefix + name)
    return number

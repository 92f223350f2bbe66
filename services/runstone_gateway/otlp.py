"""OpenTelemetry's spans (OTLP, protobuf or JSON) as requests of LogSpans.

The ids that OTLP has as bytes become texts: a trace is ``tr-`` and its hex digits, as MLflow's
clients name it, a span its hex digits. Values of attributes become JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_gateway.errors import refused

REQUEST_ID = "mlflow.traceRequestId"
"""The attribute in which MLflow's clients look for a trace's id; never taken from outside."""

SPANS_A_CALL, BYTES_A_CALL = 10_000, 8 * 1024 * 1024
"""What one LogSpans brings, within what the service takes."""

TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8
"""As OTLP says."""

_HEX_IDS = ("traceId", "spanId", "parentSpanId")


class _Attributed(Protocol):
    @property
    def attributes(self) -> Iterable[KeyValue]: ...


def read_protobuf(body: bytes) -> ExportTraceServiceRequest:
    """An export as ``application/x-protobuf``. Raises GatewayError."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise refused("the body is no ExportTraceServiceRequest of OpenTelemetry") from None


def read_json(body: bytes) -> ExportTraceServiceRequest:
    """An export as ``application/json``, where ids are hex digits. Raises GatewayError."""
    try:
        found = orjson.loads(body)
        for span in _spans_of(found):
            for each in (span, *(span.get("links") or ())):
                for name in _HEX_IDS:
                    if each.get(name):
                        each[name] = base64.b64encode(bytes.fromhex(each[name])).decode()
        return json_format.ParseDict(found, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    except (ValueError, TypeError, AttributeError, binascii.Error, json_format.Error) as error:
        raise refused(
            f"the body is no ExportTraceServiceRequest of OpenTelemetry as JSON: {str(error)[:200]}"
        ) from None


def requests(
    export: ExportTraceServiceRequest, experiment_id: str
) -> tuple[list[pb.LogSpansRequest], list[str]]:
    """The calls that store an export, and the traces whose root came with it.

    A call for each resource, because its attributes are told once for all spans; more of them
    where one would be too large. Raises GatewayError.
    """
    calls: list[pb.LogSpansRequest] = []
    ended: dict[str, None] = {}
    for several in export.resource_spans:
        spans = []
        for place, otlp in enumerate(span for scope in several.scope_spans for span in scope.spans):
            spans.append(_span(otlp, f"spans[{place}]"))
            if not spans[-1].parent_span_id:
                ended[spans[-1].trace_id] = None
        calls += calls_of(spans, experiment_id, _attributes(several.resource))
    return calls, list(ended)


def calls_of(
    spans: Iterable[pb.Span], experiment_id: str, resource: dict[str, str]
) -> Iterator[pb.LogSpansRequest]:
    """The calls that store spans of one resource: as few as what one may bring allows."""
    size = 0
    call = pb.LogSpansRequest(experiment_id=experiment_id, resource_attributes=resource)
    for span in spans:
        more = span.ByteSize()
        if call.spans and (len(call.spans) == SPANS_A_CALL or size + more > BYTES_A_CALL):
            yield call
            size = 0
            call = pb.LogSpansRequest(experiment_id=experiment_id, resource_attributes=resource)
        call.spans.append(span)
        size += more
    if call.spans:
        yield call


def _span(otlp: OtlpSpan, where: str) -> pb.Span:
    trace_id = _trace_id(otlp.trace_id, where)
    attributes = {each.key: _unwrapped(_value(each.value)) for each in otlp.attributes}
    attributes[REQUEST_ID] = f'"{trace_id}"'
    parent = otlp.parent_span_id
    try:
        return pb.Span(
            trace_id=trace_id,
            span_id=_span_id(otlp.span_id, f"{where}.span_id"),
            parent_span_id=_span_id(parent, f"{where}.parent_span_id") if any(parent) else "",
            name=otlp.name,
            kind=pb.SpanKind.ValueType(int(otlp.kind)),
            start_time_ns=otlp.start_time_unix_nano,
            end_time_ns=otlp.end_time_unix_nano,
            status_code=pb.SpanStatusCode.ValueType(int(otlp.status.code)),
            status_message=otlp.status.message,
            attributes=attributes,
            events=[
                pb.SpanEvent(
                    name=event.name, time_ns=event.time_unix_nano, attributes=_attributes(event)
                )
                for event in otlp.events
            ],
            links=[
                pb.SpanLink(
                    trace_id=f"tr-{link.trace_id.hex()}",
                    span_id=link.span_id.hex(),
                    attributes=_attributes(link),
                )
                for link in otlp.links
            ],
            trace_state=otlp.trace_state,
        )
    except (ValueError, OverflowError):
        # OTLP's times are unsigned; ours end in the year 2262.
        raise refused(f"{where} has a time that is too late") from None


def _trace_id(value: bytes, where: str) -> str:
    if len(value) != TRACE_ID_BYTES or not any(value):
        raise refused(f"{where}.trace_id must have {TRACE_ID_BYTES} bytes that are not all 0")
    return f"tr-{value.hex()}"


def _span_id(value: bytes, where: str) -> str:
    if len(value) != SPAN_ID_BYTES or not any(value):
        raise refused(f"{where} must have {SPAN_ID_BYTES} bytes that are not all 0")
    return value.hex()


def _attributes(of: _Attributed) -> dict[str, str]:
    return {each.key: as_json(_value(each.value)) for each in of.attributes}


def as_json(value: Any) -> str:
    """As MLflow writes it: previews of dicts and lists show the blanks, and numbers that JSON does
    not know are Python's words for them."""
    if isinstance(value, dict | list | float):
        return json.dumps(value, ensure_ascii=False)
    return orjson.dumps(value).decode()


def _unwrapped(value: Any) -> str:
    """The JSON of a span's attribute. A text that is itself the JSON of a text, list or object is
    taken as that, as MLflow does: OpenTelemetry's libraries have no other way to tell them."""
    if isinstance(value, str) and value.lstrip()[:1] in ('"', "{", "["):
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError:
            pass
        else:
            return value
    return as_json(value)


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {each.key: _value(each.value) for each in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)


def _spans_of(export: Any) -> Iterator[dict[str, Any]]:
    for several in export.get("resourceSpans") or ():
        for scope in several.get("scopeSpans") or ():
            yield from scope.get("spans") or ()

"""Traces as MLflow's JSON: what protobuf makes of its messages, and its file of spans.

A large trace is written span by span: its objects would weigh ten times its text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_gateway.fields import INT64

Json = dict[str, Any]

REQUEST_ID = "mlflow.traceRequestId"
"""The attribute of a span in which MLflow's clients look for its trace's id."""

ARTIFACT_LOCATION = "mlflow.artifactLocation"
SPANS_LOCATION = "mlflow.trace.spansLocation"
"""Tags that the server makes: where files of a trace are, and where its spans."""

IN_STORE = "TRACKING_STORE"
"""Spans that are asked for by traces/get and traces/batchGet; else they would be in a file."""

FINALIZED = "mlflow.trace.infoFinalized"
"""Metadata that the server makes, of a trace that was told how it ended."""

MAX_DEPTH = 30
"""Of lists and objects in an attribute; deeper ones are sent as JSON text. MLflow's clients read
messages of at most a hundred levels, of which an object takes three."""

FLAT = 200
"""Brackets of a JSON text that cannot be nested too deep to be sent."""

PIECE_BYTES = 256 * 2**10
"""Of an answer, written at a time."""

_STATE = {
    number: name.removeprefix("TRACE_STATE_") for name, number in pb.TraceState.items() if number
}
_STATUS = {
    pb.SPAN_STATUS_CODE_OK: "STATUS_CODE_OK",
    pb.SPAN_STATUS_CODE_ERROR: "STATUS_CODE_ERROR",
}

_OTEL_TRACE_ID = re.compile(r"tr-([0-9a-f]{32})")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")


def info(found: pb.TraceInfo, *, spans_in_store: bool = False) -> Json:
    """A trace without its spans. ``spans_in_store``: say so though none came yet."""
    answer: Json = {"trace_id": found.trace_id}
    if found.HasField("client_request_id"):
        answer["client_request_id"] = found.client_request_id
    answer["trace_location"] = {
        "type": "MLFLOW_EXPERIMENT",
        "mlflow_experiment": {"experiment_id": found.experiment_id},
    }
    answer["request_time"] = found.request_time.ToJsonString()
    if found.HasField("execution_duration"):
        answer["execution_duration"] = found.execution_duration.ToJsonString()
    answer["state"] = _STATE.get(found.state, "STATE_UNSPECIFIED")
    metadata = _sorted(found.metadata)
    if found.finalized:
        metadata[FINALIZED] = "true"
    if metadata:
        answer["trace_metadata"] = metadata
    answer["tags"] = _tags(found, spans_in_store=spans_in_store)
    if found.HasField("request_preview"):
        answer["request_preview"] = found.request_preview
    if found.HasField("response_preview"):
        answer["response_preview"] = found.response_preview
    return answer


def older_info(found: pb.TraceInfo) -> Json:
    """The same as clients before MLflow 3 know it."""
    time = found.request_time
    taken = found.execution_duration
    answer: Json = {
        "request_id": found.trace_id,
        "experiment_id": found.experiment_id,
        "timestamp_ms": time.seconds * 1000 + time.nanos // 1_000_000,
        "execution_time_ms": taken.seconds * 1000 + taken.nanos // 1_000_000,
        "status": _STATE.get(found.state, "TRACE_STATUS_UNSPECIFIED"),
    }
    if found.metadata:
        answer["request_metadata"] = _pairs(_sorted(found.metadata))
    answer["tags"] = _pairs(_tags(found, spans_in_store=False))
    return answer


def traces(several: Iterable[pb.Trace]) -> Iterator[bytes]:
    """Traces with their spans: the elements of a JSON list, in pieces."""
    return _gathered(_traces(several))


def trace_data(found: pb.Trace) -> Iterator[bytes]:
    """The file of a trace's spans that MLflow calls traces.json, in pieces."""
    return _gathered(_trace_data(found))


def _traces(several: Iterable[pb.Trace]) -> Iterator[bytes]:
    for place, found in enumerate(several):
        yield b"," if place else b""
        yield b'{"trace_info":' + orjson.dumps(info(found.info))
        for number, each in enumerate(found.spans):
            yield b"," if number else b',"spans":['
            yield orjson.dumps(span(each))
        yield b"]}" if found.spans else b"}"


def _trace_data(found: pb.Trace) -> Iterator[bytes]:
    yield b'{"spans":['
    for number, each in enumerate(found.spans):
        yield b"," if number else b""
        yield orjson.dumps(file_span(each))
    yield b"]}"


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held.clear()
            size = 0
    yield b"".join(held)


def span(found: pb.Span) -> Json:
    """A span as the JSON of OpenTelemetry's message, with the fields that MLflow's servers fill."""
    answer: Json = {
        "trace_id": _base64(_trace_bytes(found.trace_id)),
        "span_id": _base64(bytes.fromhex(found.span_id)),
    }
    if found.parent_span_id:
        answer["parent_span_id"] = _base64(bytes.fromhex(found.parent_span_id))
    answer["name"] = found.name
    answer["start_time_unix_nano"] = found.start_time_ns
    if found.end_time_ns:
        answer["end_time_unix_nano"] = found.end_time_ns
    answer["attributes"] = _key_values(_with_request_id(found))
    if found.events:
        answer["events"] = [_event(each) for each in found.events]
    if links := [_link(each) for each in found.links if _SPAN_ID.fullmatch(each.span_id)]:
        answer["links"] = links
    status = {"message": found.status_message} if found.status_message else {}
    if code := _STATUS.get(found.status_code):
        status["code"] = code
    answer["status"] = status
    return answer


def _event(found: pb.SpanEvent) -> Json:
    answer: Json = {"time_unix_nano": found.time_ns, "name": found.name}
    if found.attributes:
        answer["attributes"] = _key_values(found.attributes)
    return answer


def _link(found: pb.SpanLink) -> Json:
    answer: Json = {
        "trace_id": _base64(_trace_bytes(found.trace_id)),
        "span_id": _base64(bytes.fromhex(found.span_id)),
    }
    if found.attributes:
        answer["attributes"] = _key_values(found.attributes)
    return answer


def file_span(found: pb.Span) -> Json:
    """A span as an entry of traces.json, whose attributes are JSON texts."""
    parent = found.parent_span_id
    attributes = {}
    for key, text in _with_request_id(found).items():
        value = loaded(text)
        # What is no JSON is a text.
        attributes[key] = orjson.dumps(value).decode() if value is text else text
    return {
        "trace_id": _base64(_trace_bytes(found.trace_id)),
        "span_id": _base64(bytes.fromhex(found.span_id)),
        "parent_span_id": _base64(bytes.fromhex(parent)) if parent else None,
        "name": found.name,
        "start_time_unix_nano": found.start_time_ns,
        "end_time_unix_nano": found.end_time_ns,
        "events": [
            {
                "name": each.name,
                "time_unix_nano": each.time_ns,
                "attributes": _values(each.attributes),
            }
            for each in found.events
        ],
        "status": {
            "code": _STATUS.get(found.status_code, "STATUS_CODE_UNSET"),
            "message": found.status_message,
        },
        "attributes": attributes,
        "links": [
            {
                "trace_id": each.trace_id,
                "span_id": each.span_id,
                "attributes": _values(each.attributes),
            }
            for each in found.links
        ],
    }


def loaded(text: str) -> Any:
    """The value of an attribute's JSON; the very text when it is none, or cannot be sent."""
    try:
        try:
            value = orjson.loads(text)
            if text.count("[") + text.count("{") < FLAT:
                return value
        except orjson.JSONDecodeError:
            # Python writes NaN and Infinity as bare words, and MLflow's clients with it.
            value = json.loads(text)
        # Half of a surrogate pair, longer integers and more than 254 levels cannot be sent; there
        # are some levels around it.
        orjson.dumps([[[[[[[[value]]]]]]]])
    except (ValueError, TypeError, RecursionError):
        return text
    return value


def any_value(value: Any, depth: int = MAX_DEPTH) -> Json:
    """A value of JSON as the JSON of OpenTelemetry's AnyValue."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, int):
        return {"int_value": value} if value in INT64 else {"string_value": str(value)}
    if isinstance(value, float):
        return {"double_value": _number(value)}
    if depth == 0:
        return {"string_value": json.dumps(value, ensure_ascii=False)}
    if isinstance(value, list):
        values = [any_value(each, depth - 1) for each in value]
        return {"array_value": {"values": values} if values else {}}
    entries = [_entry(key, each, depth - 1) for key, each in value.items()]
    return {"kvlist_value": {"values": entries} if entries else {}}


def _entry(key: str, value: Any, depth: int = MAX_DEPTH) -> Json:
    return {"key": key} if value is None else {"key": key, "value": any_value(value, depth)}


def _key_values(attributes: Mapping[str, str]) -> list[Json]:
    return [_entry(key, loaded(text)) for key, text in attributes.items()]


def _values(attributes: Mapping[str, str]) -> Json:
    return {key: loaded(text) for key, text in attributes.items()}


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _with_request_id(found: pb.Span) -> dict[str, str]:
    return {**found.attributes, REQUEST_ID: json.dumps(found.trace_id)}


def _trace_bytes(trace_id: str) -> bytes:
    """The sixteen bytes of a trace's id. One that is not OpenTelemetry's has others that are its
    own, always the same."""
    if given := _OTEL_TRACE_ID.fullmatch(trace_id):
        return bytes.fromhex(given[1])
    return hashlib.blake2b(trace_id.encode(), digest_size=16).digest()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def artifact_uri(found: pb.TraceInfo) -> str:
    """Where clients would find files of a trace: through this gateway."""
    return f"mlflow-artifacts:/{found.experiment_id}/traces/{found.trace_id}/artifacts"


def _tags(found: pb.TraceInfo, *, spans_in_store: bool) -> dict[str, str]:
    tags = {**_sorted(found.tags), ARTIFACT_LOCATION: artifact_uri(found)}
    if found.span_count or spans_in_store:
        tags[SPANS_LOCATION] = IN_STORE
    return tags


def _sorted(texts: Mapping[str, str]) -> dict[str, str]:
    return {key: texts[key] for key in sorted(texts)}


def _pairs(texts: Mapping[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in texts.items()]

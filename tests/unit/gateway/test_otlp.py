"""Spans of OpenTelemetry as requests of LogSpans, from protobuf and from JSON."""

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_gateway import otlp
from runstone_gateway.errors import GatewayError

TRACE, ROOT, CHILD = bytes(range(16)), b"\x01" * 8, b"\xff" * 8
TRACE_ID = "tr-000102030405060708090a0b0c0d0e0f"


def attribute(key: str, **value: Any) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(**value))


def export(
    *spans: dict[str, Any], resource: tuple[KeyValue, ...] = ()
) -> ExportTraceServiceRequest:
    """An export of one resource; each span is a root of TRACE unless it says otherwise."""
    made = ExportTraceServiceRequest()
    several = made.resource_spans.add()
    several.resource.attributes.extend(resource)
    scope = several.scope_spans.add()
    for span in spans:
        scope.spans.add(**{"trace_id": TRACE, "span_id": ROOT, **span})
    return made


def full_export() -> ExportTraceServiceRequest:
    made = export(
        {
            "name": "answer",
            "kind": 3,
            "start_time_unix_nano": 2**62,
            "end_time_unix_nano": 2**63 - 1,
            "status": {"code": 2, "message": "boom"},
            "trace_state": "k=v",
            "attributes": [
                attribute("text", string_value='"é"'),
                attribute("flag", bool_value=True),
                attribute("whole", int_value=-(2**63)),
                attribute("real", double_value=0.5),
                attribute("raw", bytes_value=b"\x00\xff"),
                KeyValue(key="none"),
                KeyValue(key="deep", value=nested()),
                attribute("mlflow.traceRequestId", string_value="of another"),
            ],
            "events": [
                {"name": "e", "time_unix_nano": 7, "attributes": [attribute("a", int_value=1)]}
            ],
            "links": [{"trace_id": b"\x0a" * 16, "span_id": CHILD}],
        },
        {"span_id": CHILD, "parent_span_id": ROOT, "name": "step"},
        resource=(attribute("service.name", string_value="shop"),),
    )
    made.resource_spans.add().scope_spans.add()
    return made


def nested() -> AnyValue:
    value = AnyValue()
    inner = value.kvlist_value.values.add(key="list").value.array_value.values
    inner.add(int_value=1)
    inner.add(string_value="two")
    inner.add()
    return value


def test_every_field_of_a_span() -> None:
    (call,), ended = otlp.requests(full_export(), "7")
    assert (call.experiment_id, dict(call.resource_attributes)) == ("7", {"service.name": '"shop"'})
    root, child = call.spans
    assert {key: json.loads(value) for key, value in root.attributes.items()} == {
        "text": "é",
        "flag": True,
        "whole": -(2**63),
        "real": 0.5,
        "raw": base64.b64encode(b"\x00\xff").decode(),
        "none": None,
        "deep": {"list": [1, "two", None]},
        "mlflow.traceRequestId": TRACE_ID,
    }
    root.attributes.clear()
    assert root == pb.Span(
        trace_id=TRACE_ID,
        span_id="01" * 8,
        name="answer",
        kind=pb.SPAN_KIND_CLIENT,
        start_time_ns=2**62,
        end_time_ns=2**63 - 1,
        status_code=pb.SPAN_STATUS_CODE_ERROR,
        status_message="boom",
        events=[pb.SpanEvent(name="e", time_ns=7, attributes={"a": "1"})],
        links=[pb.SpanLink(trace_id="tr-" + "0a" * 16, span_id="ff" * 8)],
        trace_state="k=v",
    )
    assert (child.span_id, child.parent_span_id, child.trace_id) == ("ff" * 8, "01" * 8, TRACE_ID)
    assert ended == [TRACE_ID]


def test_dicts_and_lists_are_written_as_mlflow_does() -> None:
    made = export({"attributes": [KeyValue(key="deep", value=nested())]})
    (call,), _ = otlp.requests(made, "0")
    assert call.spans[0].attributes["deep"] == '{"list": [1, "two", null]}'


def test_enums_are_numbered_alike() -> None:
    for kind in range(6):
        (call,), _ = otlp.requests(export({"kind": kind}), "0")
        assert call.spans[0].kind == kind
    for code in range(3):
        (call,), _ = otlp.requests(export({"status": {"code": code}}), "0")
        assert call.spans[0].status_code == code


@pytest.mark.parametrize(
    ("number", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_numbers_that_json_does_not_know_are_pythons_words(number: float, text: str) -> None:
    several = KeyValue(key="several")
    several.value.array_value.values.add(double_value=number)
    made = export({"attributes": [attribute("a", double_value=number), several]})
    (call,), _ = otlp.requests(made, "0")
    assert dict(call.spans[0].attributes) == {
        "a": text,
        "several": f"[{text}]",
        "mlflow.traceRequestId": f'"{TRACE_ID}"',
    }


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' ["x"]', ' ["x"]'),
        ('"x"', '"x"'),
        *(("12", '"12"'), ("true", '"true"'), ("null", '"null"'), ("", '""')),
        ('{"a": ', '"{\\"a\\": "'),
    ],
)
def test_a_text_that_is_json_is_taken_as_that(text: str, stored: str) -> None:
    (call,), _ = otlp.requests(export({"attributes": [attribute("a", string_value=text)]}), "0")
    assert call.spans[0].attributes["a"] == stored
    event = {"events": [{"name": "e", "attributes": [attribute("a", string_value=text)]}]}
    (call,), _ = otlp.requests(export(event), "0")
    assert json.loads(call.spans[0].events[0].attributes["a"]) == text


def test_protobuf_and_json_say_the_same() -> None:
    made = full_export()
    text = json_format.MessageToDict(made)
    for span in text["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64decode(span[name]).hex()
        for link in span.get("links", ()):
            link.update({key: base64.b64decode(link[key]).hex() for key in ("traceId", "spanId")})
    text["unknown"] = 1
    assert otlp.read_json(json.dumps(text).encode()) == made
    assert otlp.read_protobuf(made.SerializeToString()) == made


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\xff", b"nope", b"[]", b"3", b'{"resourceSpans": 3}', b'{"resourceSpans": [3]}'),
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [3]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 3}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 3}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"links": 5}]}]}]}',
        b'{"a": ' * 100_000,
    ],
)
def test_what_is_no_export_is_refused(body: bytes) -> None:
    with pytest.raises(GatewayError, match="ExportTraceServiceRequest") as caught:
        otlp.read_json(body)
    assert caught.value.status == 400
    assert len(caught.value.message) < 400


def test_bytes_that_are_no_export_are_refused() -> None:
    for body in (b"\xff", b"\x0a\x05ab", b"nope"):
        with pytest.raises(GatewayError, match="ExportTraceServiceRequest"):
            otlp.read_protobuf(body)


@pytest.mark.parametrize(
    ("span", "named"),
    [
        ({"trace_id": b""}, "trace_id"),
        ({"trace_id": b"\x00" * 16}, "trace_id"),
        ({"trace_id": b"\x01" * 15}, "trace_id"),
        ({"span_id": b""}, "span_id"),
        ({"span_id": b"\x01" * 9}, "span_id"),
        ({"parent_span_id": b"\x01"}, "parent_span_id"),
        ({"start_time_unix_nano": 2**63}, "time"),
        ({"end_time_unix_nano": 2**64 - 1}, "time"),
        ({"events": [{"time_unix_nano": 2**63}]}, "time"),
    ],
)
def test_a_wrong_span_is_named(span: dict[str, Any], named: str) -> None:
    with pytest.raises(GatewayError, match=rf"spans\[1\].*{named}"):
        otlp.requests(export({}, span), "0")


def test_an_export_that_is_too_large_becomes_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [
        {"span_id": number.to_bytes(8, "big"), "parent_span_id": ROOT} for number in range(1, 8)
    ]
    monkeypatch.setattr(otlp, "SPANS_A_CALL", 3)
    calls, ended = otlp.requests(export(*spans, resource=(attribute("a", int_value=1),)), "0")
    assert [len(call.spans) for call in calls] == [3, 3, 1]
    assert all(call.resource_attributes == {"a": "1"} for call in calls)
    assert ended == []
    monkeypatch.setattr(otlp, "BYTES_A_CALL", 1)
    calls, _ = otlp.requests(export(*spans), "0")
    assert [len(call.spans) for call in calls] == [1] * 7

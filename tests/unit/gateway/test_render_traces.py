"""Traces and spans as MLflow's JSON."""

import base64
import json
import math
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_gateway import render_traces as render

TRACE_ID = "tr-000102030405060708090a0b0c0d0e0f"
ROOT, CHILD = "01" * 8, "ff" * 8


def info(**fields: Any) -> pb.TraceInfo:
    known = {
        "trace_id": TRACE_ID,
        "experiment_id": "7",
        "request_time": Timestamp(seconds=1_700_000_000, nanos=250_000_000),
    }
    return pb.TraceInfo(**{**known, **fields})


def full_span() -> pb.Span:
    return pb.Span(
        trace_id=TRACE_ID,
        span_id=CHILD,
        parent_span_id=ROOT,
        name="answer",
        kind=pb.SPAN_KIND_CLIENT,
        start_time_ns=2**62,
        end_time_ns=2**63 - 1,
        status_code=pb.SPAN_STATUS_CODE_ERROR,
        status_message="boom",
        attributes={
            "text": '"é"',
            "flag": "true",
            "whole": str(-(2**63)),
            "real": "2.0",
            "far": "-Infinity",
            "none": "null",
            "deep": '{"list": [1, null, {"x": []}], "y": {}}',
            "plain": "no JSON",
        },
        events=[pb.SpanEvent(name="e", time_ns=7, attributes={"a": "[1]"}), pb.SpanEvent(name="f")],
        links=[
            pb.SpanLink(trace_id="tr-" + "0a" * 16, span_id=ROOT, attributes={"k": '"v"'}),
            pb.SpanLink(trace_id="elsewhere", span_id="no id"),
        ],
    )


def test_all_that_a_trace_is() -> None:
    found = info(
        execution_duration=Duration(seconds=1, nanos=500_000_000),
        state=pb.TRACE_STATE_ERROR,
        request_preview="q",
        response_preview="",
        client_request_id="c",
        metadata={"m": "1"},
        tags={"b": "2", "a": "1"},
        finalized=True,
        span_count=3,
    )
    location = f"mlflow-artifacts:/7/traces/{TRACE_ID}/artifacts"
    assert render.info(found) == {
        "trace_id": TRACE_ID,
        "client_request_id": "c",
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": "7"},
        },
        "request_time": "2023-11-14T22:13:20.250Z",
        "execution_duration": "1.500s",
        "state": "ERROR",
        "trace_metadata": {"m": "1", "mlflow.trace.infoFinalized": "true"},
        "tags": {
            "a": "1",
            "b": "2",
            "mlflow.artifactLocation": location,
            "mlflow.trace.spansLocation": "TRACKING_STORE",
        },
        "request_preview": "q",
        "response_preview": "",
    }
    assert render.older_info(found) == {
        "request_id": TRACE_ID,
        "experiment_id": "7",
        "timestamp_ms": 1_700_000_000_250,
        "execution_time_ms": 1500,
        "status": "ERROR",
        "request_metadata": [{"key": "m", "value": "1"}],
        "tags": [
            {"key": "a", "value": "1"},
            {"key": "b", "value": "2"},
            {"key": "mlflow.artifactLocation", "value": location},
            {"key": "mlflow.trace.spansLocation", "value": "TRACKING_STORE"},
        ],
    }


def test_what_nobody_said_is_left_out() -> None:
    told = render.info(info())
    assert told.keys() == {"trace_id", "trace_location", "request_time", "state", "tags"}
    assert told["state"] == "STATE_UNSPECIFIED"
    assert told["tags"].keys() == {"mlflow.artifactLocation"}
    older = render.older_info(info())
    assert (older["status"], older["execution_time_ms"]) == ("TRACE_STATUS_UNSPECIFIED", 0)
    assert "request_metadata" not in older


@pytest.mark.parametrize(
    ("state", "name"), [(1, "OK"), (2, "ERROR"), (3, "IN_PROGRESS"), (9, "STATE_UNSPECIFIED")]
)
def test_states(state: int, name: str) -> None:
    assert render.info(info(state=state))["state"] == name


def test_nobody_else_says_where_files_and_spans_are() -> None:
    tags = {"mlflow.artifactLocation": "file:///etc", "mlflow.trace.spansLocation": "ARCHIVE_REPO"}
    told = render.info(info(tags=tags, span_count=1))["tags"]
    assert told["mlflow.artifactLocation"].startswith("mlflow-artifacts:/7/traces/")
    assert told["mlflow.trace.spansLocation"] == "TRACKING_STORE"


def test_a_client_that_sends_spans_is_told_before_they_are_there() -> None:
    told = render.info(info(), spans_in_store=True)
    assert told["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"


def test_a_span_is_opentelemetrys_message() -> None:
    message = json_format.ParseDict(render.span(full_span()), OtlpSpan())
    assert message.trace_id == bytes(range(16))
    assert (message.span_id, message.parent_span_id) == (b"\xff" * 8, b"\x01" * 8)
    assert (message.name, message.status.code, message.status.message) == ("answer", 2, "boom")
    assert (message.start_time_unix_nano, message.end_time_unix_nano) == (2**62, 2**63 - 1)
    values = {each.key: each.value for each in message.attributes}
    assert values["text"].string_value == "é"
    assert values["flag"].bool_value is True
    assert values["whole"].int_value == -(2**63)
    assert values["real"].double_value == 2.0
    assert values["far"].double_value == -math.inf
    assert values["none"].WhichOneof("value") is None
    assert values["plain"].string_value == "no JSON"
    assert values["mlflow.traceRequestId"].string_value == TRACE_ID
    deep = {each.key: each.value for each in values["deep"].kvlist_value.values}
    one, none, inner = deep["list"].array_value.values
    assert one.int_value == 1
    assert none.WhichOneof("value") is None
    assert inner.kvlist_value.values[0].value.WhichOneof("value") == "array_value"
    assert deep["y"].WhichOneof("value") == "kvlist_value"
    first, second = message.events
    assert (first.name, first.time_unix_nano) == ("e", 7)
    assert first.attributes[0].value.array_value.values[0].int_value == 1
    assert (second.name, len(second.attributes)) == ("f", 0)
    (link,) = message.links
    assert (link.trace_id, link.span_id) == (b"\x0a" * 16, b"\x01" * 8)
    assert link.attributes[0].value.string_value == "v"


def test_what_a_span_lacks_is_left_out() -> None:
    told = render.span(pb.Span(trace_id=TRACE_ID, span_id=ROOT, start_time_ns=1))
    assert told.keys() == {
        *("trace_id", "span_id", "name", "start_time_unix_nano", "attributes", "status"),
    }
    assert told["status"] == {}


def test_other_ids_have_sixteen_bytes_of_their_own() -> None:
    def sent(trace_id: str) -> bytes:
        return base64.b64decode(render.span(pb.Span(trace_id=trace_id, span_id=ROOT))["trace_id"])

    assert len(sent("mine")) == 16
    assert sent("mine") == sent("mine")
    assert sent("mine") != sent("yours")
    assert sent(TRACE_ID.upper()) != sent(TRACE_ID)


@pytest.mark.parametrize("depth", [1, render.MAX_DEPTH, render.MAX_DEPTH + 1, 500, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_values_can_be_read(depth: int, opening: str, closing: str) -> None:
    text = opening * depth + "1" + closing * depth
    span = pb.Span(trace_id=TRACE_ID, span_id=ROOT, attributes={"a": text})
    told = orjson.loads(orjson.dumps(render.span(span)))
    # As deep as a client still reads below the answer and its trace.
    message = json_format.ParseDict(told, OtlpSpan(), max_recursion_depth=98)
    value = next(each.value for each in message.attributes if each.key == "a")
    while value.WhichOneof("value") in ("kvlist_value", "array_value"):
        inner = value.kvlist_value.values
        value = inner[0].value if inner else value.array_value.values[0]
    assert (value.WhichOneof("value") == "string_value") == (depth > render.MAX_DEPTH)


@pytest.mark.parametrize(
    "text",
    ['"\\ud800"', '["\\ud800"]', str(2**64), f"[{2**63}]", "1e999", "-1e999", "NaN", "", "{"],
)
def test_strange_values_can_be_sent(text: str) -> None:
    span = pb.Span(
        trace_id=TRACE_ID,
        span_id=ROOT,
        attributes={"a": text},
        events=[pb.SpanEvent(name="e", attributes={"a": text})],
    )
    json_format.ParseDict(orjson.loads(orjson.dumps(render.span(span))), OtlpSpan())
    (told,) = json.loads(b"".join(render.trace_data(pb.Trace(spans=[span]))))["spans"]
    json.loads(told["attributes"]["a"])


def test_the_file_of_spans() -> None:
    trace = pb.Trace(info=info(), spans=[full_span()])
    (told,) = json.loads(b"".join(render.trace_data(trace)))["spans"]
    assert told["trace_id"] == base64.b64encode(bytes(range(16))).decode()
    assert told["parent_span_id"] == base64.b64encode(b"\x01" * 8).decode()
    assert told["status"] == {"code": "STATUS_CODE_ERROR", "message": "boom"}
    attributes = dict(full_span().attributes)
    attributes["plain"] = '"no JSON"'
    attributes["mlflow.traceRequestId"] = f'"{TRACE_ID}"'
    assert told["attributes"] == attributes
    assert told["events"][0] == {"name": "e", "time_unix_nano": 7, "attributes": {"a": [1]}}
    assert told["links"][0] == {
        "trace_id": "tr-" + "0a" * 16,
        "span_id": ROOT,
        "attributes": {"k": "v"},
    }


def test_many_traces_are_written_piece_by_piece() -> None:
    several = [
        pb.Trace(
            info=info(),
            spans=[
                pb.Span(trace_id=TRACE_ID, span_id=ROOT, attributes={"a": "1" * 2000})
                for _ in range(count)
            ],
        )
        for count in (300, 0, 1)
    ]
    pieces = list(render.traces(several))
    assert len(pieces) > 2
    assert all(len(piece) < render.PIECE_BYTES + 5000 for piece in pieces)
    told = json.loads(b"[" + b"".join(pieces) + b"]")
    assert [len(each.get("spans", ())) for each in told] == [300, 0, 1]
    assert b"".join(render.traces([])) == b""


def nested(levels: int, kind: str) -> str:
    """The JSON of lists or objects in one another."""
    opened, closed = ("[", "]") if kind == "list" else ('{"a":', "}")
    return opened * levels + "1" + closed * levels


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("levels", [29, 31, 200, 254, 255, 500, 1000, 1024, 5000])
def test_a_value_of_any_depth_is_answered(levels: int, kind: str) -> None:
    text = nested(levels, kind)
    found = pb.Span(
        trace_id=TRACE_ID,
        span_id=ROOT,
        attributes={"deep": text},
        events=[pb.SpanEvent(name="e", attributes={"deep": text})],
        links=[pb.SpanLink(trace_id=TRACE_ID, span_id=ROOT, attributes={"deep": text})],
    )
    trace = pb.Trace(info=info(), spans=[found])
    for pieces in (render.traces([trace]), render.trace_data(trace)):
        told = orjson.loads(b"".join(pieces))
        assert told
    attributes = told["spans"][0]["attributes"]
    value = json.loads(attributes["deep"])
    assert (value if isinstance(value, str) else attributes["deep"]) == text


@pytest.mark.parametrize("trace_id", ["tr-", "tr-abc", "a", "tr-" + "0" * 31, "tr-" + "G" * 32])
def test_a_trace_of_any_id_is_answered(trace_id: str) -> None:
    found = pb.Span(trace_id=trace_id, span_id=ROOT)
    told = render.span(found)
    assert len(base64.b64decode(told["trace_id"])) == 16
    assert told == render.span(found)

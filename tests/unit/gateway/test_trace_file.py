"""traces.json, as MLflow's clients of three generations write it."""

import json
import math
from typing import Any

import pytest

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_gateway import render_traces, trace_file
from runstone_gateway.errors import GatewayError

TRACE_ID = "tr-000102030405060708090a0b0c0d0e0f"
WANTED = pb.Span(
    trace_id=TRACE_ID,
    span_id="ff" * 8,
    parent_span_id="01" * 8,
    name="answer",
    start_time_ns=5,
    end_time_ns=7,
    status_code=pb.SPAN_STATUS_CODE_ERROR,
    status_message="boom",
    attributes={"a": '{"b": 1}', "mlflow.traceRequestId": f'"{TRACE_ID}"'},
    events=[pb.SpanEvent(name="e", time_ns=6, attributes={"n": "1", "l": '["x"]'})],
    links=[pb.SpanLink(trace_id="tr-x", span_id="0a" * 8, attributes={"k": '"v"'})],
)
COMMON = {
    "name": "answer",
    "attributes": {"a": '{"b": 1}', "mlflow.traceRequestId": '"of another"'},
    "links": [{"trace_id": "tr-x", "span_id": "0a" * 8, "attributes": {"k": "v"}}],
}
EVENT = {"name": "e", "attributes": {"n": 1, "l": ["x"]}}
MLFLOW_2 = {
    **COMMON,
    "context": {"span_id": "0x" + "ff" * 8, "trace_id": "0x" + "00" * 16},
    "parent_id": "0x" + "01" * 8,
    "start_time": 5,
    "end_time": 7,
    "status_code": "ERROR",
    "status_message": "boom",
    "events": [{**EVENT, "timestamp": 6}],
}
MLFLOW_3 = {
    **COMMON,
    "trace_id": "AAECAwQFBgcICQoLDA0ODw==",
    "span_id": "//////////8=",
    "parent_span_id": "AQEBAQEBAQE=",
    "start_time_unix_nano": "5",
    "end_time_unix_nano": 7,
    "status": {"code": "STATUS_CODE_ERROR", "message": "boom"},
    "events": [{**EVENT, "time_unix_nano": 6}],
}
MLFLOW_3_5 = {
    **MLFLOW_3,
    "trace_id": TRACE_ID,
    "span_id": "ff" * 8,
    "parent_span_id": "01" * 8,
    "status": {"code": "ERROR", "message": "boom"},
}


def read(*spans: Any) -> list[pb.LogSpansRequest]:
    return trace_file.read(json.dumps({"spans": spans}).encode(), "7", TRACE_ID)


@pytest.mark.parametrize("span", [MLFLOW_2, MLFLOW_3, MLFLOW_3_5])
def test_each_generation_says_the_same(span: dict[str, Any]) -> None:
    (call,) = read(span)
    assert call.experiment_id == "7"
    assert list(call.spans) == [WANTED]


def test_a_root_that_is_open() -> None:
    lacking = {"parent_span_id": None, "end_time_unix_nano": None, "status": None, "events": None}
    (call,) = read({**MLFLOW_3, **lacking, "attributes": None, "links": []})
    assert call.spans[0] == pb.Span(
        trace_id=TRACE_ID,
        span_id="ff" * 8,
        name="answer",
        start_time_ns=5,
        attributes={"mlflow.traceRequestId": f'"{TRACE_ID}"'},
    )


def test_what_is_written_is_read() -> None:
    written = b"".join(render_traces.trace_data(pb.Trace(spans=[WANTED])))
    (call,) = trace_file.read(written, "7", TRACE_ID)
    assert list(call.spans) == [WANTED]


def test_no_spans_are_no_call() -> None:
    assert read() == []


@pytest.mark.parametrize("body", [b"", b"nope", b"[]", b"{}", b'{"spans": {}}', b'{"spans": null}'])
def test_what_is_no_file_of_spans(body: bytes) -> None:
    with pytest.raises(GatewayError) as refused:
        trace_file.read(body, "7", TRACE_ID)
    assert refused.value.code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    "wrong",
    [
        *(None, 3, "x", [], {}),
        *({**MLFLOW_3, "span_id": value} for value in (None, 3, "??==")),
        *({**MLFLOW_3, "start_time_unix_nano": value} for value in (None, "x", [], 2**63)),
        *({**MLFLOW_3, "status": value} for value in ("x", {"code": "LATE"}, {"code": 3})),
        *({**MLFLOW_3, "attributes": value} for value in ("x", ["a"])),
        *({**MLFLOW_3, "events": value} for value in (3, [3], [{"name": "e"}])),
        *({**MLFLOW_3, "links": value} for value in (3, [3], [{}])),
        *({**MLFLOW_2, "context": value} for value in (None, {}, "x")),
        {**MLFLOW_3, "name": 3},
        {**MLFLOW_3, "start_time_unix_nano": math.inf},
        {**MLFLOW_3, "end_time_unix_nano": math.nan},
    ],
)
def test_what_is_no_span_is_named(wrong: Any) -> None:
    with pytest.raises(GatewayError) as refused:
        read(MLFLOW_3, wrong)
    assert refused.value.code == "INVALID_PARAMETER_VALUE"
    assert "spans[1]" in refused.value.message

"""Traces over real gRPC, on both databases."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from runstone.tracking.v1 import experiment_pb2, run_pb2
from runstone.tracking.v1 import trace_pb2 as pb
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from support.traces import MS, span_id, span_message, trace_id
from support.tracking_service import refused, tracking_server

OK, ERROR, IN_PROGRESS = pb.TRACE_STATE_OK, pb.TRACE_STATE_ERROR, pb.TRACE_STATE_IN_PROGRESS


@pytest.fixture
def stub(tracking_url: str) -> Iterator[TrackingServiceStub]:
    with tracking_server(tracking_url) as opened:
        yield TrackingServiceStub(opened)


def create(stub: TrackingServiceStub, trace: str = "", **fields: Any) -> pb.TraceInfo:
    known: dict[str, Any] = {
        "trace_id": trace or trace_id(),
        "experiment_id": "0",
        "request_time": {"seconds": 1, "nanos": 500 * MS + 7},
        "execution_duration": {"nanos": 250 * MS},
        "state": OK,
    }
    info = pb.TraceInfo(**{**known, **fields})
    return stub.CreateTrace(pb.CreateTraceRequest(trace=info)).trace


def log(stub: TrackingServiceStub, *spans: pb.Span, **more: Any) -> None:
    request = {"experiment_id": "0", "spans": spans, **more}
    stub.LogSpans(pb.LogSpansRequest(**request))


def get(stub: TrackingServiceStub, trace: str) -> pb.Trace:
    return stub.GetTrace(pb.GetTraceRequest(trace_id=trace, include_spans=True)).trace


def search(stub: TrackingServiceStub, text: str = "", **more: Any) -> list[str]:
    request = pb.SearchTracesRequest(experiment_ids=["0"], filter=text, **more)
    return [each.trace_id for each in stub.SearchTraces(request).traces]


def ms(info: pb.TraceInfo) -> tuple[int, int | None]:
    """When it began and how long it took."""
    took = info.execution_duration.ToMilliseconds() if info.HasField("execution_duration") else None
    return info.request_time.ToMilliseconds(), took


def test_a_trace_is_made_changed_and_read(stub: TrackingServiceStub) -> None:
    made = create(
        stub,
        request_preview="",
        client_request_id="c",
        metadata={"m": "1"},
        tags={"mlflow.traceName": "n", "t": "1"},
    )
    assert ms(made) == (1500, 250)
    assert made.HasField("request_preview")
    assert not made.HasField("response_preview")
    assert made.finalized
    again = create(
        stub,
        made.trace_id,
        state=ERROR,
        metadata={"m": "2"},
        tags={"u": "☃"},
        response_preview="a",
    )
    expected = pb.TraceInfo()
    expected.CopyFrom(made)
    expected.state = ERROR
    expected.metadata["m"] = "2"
    expected.tags["u"] = "☃"
    expected.response_preview = "a"
    assert again == expected
    found = get(stub, made.trace_id)
    assert (found.info, len(found.spans), found.complete) == (expected, 0, False)
    assert (
        create(stub, made.trace_id, tags={"mlflow.traceName": "o"}).tags["mlflow.traceName"] == "o"
    )


def test_spans_alone_make_a_trace(stub: TrackingServiceStub) -> None:
    trace, other = trace_id(), trace_id()
    child = span_message(
        trace,
        *(2, 1),
        start_time_ns=1001 * MS,
        end_time_ns=1009 * MS,
        attributes={"session.id": "s", "user.id": 7, "mlflow.traceTag.x": "not a root's"},
    )
    resource = {
        "service.name": '"shop"',
        "telemetry.sdk.name": "x",
        "mlflow.user": "x",
        "a b/../": "x",
    }
    log(stub, child, span_message(other, 1, end_time_ns=0), resource_attributes=resource)
    found = get(stub, trace)
    assert (ms(found.info), found.info.state) == ((1001, 8), IN_PROGRESS)
    assert found.info.metadata == {"mlflow.trace.session": "s", "mlflow.trace.user": "7"}
    assert found.info.tags == {"service.name": "shop"}
    assert not found.info.finalized
    assert ms(get(stub, other).info) == (1000, None)
    chat = {"messages": [{"role": "user", "content": "q\x00"}, {"role": "tool", "content": "t"}]}
    root = span_message(
        *(trace, 1),
        status_code=pb.SPAN_STATUS_CODE_ERROR,
        attributes={
            "mlflow.spanInputs": chat,
            "mlflow.spanOutputs": "x" * 2000,
            "mlflow.traceTag.mlflow.traceName": "named",
            "mlflow.traceTag.t": 5,
            "mlflow.traceTag.": "no key",
        },
        events=[pb.SpanEvent(name="exception", time_ns=5, attributes={"a": "1"})],
        links=[pb.SpanLink(trace_id="t", span_id="s")],
        kind=pb.SPAN_KIND_SERVER,
        trace_state="k=v",
        status_message="m",
    )
    log(stub, root)
    log(stub, root)
    found = get(stub, trace)
    assert list(found.spans) == [root, child]
    assert (ms(found.info), found.info.state, found.complete) == ((1000, 9), ERROR, True)
    assert found.info.request_preview == "q\ufffd"
    assert found.info.response_preview == '"' + "x" * 996 + "..."
    assert found.info.tags == {"service.name": "shop", "mlflow.traceName": "named", "t": "5"}
    assert found.info.span_count == 2


def test_what_was_told_stays_whatever_spans_say(stub: TrackingServiceStub) -> None:
    made = create(stub, request_preview="told", metadata={"mlflow.trace.session": "told"})
    root = span_message(
        *(made.trace_id, 1),
        status_code=pb.SPAN_STATUS_CODE_ERROR,
        attributes={"mlflow.spanInputs": "q", "mlflow.spanOutputs": "a", "session.id": "s"},
    )
    log(stub, root)
    found = get(stub, made.trace_id).info
    assert (ms(found), found.state, found.request_preview) == ((1500, 250), OK, "told")
    assert found.response_preview == '"a"'
    assert found.metadata == {"mlflow.trace.session": "told"}
    # And the other way round: what spans said goes before what is told.
    trace = trace_id()
    log(stub, span_message(trace, 1), span_message(trace, 2, 1))
    told = create(stub, trace, metadata={"mlflow.trace.sizeStats": json.dumps({"num_spans": 3})})
    assert (ms(told), told.span_count) == ((1500, 250), 2)
    assert not get(stub, trace).complete
    log(stub, span_message(trace, 3, 1))
    assert get(stub, trace).complete


def test_a_trace_is_begun_and_ended(stub: TrackingServiceStub) -> None:
    begun = create(stub, state=IN_PROGRESS, execution_duration=None, tags={"a": "1"})
    assert ms(begun) == (1500, None)
    end = pb.EndTraceRequest(
        trace_id=begun.trace_id,
        end_time={"seconds": 2},
        state=OK,
        metadata={"m": "1"},
        tags={"a": "2", "mlflow.traceName": "n"},
    )
    ended = stub.EndTrace(end).trace
    assert (ms(ended), ended.state) == ((1500, 500), OK)
    assert ended.tags == {"a": "2", "mlflow.traceName": "n"}
    assert ended == get(stub, begun.trace_id).info
    end.end_time.FromMilliseconds(3)
    assert ms(stub.EndTrace(end).trace) == (1500, 0)
    end.trace_id = "tr-none"
    assert refused(lambda: stub.EndTrace(end)).reason == "TRACE_NOT_FOUND"


def test_tags_of_a_trace(stub: TrackingServiceStub) -> None:
    trace = create(stub).trace_id

    def set_tags(tags: dict[str, str], trace: str = trace) -> None:
        stub.SetTraceTags(pb.SetTraceTagsRequest(trace_id=trace, tags=tags))

    def delete_tags(*keys: str, trace: str = trace) -> None:
        stub.DeleteTraceTags(pb.DeleteTraceTagsRequest(trace_id=trace, keys=keys))

    set_tags({"a": "1", "b": "2", "mlflow.traceName": "n"})
    refusal = refused(lambda: delete_tags("a", "mlflow.traceName", "nope"))
    assert (refusal.reason, refusal.metadata) == ("TAG_NOT_FOUND", {"key": "nope"})
    delete_tags("a", "mlflow.traceName")
    assert get(stub, trace).info.tags == {"b": "2"}
    assert refused(lambda: delete_tags("mlflow.traceName")).reason == "TAG_NOT_FOUND"
    for act in (lambda: set_tags({"a": ""}, "tr-none"), lambda: delete_tags("a", trace="tr-none")):
        refusal = refused(act)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "TRACE_NOT_FOUND")
        assert refusal.metadata == {"trace_id": "tr-none"}


def test_several_are_read_and_those_too_large_are_named(stub: TrackingServiceStub) -> None:
    large = [trace_id() for _ in range(4)]
    for trace in large:
        for number in range(1, 6):
            log(stub, span_message(trace, number, attributes={"a": "x" * 3_900_000}))
    small = create(stub).trace_id
    asked = [large[0], "tr-none", large[1], large[2], large[3], small, small]
    request = pb.BatchGetTracesRequest(trace_ids=asked, include_spans=True)
    found = stub.BatchGetTraces(request)
    assert [each.info.trace_id for each in found.traces] == [*large[:3], small]
    assert list(found.left_out_trace_ids) == large[3:]
    assert [len(each.spans) for each in found.traces] == [5, 5, 5, 0]
    found = stub.BatchGetTraces(pb.BatchGetTracesRequest(trace_ids=asked))
    assert [each.info.trace_id for each in found.traces] == [*large, small]
    assert [len(each.spans) for each in found.traces] == [0] * 5
    for number in range(6, 13):
        log(stub, span_message(large[0], number, attributes={"a": "x" * 3_900_000}))
    refusal = refused(
        lambda: log(stub, span_message(large[0], 13, attributes={"a": "x" * 3_900_000}))
    )
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "TRACE_TOO_LARGE")
    # A repeated one takes no more room.
    log(stub, span_message(large[0], 12, attributes={"a": "y" * 3_900_000}))
    assert len(get(stub, large[0]).spans) == 12


def test_search_over_everything_that_filters_know(stub: TrackingServiceStub) -> None:
    run = stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run.run_id
    one = create(
        stub,
        *("",),
        metadata={"mlflow.sourceRun": run, "k": "1"},
        tags={"t": "a", "mlflow.traceName": "One"},
        client_request_id="c",
        request_preview="hello world",
    ).trace_id
    two = create(stub, request_time={"seconds": 2}, execution_duration=None, state=ERROR).trace_id
    log(stub, span_message(one, 1, name="call", attributes={"mlflow.spanType": "LLM"}))
    log(stub, span_message(one, 2, 1, status_code=pb.SPAN_STATUS_CODE_ERROR))
    link = pb.LinkTracesToRunRequest(run_id=run, trace_ids=[two])
    assert search(stub) == [two, one]
    found = {
        f"run_id = '{run}' AND status = 'OK'": [one],
        f"trace.request_id = '{one}'": [one],
        f"trace_id IN ('{one}', 'x')": [one],
        "name = 'One'": [one],
        "tags.`mlflow.traceName` LIKE 'O%' AND attributes.name ILIKE 'ONE'": [one],
        "name IS NULL": [two],
        "NOT name = 'One'": [two],
        "name != 'Two'": [one],
        "tags.t = 'a' AND metadata.k != '2' AND request_metadata.k = '1'": [one],
        "tags.t IS NULL OR tag.t = 'b'": [two],
        "state = 'ERROR' OR status IN ('IN_PROGRESS')": [two],
        "timestamp_ms > 1999.5 AND timestamp < 2001": [two],
        "execution_time_ms = 250 AND execution_time < 251": [one],
        "NOT execution_time_ms > 5": [two],
        "execution_time_ms IS NULL": [two],
        "end_time_ms <= 1750": [one],
        "end_time >= 1751": [two],
        "client_request_id = 'c'": [one],
        "request_preview LIKE '%lo w%' AND response_preview IS NULL": [one],
        "span.name = 'call' AND span.type = 'LLM'": [one],
        "span.name = 'call' AND span.status = 'ERROR'": [],
        "span.name = 'call' AND NOT span.status = 'ERROR'": [],
        "(span.name = 'call') AND (tags.t = 'a' OR span.status = 'ERROR')": [one],
        "span.type IN ('UNKNOWN', 'X') AND span.status != 'OK' AND status = 'OK'": [one],
        "experiment_id = '0' AND NOT span.name LIKE '%'": [two],
    }
    assert {text: search(stub, text) for text in found} == found
    stub.LinkTracesToRun(link)
    assert search(stub, f"run_id = '{run}'") == [two, one]
    assert search(stub, f"metadata.mlflow.sourceRun = '{run}' AND status = 'ERROR'") == [two]
    orders = {
        "name": [one, two],
        "tags.mlflow.traceName DESC": [one, two],
        "execution_time_ms DESC": [one, two],
        "run_id": [one, two],
        "metadata.k": [one, two],
        "timestamp_ms": [one, two],
        "end_time DESC": [two, one],
        "status": [two, one],
        "request_id": sorted([one, two]),
    }
    for order, expected in orders.items():
        assert search(stub, order_by=[order]) == expected
        first = stub.SearchTraces(
            pb.SearchTracesRequest(experiment_ids=["0", "99"], order_by=[order], page_size=1)
        )
        token = first.next_page_token
        rest = stub.SearchTraces(
            pb.SearchTracesRequest(
                experiment_ids=["0", "99"], order_by=[order], page_size=9, page_token=token
            )
        )
        assert [each.trace_id for each in (*first.traces, *rest.traces)] == expected
        assert not rest.next_page_token


@pytest.mark.parametrize(
    "text",
    [
        "span.attributes.x = 'a'",
        "span.content LIKE '%a%'",
        "trace.text LIKE '%a%'",
        "feedback.x = 'a'",
        "tags.a RLIKE 'x'",
        "status = 'GOOD'",
        "timestamp_ms = '5'",
    ],
)
def test_what_filters_cannot_say_is_told(stub: TrackingServiceStub, text: str) -> None:
    refusal = refused(lambda: search(stub, text))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "FILTER_INVALID")
    assert refusal.fields == ["filter"]


def test_traces_are_deleted(stub: TrackingServiceStub) -> None:
    old, new = create(stub).trace_id, create(stub, request_time={"seconds": 9}).trace_id
    until = pb.DeleteTracesRequest(experiment_id="0", max_request_time={"seconds": 9}, max_traces=1)
    done = stub.DeleteTraces(until)
    assert (done.deleted_count, done.more, search(stub)) == (1, False, [new])
    until.max_traces = 0
    assert stub.DeleteTraces(until).deleted_count == 1
    third = create(stub).trace_id
    named = pb.DeleteTracesRequest(experiment_id="0", trace_ids=[third, old, third])
    assert stub.DeleteTraces(named).deleted_count == 1
    assert refused(lambda: get(stub, third)).reason == "TRACE_NOT_FOUND"
    for wrong in (
        pb.DeleteTracesRequest(experiment_id="0"),
        pb.DeleteTracesRequest(experiment_id="0", trace_ids=["a"], max_request_time={}),
        pb.DeleteTracesRequest(experiment_id="0", trace_ids=["a"], max_traces=1),
    ):
        assert refused(lambda r=wrong: stub.DeleteTraces(r)).reason == "INVALID_FIELD"


def test_traces_of_a_deleted_experiment_are_read_until_it_is_purged(
    stub: TrackingServiceStub,
) -> None:
    where = stub.CreateExperiment(
        experiment_pb2.CreateExperimentRequest(name="gone")
    ).experiment.experiment_id
    trace = create(stub, experiment_id=where).trace_id
    log(stub, span_message(trace, 1), experiment_id=where)
    stub.DeleteExperiment(experiment_pb2.DeleteExperimentRequest(experiment_id=where))
    assert len(get(stub, trace).spans) == 1
    for act in (
        lambda: create(stub, experiment_id=where),
        lambda: log(stub, span_message(trace, 2), experiment_id=where),
    ):
        assert refused(act).reason == "EXPERIMENT_DELETED"
    asked = run_pb2.PurgeExperimentsRequest(dry_run=True)
    assert where in stub.PurgeExperiments(asked).experiment_ids
    assert len(get(stub, trace).spans) == 1
    asked.dry_run = False
    assert where in stub.PurgeExperiments(asked).experiment_ids
    assert refused(lambda: get(stub, trace)).reason == "TRACE_NOT_FOUND"


def test_of_refused_spans_none_is_stored_and_each_is_named(stub: TrackingServiceStub) -> None:
    good, trace = span_message("tr-a", 1), "tr-a"
    bad = {
        "trace_id": span_message("tr a", 2),
        "span_id": span_message(trace, 2),
        "parent_span_id": span_message(trace, 2, parent_span_id="F" * 16),
        "name": span_message(trace, 2, name="n" * 2001),
        "start_time_ns": span_message(trace, 2, start_time_ns=-1),
        "end_time_ns": span_message(trace, 2, end_time_ns=-1),
        "status_code": span_message(trace, 2, status_code=3),
        "kind": span_message(trace, 2, kind=6),
    }
    bad["span_id"].span_id = span_id(2)[1:]
    refusal = refused(lambda: log(stub, good, *bad.values()))
    named = [f"spans[{place}].{name}" for place, name in enumerate(bad, 1)]
    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", named)
    large = span_message(trace, 2, attributes={"a": "x" * 4_200_000})
    assert refused(lambda: log(stub, good, large)).fields == ["spans[1]"]
    assert refused(lambda: log(stub, good, *[large] * 4)).fields == ["spans"]
    assert refused(lambda: log(stub)).fields == ["spans"]
    assert search(stub) == []

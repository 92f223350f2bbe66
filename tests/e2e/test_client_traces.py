"""Traces through the client, on an embedded suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import runstone
from runstone._client import _traces
from runstone.entities import Span, SpanEvent, SpanLink, Trace, TraceInfo, TraceState
from runstone.exceptions import InvalidField, TagNotFound, TraceNotFound
from support import fluent

NOW = 1_700_000_000_000


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[runstone.Client]:
    folder = tmp_path_factory.mktemp("traces")
    with (
        fluent.embedded(folder) as data_dir,
        fluent.fresh(folder, RUNSTONE_DATA_DIR=str(data_dir)),
    ):
        yield runstone.Client()


def trace_id(number: int) -> str:
    return f"tr-{number:032x}"


def span(trace: str, number: int, parent: int | None = None) -> Span:
    return Span(
        trace_id=trace,
        span_id=f"{number:016x}",
        name=f"span {number}",
        start_time_ns=NOW * 1_000_000 + number,
        end_time_ns=NOW * 1_000_000 + 5_000_000,
        parent_id=None if parent is None else f"{parent:016x}",
        status="OK",
        attributes={"mlflow.spanType": "LLM", "deep": {"list": [1, None, "☃"]}},
    )


def trace(number: int, **fields: object) -> Trace:
    """A trace of two spans."""
    info = TraceInfo(trace_id(number), "0", NOW + number, TraceState.OK, 5)
    spans = [span(info.trace_id, 1), span(info.trace_id, 2, 1)]
    return Trace(replace(info, **fields), spans, complete=True)  # type: ignore[arg-type]


def test_a_trace_comes_back_as_it_was_logged(client: runstone.Client) -> None:
    full = trace(
        1,
        request_preview="q",
        response_preview="a",
        client_request_id="c",
        trace_metadata={"m": "1"},
        tags={"mlflow.traceName": "n"},
    )
    full.spans[1] = replace(
        full.spans[1],
        status="ERROR",
        status_message="boom",
        kind="CLIENT",
        events=[SpanEvent("exception", 7, {"a": 1.5})],
        links=[SpanLink(trace_id(9), "a" * 16, {"b": True})],
    )
    told = client.log_trace(full)
    assert told == replace(full.info, span_count=2)
    assert client.get_trace(told.trace_id) == Trace(told, full.spans, complete=True)
    assert client.get_trace(told.trace_id, include_spans=False).spans == []
    assert [each.span_type for each in full.spans] == ["LLM", "LLM"]


def test_a_trace_is_begun_and_ended(client: runstone.Client) -> None:
    begun = client.create_trace(TraceInfo(trace_id(2), "0", NOW, TraceState.IN_PROGRESS))
    assert begun.execution_duration is None
    ended = client.end_trace(begun.trace_id, "ERROR", NOW + 7, {"m": 1}, {"t": 2})
    assert (ended.state, ended.execution_duration) == ("ERROR", 7)
    assert (ended.trace_metadata, ended.tags) == ({"m": "1"}, {"t": "2"})
    assert (client.end_trace(begun.trace_id).execution_duration or 0) > 7
    unsaid = client.create_trace(replace(begun, state=TraceState.STATE_UNSPECIFIED))
    assert unsaid.state == "STATE_UNSPECIFIED"


def test_tags_are_set_and_deleted(client: runstone.Client) -> None:
    known = client.create_trace(TraceInfo(trace_id(3), "0", NOW)).trace_id
    client.set_trace_tag(known, "a", 1)
    client.delete_trace_tag(known, "a")
    with pytest.raises(TagNotFound):
        client.delete_trace_tag(known, "a")
    with pytest.raises(TraceNotFound):
        client.set_trace_tag("tr-none", "a", 1)


def test_a_search_goes_page_by_page_with_spans_or_without(client: runstone.Client) -> None:
    where = client.create_experiment("searched")
    logged = [trace(number, experiment_id=where) for number in range(10, 13)]
    for each in logged:
        client.log_trace(each)
    first = client.search_traces([where], "span.type = 'LLM'", 2, ["timestamp_ms"])
    assert [each.info.trace_id for each in first] == [trace_id(10), trace_id(11)]
    assert [each.spans for each in first] == [each.spans for each in logged[:2]]
    rest = client.search_traces(
        where, "span.type = 'LLM'", 2, ["timestamp_ms"], first.token, include_spans=False
    )
    assert [(each.info.trace_id, each.spans) for each in rest] == [(trace_id(12), [])]
    assert rest.token is None
    run = client.create_run(where).info.run_id
    client.link_traces_to_run([trace_id(11)], run)
    found = client.search_traces(where, f"run_id = '{run}'")
    assert [each.info.trace_id for each in found] == [trace_id(11)]


def test_what_is_too_much_for_one_call_is_sent_in_several(
    client: runstone.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_traces, "SPANS_A_CALL", 3)
    monkeypatch.setattr(_traces, "TRACES_A_CALL", 2)
    where = client.create_experiment("split")
    ids = [trace_id(number) for number in range(20, 25)]
    resource = {"service.name": "shop"}
    client.log_spans(where, (span(each, 1) for each in ids), resource=resource)
    found = client.batch_get_traces([*ids, "tr-none"])
    assert [each.info.trace_id for each in found] == ids
    assert [each.info.tags for each in found] == [resource] * 5
    run = client.create_run(where).info.run_id
    client.link_traces_to_run(ids, run)
    assert len(client.search_traces(where, f"run_id = '{run}'")) == 5
    assert client.delete_traces(where, trace_ids=ids[:3]) == 3
    assert client.delete_traces(where, max_timestamp_millis=NOW, max_traces=1) == 1
    assert client.delete_traces(where, max_timestamp_millis=NOW - 1) == 0
    assert client.delete_traces(where, max_timestamp_millis=NOW) == 1
    with pytest.raises(InvalidField, match="max_traces"):
        client.delete_traces(where, max_timestamp_millis=NOW, max_traces=0)


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"status": "GOOD"}, "status"), ({"kind": "X"}, "kind"), ({"start_time_ns": 0.5}, "start")],
)
def test_a_wrong_span_is_refused_before_it_is_sent(
    client: runstone.Client, changed: dict[str, object], named: str
) -> None:
    wrong = replace(span(trace_id(30), 1), **changed)  # type: ignore[arg-type]
    with pytest.raises(InvalidField, match=named):
        client.log_spans("0", [wrong])
    with pytest.raises(InvalidField, match="state"):
        client.end_trace(trace_id(30), "GOOD")

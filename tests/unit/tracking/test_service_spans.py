"""What spans say of their trace."""

import json
from typing import Any

import pytest

from runstone_tracking import service_spans
from runstone_tracking.model_traces import TraceInfo, TraceState
from runstone_tracking.service_spans import MAX_PREVIEW, gather, preview, text_of, with_spans
from support.traces import MS, new_span, trace_info

TRACE = "tr-a"


def told(*spans: Any, info: TraceInfo | None = None) -> TraceInfo:
    """The row of a trace after these spans."""
    found = gather(spans)[TRACE]
    if info is None:
        return service_spans.first_info(TRACE, "0", found)
    return with_spans(info, found, {})


def at(start: int, end: int, number: int = 1, parent: int = 0, **more: Any) -> Any:
    """A span from and to these milliseconds."""
    return new_span(TRACE, number, parent, start_time_ns=start * MS, end_time_ns=end * MS, **more)


def test_the_time_is_from_the_first_start_to_the_last_end() -> None:
    info = told(at(5, 9, 1, 7), at(3, 0, 2, 7))
    assert (info.request_time, info.duration, info.state) == (3, 6, TraceState.IN_PROGRESS)
    assert told(at(3, 0)).duration is None
    # A clock that went back makes no negative time.
    assert told(at(9, 5)).duration == 0
    later = told(at(8, 30, 3, 7), info=info)
    assert (later.request_time, later.duration) == (3, 27)
    earlier = told(at(1, 2, 4, 7), info=later)
    assert (earlier.request_time, earlier.duration) == (1, 29)


@pytest.mark.parametrize(
    ("code", "state"), [(0, TraceState.OK), (1, TraceState.OK), (2, TraceState.ERROR)]
)
def test_the_root_says_how_it_ended(code: int, state: TraceState) -> None:
    root = at(1, 2, status_code=code)
    assert told(root).state is state
    for before in TraceState:
        info = trace_info(TRACE, state=before, finalized=True)
        is_open = before in (TraceState.IN_PROGRESS, TraceState.UNSPECIFIED)
        assert told(root, info=info).state is (state if is_open else before)
    assert told(at(1, 2, 1, 9, status_code=2)).state is TraceState.IN_PROGRESS


def test_spans_are_counted_once_whatever_is_repeated() -> None:
    one, again, two = at(1, 2, 1), at(1, 2, 1, name="another"), at(1, 2, 2, 1)
    found = gather([one, two, again])[TRACE]
    assert list(found.spans.values()) == [again, two]
    info = service_spans.first_info(TRACE, "0", found)
    size = len(again.content) + len(two.content)
    assert (info.span_count, info.bytes) == (2, size)
    stored = {(TRACE, again.span_id): len(one.content)}
    info = with_spans(trace_info(TRACE, span_count=1, bytes=len(one.content)), found, stored)
    assert (info.span_count, info.bytes) == (2, size)


def test_traces_are_told_apart() -> None:
    found = gather([new_span("tr-a", 1), new_span("tr-b", 1), new_span("tr-a", 2)])
    assert {trace: len(each.spans) for trace, each in found.items()} == {"tr-a": 2, "tr-b": 1}


def test_tags_come_from_the_root_and_sessions_from_any_span() -> None:
    child = at(1, 2, 2, 1, attributes={"gen_ai.conversation.id": "c", "mlflow.traceTag.x": "1"})
    root = at(1, 2, attributes={"session.id": "s", "user.id": {"a": 1}, "mlflow.traceTag.y": "☃"})
    found = gather([child, root])[TRACE]
    assert found.metadata == {"mlflow.trace.session": "c", "mlflow.trace.user": '{"a": 1}'}
    assert found.tags == {"y": "☃"}
    bad = {f"mlflow.traceTag.{key}": "v" for key in ("", "..", "a" * 251, "a\x00b", "é?")}
    long = at(1, 2, attributes={**bad, "mlflow.traceTag.k": "x" * 9000})
    assert gather([long])[TRACE].tags == {"k": "x" * 8000}


def chat(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"messages": [chat("user", "one"), chat("user", "two"), chat("tool", "x")]}, "two"),
        ({"messages": [chat("tool", "x"), chat("assistant", "y")]}, "y"),
        ({"choices": [{"message": chat("assistant", "a")}]}, "a"),
        ({"input": [chat("user", [{"type": "text", "text": "t"}])]}, "t"),
        ({"output": [chat("user", ["part"])]}, "part"),
        ({"request": {"input": [chat("user", "inner")]}}, "inner"),
        ({"choices": [3]}, None),
        ({"choices": [{"message": 3}]}, None),
        ({"messages": [3, {}]}, None),
        ({"messages": [chat("user", None)]}, None),
        ({"messages": [chat("user", [{"type": "image"}, 3])]}, None),
        ([1, 2], None),
        ("plain", None),
        (None, None),
    ],
)
def test_a_preview_is_what_was_said_last_or_all_of_it(value: Any, said: str | None) -> None:
    text = json.dumps(value)
    assert preview(text, "user") == (text if said is None else said)


def test_a_preview_is_cut_and_can_be_stored() -> None:
    assert preview("x" * MAX_PREVIEW, "user") == "x" * MAX_PREVIEW
    assert preview("x" * (MAX_PREVIEW + 1), "user") == "x" * (MAX_PREVIEW - 3) + "..."
    assert preview(json.dumps({"messages": [chat("user", "a\x00\ud800b")]}), "user") == "a\ufffd?b"
    deep = "[" * 100_000
    assert preview(deep, "user").startswith("[[[")
    assert text_of('"a\\u0000"') == "a\ufffd"
    assert text_of("{") == "{"


@pytest.mark.parametrize(
    ("count", "stats", "complete"),
    [
        (0, None, False),
        (1, None, True),
        (1, '{"num_spans": 2}', False),
        (2, '{"num_spans": 2}', True),
        (0, '{"num_spans": 0}', False),
        (1, "nonsense", True),
        (1, '{"num_spans": "2"}', True),
        (1, '{"num_spans": NaN}', True),
        (1, "[5]", True),
    ],
)
def test_a_trace_is_complete_with_all_spans_that_were_told(
    count: int, stats: str | None, complete: bool
) -> None:
    metadata = {} if stats is None else {"mlflow.trace.sizeStats": stats}
    assert service_spans.is_complete(trace_info(span_count=count), metadata) is complete

"""Builders of traces and spans."""

import itertools
import json
from typing import Any

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_tracking.convert_spans import read_spans
from runstone_tracking.model_traces import NewSpan, TraceInfo, TraceState

MS = 1_000_000
"""Nanoseconds."""

_numbers = itertools.count(1)


def trace_id(number: int | None = None) -> str:
    """An id as OpenTelemetry's traces have; each is another one unless a number is given."""
    return f"tr-{next(_numbers) if number is None else number:032x}"


def trace_info(given: str = "", **fields: Any) -> TraceInfo:
    """A trace of experiment 0 that began at 1000 and took 5 ms."""
    known: dict[str, Any] = {
        "experiment_id": "0",
        "request_time": 1000,
        "duration": 5,
        "state": TraceState.OK,
    }
    return TraceInfo(given or trace_id(), **{**known, **fields})


def span_message(trace: str, number: int = 1, parent: int = 0, **fields: Any) -> pb.Span:
    """A span from 1000 to 1005 ms; ``attributes`` are made JSON."""
    attributes = {key: json.dumps(value) for key, value in fields.pop("attributes", {}).items()}
    known: dict[str, Any] = {
        "parent_span_id": span_id(parent) if parent else "",
        "name": f"span {number}",
        "start_time_ns": 1000 * MS,
        "end_time_ns": 1005 * MS,
        "status_code": pb.SPAN_STATUS_CODE_OK,
    }
    return pb.Span(
        trace_id=trace,
        span_id=span_id(number),
        attributes=attributes,
        **{**known, **fields},
    )


def span_id(number: int) -> str:
    """The id of the span with this number."""
    return f"{number:016x}"


def new_span(trace: str, number: int = 1, parent: int = 0, **fields: Any) -> NewSpan:
    """The same as the service gets it."""
    message = span_message(trace, number, parent, **fields)
    _, spans, _ = read_spans(pb.LogSpansRequest(experiment_id="0", spans=[message]))
    return spans[0]

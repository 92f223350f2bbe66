"""Traces and their spans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class TraceState:
    """How the request of a trace ended. ``trace.info.state`` holds the name."""

    STATE_UNSPECIFIED, OK, ERROR, IN_PROGRESS = "STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """What a trace is. ``request_time`` in Unix milliseconds, ``execution_duration`` in ms.

    ``trace_id`` is ``"tr-"`` and the 32 hex digits of OpenTelemetry's id. ``trace_metadata`` is
    what is fixed about it, such as ``mlflow.sourceRun``; ``tags`` may change, and
    ``mlflow.traceName`` is its name. ``span_count`` is the server's.
    """

    trace_id: str
    experiment_id: str
    request_time: int
    state: str = TraceState.STATE_UNSPECIFIED
    execution_duration: int | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    client_request_id: str | None = None
    trace_metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    span_count: int = 0


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened in a span. ``timestamp_ns`` in Unix nanoseconds."""

    name: str
    timestamp_ns: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A span elsewhere that belongs with one."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One operation of a trace. Times in Unix nanoseconds; ``end_time_ns`` 0 until it has ended.

    ``span_id`` and ``parent_id`` have 16 hex digits; a root has no parent. ``status`` is ``"OK"``,
    ``"ERROR"`` or ``"UNSET"``, ``kind`` one of OpenTelemetry's: ``"INTERNAL"``, ``"SERVER"``,
    ``"CLIENT"``, ``"PRODUCER"``, ``"CONSUMER"`` or ``"UNSPECIFIED"``. Attributes are what JSON can
    hold.
    """

    trace_id: str
    span_id: str
    name: str
    start_time_ns: int
    end_time_ns: int = 0
    parent_id: str | None = None
    status: str = "UNSET"
    status_message: str = ""
    kind: str = "UNSPECIFIED"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)
    links: list[SpanLink] = field(default_factory=list)

    @property
    def span_type(self) -> str:
        """The attribute ``mlflow.spanType``, else ``"UNKNOWN"``."""
        return str(self.attributes.get("mlflow.spanType", "UNKNOWN"))


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace with its spans, the roots first, then by start.

    ``complete`` says that it has spans, and as many as whoever traced it said that there are.
    """

    info: TraceInfo
    spans: list[Span] = field(default_factory=list)
    complete: bool = False

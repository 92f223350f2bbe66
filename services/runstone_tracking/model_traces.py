"""Traces and their spans. Times of traces are Unix milliseconds, those of spans nanoseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

TRACE_NAME_TAG = "mlflow.traceName"
"""The tag that is a trace's name; unlike a run's, it may be missing."""

SOURCE_RUN = "mlflow.sourceRun"
"""The metadata that says which run a trace came from."""

SIZE_STATS = "mlflow.trace.sizeStats"
"""The metadata in which MLflow's clients say how many spans a trace has: JSON."""

SPAN_TYPE = "mlflow.spanType"
"""The attribute that filters know as ``span.type``."""

INPUTS, OUTPUTS = "mlflow.spanInputs", "mlflow.spanOutputs"
"""Attributes of a root that are the trace's request and response."""

SESSION_IDS, USER_ID = ("session.id", "gen_ai.conversation.id"), "user.id"
"""Attributes of any span that say which session and whose request the trace is."""

TAG_PREFIX = "mlflow.traceTag."
"""Attributes of a root that are tags of the trace begin with it."""

Entries = Mapping[str, Mapping[str, str]]
"""Tags or metadata of traces, by trace."""


class TraceState(StrEnum):
    """How the request of a trace ended; the names are MLflow's."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    OK = "OK"
    ERROR = "ERROR"
    IN_PROGRESS = "IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """A trace's own row.

    ``duration`` is in milliseconds. ``finalized`` says that time, duration and state were told and
    not gathered from spans. ``bytes`` are those of the stored spans' messages.
    """

    trace_id: str
    experiment_id: str
    request_time: int
    state: TraceState = TraceState.UNSPECIFIED
    duration: int | None = None
    name: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    client_request_id: str | None = None
    finalized: bool = False
    span_count: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace; ``tags`` hold TRACE_NAME_TAG where it has a name.

    ``spans`` are messages as they came, the roots first; empty when they were not asked for.
    """

    info: TraceInfo
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    spans: tuple[bytes, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class NewSpan:
    """A span that came in: what is looked for, what says something of its trace, and all of it.

    ``parent_id`` is empty for a root, ``end_ns`` 0 while it has not ended. ``facts`` are those of
    its attributes that its trace is made of, JSON each. ``content`` is the message, as it came.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    type: str
    status: str
    start_ns: int
    end_ns: int
    content: bytes
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TraceEnd:
    """What EndTrace says."""

    trace_id: str
    end_time: int
    state: TraceState
    metadata: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TraceDeletion:
    """Which traces to delete: those named, or those not after ``max_request_time``."""

    experiment_id: str
    trace_ids: tuple[str, ...] = ()
    max_request_time: int | None = None
    max_traces: int | None = None


@dataclass(frozen=True, slots=True)
class TraceBatch:
    """Several traces, and those that were too large to come with them."""

    traces: tuple[Trace, ...]
    left_out: tuple[str, ...] = ()

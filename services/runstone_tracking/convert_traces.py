"""Traces between messages and model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_kit.errors import Violations
from runstone_kit.filterlang import MAX_ORDER_BY
from runstone_kit.paging import Page
from runstone_kit.validation import (
    MAX_TAG_VALUE,
    check_count,
    check_experiment_id,
    check_length,
    check_page_size,
    check_run_id,
    check_text,
    shown,
)
from runstone_tracking.convert import (
    MAX_EXPERIMENTS,
    MAX_FILTER,
    MAX_TAGS,
    read_keys,
    read_map,
    read_time,
    write_time,
)
from runstone_tracking.model import SearchRequest, View
from runstone_tracking.model_traces import (
    TRACE_NAME_TAG,
    Trace,
    TraceBatch,
    TraceDeletion,
    TraceEnd,
    TraceInfo,
    TraceState,
)

MAX_TRACE_ID = 50
"""As MLflow's column."""

MAX_PREVIEW = 10_000
"""The larger one of MLflow's two limits."""

MAX_CLIENT_REQUEST_ID = 50
"""As MLflow's column."""

MAX_METADATA_VALUE = 8000
"""As MLflow's column; its clients cut at 250."""

MAX_NAMED = 1000
"""Traces named by one call."""

MAX_DURATION_S = 315_576_000_000
"""Where google.protobuf.Duration ends."""

TRACE_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_\-]{0,49}")

_STATES = {
    TraceState.UNSPECIFIED: pb.TRACE_STATE_UNSPECIFIED,
    TraceState.OK: pb.TRACE_STATE_OK,
    TraceState.ERROR: pb.TRACE_STATE_ERROR,
    TraceState.IN_PROGRESS: pb.TRACE_STATE_IN_PROGRESS,
}
_STATES_READ = {number: state for state, number in _STATES.items()}


def check_trace_id(violations: Violations, field: str, value: str) -> bool:
    """Check the form of a trace's id."""
    if not value:
        violations.add(field, "is required and must not be empty")
        return False
    if TRACE_ID.fullmatch(value) is None:
        violations.add(
            field,
            f"must be the id of a trace: 1 to {MAX_TRACE_ID} letters, digits, '_' and '-', the"
            f" first a letter or digit, not {shown(value)}",
        )
        return False
    return True


def read_create(
    request: pb.CreateTraceRequest,
) -> tuple[TraceInfo, dict[str, str], dict[str, str]]:
    """The trace's row, metadata and tags; the tag of the name is in the row.

    Raises InvalidArgument.
    """
    violations = Violations()
    message = request.trace
    check_trace_id(violations, "trace.trace_id", message.trace_id)
    check_experiment_id(violations, "trace.experiment_id", message.experiment_id)
    request_time = read_time(violations, "trace.request_time", message, "request_time")
    if request_time is None and not message.HasField("request_time"):
        violations.add("trace.request_time", "is required")
    duration = _read_duration(violations, "trace.execution_duration", message)
    state = _read_state(violations, "trace.state", message.state)
    request_preview = _read_optional(violations, message, "request_preview", MAX_PREVIEW)
    response_preview = _read_optional(violations, message, "response_preview", MAX_PREVIEW)
    client_id = _read_optional(violations, message, "client_request_id", MAX_CLIENT_REQUEST_ID)
    metadata = _read_entries(violations, "trace.metadata", message.metadata)
    tags = _read_entries(violations, "trace.tags", message.tags)
    violations.raise_if_any()
    info = TraceInfo(
        trace_id=message.trace_id,
        experiment_id=message.experiment_id,
        request_time=request_time or 0,
        state=state,
        duration=duration,
        name=tags.pop(TRACE_NAME_TAG, None),
        request_preview=request_preview,
        response_preview=response_preview,
        client_request_id=client_id,
    )
    return info, metadata, tags


def read_end(request: pb.EndTraceRequest) -> TraceEnd:
    """Raises InvalidArgument."""
    violations = Violations()
    check_trace_id(violations, "trace_id", request.trace_id)
    end_time = read_time(violations, "end_time", request, "end_time")
    if end_time is None and not request.HasField("end_time"):
        violations.add("end_time", "is required")
    state = _read_state(violations, "state", request.state)
    metadata = _read_entries(violations, "metadata", request.metadata)
    tags = _read_entries(violations, "tags", request.tags)
    violations.raise_if_any()
    return TraceEnd(request.trace_id, end_time or 0, state, metadata, tags)


def read_id(request: pb.GetTraceRequest) -> str:
    """Raises InvalidArgument."""
    violations = Violations()
    check_trace_id(violations, "trace_id", request.trace_id)
    violations.raise_if_any()
    return request.trace_id


def read_ids(request: pb.BatchGetTracesRequest) -> list[str]:
    """Raises InvalidArgument."""
    violations = Violations()
    found = _read_trace_ids(violations, request.trace_ids, least=1)
    violations.raise_if_any()
    return found


def read_search(request: pb.SearchTracesRequest) -> SearchRequest:
    """Raises InvalidArgument."""
    violations = Violations()
    experiments = tuple(request.experiment_ids)
    if check_count(violations, "experiment_ids", len(experiments), MAX_EXPERIMENTS, minimum=1):
        for place, each in enumerate(experiments):
            check_experiment_id(violations, f"experiment_ids[{place}]", each)
    check_length(violations, "filter", request.filter, MAX_FILTER)
    check_count(violations, "order_by", len(request.order_by), MAX_ORDER_BY)
    check_page_size(violations, "page_size", request.page_size)
    violations.raise_if_any()
    return SearchRequest(
        filter=request.filter,
        order_by=tuple(request.order_by),
        view=View.ALL,
        page_size=request.page_size,
        page_token=request.page_token,
        experiment_ids=experiments,
    )


def read_set_tags(request: pb.SetTraceTagsRequest) -> tuple[str, dict[str, str]]:
    """The trace's id and the tags. Raises InvalidArgument."""
    violations = Violations()
    check_trace_id(violations, "trace_id", request.trace_id)
    tags = _read_entries(violations, "tags", request.tags, least=1)
    violations.raise_if_any()
    return request.trace_id, tags


def read_delete_tags(request: pb.DeleteTraceTagsRequest) -> tuple[str, list[str]]:
    """The trace's id and the keys. Raises InvalidArgument."""
    violations = Violations()
    check_trace_id(violations, "trace_id", request.trace_id)
    keys = read_keys(violations, "keys", request.keys)
    violations.raise_if_any()
    return request.trace_id, keys


def read_deletion(request: pb.DeleteTracesRequest) -> TraceDeletion:
    """Raises InvalidArgument."""
    violations = Violations()
    check_experiment_id(violations, "experiment_id", request.experiment_id)
    trace_ids = _read_trace_ids(violations, request.trace_ids)
    until = read_time(violations, "max_request_time", request, "max_request_time")
    timed = request.HasField("max_request_time")
    if bool(trace_ids) == timed:
        violations.add("trace_ids", "or max_request_time is required, and not both")
    if request.max_traces < 0 or (request.max_traces and not timed):
        violations.add("max_traces", "must be at least 1, and goes with max_request_time only")
    violations.raise_if_any()
    return TraceDeletion(request.experiment_id, tuple(trace_ids), until, request.max_traces or None)


def read_link(request: pb.LinkTracesToRunRequest) -> tuple[str, list[str]]:
    """The run's id and those of traces. Raises InvalidArgument."""
    violations = Violations()
    check_run_id(violations, "run_id", request.run_id)
    trace_ids = _read_trace_ids(violations, request.trace_ids, least=1)
    violations.raise_if_any()
    return request.run_id, trace_ids


def write_trace(trace: Trace) -> pb.Trace:
    """The message."""
    message = pb.Trace(complete=trace.complete)
    _fill(message.info, trace)
    for content in trace.spans:
        message.spans.add().MergeFromString(content)
    return message


def write_info(trace: Trace) -> pb.TraceInfo:
    """The message of a trace without its spans."""
    message = pb.TraceInfo()
    _fill(message, trace)
    return message


def write_batch(batch: TraceBatch) -> pb.BatchGetTracesResponse:
    """The message."""
    return pb.BatchGetTracesResponse(
        traces=map(write_trace, batch.traces), left_out_trace_ids=batch.left_out
    )


def write_page(page: Page[Trace]) -> pb.SearchTracesResponse:
    """The message; its parts are made in place, because copying them takes as long again."""
    message = pb.SearchTracesResponse(next_page_token=page.next_page_token)
    for trace in page.items:
        _fill(message.traces.add(), trace)
    return message


def _fill(message: pb.TraceInfo, trace: Trace) -> None:
    info = trace.info
    message.trace_id = info.trace_id
    message.experiment_id = info.experiment_id
    write_time(message.request_time, info.request_time)
    if info.duration is not None:
        seconds, rest = divmod(info.duration, 1000)
        message.execution_duration.CopyFrom(Duration(seconds=seconds, nanos=rest * 1_000_000))
    message.state = _STATES[info.state]
    for name in ("request_preview", "response_preview", "client_request_id"):
        value = getattr(info, name)
        if value is not None:
            setattr(message, name, value)
    message.metadata.update(trace.metadata)
    message.tags.update(trace.tags)
    message.finalized = info.finalized
    message.span_count = info.span_count


def _read_state(violations: Violations, field: str, number: int) -> TraceState:
    state = _STATES_READ.get(number)  # type: ignore[call-overload]
    if state is None:
        violations.add(field, f"must be a TraceState, not {number}")
        return TraceState.UNSPECIFIED
    found: TraceState = state
    return found


def _read_duration(violations: Violations, field: str, message: pb.TraceInfo) -> int | None:
    if not message.HasField("execution_duration"):
        return None
    value = message.execution_duration
    if not 0 <= value.seconds <= MAX_DURATION_S or not 0 <= value.nanos < 1_000_000_000:
        violations.add(field, "must be a duration that is not negative")
        return None
    return value.seconds * 1000 + value.nanos // 1_000_000


def _read_optional(violations: Violations, message: Message, name: str, maximum: int) -> str | None:
    if not message.HasField(name):
        return None
    value: str = getattr(message, name)
    check_text(violations, f"trace.{name}", value, maximum)
    return value


def _read_entries(
    violations: Violations, field: str, items: Mapping[str, str], *, least: int = 0
) -> dict[str, str]:
    longest = MAX_METADATA_VALUE if field.endswith("metadata") else MAX_TAG_VALUE
    return read_map(violations, field, items, most=MAX_TAGS, least=least, value_length=longest)


def _read_trace_ids(violations: Violations, ids: Iterable[str], *, least: int = 0) -> list[str]:
    found = list(ids)
    if check_count(violations, "trace_ids", len(found), MAX_NAMED, minimum=least):
        for place, each in enumerate(found):
            check_trace_id(violations, f"trace_ids[{place}]", each)
    return list(dict.fromkeys(found))

"""Spans that come in: what is looked for is taken out, and the message is kept as it came."""

from __future__ import annotations

import re

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_kit.errors import Violations
from runstone_kit.validation import (
    INT64_MAX,
    check_count,
    check_experiment_id,
    check_range,
    check_text,
    shown,
)
from runstone_tracking.convert_traces import TRACE_ID, check_trace_id
from runstone_tracking.model_traces import (
    INPUTS,
    OUTPUTS,
    SESSION_IDS,
    SPAN_TYPE,
    TAG_PREFIX,
    USER_ID,
    NewSpan,
)

MAX_SPANS = 10_000
"""Spans of one call: a second of what a busy application traces."""

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""Of one call: what is decoded and held at once for each thread."""

MAX_SPAN_BYTES = 4 * 1024 * 1024
"""Of one span; a trace of them must still fit into a message."""

MAX_SPAN_NAME = 2000
"""Characters; a name says which operation it was, not what it did."""

MAX_RESOURCE_ATTRIBUTES = 1000
"""More say nothing of a process; what they become counts for the tags of each trace."""

DEFAULT_TYPE = "UNKNOWN"
"""As MLflow calls the type of a span that does not say."""

_FACTS = (*SESSION_IDS, USER_ID)
_ROOT_FACTS = {*_FACTS, INPUTS, OUTPUTS}

_SPAN_ID = re.compile(r"[0-9a-f]{16}")

_STATUSES = {
    pb.SPAN_STATUS_CODE_UNSPECIFIED: "UNSET",
    pb.SPAN_STATUS_CODE_OK: "OK",
    pb.SPAN_STATUS_CODE_ERROR: "ERROR",
}


def read_spans(request: pb.LogSpansRequest) -> tuple[str, list[NewSpan], dict[str, str]]:
    """The experiment, the spans, and the resource's attributes. Raises InvalidArgument."""
    violations = Violations()
    check_experiment_id(violations, "experiment_id", request.experiment_id)
    spans: list[NewSpan] = []
    size = request.ByteSize()
    if size > MAX_REQUEST_BYTES:
        violations.add("spans", f"must have at most {MAX_REQUEST_BYTES} bytes, not {size}")
    elif check_count(violations, "spans", len(request.spans), MAX_SPANS, minimum=1):
        spans = [_read(violations, place, span) for place, span in enumerate(request.spans)]
    resource = dict(request.resource_attributes)
    check_count(violations, "resource_attributes", len(resource), MAX_RESOURCE_ATTRIBUTES)
    violations.raise_if_any()
    return request.experiment_id, spans, resource


def _read(violations: Violations, place: int, span: pb.Span) -> NewSpan:
    content = span.SerializeToString()
    # Each is read once: a field of a message takes as long as all that is done with it here.
    new = NewSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        name=span.name,
        type=_type(span.attributes.get(SPAN_TYPE, "")),
        status=_STATUSES.get(span.status_code, ""),
        start_ns=span.start_time_ns,
        end_ns=span.end_time_ns,
        content=content,
        facts=_facts(span),
    )
    if not (_is_good(new) and 0 <= span.kind <= pb.SPAN_KIND_CONSUMER):
        _refuse(violations, f"spans[{place}]", span, len(content))
    return new


def _type(value: str) -> str:
    """The text of a JSON string, or of what is none."""
    text = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    return text.replace("\x00", "\ufffd")[:MAX_SPAN_NAME] or DEFAULT_TYPE


def _facts(span: pb.Span) -> dict[str, str]:
    """The attributes that say something of the trace; inputs may be large, so no others."""
    attributes = span.attributes
    if span.parent_span_id:
        return {key: attributes[key] for key in _FACTS if key in attributes}
    return {
        key: attributes[key]
        for key in attributes
        if key in _ROOT_FACTS or key.startswith(TAG_PREFIX)
    }


def _is_good(span: NewSpan) -> bool:
    """Whether there is nothing to refuse: one look for the thousands that are as they should be."""
    return (
        TRACE_ID.fullmatch(span.trace_id) is not None
        and _SPAN_ID.fullmatch(span.span_id) is not None
        and (not span.parent_id or _SPAN_ID.fullmatch(span.parent_id) is not None)
        and len(span.name) <= MAX_SPAN_NAME
        and "\x00" not in span.name
        and span.start_ns >= 0
        and span.end_ns >= 0
        and span.status != ""
        and len(span.content) <= MAX_SPAN_BYTES
    )


def _refuse(violations: Violations, field: str, span: pb.Span, size: int) -> None:
    check_trace_id(violations, f"{field}.trace_id", span.trace_id)
    _check_span_id(violations, f"{field}.span_id", span.span_id)
    if span.parent_span_id:
        _check_span_id(violations, f"{field}.parent_span_id", span.parent_span_id)
    check_text(violations, f"{field}.name", span.name, MAX_SPAN_NAME)
    check_range(violations, f"{field}.start_time_ns", span.start_time_ns, 0, INT64_MAX)
    check_range(violations, f"{field}.end_time_ns", span.end_time_ns, 0, INT64_MAX)
    if span.status_code not in _STATUSES:
        violations.add(f"{field}.status_code", f"must be a SpanStatusCode, not {span.status_code}")
    if not 0 <= span.kind <= pb.SPAN_KIND_CONSUMER:
        violations.add(f"{field}.kind", f"must be a SpanKind, not {span.kind}")
    if size > MAX_SPAN_BYTES:
        violations.add(field, f"must have at most {MAX_SPAN_BYTES} bytes, not {size}")


def _check_span_id(violations: Violations, field: str, value: str) -> None:
    if _SPAN_ID.fullmatch(value) is None:
        violations.add(field, f"must be 16 lower-case hexadecimal digits, not {shown(value)}")

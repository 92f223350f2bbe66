"""What spans say of their trace: pure functions from spans and a trace's row to its new row."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from runstone_kit.errors import Violations
from runstone_kit.validation import MAX_TAG_VALUE, check_entity_key
from runstone_tracking.model_traces import (
    INPUTS,
    OUTPUTS,
    SESSION_IDS,
    SIZE_STATS,
    TAG_PREFIX,
    TRACE_NAME_TAG,
    USER_ID,
    NewSpan,
    TraceInfo,
    TraceState,
)

SESSION, USER = "mlflow.trace.session", "mlflow.trace.user"
"""Metadata that SESSION_IDS and USER_ID become."""

MAX_PREVIEW = 1000
"""Characters of a preview that is made here, as MLflow's."""

_OPEN = (TraceState.IN_PROGRESS, TraceState.UNSPECIFIED)


@dataclass(slots=True)
class Gathered:
    """The spans of one trace in a batch, each once, and what they say of it."""

    spans: dict[str, NewSpan] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> NewSpan | None:
        """The root, if it came with this batch."""
        return next((span for span in self.spans.values() if not span.parent_id), None)

    @property
    def start(self) -> int:
        """When the first span began, in milliseconds."""
        return min(span.start_ns for span in self.spans.values()) // 1_000_000

    @property
    def end(self) -> int | None:
        """When the last span ended; None while none has."""
        latest = max(span.end_ns for span in self.spans.values())
        return latest // 1_000_000 if latest else None


def gather(spans: Iterable[NewSpan]) -> dict[str, Gathered]:
    """The spans by trace; of two with one id the later one counts."""
    found: dict[str, Gathered] = {}
    for span in spans:
        found.setdefault(span.trace_id, Gathered()).spans[span.span_id] = span
    for each in found.values():
        _note_facts(each)
    return found


def _note_facts(gathered: Gathered) -> None:
    for span in gathered.spans.values():
        facts = span.facts
        if not facts:
            continue
        session = next((facts[key] for key in SESSION_IDS if key in facts), None)
        if session is not None:
            gathered.metadata.setdefault(SESSION, text_of(session)[:MAX_TAG_VALUE])
        if USER_ID in facts:
            gathered.metadata.setdefault(USER, text_of(facts[USER_ID])[:MAX_TAG_VALUE])
        if not span.parent_id:
            named = (
                (key.removeprefix(TAG_PREFIX), text_of(value))
                for key, value in facts.items()
                if key.startswith(TAG_PREFIX)
            )
            gathered.tags.update(tags_of(named))


def tags_of(named: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Those that can be tags: nobody who is traced can mend a key, so others are passed over."""
    for key, value in named:
        violations = Violations()
        if check_entity_key(violations, "", key):
            yield key, value[:MAX_TAG_VALUE]


def first_info(trace_id: str, experiment_id: str, gathered: Gathered) -> TraceInfo:
    """The row of a trace that nobody but its spans tells of."""
    started = TraceInfo(trace_id, experiment_id, gathered.start, TraceState.IN_PROGRESS)
    return with_spans(started, gathered, {})


def with_spans(
    info: TraceInfo, gathered: Gathered, stored: Mapping[tuple[str, str], int]
) -> TraceInfo:
    """The row once these spans are stored; ``stored`` are the sizes of those that are there."""
    before = [stored.get((info.trace_id, span_id)) for span_id in gathered.spans]
    grown = sum(len(span.content) for span in gathered.spans.values())
    time, duration = info.request_time, info.duration
    if not info.finalized:
        time, duration = _timed(info, gathered)
    state, request, response = info.state, info.request_preview, info.response_preview
    root = gathered.root
    if root is not None:
        if state in _OPEN:
            state = TraceState.ERROR if root.status == "ERROR" else TraceState.OK
        if request is None and INPUTS in root.facts:
            request = preview(root.facts[INPUTS], "user")
        if response is None and OUTPUTS in root.facts:
            response = preview(root.facts[OUTPUTS], "assistant")
    return replace(
        info,
        request_time=time,
        duration=duration,
        state=state,
        name=gathered.tags.get(TRACE_NAME_TAG, info.name),
        request_preview=request,
        response_preview=response,
        span_count=info.span_count + before.count(None),
        bytes=info.bytes + grown - sum(size for size in before if size is not None),
    )


def _timed(info: TraceInfo, gathered: Gathered) -> tuple[int, int | None]:
    """Its time and duration: from the first start to the last end that is known."""
    start = min(info.request_time, gathered.start)
    ends = [gathered.end]
    if info.duration is not None:
        ends.append(info.request_time + info.duration)
    known = [end for end in ends if end is not None]
    return start, max(0, max(known) - start) if known else None


def is_complete(info: TraceInfo, metadata: Mapping[str, str]) -> bool:
    """Whether it has spans, and as many as its client says that there are."""
    wanted = _loaded(metadata.get(SIZE_STATS, ""))
    count = wanted.get("num_spans") if isinstance(wanted, dict) else None
    least = count if isinstance(count, int | float) and not math.isnan(count) else 1
    return info.span_count >= max(1, least)


def text_of(value: str) -> str:
    """A JSON text's content; anything else as it is. Without NUL, which PostgreSQL cannot store."""
    found = _loaded(value)
    return _storable(found if isinstance(found, str) else value)


def preview(value: str, role: str) -> str:
    """The beginning of a request or response: of the last message of ``role`` if it is a chat."""
    said = _last_said(_loaded(value), role)
    content = _storable(said or value)
    return content if len(content) <= MAX_PREVIEW else content[: MAX_PREVIEW - 3] + "..."


def _storable(text: str) -> str:
    # A JSON text may also spell half of a surrogate pair, which no database takes.
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _loaded(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _last_said(value: Any, role: str) -> str:
    messages = _messages(value)
    for message in [*reversed([m for m in messages if m["role"] == role]), *messages[-1:]]:
        content = message["content"]
        if isinstance(content, str):
            return content
        for part in content if isinstance(content, list) else ():
            if isinstance(part, str):
                return part
            if isinstance(part, dict) and part.get("type") in ("text", "output_text"):
                return str(part.get("text") or "")
    return ""


def _messages(value: Any) -> list[dict[str, Any]]:
    """The messages of a chat's request or response, in the shapes that are common."""
    if not isinstance(value, dict):
        return []
    for key in ("messages", "input", "output"):
        several = value.get(key)
        if several and isinstance(several, list):
            return list(filter(_is_message, several))
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        return [message] if _is_message(message) else []
    return _messages(value.get("request"))


def _is_message(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and "role" in value and "content" in value

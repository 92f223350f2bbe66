"""Use cases of traces: each method is one RPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runstone_kit.filterlang import (
    TAGS,
    Entity,
    Operator,
    OrderBy,
    Vocabulary,
    attributes,
    enumeration,
    number,
    string,
)
from runstone_kit.paging import Page, resolve_page_size
from runstone_tracking import service_spans
from runstone_tracking.errors import TagNotFound, TraceNotFound, TraceTooLarge
from runstone_tracking.model import SearchRequest
from runstone_tracking.model_traces import (
    SOURCE_RUN,
    TRACE_NAME_TAG,
    NewSpan,
    Trace,
    TraceBatch,
    TraceDeletion,
    TraceEnd,
    TraceInfo,
    TraceState,
)
from runstone_tracking.service_search import Plan, size_of_map, size_of_text
from runstone_tracking.store import Session, Transactions
from runstone_tracking.store_traces import FoundTrace

TRACES_PAGE, MAX_TRACES_PAGE = 100, 50_000
"""As MLflow's."""

FOUND_AT_ONCE = 2000
"""As for runs: a page of 50,000 that ends early must not have sorted and sent them all."""

MAX_TRACE_BYTES = 48 * 1024 * 1024
"""Spans of one trace: with its tags and metadata it must fit into one message of 64 MiB."""

MAX_BATCH_BYTES = 56 * 1024 * 1024
"""Traces in one answer: room for a trace that has all it may have."""

TRACES_LOADED = 20
"""Traces whose tags and metadata are read at once: each may have 8 MiB."""

DELETED_AT_ONCE = 10_000
"""Traces removed by one call, as the contract says."""

TRACES_OF_A_DELETION = 200
"""Traces removed by one transaction: each may have thousands of spans, and whoever writes waits."""

IGNORED_RESOURCES = ("telemetry.sdk.", "mlflow.")
"""Beginnings of resource attributes that say nothing of the process, or would pass for ours."""

_LOGGED = string(Operator.IN, Operator.IS_NULL)

TRACES = Vocabulary(
    attributes(
        {
            "request_id": string(Operator.IN),
            "experiment_id": string(Operator.IN),
            "name": _LOGGED,
            "status": enumeration([state.value for state in TraceState], Operator.IN),
            "timestamp_ms": number(),
            "execution_time_ms": number(Operator.IS_NULL),
            "end_time_ms": number(),
            "client_request_id": _LOGGED,
            "run_id": string(Operator.IN),
            "request_preview": _LOGGED,
            "response_preview": _LOGGED,
        },
        {
            "trace_id": "request_id",
            "state": "status",
            "timestamp": "timestamp_ms",
            "execution_time": "execution_time_ms",
            "end_time": "end_time_ms",
        },
        names=("attributes", "attr", "trace"),
    ),
    TAGS,
    Entity("metadata", ("request_metadata",), any_key=_LOGGED),
    Entity(
        "span",
        ("spans",),
        fields={each: string(Operator.IN, sortable=False) for each in ("name", "type", "status")},
    ),
)

_NULLABLE = frozenset(
    {"name", "execution_time_ms", "client_request_id", "request_preview", "response_preview"}
)
_TIES = (OrderBy("attribute", "timestamp_ms", False), OrderBy("attribute", "request_id", True))


class TraceService:
    """Traces and their spans."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def create(
        self, info: TraceInfo, metadata: Mapping[str, str], tags: Mapping[str, str]
    ) -> Trace:
        """Note a trace, or replace what is known of it; ``tags`` are without TRACE_NAME_TAG.

        Raises ExperimentNotFound, ExperimentDeleted, TraceTooLarge.
        """
        told = replace(info, finalized=True)

        def work(session: Session) -> Trace:
            before = session.traces.claim(told.experiment_id, [told]).get(told.trace_id)
            now = told if before is None else _merged(before, told)
            if before is not None:
                session.traces.update([now])
            return _put(session, now, metadata, tags)

        return self._transactions.write(work)

    def end(self, end: TraceEnd) -> Trace:
        """Set duration and state. Raises TraceNotFound, TraceTooLarge."""
        tags = dict(end.tags)
        name = tags.pop(TRACE_NAME_TAG, None)

        def work(session: Session) -> Trace:
            before = session.traces.lock(end.trace_id)
            now = replace(
                before,
                duration=max(0, end.end_time - before.request_time),
                state=end.state,
                name=before.name if name is None else name,
                finalized=True,
            )
            session.traces.update([now])
            return _put(session, now, end.metadata, tags)

        return self._transactions.write(work)

    def get(self, trace_id: str, *, spans: bool) -> Trace:
        """Raises TraceNotFound."""
        for found in self.batch([trace_id], spans=spans).traces:
            return found
        raise TraceNotFound(trace_id)

    def batch(self, trace_ids: Sequence[str], *, spans: bool) -> TraceBatch:
        """Those that are there; with spans, as many as fit, but one at least."""

        def work(session: Session) -> TraceBatch:
            infos = session.traces.get(list(dict.fromkeys(trace_ids)))
            found: list[Trace] = []
            left_out: list[str] = []
            budget = MAX_BATCH_BYTES
            for start in range(0, len(infos), TRACES_LOADED):
                fitting: list[TraceInfo] = []
                for info in infos[start : start + TRACES_LOADED]:
                    size = info.bytes if spans else 0
                    if size > budget and (found or fitting):
                        left_out.append(info.trace_id)
                    else:
                        fitting.append(info)
                        budget -= size
                for trace in session.traces.load(fitting, spans=spans):
                    budget -= size_of_trace(trace)
                    if budget < 0 and found:
                        left_out.append(trace.info.trace_id)
                        continue
                    complete = service_spans.is_complete(trace.info, trace.metadata)
                    found.append(replace(trace, complete=complete))
            return TraceBatch(tuple(found), tuple(left_out))

        return self._transactions.read(work)

    def search(self, request: SearchRequest) -> Page[Trace]:
        """One page of the traces that match, without spans.

        Raises InvalidArgument: FILTER_INVALID, PAGE_TOKEN_INVALID, PAGE_TOKEN_OTHER_QUERY.
        """
        plan = Plan(
            *(request, TRACES, _TIES, "SearchTraces"), nullable=_NULLABLE, canonical=_canonical
        )
        size = resolve_page_size(request.page_size, default=TRACES_PAGE, maximum=MAX_TRACES_PAGE)

        def work(session: Session) -> Page[Trace]:
            def load(found: Sequence[FoundTrace]) -> list[Trace]:
                return session.traces.load([each.info for each in found])

            return plan.page(size, FOUND_AT_ONCE, session.traces.search, load, size_of_trace)

        return self._transactions.read(work, bounded=True)

    def set_tags(self, trace_id: str, tags: Mapping[str, str]) -> None:
        """Raises TraceNotFound, TraceTooLarge."""
        others = dict(tags)
        name = others.pop(TRACE_NAME_TAG, None)

        def work(session: Session) -> None:
            info = session.traces.lock(trace_id)
            if name is not None:
                session.traces.update([replace(info, name=name)])
            session.traces.put_tags({trace_id: others})

        self._transactions.write(work)

    def delete_tags(self, trace_id: str, keys: Sequence[str]) -> None:
        """Raises TraceNotFound, TagNotFound."""
        others = [key for key in keys if key != TRACE_NAME_TAG]

        def work(session: Session) -> None:
            info = session.traces.lock(trace_id)
            if len(others) < len(keys):
                if info.name is None:
                    raise TagNotFound(TRACE_NAME_TAG)
                session.traces.update([replace(info, name=None)])
            session.traces.delete_tags(trace_id, others)

        self._transactions.write(work)

    def delete(self, deletion: TraceDeletion) -> tuple[int, bool]:
        """Remove traces; returns how many, and whether there may be more to remove.

        Raises ExperimentNotFound.
        """
        wanted = DELETED_AT_ONCE
        if deletion.max_traces is not None:
            wanted = min(wanted, deletion.max_traces)
        deleted = 0
        while deleted < wanted:
            limit = min(TRACES_OF_A_DELETION, wanted - deleted)
            done = self._transactions.write(
                lambda session, limit=limit: session.traces.delete(deletion, limit)  # type: ignore[misc]
            )
            deleted += done
            if done < limit:
                return deleted, False
        return deleted, wanted != deletion.max_traces

    def log_spans(
        self, experiment_id: str, spans: Sequence[NewSpan], resource: Mapping[str, str]
    ) -> None:
        """Store spans, and what they say of their traces.

        Raises ExperimentNotFound, ExperimentDeleted, TraceTooLarge.
        """
        gathered = service_spans.gather(spans)
        told = dict(
            service_spans.tags_of(
                (key, service_spans.text_of(value))
                for key, value in resource.items()
                if not key.startswith(IGNORED_RESOURCES)
            )
        )
        first = [
            service_spans.first_info(trace_id, experiment_id, each)
            for trace_id, each in gathered.items()
        ]
        tags = {
            trace_id: {k: v for k, v in {**told, **each.tags}.items() if k != TRACE_NAME_TAG}
            for trace_id, each in gathered.items()
        }
        metadata = {trace_id: each.metadata for trace_id, each in gathered.items()}
        new = [span for each in gathered.values() for span in each.spans.values()]

        def work(session: Session) -> None:
            there = session.traces.claim(experiment_id, first)
            stored = session.traces.sizes(span for span in new if span.trace_id in there)
            now = [
                service_spans.with_spans(info, gathered[trace_id], stored)
                for trace_id, info in there.items()
            ]
            for info in (*now, *first):
                if info.bytes > MAX_TRACE_BYTES:
                    raise TraceTooLarge(
                        info.trace_id, "bytes of spans", info.bytes, MAX_TRACE_BYTES
                    )
            session.traces.update([info for info in now if info != there[info.trace_id]])
            session.traces.put_tags(tags)
            session.traces.put_metadata(metadata, replace=False)
            session.traces.put_spans(new)

        self._transactions.write(work)

    def link_to_run(self, run_id: str, trace_ids: Sequence[str]) -> None:
        """Raises RunNotFound, RunDeleted."""

        def work(session: Session) -> None:
            session.runs.require_active(run_id)
            session.traces.link(run_id, trace_ids)

        self._transactions.write(work)


def size_of_trace(trace: Trace) -> int:
    """About how many bytes its message has without its spans, never much less."""
    info = trace.info
    texts = (info.request_preview, info.response_preview, info.client_request_id, info.trace_id)
    size = 128 + sum(size_of_text(text) for text in texts if text)
    return size + size_of_map(trace.metadata) + size_of_map(trace.tags)


def _put(
    session: Session, info: TraceInfo, metadata: Mapping[str, str], tags: Mapping[str, str]
) -> Trace:
    session.traces.put_tags({info.trace_id: tags})
    session.traces.put_metadata({info.trace_id: metadata}, replace=True)
    (found,) = session.traces.load([info])
    return found


def _merged(before: TraceInfo, told: TraceInfo) -> TraceInfo:
    """What is told goes before what is known; what is not told stays, but for time and state."""
    return replace(
        told,
        name=_either(told.name, before.name),
        client_request_id=_either(told.client_request_id, before.client_request_id),
        request_preview=_either(told.request_preview, before.request_preview),
        response_preview=_either(told.response_preview, before.response_preview),
        span_count=before.span_count,
        bytes=before.bytes,
    )


def _either(told: str | None, known: str | None) -> str | None:
    return known if told is None else told


def _canonical(order: OrderBy) -> OrderBy:
    if (order.entity, order.key) == ("tag", TRACE_NAME_TAG):
        return OrderBy("attribute", "name", order.ascending)
    if (order.entity, order.key) == ("attribute", "run_id"):
        return OrderBy("metadata", SOURCE_RUN, order.ascending)
    return order

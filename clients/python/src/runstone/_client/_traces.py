"""Traces and their spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from runstone import _values
from runstone._client._base import ClientBase
from runstone._convert import times
from runstone._convert import traces as convert
from runstone._entities.paging import PagedList
from runstone._entities.traces import Span, Trace, TraceInfo
from runstone._values import MAX_TAG_VALUE, invalid
from runstone.tracking.v1 import trace_pb2 as pb

SPANS_A_CALL, BYTES_A_CALL = 10_000, 8 * 1024 * 1024
"""What one call brings, within what a server takes."""

TRACES_A_CALL = 1000
"""Traces named by one call, as the contract says."""


class TraceCalls(ClientBase):
    """Calls about traces."""

    def create_trace(self, info: TraceInfo) -> TraceInfo:
        """Note a trace, also one whose spans are there already. Repeating it is fine.

        Raises:
            ExperimentNotFound, ExperimentDeleted, TraceTooLarge
        """
        request = pb.CreateTraceRequest(trace=convert.info_message(info))
        return convert.info(self._tracking.CreateTrace(request).trace)

    def log_spans(
        self,
        experiment_id: str,
        spans: Iterable[Span],
        *,
        resource: Mapping[str, Any] | None = None,
    ) -> None:
        """Store spans of any number of traces; a span with the same ids replaces what is there.

        A trace that is not there is made from them. ``resource`` says which process was traced
        (``{"service.name": …}``) and becomes tags. More than 10,000 spans or 8 MiB are sent in
        several calls.

        Raises:
            ExperimentNotFound, ExperimentDeleted, TraceTooLarge
        """
        told = convert.json_of(resource or {})
        for part in _parts(map(convert.span_message, spans)):
            self._tracking.LogSpans(
                pb.LogSpansRequest(
                    experiment_id=str(experiment_id), spans=part, resource_attributes=told
                )
            )

    def log_trace(self, trace: Trace) -> TraceInfo:
        """Store a trace with its spans. Raises as ``create_trace``."""
        self.log_spans(trace.info.experiment_id, trace.spans)
        return self.create_trace(trace.info)

    def end_trace(
        self,
        trace_id: str,
        state: str = "OK",
        end_time: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> TraceInfo:
        """Say when (Unix milliseconds; now if not given) and how a trace ended.

        Raises:
            TraceNotFound, TraceTooLarge
        """
        request = pb.EndTraceRequest(
            trace_id=trace_id,
            end_time=times.to_timestamp(_values.now_ms() if end_time is None else end_time),
            state=convert.state_value(state),
            metadata=_values.texts("metadata", metadata, MAX_TAG_VALUE),
            tags=_values.texts("tag", tags, MAX_TAG_VALUE),
        )
        return convert.info(self._tracking.EndTrace(request).trace)

    def get_trace(self, trace_id: str, *, include_spans: bool = True) -> Trace:
        """The trace. Raises TraceNotFound."""
        request = pb.GetTraceRequest(trace_id=trace_id, include_spans=include_spans)
        return convert.trace(self._tracking.GetTrace(request).trace)

    def batch_get_traces(
        self, trace_ids: Sequence[str], *, include_spans: bool = True
    ) -> list[Trace]:
        """Those of these traces that are there, in the order asked for."""
        found: dict[str, Trace] = {}
        wanted = list(dict.fromkeys(trace_ids))
        ahead = wanted
        while ahead:
            asked, ahead = ahead[:TRACES_A_CALL], ahead[TRACES_A_CALL:]
            response = self._tracking.BatchGetTraces(
                pb.BatchGetTracesRequest(trace_ids=asked, include_spans=include_spans)
            )
            found.update((each.info.trace_id, convert.trace(each)) for each in response.traces)
            ahead = [*response.left_out_trace_ids, *ahead]
        return [found[trace_id] for trace_id in wanted if trace_id in found]

    def search_traces(
        self,
        experiment_ids: Sequence[str] | str,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        *,
        include_spans: bool = True,
    ) -> PagedList[Trace]:
        """One page of the traces that match; ``token`` of the result leads to the next.

        Filters know attributes (``status = 'OK'``, ``timestamp_ms > 1``, ``run_id = '…'`` …),
        ``tags``, ``metadata`` and of spans ``span.name``, ``span.type`` and ``span.status``.

        Raises:
            FilterInvalid: ``filter_string`` or ``order_by`` cannot be read.
            PageTokenInvalid, PageTokenOfOtherQuery
        """
        ids = [experiment_ids] if isinstance(experiment_ids, str | int) else experiment_ids
        response = self._tracking.SearchTraces(
            pb.SearchTracesRequest(
                experiment_ids=[str(each) for each in ids],
                filter=filter_string or "",
                order_by=list(order_by or ()),
                page_size=max_results or 0,
                page_token=page_token or "",
            )
        )
        infos = list(map(convert.info, response.traces))
        if include_spans:
            found = self.batch_get_traces([info.trace_id for info in infos])
        else:
            found = list(map(Trace, infos))
        return PagedList(found, response.next_page_token)

    def set_trace_tags(self, trace_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of a trace, all or none. Raises TraceNotFound, TraceTooLarge."""
        texts = _values.texts("tag", tags, MAX_TAG_VALUE)
        self._tracking.SetTraceTags(pb.SetTraceTagsRequest(trace_id=trace_id, tags=texts))

    def set_trace_tag(self, trace_id: str, key: str, value: Any) -> None:
        """Set one tag of a trace."""
        self.set_trace_tags(trace_id, {key: value})

    def delete_trace_tags(self, trace_id: str, keys: Sequence[str]) -> None:
        """Delete tags of a trace, all or, when one is not set, none.

        Raises:
            TraceNotFound, TagNotFound
        """
        self._tracking.DeleteTraceTags(
            pb.DeleteTraceTagsRequest(trace_id=trace_id, keys=list(keys))
        )

    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        """Delete one tag of a trace."""
        self.delete_trace_tags(trace_id, [key])

    def delete_traces(
        self,
        experiment_id: str,
        max_timestamp_millis: int | None = None,
        max_traces: int | None = None,
        trace_ids: Sequence[str] | None = None,
    ) -> int:
        """Remove traces for good: those named, or those not after ``max_timestamp_millis``, the
        oldest first and at most ``max_traces``. Returns how many. Raises ExperimentNotFound.
        """
        # 0 in the message means all.
        if max_traces is not None and _values.whole_number("max_traces", max_traces) < 1:
            raise invalid("max_traces", f"must be at least 1, not {max_traces}")
        request = pb.DeleteTracesRequest(experiment_id=str(experiment_id))
        if max_timestamp_millis is not None:
            request.max_request_time.CopyFrom(times.to_timestamp(max_timestamp_millis))
        named = list(trace_ids or ())
        deleted = 0
        while True:
            request.trace_ids[:] = named[:TRACES_A_CALL]
            if max_traces is not None:
                request.max_traces = min(max_traces - deleted, 2**31 - 1)
            response = self._tracking.DeleteTraces(request)
            deleted += response.deleted_count
            named = named[TRACES_A_CALL:]
            if not named and not response.more:
                return deleted

    def link_traces_to_run(self, trace_ids: Sequence[str], run_id: str) -> None:
        """Link traces to an active run, so that a search for ``run_id`` finds them.

        Raises:
            RunNotFound, RunDeleted
        """
        for start in range(0, len(trace_ids), TRACES_A_CALL):
            part = list(trace_ids[start : start + TRACES_A_CALL])
            self._tracking.LinkTracesToRun(pb.LinkTracesToRunRequest(run_id=run_id, trace_ids=part))


def _parts(messages: Iterable[pb.Span]) -> Iterator[list[pb.Span]]:
    part: list[pb.Span] = []
    size = 0
    for message in messages:
        more = message.ByteSize()
        if part and (len(part) == SPANS_A_CALL or size + more > BYTES_A_CALL):
            yield part
            part, size = [], 0
        part.append(message)
        size += more
    if part:
        yield part

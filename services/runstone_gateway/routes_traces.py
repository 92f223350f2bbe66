"""Traces, but their spans: MLflow's calls as ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from runstone.tracking.v1 import trace_pb2 as messages
from runstone_gateway import render_traces as render
from runstone_gateway.call import Call
from runstone_gateway.errors import refused
from runstone_gateway.fields import wrong
from runstone_gateway.pages import PLAIN_ITEMS
from runstone_gateway.routes_runs import MAX_TAG_VALUE, cut, timestamp
from runstone_gateway.streaming import aside
from runstone_kit.ids import SystemIds

MAX_RESULTS = 500
"""Traces of one answer, as MLflow has it."""

MAX_ANSWER_BYTES = 64 * 2**20
"""Of one answer of traces; a larger page ends early, with a token for the rest."""

MAX_PREVIEW = 1000
"""Characters; MLflow's servers cut longer ones."""

MAX_LINKS = 100
"""Traces that one call links to a run, as MLflow has it."""

IDS_A_CALL = 1000
"""Of traces, what the service takes at once."""

MADE_TAGS = (render.ARTIFACT_LOCATION, render.SPANS_LOCATION)
"""Tags that the gateway answers by itself: nobody's may say where files are."""

STATES = {
    "STATE_UNSPECIFIED": messages.TRACE_STATE_UNSPECIFIED,
    "TRACE_STATUS_UNSPECIFIED": messages.TRACE_STATE_UNSPECIFIED,
    "OK": messages.TRACE_STATE_OK,
    "ERROR": messages.TRACE_STATE_ERROR,
    "IN_PROGRESS": messages.TRACE_STATE_IN_PROGRESS,
}
INT32_MAX = 2**31 - 1

_CLIENT = re.compile(r"mlflow-python-client/(\d+)\.(\d+)")
_SENDS_SPANS = (3, 6)
"""MLflow's clients send spans to /v1/traces since then, at times after the trace itself."""

_ids = SystemIds()
_log = structlog.get_logger("runstone_gateway")


async def start(call: Call, trace: Mapping[str, Any]) -> Any:
    """POST 3.0 traces: a trace that has ended, in spite of MLflow's name for it."""
    given = trace["trace_info"]
    if given.get("assessments"):
        _log.warning("assessments of a trace are not kept", trace_id=given["trace_id"])
    info = messages.TraceInfo(
        trace_id=given["trace_id"],
        experiment_id=given["trace_location"]["mlflow_experiment"]["experiment_id"],
        request_time=given["request_time"],
        execution_duration=given.get("execution_duration"),
        state=STATES[given.get("state", "STATE_UNSPECIFIED")],
        client_request_id=given.get("client_request_id"),
        request_preview=_preview(given.get("request_preview")),
        response_preview=_preview(given.get("response_preview")),
        metadata=_metadata(given.get("trace_metadata", {})),
        tags=_tags(given.get("tags", {})),
    )
    made = await call.ask(call.tracking.CreateTrace, messages.CreateTraceRequest(trace=info))
    return _info(made.trace, spans_in_store=_sends_spans(call))


def _sends_spans(call: Call) -> bool:
    found = _CLIENT.match(call.request.headers.get("user-agent", ""))
    return found is not None and (int(found[1]), int(found[2])) >= _SENDS_SPANS


def _info(found: messages.TraceInfo, *, spans_in_store: bool = False) -> dict[str, Any]:
    return {"trace": {"trace_info": render.info(found, spans_in_store=spans_in_store)}}


def _preview(text: str | None) -> str | None:
    return None if text is None else text[:MAX_PREVIEW]


def _tags(given: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in given.items() if key not in MADE_TAGS}
    return cut(kept, MAX_TAG_VALUE)


def _metadata(given: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in given.items() if key != render.FINALIZED}
    return cut(kept, MAX_TAG_VALUE)


async def get_info(call: Call, trace_id: str) -> Any:
    """GET 3.0 traces/{trace_id}."""
    return _info((await _trace(call, trace_id)).info)


async def _trace(call: Call, trace_id: str) -> messages.Trace:
    request = messages.GetTraceRequest(trace_id=trace_id)
    found: messages.Trace = (await call.ask(call.tracking.GetTrace, request)).trace
    return found


async def batch_get_infos(
    call: Call, trace_ids: Sequence[str], experiment_ids: Sequence[str] | None = None
) -> Any:
    """POST 3.0 traces/batchGetInfos."""
    if not trace_ids:
        return {}
    request = messages.BatchGetTracesRequest(trace_ids=trace_ids)
    infos = []
    while True:
        found = await call.ask(call.tracking.BatchGetTraces, request)
        wanted = [
            each.info
            for each in found.traces
            if experiment_ids is None or each.info.experiment_id in experiment_ids
        ]
        infos += await _rendered(wanted, render.info)
        if not found.left_out_trace_ids:
            return {"trace_infos": infos} if infos else {}
        request = messages.BatchGetTracesRequest(trace_ids=found.left_out_trace_ids)


async def search(
    call: Call,
    locations: Sequence[Mapping[str, Any]],
    filter: str = "",
    max_results: int = 100,
    order_by: Sequence[str] = (),
    page_token: str = "",
) -> Any:
    """POST 3.0 traces/search. Locations that are no experiments hold nothing here."""
    experiment_ids = [
        each["mlflow_experiment"]["experiment_id"]
        for each in locations
        if "mlflow_experiment" in each
    ]
    found, token = await _search(call, experiment_ids, filter, max_results, order_by, page_token)
    return _page(await _rendered(found, render.info), token)


async def older_search(
    call: Call,
    experiment_ids: Sequence[str],
    filter: str = "",
    max_results: int = 100,
    order_by: Sequence[str] = (),
    page_token: str = "",
) -> Any:
    """GET 2.0 traces."""
    found, token = await _search(call, experiment_ids, filter, max_results, order_by, page_token)
    return _page(await _rendered(found, render.older_info), token)


async def _rendered(
    infos: Sequence[messages.TraceInfo], written: Callable[[messages.TraceInfo], Any]
) -> list[dict[str, Any]]:
    return await aside(len(infos) > PLAIN_ITEMS, lambda: list(map(written, infos)))


def _page(infos: list[dict[str, Any]], token: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"traces": infos} if infos else {}
    if token:
        answer["next_page_token"] = token
    return answer


async def _search(
    call: Call,
    experiment_ids: Sequence[str],
    filter: str,
    max_results: int,
    order_by: Sequence[str],
    page_token: str,
) -> tuple[list[messages.TraceInfo], str]:
    """As many pages of the service as hold what was asked for, and the token of the next."""
    if not 1 <= max_results <= MAX_RESULTS:
        raise wrong(max_results, "max_results", f"a number of traces from 1 to {MAX_RESULTS}")
    found: list[messages.TraceInfo] = []
    if not experiment_ids:
        return found, ""
    size = 0
    while True:
        page = await call.ask(
            call.tracking.SearchTraces,
            messages.SearchTracesRequest(
                experiment_ids=experiment_ids,
                filter=filter,
                order_by=order_by,
                page_size=max_results - len(found),
                page_token=page_token,
            ),
        )
        found += page.traces
        size += page.ByteSize()
        page_token = page.next_page_token
        if not page_token or len(found) >= max_results or size > MAX_ANSWER_BYTES:
            return found, page_token


async def set_tag(call: Call, trace_id: str, key: str, value: str = "") -> Any:
    """PATCH 2.0 and 3.0 traces/{trace_id}/tags."""
    _require_free(key, "set")
    tags = cut({key: value}, MAX_TAG_VALUE)
    request = messages.SetTraceTagsRequest(trace_id=trace_id, tags=tags)
    await call.ask(call.tracking.SetTraceTags, request)
    return {}


async def delete_tag(call: Call, trace_id: str, key: str) -> Any:
    """DELETE 2.0 and 3.0 traces/{trace_id}/tags."""
    _require_free(key, "deleted")
    request = messages.DeleteTraceTagsRequest(trace_id=trace_id, keys=[key])
    await call.ask(call.tracking.DeleteTraceTags, request)
    return {}


def _require_free(key: str, operation: str) -> None:
    if key in MADE_TAGS:
        raise refused(f"Tag '{key}' is immutable and cannot be {operation} on a trace.")


async def delete(
    call: Call,
    experiment_id: str,
    max_timestamp_millis: int | None = None,
    max_traces: int | None = None,
    request_ids: Sequence[str] = (),
) -> Any:
    """POST 2.0 and 3.0 traces/delete-traces."""
    if (max_timestamp_millis is None) == (not request_ids):
        raise refused("Give one of 'max_timestamp_millis' and 'request_ids', and not the other.")
    if request_ids and max_traces is not None:
        raise refused("'max_traces' goes with 'max_timestamp_millis', not with 'request_ids'.")
    if max_traces is not None and not 1 <= max_traces <= INT32_MAX:
        raise wrong(max_traces, "max_traces", f"a number of traces from 1 to {INT32_MAX}")
    deleted = 0
    for first in range(0, len(request_ids), IDS_A_CALL):
        request = messages.DeleteTracesRequest(
            experiment_id=experiment_id, trace_ids=request_ids[first : first + IDS_A_CALL]
        )
        deleted += (await call.ask(call.tracking.DeleteTraces, request)).deleted_count
    more = max_timestamp_millis is not None
    while more and (max_traces is None or deleted < max_traces):
        request = messages.DeleteTracesRequest(
            experiment_id=experiment_id,
            max_request_time=timestamp(max_timestamp_millis or 0, "max_timestamp_millis"),
            max_traces=0 if max_traces is None else max_traces - deleted,
        )
        answer = await call.ask(call.tracking.DeleteTraces, request)
        deleted += answer.deleted_count
        more = answer.more
    return {"traces_deleted": deleted}


async def link_to_run(call: Call, run_id: str, trace_ids: Sequence[str]) -> Any:
    """POST 2.0 traces/link-to-run."""
    if len(trace_ids) > MAX_LINKS:
        raise refused(
            f"Cannot link more than {MAX_LINKS} traces to a run in a single request."
            f" Provided {len(trace_ids)} traces."
        )
    if trace_ids:
        request = messages.LinkTracesToRunRequest(run_id=run_id, trace_ids=trace_ids)
        await call.ask(call.tracking.LinkTracesToRun, request)
    return {}


async def older_start(
    call: Call,
    experiment_id: str,
    timestamp_ms: int,
    request_metadata: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Any:
    """POST 2.0 traces: a trace that begins, under an id that is made here."""
    info = messages.TraceInfo(
        trace_id=f"tr-{_ids.hex_id()}",
        experiment_id=experiment_id,
        request_time=timestamp(timestamp_ms, "timestamp_ms"),
        state=messages.TRACE_STATE_IN_PROGRESS,
        metadata=_metadata(request_metadata or {}),
        tags=_tags(tags or {}),
    )
    made = await call.ask(call.tracking.CreateTrace, messages.CreateTraceRequest(trace=info))
    return {"trace_info": render.older_info(made.trace)}


async def older_end(
    call: Call,
    trace_id: str,
    timestamp_ms: int,
    status: str = "TRACE_STATUS_UNSPECIFIED",
    request_metadata: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Any:
    """PATCH 2.0 traces/{trace_id}."""
    request = messages.EndTraceRequest(
        trace_id=trace_id,
        end_time=timestamp(timestamp_ms, "timestamp_ms"),
        state=STATES[status],
        metadata=_metadata(request_metadata or {}),
        tags=_tags(tags or {}),
    )
    ended = await call.ask(call.tracking.EndTrace, request)
    return {"trace_info": render.older_info(ended.trace)}


async def older_info(call: Call, trace_id: str) -> Any:
    """GET 2.0 traces/{trace_id}/info."""
    return {"trace_info": render.older_info((await _trace(call, trace_id)).info)}

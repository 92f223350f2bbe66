"""Spans: as OpenTelemetry's exporters send them, and as MLflow's clients read them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import grpc
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response

from runstone.tracking.v1 import trace_pb2 as messages
from runstone_gateway import otlp, trace_file
from runstone_gateway import render_traces as render
from runstone_gateway.body import read_bytes
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError, missing, not_found, refused
from runstone_gateway.streaming import JSON, Streamed, aside, begun
from runstone_kit.peers import failure

PROTOBUF = "application/x-protobuf"

EXPERIMENT_HEADER, RUN_HEADER = "x-mlflow-experiment-id", "x-mlflow-run-id"

DATA_FILE = "traces.json"
NO_DATA = f"Trace data not found for path={DATA_FILE}"

IDS_A_CALL = 1000
"""Of traces, what the service links to a run at once."""

LARGE_BODY = 2**18
"""Bytes whose spans are read in a thread, so that other requests go on meanwhile."""

_log = structlog.get_logger("runstone_gateway")


async def export(call: Call) -> Any:
    """POST /v1/traces: an export of OpenTelemetry.

    Each call that stores a part of it is atomic; an export that failed between two of them may be
    repeated, for a span that is there is only replaced.
    """
    headers = call.request.headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (PROTOBUF, JSON):
        raise refused(f"Content-Type must be {PROTOBUF} or {JSON}.")
    experiment_id = headers.get(EXPERIMENT_HEADER, "")
    if not experiment_id:
        raise refused(f"The header {EXPERIMENT_HEADER} must say which experiment the spans are of.")
    body = await read_bytes(call.request, call.settings.max_json_bytes)
    calls, ended = await aside(len(body) > LARGE_BODY, _read_export, body, kind, experiment_id)
    for each in calls:
        await call.ask(call.tracking.LogSpans, each)
    if (run_id := headers.get(RUN_HEADER)) and ended:
        await _link(call, run_id, ended)
    if kind == PROTOBUF:
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=PROTOBUF)
    return {}


def _read_export(
    body: bytes, kind: str, experiment_id: str
) -> tuple[list[messages.LogSpansRequest], list[str]]:
    read = otlp.read_protobuf if kind == PROTOBUF else otlp.read_json
    return otlp.requests(read(body), experiment_id)


async def _link(call: Call, run_id: str, trace_ids: Sequence[str]) -> None:
    """Say which run the traces are of. The spans are stored: what fails here fails no export."""
    try:
        for first in range(0, len(trace_ids), IDS_A_CALL):
            request = messages.LinkTracesToRunRequest(
                run_id=run_id, trace_ids=trace_ids[first : first + IDS_A_CALL]
            )
            await call.ask(call.tracking.LinkTracesToRun, request)
    except grpc.aio.AioRpcError as error:
        _log.warning(
            "traces were not linked to their run",
            request_id=call.request_id,
            why=failure(error).message,
        )


async def get(call: Call, trace_id: str, allow_partial: bool = False) -> Any:
    """GET 3.0 traces/get."""
    trace = await _trace(call, trace_id)
    if not trace.complete and not allow_partial:
        raise not_found(f"Trace with ID '{trace_id}' is not fully exported yet.")
    return await begun(_framed(b'{"trace":', render.traces([trace]), b"}"))


async def _trace(call: Call, trace_id: str) -> messages.Trace:
    request = messages.GetTraceRequest(trace_id=trace_id, include_spans=True)
    found: messages.Trace = (await call.ask(call.tracking.GetTrace, request)).trace
    return found


async def batch_get(
    call: Call, trace_ids: Sequence[str], experiment_ids: Sequence[str] | None = None
) -> Any:
    """GET 3.0 traces/batchGet."""
    if not trace_ids:
        raise missing("trace_ids")
    # Before the answer begins, so that an error is told as one.
    first = await _batch(call, trace_ids)
    return Streamed(_batches(call, first, experiment_ids))


async def _batch(call: Call, trace_ids: Sequence[str]) -> messages.BatchGetTracesResponse:
    request = messages.BatchGetTracesRequest(trace_ids=trace_ids, include_spans=True)
    found: messages.BatchGetTracesResponse = await call.ask(call.tracking.BatchGetTraces, request)
    return found


async def _batches(
    call: Call, page: messages.BatchGetTracesResponse, experiment_ids: Sequence[str] | None
) -> AsyncGenerator[bytes]:
    between = b'{"traces":['
    while True:
        wanted = [
            each
            for each in page.traces
            if experiment_ids is None or each.info.experiment_id in experiment_ids
        ]
        if wanted:
            yield between
            between = b","
            async for piece in iterate_in_threadpool(render.traces(wanted)):
                yield piece
        if not page.left_out_trace_ids:
            break
        page = await _batch(call, page.left_out_trace_ids)
    yield b"]}" if between == b"," else b"{}"


async def _framed(before: bytes, pieces: Iterator[bytes], after: bytes) -> AsyncGenerator[bytes]:
    async for piece in iterate_in_threadpool(pieces):
        yield before + piece
        before = b""
    yield before + after


async def artifact(call: Call, request_id: str = "", path: str = "") -> Any:
    """GET get-trace-artifact: a trace's spans as a file, to MLflow's web page."""
    if not request_id:
        raise GatewayError("BAD_REQUEST", 'Request must include the "request_id" query parameter.')
    if path:
        raise not_found(f"Trace '{request_id}' has no attachments: this server keeps none.")
    trace = await _trace(call, request_id)
    if not trace.spans:
        raise GatewayError("NOT_FOUND", NO_DATA)
    return _file(trace)


def _file(trace: messages.Trace) -> Streamed:
    return Streamed(
        _framed(b"", render.trace_data(trace), b""),
        media_type="application/octet-stream",
        headers={
            "content-disposition": f"attachment; filename={DATA_FILE}",
            "x-content-type-options": "nosniff",
        },
    )


async def read_file(call: Call, experiment_id: str, trace_id: str) -> Any:
    """GET traces.json of a trace, as if the spans were a file."""
    trace = await _trace(call, trace_id)
    _require_home(trace, experiment_id)
    if not trace.spans:
        raise not_found(NO_DATA)
    return _file(trace)


async def write_file(call: Call, experiment_id: str, trace_id: str) -> Any:
    """PUT traces.json: the spans of a trace that is there."""
    found = await call.ask(call.tracking.GetTrace, messages.GetTraceRequest(trace_id=trace_id))
    _require_home(found.trace, experiment_id)
    body = await read_bytes(call.request, call.settings.max_json_bytes)
    large = len(body) > LARGE_BODY
    for each in await aside(large, trace_file.read, body, experiment_id, trace_id):
        await call.ask(call.tracking.LogSpans, each)
    return {}


def _require_home(trace: messages.Trace, experiment_id: str) -> None:
    if trace.info.experiment_id != experiment_id:
        raise not_found(f"Trace '{trace.info.trace_id}' is not in experiment '{experiment_id}'.")

"""Runs and what they hold, but metrics: MLflow's calls as ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import grpc
import orjson
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from runstone.tracking.v1 import run_columns_pb2
from runstone.tracking.v1 import run_pb2 as messages
from runstone.tracking.v1.logged_model_pb2 import ModelInput, ModelOutput
from runstone_gateway import render_runs
from runstone_gateway import render_tracking as render
from runstone_gateway.body import parse
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError, refused
from runstone_gateway.fields import wrong
from runstone_gateway.pages import MAX_ANSWER_BYTES
from runstone_gateway.routes_experiments import VIEWS
from runstone_gateway.streaming import aside
from runstone_kit.peers import failure

DEFAULT_EXPERIMENT = "0"

STATUSES = {
    name.removeprefix("RUN_STATUS_"): number
    for name, number in messages.RunStatus.items()
    if number
}

MAX_RESULTS = 50_000
"""Runs of one answer, as MLflow has it."""

PLAIN_RUNS = 20
"""Are written in the event loop: a millisecond."""

MAX_PARAM_VALUE = 6000
MAX_TAG_VALUE = 8000
"""Characters; MLflow's servers cut longer values, and their clients count on it."""

LARGEST_MS = 253_402_300_799_999
"""The last millisecond that a timestamp holds: the end of the year 9999."""

HISTORY_TAG = "mlflow.log-model.history"

NOTING_ATTEMPTS = 20
"""Of several gateways that note at once one gets through each time; so many may be there."""


def timestamp(value: int, name: str) -> Timestamp:
    """A time from Unix milliseconds. Raises GatewayError."""
    if not 0 <= value <= LARGEST_MS:
        raise wrong(value, name, "Unix milliseconds of the years 1970 to 9999")
    return Timestamp(seconds=value // 1000, nanos=value % 1000 * 1_000_000)


def cut(texts: dict[str, str], limit: int) -> dict[str, str]:
    """The texts, those that are longer than ``limit`` without their end."""
    return {key: value[:limit] for key, value in texts.items()}


async def create(
    call: Call,
    experiment_id: str = DEFAULT_EXPERIMENT,
    user_id: str = "",
    run_name: str = "",
    start_time: int | None = None,
    tags: dict[str, str] | None = None,
) -> Any:
    """POST runs/create."""
    request = messages.CreateRunRequest(
        experiment_id=experiment_id or DEFAULT_EXPERIMENT,
        name=run_name,
        user_id=user_id,
        tags=cut(tags or {}, MAX_TAG_VALUE),
    )
    if start_time is not None:
        request.start_time.CopyFrom(timestamp(start_time, "start_time"))
    made = await call.ask(call.tracking.CreateRun, request)
    told = render.run(made.run)
    # As MLflow tells a run that nothing can have come of yet.
    del told["outputs"]
    return {"run": told}


async def get(call: Call, run_id: str) -> Any:
    """GET runs/get."""
    found = await call.ask(call.tracking.GetRun, messages.GetRunRequest(run_id=run_id))
    return {"run": render.run(found.run)}


async def update(
    call: Call,
    run_id: str,
    status: str | None = None,
    end_time: int | None = None,
    run_name: str | None = None,
) -> Any:
    """POST runs/update."""
    changed = messages.Run(run_id=run_id)
    paths = []
    if status is not None:
        changed.status = STATUSES[status]
        paths.append("status")
    if end_time is not None:
        changed.end_time.CopyFrom(timestamp(end_time, "end_time"))
        paths.append("end_time")
    if run_name:
        changed.name = run_name
        paths.append("name")
    if not paths:
        found = await call.ask(call.tracking.GetRun, messages.GetRunRequest(run_id=run_id))
    else:
        request = messages.UpdateRunRequest(run=changed, update_mask=FieldMask(paths=paths))
        found = await call.ask(call.tracking.UpdateRun, request)
    return {"run_info": render.run_info(found.run)}


async def delete(call: Call, run_id: str) -> Any:
    """POST runs/delete."""
    await call.ask(call.tracking.DeleteRun, messages.DeleteRunRequest(run_id=run_id))
    return {}


async def restore(call: Call, run_id: str) -> Any:
    """POST runs/restore."""
    await call.ask(call.tracking.RestoreRun, messages.RestoreRunRequest(run_id=run_id))
    return {}


async def search(
    call: Call,
    experiment_ids: Sequence[str] = (),
    filter: str = "",
    run_view_type: str = "ACTIVE_ONLY",
    max_results: int = 1000,
    order_by: Sequence[str] = (),
    page_token: str = "",
) -> Any:
    """POST runs/search."""
    if not 1 <= max_results <= MAX_RESULTS:
        raise wrong(max_results, "max_results", f"a number of runs from 1 to {MAX_RESULTS}")
    if not experiment_ids:
        return {}
    search = messages.SearchRunsRequest(
        experiment_ids=experiment_ids,
        filter=filter,
        order_by=order_by,
        view_type=VIEWS[run_view_type],
        page_size=max_results,
        page_token=page_token,
    )
    pieces: list[bytes] = []
    size = 0
    token = ""
    request = run_columns_pb2.SearchRunColumnsRequest(search=search)
    async with call.stream(call.tracking.SearchRunColumns, request) as parts:
        async for found in parts:
            # Written part by part: the messages of a large answer would weigh as much again.
            if found.run_ids:
                large = len(found.run_ids) > PLAIN_RUNS
                pieces.append(await aside(large, render_runs.runs, found))
                size += len(pieces[-1])
            token = found.next_page_token
            if size > MAX_ANSWER_BYTES:
                break
    if not pieces:
        return {}
    told = b',"next_page_token":' + orjson.dumps(token) if token else b""
    return b'{"runs":[' + b",".join(pieces) + b"]" + told + b"}"


async def log_param(call: Call, run_id: str, key: str, value: str = "") -> Any:
    """POST runs/log-parameter."""
    params = cut({key: value}, MAX_PARAM_VALUE)
    await call.ask(call.tracking.LogBatch, messages.LogBatchRequest(run_id=run_id, params=params))
    return {}


async def set_tag(call: Call, run_id: str, key: str, value: str = "") -> Any:
    """POST runs/set-tag."""
    tags = cut({key: value}, MAX_TAG_VALUE)
    await call.ask(call.tracking.LogBatch, messages.LogBatchRequest(run_id=run_id, tags=tags))
    return {}


async def delete_tag(call: Call, run_id: str, key: str) -> Any:
    """POST runs/delete-tag."""
    request = messages.DeleteRunTagsRequest(run_id=run_id, keys=[key])
    await call.ask(call.tracking.DeleteRunTags, request)
    return {}


async def log_inputs(
    call: Call,
    run_id: str,
    datasets: Sequence[dict[str, Any]] = (),
    models: Sequence[dict[str, str]] = (),
) -> Any:
    """POST runs/log-inputs."""
    inputs = [
        messages.DatasetInput(dataset=messages.Dataset(**each["dataset"]), tags=each.get("tags"))
        for each in datasets
    ]
    if inputs or models:
        request = messages.LogInputsRequest(
            run_id=run_id, inputs=inputs, models=[ModelInput(**each) for each in models]
        )
        await call.ask(call.tracking.LogInputs, request)
    return {}


async def log_outputs(call: Call, run_id: str, models: Sequence[dict[str, Any]]) -> Any:
    """POST runs/outputs."""
    if models:
        outputs = [ModelOutput(**each) for each in models]
        request = messages.LogOutputsRequest(run_id=run_id, models=outputs)
        await call.ask(call.tracking.LogOutputs, request)
    return {}


_MODEL_KEYS = ("artifact_path", "flavors", "utc_time_created", "run_id")


async def log_model(call: Call, run_id: str, model_json: str) -> Any:
    """POST runs/log-model: notes a model in the run's tag of models, as MLflow 2 reads it."""
    try:
        model = parse(model_json.encode())
    except (GatewayError, UnicodeError):
        raise refused("Malformed model info. The JSON of 'model_json' cannot be read.") from None
    lacking = [key for key in _MODEL_KEYS if not isinstance(model, dict) or key not in model]
    if lacking:
        raise refused(f"Model json is missing mandatory fields: {set(lacking)}")
    # Of several at once all but one would have to try again.
    async with call.remembered.noting.setdefault(run_id, asyncio.Lock()):
        for attempt in range(1, NOTING_ATTEMPTS + 1):
            try:
                await _note_model(call, run_id, model, repeated=attempt > 1)
                break
            except grpc.aio.AioRpcError as error:
                # By another gateway.
                if failure(error).reason != "ETAG_MISMATCH" or attempt == NOTING_ATTEMPTS:
                    raise
    return {}


async def _note_model(call: Call, run_id: str, model: Any, *, repeated: bool) -> None:
    found = await call.ask(call.tracking.GetRun, messages.GetRunRequest(run_id=run_id))
    before = found.run.tags.get(HISTORY_TAG, "")
    try:
        history = parse(before.encode()) if before else []
    except GatewayError:
        history = None
    if not isinstance(history, list):
        # Anything else would be lost by it.
        raise refused(
            f"The tag '{HISTORY_TAG}' of the run must be a JSON list of models; delete the tag."
        )
    if repeated and model in history:
        # Not by another gateway: it was written, and its answer lost.
        return
    try:
        # Python's words for NaN and infinities, which orjson would make null.
        tags = {HISTORY_TAG: json.dumps([*history, model])}
    except RecursionError:
        raise refused("Malformed model info. 'model_json' is nested too deep.") from None
    request = messages.LogBatchRequest(
        run_id=run_id, tags=tags, expected_tags={HISTORY_TAG: before}
    )
    await call.ask(call.tracking.LogBatch, request)

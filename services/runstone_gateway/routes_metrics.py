"""Metrics: points one by one become columns, and columns points."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import grpc

from runstone._writer import writers
from runstone.tracking.v1 import metric_pb2, run_pb2
from runstone.tracking.v1.logged_model_pb2 import ModelMetric
from runstone_gateway import appends, history
from runstone_gateway.call import Call
from runstone_gateway.errors import of_failure, parameter, refused
from runstone_gateway.fields import INT, INT64, NUMBER, TEXT, read_object, wrong
from runstone_gateway.routes_runs import MAX_PARAM_VALUE, MAX_TAG_VALUE, cut
from runstone_gateway.streaming import aside, begun
from runstone_kit.peers import failure

MAX_HISTORY = 25_000
"""Points of one answer of get-history-bulk, as MLflow has it."""

MAX_HISTORY_RUNS = 100
"""Runs of one call of get-history-bulk and -interval, as MLflow has it."""

MAX_INTERVAL = 2_500
"""Points of each run in an answer of get-history-bulk-interval, as MLflow has it."""

PLAIN_BATCH = 5_000
"""Points that are gathered in the event loop, in some milliseconds; MLflow's clients send 1,000."""

POINT = {
    "key": TEXT.required,
    "value": NUMBER.required,
    "timestamp": INT.required,
    "step": INT,
    "model_id": TEXT,
    "dataset_name": TEXT,
    "dataset_digest": TEXT,
}
"""A point of log-batch, and the parameters of log-metric beside the run's id."""

PLAIN_FIELDS = 3
"""Key, value and timestamp: a point with these, and perhaps a step, says nothing of a logged
model."""


def series_of(points: Sequence[Any]) -> tuple[list[metric_pb2.Series], list[ModelMetric]]:
    """Points as MLflow's JSON has them, gathered by key, and those of logged models once more.

    Raises GatewayError.
    """
    found: dict[str, metric_pb2.Series] = {}
    of_models: list[ModelMetric] = []
    for index, point in enumerate(points):
        if type(point) is not dict:
            raise wrong(point, f"metrics[{index}]", "an object")
        key, value = point.get("key"), point.get("value")
        time, step = point.get("timestamp"), point.get("step", 0)
        # Nearly all are like this; the rest is read, and refused, with care.
        if not (
            type(value) is float and type(time) is int and type(step) is int
            and type(key) is str and key
            and len(point) == PLAIN_FIELDS + ("step" in point)
        ):  # fmt: skip
            given = read_object(POINT, point, f"metrics[{index}].")
            key, value, time = given["key"], given["value"], given["timestamp"]
            step = given.get("step", 0)
            if given.get("model_id"):
                of_models.append(_model_metric(given))
        series = found.get(key)
        if series is None:
            series = found[key] = metric_pb2.Series(key=key)
        try:
            series.steps.append(step)
            series.timestamps_ms.append(time)
        except ValueError:
            read_object(POINT, point, f"metrics[{index}].")
            raise
        series.values.append(value)
    return list(found.values()), of_models


def _model_metric(given: dict[str, Any]) -> ModelMetric:
    return ModelMetric(
        key=given["key"],
        value=given["value"],
        step=given.get("step", 0),
        timestamp_ms=given["timestamp"],
        model_id=given["model_id"],
        dataset_name=given.get("dataset_name", ""),
        dataset_digest=given.get("dataset_digest", ""),
    )


async def log_metric(
    call: Call, run_id: str, key: str, value: float, timestamp: int, step: int = 0, **model: str
) -> Any:
    """POST runs/log-metric: a point of the run, and of the logged model that it names."""
    series = metric_pb2.Series(key=key, steps=[step], timestamps_ms=[timestamp], values=[value])
    of_models = []
    if model.get("model_id"):
        point = {"key": key, "value": value, "timestamp": timestamp, "step": step}
        of_models.append(_model_metric(point | model))
    await _append(call, run_id, [series], of_models, {}, {})
    return {}


async def log_batch(
    call: Call,
    run_id: str,
    metrics: Sequence[Any] = (),
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> Any:
    """POST runs/log-batch: all of it or nothing."""
    texts = params or {}, tags or {}
    try:
        await _write_batch(call, run_id, metrics, *texts)
    except grpc.aio.AioRpcError as error:
        raise of_failure(
            failure(error), lambda field: place(field, metrics, *texts) or parameter(field)
        ) from error
    return {}


_POINT_FIELD = re.compile(r"series\[(\d+)\]\.(?:key|timestamps_ms(?:\[(\d+)\])?)")
_MODEL_FIELD = re.compile(r"model_metrics\[(\d+)\]\.\w+")


def place(
    field: str, points: Sequence[Any], params: dict[str, str], tags: dict[str, str]
) -> str | None:
    """Where in the lists of log-batch a field of ours came from: ``metrics[1].name``."""
    if found := _POINT_FIELD.fullmatch(field):
        keys = [point["key"] for point in points]
        key = list(dict.fromkeys(keys))[int(found[1])]
        places = [index for index, each in enumerate(keys) if each == key]
        return f"metrics[{places[int(found[2] or 0)]}].{parameter(field)}"
    if found := _MODEL_FIELD.fullmatch(field):
        # As series_of gathers them.
        of_models = [
            index
            for index, point in enumerate(points)
            if point.get("model_id") or point.get("modelId")
        ]
        return f"metrics[{of_models[int(found[1])]}].{parameter(field)}"
    for name, texts in (("params", params), ("tags", tags)):
        for index, key in enumerate(texts):
            if field == f"{name}[{json.dumps(key, ensure_ascii=False)}]":
                return f"{name}[{index}].key"
    return None


async def _write_batch(
    call: Call, run_id: str, points: Sequence[Any], params: dict[str, str], tags: dict[str, str]
) -> None:
    series, of_models = await aside(len(points) > PLAIN_BATCH, series_of, points)
    params, tags = cut(params, MAX_PARAM_VALUE), cut(tags, MAX_TAG_VALUE)
    if series:
        await _append(call, run_id, series, of_models, params, tags)
    elif params or tags:
        request = run_pb2.LogBatchRequest(run_id=run_id, params=params, tags=tags)
        await call.ask(call.tracking.LogBatch, request)
    else:
        # Nothing to do, for a run that exists.
        await call.ask(call.tracking.GetRun, run_pb2.GetRunRequest(run_id=run_id))


async def _append(
    call: Call,
    run_id: str,
    series: Sequence[metric_pb2.Series],
    of_models: Sequence[ModelMetric],
    params: dict[str, str],
    tags: dict[str, str],
) -> None:
    with writers.batch(run_id) as (writer_id, sequence):
        if params or tags or of_models:
            batch = run_pb2.LogBatchRequest(
                run_id=run_id,
                params=params,
                tags=tags,
                series=series,
                writer_id=writer_id,
                sequence=sequence,
                model_metrics=of_models,
            )
            await call.ask(call.tracking.LogBatch, batch)
        else:
            # The same, gathered with what others write meanwhile.
            request = metric_pb2.AppendMetricsRequest(
                run_id=run_id, writer_id=writer_id, sequence=sequence, series=series
            )
            await appends.append(call, request)


async def get_history(
    call: Call, run_id: str, metric_key: str, max_results: int | None = None, page_token: str = ""
) -> Any:
    """GET metrics/get-history: every point, or a page of them; sent as the service gives them."""
    if max_results is not None and max_results <= 0:
        raise wrong(max_results, "max_results", "a positive whole number")
    request = metric_pb2.GetMetricHistoryRequest(
        run_id=run_id, key=metric_key, after=history.place(page_token)
    )
    try:
        return await begun(history.pieces(call, request, max_results))
    except grpc.aio.AioRpcError as error:
        _require_absence(error)
        return {"metrics": []}


def _require_absence(error: grpc.aio.AioRpcError) -> None:
    """Raise the error unless it says that a run or metric is not there: as MLflow has it, these
    have no points."""
    if failure(error).reason not in ("METRIC_NOT_FOUND", "RUN_NOT_FOUND"):
        raise error


async def get_history_bulk(
    call: Call, metric_key: str, run_id: Sequence[str] = (), max_results: int = MAX_HISTORY
) -> Any:
    """GET metrics/get-history-bulk: one metric of several runs, run by run."""
    if not run_id:
        raise refused("GetMetricHistoryBulk request must specify at least one run_id.")
    _check_runs("GetMetricHistoryBulk", run_id)
    left = max(0, min(max_results, MAX_HISTORY))
    pieces: list[bytes] = []
    for each in sorted(set(run_id)):
        request = metric_pb2.GetMetricHistoryRequest(run_id=each, key=metric_key)
        try:
            found = await history.first_points(call, request, left)
        except grpc.aio.AioRpcError as error:
            _require_absence(error)
            continue
        pieces.append(await _written(found, metric_key, each))
        left -= len(found)
        if left <= 0:
            break
    return _answer(pieces)


async def _written(found: history.Columns, key: str, run_id: str) -> bytes:
    return await aside(
        len(found) > history.PLAIN_POINTS, history.written, found, key, run_id=run_id
    )


def _answer(pieces: Iterable[bytes]) -> bytes:
    return b'{"metrics":[' + b",".join(filter(None, pieces)) + b"]}"


async def get_history_bulk_interval(
    call: Call,
    run_ids: Sequence[str],
    metric_key: str,
    start_step: int | None = None,
    end_step: int | None = None,
    max_results: int = MAX_INTERVAL,
) -> Any:
    """GET metrics/get-history-bulk-interval: a sample of the steps of each run in a range."""
    _check_runs("GetMetricHistoryBulkInterval", run_ids)
    if not 1 <= max_results <= MAX_INTERVAL:
        raise refused(f"max_results must be between 1 and {MAX_INTERVAL}.")
    if (start_step is None) != (end_step is None):
        raise refused("If either start step or end step are specified, both must be specified.")
    if start_step is not None and end_step is not None and start_step > end_step:
        raise refused(
            "end_step must be greater than start_step."
            f" Found start_step={start_step} and end_step={end_step}."
        )
    start = INT64[0] if start_step is None else start_step
    end = INT64[-1] if end_step is None else end_step
    pieces: list[bytes] = []
    for run_id in run_ids:
        request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key=metric_key)
        try:
            found = await history.points_between(call, request, start, end)
        except grpc.aio.AioRpcError as error:
            _require_absence(error)
            continue
        large = len(found) > history.PLAIN_POINTS
        found = await aside(large, history.sampled, found, max_results)
        pieces.append(await _written(found, metric_key, run_id))
    return _answer(pieces)


def _check_runs(name: str, run_ids: Sequence[str]) -> None:
    if len(run_ids) > MAX_HISTORY_RUNS:
        raise refused(
            f"{name} request cannot specify more than {MAX_HISTORY_RUNS} run_ids."
            f" Received {len(run_ids)} run_ids."
        )

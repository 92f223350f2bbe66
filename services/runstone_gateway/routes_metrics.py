"""Metrics: points one by one become columns, and columns points."""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import grpc

from runstone._writer import writers
from runstone.tracking.v1 import metric_pb2, run_pb2
from runstone.tracking.v1.logged_model_pb2 import ModelMetric
from runstone_gateway.call import Call
from runstone_gateway.errors import of_failure, parameter, refused
from runstone_gateway.fields import INT, NUMBER, TEXT, read_object, wrong
from runstone_gateway.render_tracking import number
from runstone_gateway.routes_runs import MAX_PARAM_VALUE, MAX_TAG_VALUE, cut
from runstone_kit.peers import failure

MAX_HISTORY = 25_000
"""Points of one answer of get-history-bulk, as MLflow has it."""

MAX_HISTORY_RUNS = 100
"""Runs of one call of get-history-bulk and -interval, as MLflow has it."""

MAX_INTERVAL = 2_500
"""Points of each run in an answer of get-history-bulk-interval, as MLflow has it."""

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
    series, of_models = series_of(points)
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
            await call.ask(call.tracking.AppendMetrics, request)


class Columns(NamedTuple):
    """Points of one metric of one run, by (timestamp, step, value)."""

    steps: array[int]
    timestamps: array[int]
    values: array[float]


async def _columns(call: Call, run_id: str, key: str, limit: int | None = None) -> Columns:
    """The points, or the first ``limit`` of them and perhaps more.

    None for a metric that the run lacks, and as MLflow has it none for a run that is not there.
    """
    found = Columns(array("q"), array("q"), array("d"))
    request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key=key)
    try:
        async for page in call.stream(call.tracking.GetMetricHistory, request):
            found.steps.extend(page.steps)
            found.timestamps.extend(page.timestamps_ms)
            found.values.extend(page.values)
            if limit is not None and len(found.steps) >= limit:
                break
    except grpc.aio.AioRpcError as error:
        if failure(error).reason not in ("METRIC_NOT_FOUND", "RUN_NOT_FOUND"):
            raise
    return found


def _points(found: Columns, which: Iterable[int], key: str, **more: str) -> list[dict[str, Any]]:
    """Points as JSON, each with its ``key`` and what else there is to tell of all of them."""
    steps, timestamps, values = found
    # NaN and infinities are rare, and one shows in the sum.
    plain = math.isfinite(sum(values))
    return [
        {
            "key": key,
            "value": values[index] if plain else number(values[index]),
            "timestamp": timestamps[index],
            "step": steps[index],
            **more,
        }
        for index in which
    ]


async def get_history(
    call: Call, run_id: str, metric_key: str, max_results: int | None = None, page_token: str = ""
) -> Any:
    """GET metrics/get-history: every point, or a page of them from an offset."""
    if max_results is not None and max_results <= 0:
        raise wrong(max_results, "max_results", "a positive whole number")
    if not page_token.isdigit() and page_token:
        raise wrong(page_token, "page_token", "the next_page_token of the page before")
    first = int(page_token or 0)
    end = None if max_results is None else first + max_results
    found = await _columns(call, run_id, metric_key, None if end is None else end + 1)
    total = len(found.steps)
    last = total if end is None else min(end, total)
    answer: dict[str, Any] = {"metrics": _points(found, range(min(first, total), last), metric_key)}
    if last < total:
        answer["next_page_token"] = str(last)
    return answer


async def get_history_bulk(
    call: Call, metric_key: str, run_id: Sequence[str] = (), max_results: int = MAX_HISTORY
) -> Any:
    """GET metrics/get-history-bulk: one metric of several runs, run by run."""
    if not run_id:
        raise refused("GetMetricHistoryBulk request must specify at least one run_id.")
    _check_runs("GetMetricHistoryBulk", run_id)
    left = max(0, min(max_results, MAX_HISTORY))
    points: list[dict[str, Any]] = []
    for each in sorted(set(run_id)):
        found = await _columns(call, each, metric_key, left)
        points += _points(found, range(min(left, len(found.steps))), metric_key, run_id=each)
        left = min(max_results, MAX_HISTORY) - len(points)
        if left <= 0:
            break
    return {"metrics": points}


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
    points: list[dict[str, Any]] = []
    for run_id in run_ids:
        found = await _columns(call, run_id, metric_key)
        inside = [
            index
            for index, step in enumerate(found.steps)
            if start_step is None or end_step is None or start_step <= step <= end_step
        ]
        chosen = _spread(sorted({found.steps[index] for index in inside}), max_results)
        which = [index for index in inside if found.steps[index] in chosen]
        which.sort(key=lambda index: (found.steps[index], found.timestamps[index]))
        points += _points(found, which[:max_results], metric_key, run_id=run_id)
    return {"metrics": points}


def _check_runs(name: str, run_ids: Sequence[str]) -> None:
    if len(run_ids) > MAX_HISTORY_RUNS:
        raise refused(
            f"{name} request cannot specify more than {MAX_HISTORY_RUNS} run_ids."
            f" Received {len(run_ids)} run_ids."
        )


def _spread(steps: Sequence[int], count: int) -> frozenset[int]:
    """At most ``count`` of the steps, at equal distances, the first and the last among them."""
    if len(steps) <= count:
        return frozenset(steps)
    if count == 1:
        return frozenset(steps[-1:])
    return frozenset(steps[round(i * (len(steps) - 1) / (count - 1))] for i in range(count))

"""Many runs as MLflow's JSON, written from columns: 20,000 of them are 900,000 small objects, and
each is put together from a few pieces of bytes instead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from runstone.tracking.v1 import run_columns_pb2
from runstone_gateway.render_tracking import (
    STATUS,
    dataset_input,
    model_input,
    model_output,
    number,
    stage,
)

RUN_NAME = "mlflow.runName"


def runs(found: run_columns_pb2.SearchRunColumnsResponse) -> bytes:
    """The runs, each an object, with commas between them; empty without runs."""
    count = len(found.run_ids)
    metrics = _metrics(found.metrics, count)
    params = _texts(found.params, count)
    tags = _texts(found.tags, count)
    _add_text(tags, RUN_NAME, range(count), found.names)
    inputs: list[bytes] = [b""] * count
    outputs: list[bytes] = [b',"outputs":{}'] * count
    for each in found.inputs:
        inputs[each.row], outputs[each.row] = _inputs(each), _outputs(each)
    return b",".join(
        b'{"info":%b,"data":{%b},"inputs":{%b}%b}'
        % (info, b",".join(filter(None, data)), inputs[row], outputs[row])
        for row, (info, *data) in enumerate(
            zip(
                _infos(found),
                map(_list, [b"metrics"] * count, metrics),
                map(_list, [b"params"] * count, params),
                map(_list, [b"tags"] * count, tags),
                strict=True,
            )
        )
    )


def _inputs(found: run_columns_pb2.RunInputs) -> bytes:
    inputs: dict[str, Any] = {}
    if found.inputs:
        inputs["dataset_inputs"] = [dataset_input(each) for each in found.inputs]
    if found.model_inputs:
        inputs["model_inputs"] = [model_input(each) for each in found.model_inputs]
    return orjson.dumps(inputs)[1:-1]


def _outputs(found: run_columns_pb2.RunInputs) -> bytes:
    if not found.model_outputs:
        return b',"outputs":{}'
    listed = orjson.dumps([model_output(each) for each in found.model_outputs])
    return b',"outputs":{"model_outputs":' + listed + b"}"


def _list(name: bytes, items: Sequence[bytes]) -> bytes:
    return b'"%b":[%b]' % (name, b",".join(items)) if items else b""


def _infos(found: run_columns_pb2.SearchRunColumnsResponse) -> Iterable[bytes]:
    columns = zip(
        found.run_ids,
        found.names,
        found.experiment_ids,
        found.user_ids,
        found.statuses,
        found.start_times_ms,
        found.end_times_ms,
        found.lifecycle_stages,
        strict=True,
    )
    for run_id, name, experiment_id, user_id, status, start, end, lifecycle in columns:
        info = {
            "run_uuid": run_id,
            "run_id": run_id,
            "run_name": name,
            "experiment_id": experiment_id,
            "user_id": user_id,
            "status": STATUS[status],
            "start_time": start,
            "artifact_uri": f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts",
            "lifecycle_stage": stage(lifecycle),
        }
        if end >= 0:
            info["end_time"] = end
        yield orjson.dumps(info)


def _metrics(columns: Iterable[run_columns_pb2.MetricColumn], count: int) -> list[list[bytes]]:
    found: list[list[bytes]] = [[] for _ in range(count)]
    for column in columns:
        head = b'{"key":%b,"value":' % orjson.dumps(column.key)
        values: list[Any] = list(column.values)
        if not math.isfinite(sum(values)):
            values = [number(value) for value in values]
        points = zip(
            column.rows or range(count),
            _each(values),
            _each(column.timestamps_ms),
            _each(column.steps),
            strict=True,
        )
        for row, value, time, step in points:
            found[row].append(b'%b%b,"timestamp":%b,"step":%b}' % (head, value, time, step))
    return found


def _each(numbers: Iterable[Any]) -> list[bytes]:
    """Each number as JSON."""
    return orjson.dumps(list(numbers))[1:-1].split(b",")


def _texts(columns: Iterable[run_columns_pb2.TextColumn], count: int) -> list[list[bytes]]:
    found: list[list[bytes]] = [[] for _ in range(count)]
    for column in columns:
        _add_text(found, column.key, column.rows or range(count), column.values)
    return found


def _add_text(
    found: list[list[bytes]], key: str, rows: Iterable[int], values: Iterable[str]
) -> None:
    head = b'{"key":%b,"value":' % orjson.dumps(key)
    for row, value in zip(rows, values, strict=True):
        found[row].append(b"%b%b}" % (head, orjson.dumps(value)))

"""Runs as columns: responses put one below the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from runstone._convert.tracking import artifact_uri, stage_name, status_name
from runstone._entities.runcolumns import RunColumns
from runstone.tracking.v1 import run_columns_pb2

RUN_NAME = "mlflow.runName"


def extend(found: RunColumns, message: run_columns_pb2.SearchRunColumnsResponse) -> None:
    """Put the runs of a response below those that are there."""
    first, count = len(found), len(message.run_ids)
    found.run_ids += message.run_ids
    found.experiment_ids += message.experiment_ids
    found.names += message.names
    # A status and a stage are one of a few.
    statuses = {number: status_name(number) for number in set(message.statuses)}
    stages = {number: stage_name(number) for number in set(message.lifecycle_stages)}
    found.statuses += [statuses[number] for number in message.statuses]
    found.lifecycle_stages += [stages[number] for number in message.lifecycle_stages]
    found.user_ids += message.user_ids
    found.artifact_uris += map(artifact_uri, message.run_ids)
    found.start_times += message.start_times_ms
    found.end_times += [None if time < 0 else time for time in message.end_times_ms]
    _add(found.metrics, message.metrics, math.nan, first, count)
    _add(found.params, message.params, None, first, count)
    _add(found.tags, message.tags, None, first, count)
    found.tags.setdefault(RUN_NAME, []).extend(message.names)
    found.token = message.next_page_token or None


def _add(
    by_key: dict[str, list[Any]], columns: Iterable[Any], missing: Any, first: int, count: int
) -> None:
    for column in columns:
        values: Sequence[Any] = column.values
        if column.rows:
            sparse = [missing] * count
            for row, value in zip(column.rows, values, strict=True):
                sparse[row] = value
            values = sparse
        have = by_key.setdefault(column.key, [])
        # Runs before these may have lacked it.
        have.extend([missing] * (first - len(have)))
        have.extend(values)


def clear(found: RunColumns) -> None:
    """Forget every run."""
    fresh = RunColumns()
    for each in fields(found):
        setattr(found, each.name, getattr(fresh, each.name))


def complete(found: RunColumns) -> None:
    """Give every column a place for every run."""
    for by_key, missing in ((found.metrics, math.nan), (found.params, None), (found.tags, None)):
        columns: dict[str, list[Any]] = by_key
        for values in columns.values():
            values.extend([missing] * (len(found) - len(values)))

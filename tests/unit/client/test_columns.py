"""Histories as columns: arrays of the standard library, of numpy, and a DataFrame."""

from __future__ import annotations

import math
from typing import Any

import grpc
import numpy as np
import pandas as pd

from runstone import Client
from runstone.entities import Metric
from runstone.tracking.v1 import metric_pb2

Page = metric_pb2.GetMetricHistoryResponse


def answering(server: Any, *pages: Page) -> Client:
    server.answers["GetMetricHistory"] = lambda _request, _context: iter(pages)
    return Client(server.uri)


def test_pages_become_columns(server: Any) -> None:
    client = answering(
        server,
        Page(steps=[0, -(2**63)], timestamps_ms=[-1, 5], values=[0.5, math.inf]),
        Page(steps=[2**63 - 1], timestamps_ms=[6], values=[math.nan]),
    )
    found = client.get_metric_columns("a", "loss")
    assert (found.key, len(found)) == ("loss", 3)
    assert found.steps.tolist() == [0, -(2**63), 2**63 - 1]
    assert found.timestamps.tolist() == [-1, 5, 6]
    assert found.values[:2].tolist() == [0.5, math.inf]
    assert not found.ranks
    arrays = found.to_numpy()
    assert {name: column.dtype for name, column in arrays.items()} == {
        "step": np.dtype("int64"),
        "timestamp": np.dtype("int64"),
        "value": np.dtype("float64"),
    }
    assert np.shares_memory(arrays["value"], np.frombuffer(found.values))
    assert math.isnan(arrays["value"][2])
    table = found.to_pandas()
    assert list(table) == ["step", "timestamp", "value"]
    assert table["timestamp"].tolist() == [
        pd.Timestamp(each, unit="ms", tz="UTC") for each in (-1, 5, 6)
    ]


def test_a_point_without_rank_beside_those_with_one(server: Any) -> None:
    client = answering(
        server,
        Page(steps=[1], timestamps_ms=[1], values=[1.0]),
        Page(steps=[1, 2], timestamps_ms=[2, 2], values=[2.0, 3.0], ranks=[0, -1]),
        Page(steps=[3], timestamps_ms=[3], values=[4.0]),
    )
    found = client.get_metric_columns("a", "loss")
    assert found.ranks.tolist() == [-1, 0, -1, -1]
    assert found.to_numpy()["rank"].tolist() == [-1, 0, -1, -1]
    table = found.to_pandas()
    assert table["rank"].isna().tolist() == [True, False, True, True]
    assert table["rank"].dtype == "Int64"
    assert client.get_metric_history("a", "loss") == [
        Metric("loss", 1.0, 1, 1, None),
        Metric("loss", 2.0, 2, 1, 0),
        Metric("loss", 3.0, 2, 2, None),
        Metric("loss", 4.0, 3, 3, None),
    ]


def test_a_metric_that_is_not_there_has_no_points(server: Any, refuse: Any) -> None:
    server.answers["GetMetricHistory"] = refuse("NOT_FOUND", "METRIC_NOT_FOUND")
    found = Client(server.uri).get_metric_columns("a", "none")
    assert (len(found), len(found.to_pandas())) == (0, 0)
    assert found.to_numpy()["value"].shape == (0,)


def test_columns_begin_anew_with_the_stream(server: Any) -> None:
    attempts = 0

    def answer(_request: Any, context: grpc.ServicerContext) -> Any:
        nonlocal attempts
        attempts += 1
        yield Page(steps=[1], timestamps_ms=[1], values=[attempts], ranks=[attempts])
        if attempts == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    server.answers["GetMetricHistory"] = answer
    found = Client(server.uri).get_metric_columns("a", "loss")
    assert (found.values.tolist(), found.ranks.tolist()) == ([2.0], [2])

"""Runs over HTTP: histories whole and page by page, answers that break off, notes of models."""

import http.client
import itertools
import json
import math
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import grpc
import psutil
import pytest

from runstone.tracking.v1 import metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from runstone_gateway.upstream import Addresses
from support.http_gateway import MLFLOW, Front, Gateway, front
from support.memory import Growth

INVALID = (400, "INVALID_PARAMETER_VALUE")
A_BATCH = 100_000

_sequences = itertools.count(1)


@pytest.fixture
def server(embedded: Gateway) -> Gateway:
    """One database is enough: histories are tested on both at the store."""
    return embedded


def log(server: Gateway, run_id: str, points: Sequence[tuple[int, int, float]]) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = TrackingServiceStub(channel)
        for first in range(0, len(points), A_BATCH):
            steps, times, values = zip(*points[first : first + A_BATCH], strict=True)
            series = metric_pb2.Series(key="m", steps=steps, timestamps_ms=times, values=values)
            stub.AppendMetrics(
                metric_pb2.AppendMetricsRequest(
                    run_id=run_id, writer_id=f"w{next(_sequences)}", sequence=1, series=[series]
                )
            )


def get(server: Gateway, what: str = "get-history", **query: Any) -> Any:
    return server.ask("GET", f"{MLFLOW}/metrics/{what}?{urlencode(query, doseq=True)}")


def path_of(run_id: str) -> str:
    return f"{MLFLOW}/metrics/get-history?run_id={run_id}&metric_key=m"


def points_of(answer: Any) -> list[tuple[int, int, Any]]:
    return [(each["step"], each["timestamp"], each["value"]) for each in answer["metrics"]]


def test_a_long_history_is_whole(server: Gateway) -> None:
    run_id = server.new_run()
    points = [(step, 1000 + step // 3, step / 7) for step in range(150_000)]
    log(server, run_id, points)
    answer = get(server, run_id=run_id, metric_key="m")
    assert answer.headers["content-type"] == "application/json"
    assert "content-length" not in answer.headers
    assert points_of(answer.json) == points
    assert answer.json["metrics"][0].keys() == {"key", "value", "timestamp", "step"}
    assert "next_page_token" not in answer.json
    assert server.ask("HEAD", path_of(run_id)).body == b""
    bulk = get(server, "get-history-bulk", run_id=[run_id], metric_key="m").json
    assert points_of(bulk) == points[:25_000]
    assert {each["run_id"] for each in bulk["metrics"]} == {run_id}
    some = get(
        server,
        "get-history-bulk-interval",
        run_ids=[run_id],
        metric_key="m",
        start_step=10,
        end_step=140_000,
        max_results=3,
    ).json
    assert points_of(some) == [points[10], points[70_005], points[140_000]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 11])
def test_a_history_page_by_page(server: Gateway, size: int) -> None:
    run_id = server.new_run()
    points = [(1, 5, 0.5), (1, 5, 0.25), (1, 5, math.nan), (0, 5, 1.0), (1, 5, -0.0), (1, 5, 0.0)]
    points += [(step, 6 + step // 2, 1.0) for step in range(4)]
    log(server, run_id, points)
    whole = get(server, run_id=run_id, metric_key="m").json["metrics"]
    assert len(whole) == len(points)
    found, query = [], {"run_id": run_id, "metric_key": "m", "max_results": size}
    for _ in points:
        page = get(server, **query).json
        assert 1 <= len(page["metrics"]) <= size
        found += page["metrics"]
        if "next_page_token" not in page:
            break
        assert len(page["metrics"]) == size
        query["page_token"] = page["next_page_token"]
        # What is logged between two pages before the place moves no other point.
        log(server, run_id, [(9, 1, 9.0)])
    assert found == whole


def test_what_is_not_there_has_no_points(server: Gateway) -> None:
    run_id = server.new_run()
    for query in ({"run_id": run_id}, {"run_id": "0" * 32}):
        assert get(server, metric_key="m", **query).json == {"metrics": []}
        assert get(server, metric_key="m", max_results=5, **query).json == {"metrics": []}
    log(server, run_id, [(1, 1, 1.0)])
    token = "9_9_0000000000000000_-1"
    answer = get(server, run_id=run_id, metric_key="m", page_token=token)
    assert answer.json == {"metrics": []}


@pytest.mark.parametrize("token", ["²", "5", "x", "1_2_0000000000000000_-2", "9" * 5000])
def test_a_token_of_nothing_is_refused_by_its_name(server: Gateway, token: str) -> None:
    answer = get(server, run_id=server.new_run(), metric_key="m", page_token=token)
    assert answer.error == INVALID
    assert "'page_token'" in answer.json["message"]


def test_digits_of_other_alphabets_and_deep_values_are_mistakes(server: Gateway) -> None:
    run_id = server.new_run()
    for name, value in (
        ("status", '"²"'),
        ("status", "[" * 1010 + "]" * 1010),
        ("run_name", "[" * 300 + "]" * 300),
        ("end_time", '{"a":' * 1000 + "1" + "}" * 1000),
    ):
        raw = f'{{"run_id": "{run_id}", "{name}": {value}}}'
        answer = server.ask(
            "POST", f"{MLFLOW}/runs/update", raw.encode(), {"Content-Type": "application/json"}
        )
        assert answer.error == INVALID
        assert f"'{name}'" in answer.json["message"]
    search = server.post(f"{MLFLOW}/runs/search", experiment_ids=["0"], filter="metrics.m > ²")
    assert search.error == INVALID


def log_model(server: Front, run_id: str, **more: Any) -> Any:
    model = {"artifact_path": "m", "flavors": {}, "utc_time_created": "t", "run_id": run_id}
    told = json.dumps(model | more)
    return server.post(f"{MLFLOW}/runs/log-model", run_id=run_id, model_json=told)


def models_of(server: Gateway, run_id: str) -> str:
    run = server.ask("GET", f"{MLFLOW}/runs/get?run_id={run_id}").json["run"]
    return {each["key"]: each["value"] for each in run["data"]["tags"]}["mlflow.log-model.history"]


def test_models_are_noted_behind_whatever_was_there(server: Gateway) -> None:
    run_id = server.new_run()
    tag = {"run_id": run_id, "key": "mlflow.log-model.history"}
    server.post(f"{MLFLOW}/runs/set-tag", value='[{"a": NaN}]', **tag)
    assert log_model(server, run_id, metadata={"loss": math.nan}).status == 200
    first, second = json.loads(models_of(server, run_id))
    assert math.isnan(first["a"])
    assert math.isnan(second["metadata"]["loss"])
    for value in ("{}", "5", "null", '"x"', "[", "²"):
        server.post(f"{MLFLOW}/runs/set-tag", value=value, **tag)
        answer = log_model(server, run_id)
        assert answer.error == INVALID, value
        assert "mlflow.log-model.history" in answer.json["message"]
        assert models_of(server, run_id) == value
    server.post(f"{MLFLOW}/runs/set-tag", value="[]", **tag)
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    assert log_model(server, run_id, metadata=deep).status == 200


def test_models_that_are_noted_at_once_are_all_noted(server: Gateway) -> None:
    run_id = server.new_run()
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda n: log_model(server, run_id, n=n).status, range(24))
        assert set(answers) == {200}
    assert sorted(each["n"] for each in json.loads(models_of(server, run_id))) == [*range(24)]


def test_models_that_two_gateways_note_at_once_are_all_noted(server: Gateway) -> None:
    run_id = server.new_run()
    with front(Addresses(*[server.address] * 3)) as other, ThreadPoolExecutor(8) as threads:
        places = [server, other] * 12
        answers = threads.map(lambda n: log_model(places[n], run_id, n=n).status, range(24))
        assert set(answers) == {200}
    assert sorted(each["n"] for each in json.loads(models_of(server, run_id))) == [*range(24)]


def test_answers_that_are_broken_off(server: Gateway) -> None:
    """More clients leave than the tracking service has places for streams, and later ones are
    answered. A run that is purged while its history is sent leaves an answer without an end."""
    run_id = server.new_run()
    log(server, run_id, [(step, step, 0.5) for step in range(1_600_000)])
    request = f"GET {path_of(run_id)} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Growth(psutil.Process(server.suite.process.pid)) as growth:
        for _ in range(12):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(request.encode())
                assert client.recv(100).startswith(b"HTTP/1.1 200")
        connection = server.connect()
        try:
            connection.request("GET", path_of(run_id))
            answer = connection.getresponse()
            assert answer.read(1000).startswith(b'{"metrics":[{')
            server.post(f"{MLFLOW}/runs/delete", run_id=run_id)
            with grpc.insecure_channel(server.address) as channel:
                TrackingServiceStub(channel).PurgeRuns(run_pb2.PurgeRunsRequest(run_ids=[run_id]))
            with pytest.raises(http.client.IncompleteRead):
                answer.read()
        finally:
            connection.close()
    # As objects the whole history would take 480 MiB, for each of them.
    assert growth.most < 400 * 2**20

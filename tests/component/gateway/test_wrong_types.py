"""Every parameter of every route, with a value of each wrong type: refused by its name."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from runstone_gateway.fields import Field
from runstone_gateway.routing import Route
from runstone_gateway.table import TABLE
from support.http_gateway import Gateway

# A right value of each parameter, by its name; what a route has otherwise stands below.
RIGHT: dict[str, Any] = {
    "allow_partial": True,
    "alias": "champion",
    "allow_deleted": True,
    "archive_existing_versions": True,
    "artifact_directory_path": "d",
    "artifact_file_path": "f",
    "artifact_location": "mlflow-artifacts:/1",
    "datasets": [
        {
            "dataset": {
                "name": "d",
                "digest": "1",
                "source_type": "local",
                "source": "x",
                "schema": "s",
                "profile": "p",
            },
            "tags": [{"key": "a", "value": "1"}],
        }
    ],
    "dataset_digest": "1",
    "dataset_name": "d",
    "description": "what it is",
    "end_step": 5,
    "end_time": 5,
    "event": {"entity": "MODEL_VERSION_TAG", "action": "SET"},
    "events": [{"entity": "MODEL_VERSION_TAG", "action": "SET"}],
    "experiment_id": "1",
    "experiment_ids": ["1"],
    "experiment_name": "e",
    "expiration": 900,
    "filter": "name = 'x'",
    "key": "k",
    "locations": [{"mlflow_experiment": {"experiment_id": "1"}}],
    "max_results": 5,
    "max_timestamp_millis": 5,
    "max_traces": 5,
    "metric_key": "loss",
    "metrics": [{"key": "loss", "value": 0.5, "timestamp": 1, "step": 2}],
    "model_id": "m-" + "0" * 32,
    "model_json": "{}",
    "model_type": "classifier",
    "models": [{"model_id": "m-" + "0" * 32}],
    "name": "x",
    "new_name": "y",
    "num_parts": 1,
    "order_by": ["name"],
    "page_token": "",
    "params": [{"key": "a", "value": "1"}],
    "parts": [{"part_number": 1, "etag": "x", "url": "http://example.com"}],
    "path": "f",
    "request_id": "tr-1",
    "request_ids": ["tr-1"],
    "request_metadata": [{"key": "a", "value": "1"}],
    "run_id": "0" * 32,
    "run_ids": ["0" * 32],
    "run_link": "http://example.com",
    "run_name": "r",
    "run_uuid": "0" * 32,
    "run_view_type": "ALL",
    "secret": "hush",
    "source": "s3://bucket/x",
    "source_run_id": "0" * 32,
    "stage": "Staging",
    "stages": ["Staging"],
    "start_step": 1,
    "start_time": 1,
    "status": "RUNNING",
    "step": 1,
    "tags": [{"key": "a", "value": "1"}],
    "timestamp": 1,
    "timestamp_ms": 1,
    "trace": {
        "trace_info": {
            "trace_id": "tr-1",
            "trace_location": {"mlflow_experiment": {"experiment_id": "1"}},
            "request_time": "2025-01-31T12:00:00Z",
            "execution_duration": "1.5s",
            "state": "OK",
            "client_request_id": "c",
            "request_preview": "q",
            "response_preview": "a",
            "trace_metadata": {"a": "1"},
            "tags": {"a": "1"},
        }
    },
    "trace_id": "tr-1",
    "trace_ids": ["tr-1"],
    "upload_id": "u",
    "url": "https://example.com",
    "user_id": "u",
    "value": "v",
    "version": "1",
    "view_type": "ALL",
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "2.0/mlflow/logged-models/search": {
        "datasets": [{"dataset_name": "d", "dataset_digest": "1"}],
        "order_by": [
            {
                "field_name": "metrics.loss",
                "ascending": True,
                "dataset_name": "d",
                "dataset_digest": "1",
            }
        ],
    },
    "2.0/mlflow/logged-models/{model_id}": {"status": "LOGGED_MODEL_READY"},
    "2.0/mlflow/runs/outputs": {"models": [{"model_id": "m-" + "0" * 32, "step": 1}]},
    "2.0/mlflow/metrics/get-history-bulk": {"run_id": ["0" * 32]},
    "2.0/mlflow/runs/log-metric": {"value": 0.5},
    "2.0/mlflow/traces/{trace_id}": {"status": "OK"},
    "2.0/mlflow/webhooks": {"status": "ACTIVE"},
    "2.0/mlflow/webhooks/{webhook_id}": {"status": "ACTIVE"},
}

EVENTS = {f"{path}.{part}" for path in ("event", "events[0]") for part in ("entity", "action")}
ENUMS = {"status", "trace.trace_info.state", "run_view_type", "view_type"} | EVENTS
"""These may come as numbers, too."""

FROM_ZERO = {"status", "trace.trace_info.state"}
"""Of a trace, 0 says nothing."""

WRONG: dict[type, list[Any]] = {
    str: [1, 0, 1.5, True, False, [], ["x"], {}, {"a": 1}],
    int: ["x", "", "1.5", "1_0", " 1", "0x1", 1.5, 2**63, -(2**70), 1e300, True, [], [1], {}],
    float: ["x", "", "nan", "1_0", " 1", True, [], [1.5], {}],
    bool: ["x", "", "1", 1, 0, 1.5, [], [True], {}],
    list: ["x", "", 1, 0, 1.5, True, {}, {"0": "x"}],
    dict: ["x", "", 1, 0, 1.5, True, [], [{}]],
}


class Case(NamedTuple):
    """A wrong value of a parameter, and the path by which the answer must name what is wrong."""

    value: Any
    path: str


def wrong_values(right: Any, path: str) -> Iterator[Case]:
    """What a value of this kind must not be, in itself and within."""
    for value in WRONG[type(right)]:
        if path in ENUMS and value == 1 and type(value) is int:
            continue
        if path in FROM_ZERO and value == 0 and type(value) is int:
            continue
        yield Case(value, path)
    if isinstance(right, list):
        for each in wrong_values(right[0], f"{path}[0]"):
            yield Case([each.value], each.path)
        yield from (
            Case([right[0], each.value], each.path)
            for each in wrong_values(right[0], f"{path}[1]")
            if type(each.value) is int
        )
    if isinstance(right, dict):
        for key in right:
            for each in wrong_values(right[key], f"{path}.{key}"):
                yield Case({**right, key: each.value}, each.path)


def right_values(route: Route) -> dict[str, Any]:
    """A right value for each parameter of a route. KeyError: RIGHT lacks one."""
    return {name: {**RIGHT, **OTHERWISE.get(route.path, {})}[name] for name in route.fields}


ROUTES = [route for route in TABLE if route.fields]
IN_BODIES = [route for route in ROUTES if not route.streams]
IN_QUERIES = [route for route in ROUTES if route.streams or route.method == "GET"]


def path_of(route: Route) -> str:
    return route.paths[0].replace("{", "").replace("}", "").replace(":path", "")


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def refusal(server: Gateway, route: Route, query: str, body: Any) -> str:
    """The message of a refusal for a wrong parameter."""
    raw = None if body is None else json.dumps(body)
    headers = {} if raw is None else {"Content-Type": "application/json"}
    answer = server.ask(route.method, path_of(route) + query, raw, headers)
    assert answer.error == (400, "INVALID_PARAMETER_VALUE"), (query, body, answer.body)
    message = answer.json["message"]
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("route", IN_BODIES, ids=named)
def test_values_of_wrong_types_are_refused_by_name(embedded: Gateway, route: Route) -> None:
    right = right_values(route)
    for name, value in right.items():
        for case in wrong_values(value, name):
            said = refusal(embedded, route, "", {**right, name: case.value})
            assert f"'{case.path}'" in said, (case, said)


@pytest.mark.parametrize("route", IN_BODIES, ids=named)
def test_required_parameters_are_missed_by_name(embedded: Gateway, route: Route) -> None:
    right = right_values(route)
    for name, field in route.fields.items():
        if field.is_required:
            for lacking in (None, ""):
                said = refusal(embedded, route, "", {**right, name: lacking})
                assert f"Missing value for required parameter '{name}'" in said
            rest = {key: value for key, value in right.items() if key != name}
            said = refusal(embedded, route, "", rest)
            assert f"Missing value for required parameter '{name}'" in said


# All that a query can get wrong: everything in it is text.
WRONG_TEXTS: dict[type, list[str]] = {
    int: ["x", "1.5", "1e3", "0x1", " 1", "9223372036854775808", "٣"],
    float: ["x", "nan", "1_0"],
    bool: ["x", "1"],
}


def wrong_texts(field: Field, name: str, right: Any) -> list[str]:
    return ["x", "9", "running"] if name in ENUMS else WRONG_TEXTS.get(type(right), [])


@pytest.mark.parametrize("route", IN_QUERIES, ids=named)
def test_queries_with_wrong_values_are_refused_by_name(embedded: Gateway, route: Route) -> None:
    right = right_values(route)
    for name, field in route.fields.items():
        for text in wrong_texts(field, name, right[name]):
            query = "?" + urlencode({**right, name: text}, doseq=True)
            assert f"'{name}'" in refusal(embedded, route, query, None)
        if field.is_required:
            rest = {key: value for key, value in right.items() if key != name}
            said = refusal(
                embedded, route, "?" + urlencode(rest or {"other": "x"}, doseq=True), None
            )
            assert f"Missing value for required parameter '{name}'" in said

"""What is no request at all, over every route: refused as a mistake of its sender, nothing kept.

Values of wrong types are in test_wrong_types.py, paths in test_paths.py and test_more_paths.py.
"""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from component.gateway.test_wrong_types import (
    IN_BODIES,
    IN_QUERIES,
    named,
    path_of,
    right_values,
)
from runstone_gateway.routing import Route, Routes
from runstone_gateway.table import TABLE
from support.http_gateway import MLFLOW, PROXY, Answer, Gateway, root

JSON = {"Content-Type": "application/json"}
ZIPPED = {**JSON, "Content-Encoding": "gzip"}
INVALID = (400, "INVALID_PARAMETER_VALUE")

NO_OBJECTS: list[tuple[bytes, dict[str, str]]] = [
    *(
        (raw, JSON)
        for raw in (b"{", b"a=b&c=d", b"\xff\xfe{}", b"[]", b"5", b'"text"', b"{'a': 1}")
    ),
    *((raw, JSON) for raw in (b'{"a": "\\ud800"}', b"[" * 100_000, b"{}{}", b"\xef\xbb\xbf{")),
    *((raw, ZIPPED) for raw in (b"no gzip", gzip.compress(b"{}")[:-9], gzip.compress(b"{"))),
    (b"{}", {"Content-Type": "text/plain"}),
    (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}),
]

ODD_TEXTS = ["\x1b[31m\u2028\U0001f6d1\ufffe\r\n' OR 1=1 --%s%n{0}${x}", "x" * 2**20]


def send(server: Gateway, route: Route, body: Any) -> Answer:
    return server.ask(route.method, path_of(route), json.dumps(body), JSON)


def is_mistake_or_done(answer: Answer) -> bool:
    """Whether the answer is what a client can use: no fault of ours, and an error told as one."""
    if answer.status < 400:
        return True
    # A store that is a folder gives no URLs, and says so.
    return answer.status < 500 or answer.error == (501, "NOT_IMPLEMENTED")


@pytest.mark.parametrize("route", [each for each in IN_BODIES if each.method != "GET"], ids=named)
def test_a_body_that_is_no_object_is_refused_everywhere(embedded: Gateway, route: Route) -> None:
    for raw, headers in NO_OBJECTS:
        answer = embedded.ask(route.method, path_of(route), raw, headers)
        assert answer.error == INVALID, (raw[:40], headers)
        assert answer.json["message"]


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each text in a value, as a way to make the value again with another text in its place."""
    if isinstance(value, str):
        yield (lambda text: text), value
    elif isinstance(value, list):
        for index, each in enumerate(value):
            for make, text in leaves(each):
                yield (
                    (
                        lambda new, make=make, index=index: [
                            *value[:index],
                            make(new),
                            *value[index + 1 :],
                        ]
                    ),
                    text,
                )
    elif isinstance(value, dict):
        for key, each in value.items():
            for make, text in leaves(each):
                yield (lambda new, make=make, key=key: {**value, key: make(new)}), text


@pytest.mark.parametrize("route", IN_BODIES, ids=named)
def test_texts_that_no_text_has_are_refused(on_s3: Gateway, route: Route) -> None:
    """PostgreSQL has no place for NUL: what it would refuse must never come to it."""
    for make, _ in leaves(right_values(route)):
        answer = send(on_s3, route, make("a\0b"))
        assert is_mistake_or_done(answer), (make("a\0b"), answer.body)


@pytest.mark.parametrize("route", IN_BODIES, ids=named)
def test_odd_texts_are_never_a_fault_of_the_server(embedded: Gateway, route: Route) -> None:
    for make, _ in leaves(right_values(route)):
        for text in ODD_TEXTS:
            answer = send(embedded, route, make(text))
            assert is_mistake_or_done(answer), (make(text), answer.body[:500])


def test_a_nul_in_what_is_kept_is_refused(server: Gateway) -> None:
    run_id = server.new_run()
    for path, body in {
        "runs/set-tag": {"key": "k", "value": "a\0b"},
        "runs/log-parameter": {"key": "k", "value": "a\0b"},
        "runs/log-metric": {"key": "k\0", "value": 1.0, "timestamp": 1},
        "runs/update": {"run_name": "a\0b"},
        "runs/log-batch": {
            "metrics": [{"key": "m", "value": 1.0, "timestamp": 1}],
            "tags": [{"key": "k", "value": "\0"}],
        },
    }.items():
        assert server.post(f"{MLFLOW}/{path}", run_id=run_id, **body).error == INVALID, path
    data = server.ask("GET", f"{MLFLOW}/runs/get?run_id={run_id}").json["run"]["data"]
    assert set(data) == {"tags"}
    assert [each["key"] for each in data["tags"]] == ["mlflow.runName"]


def test_numbers_that_json_has_not_are_kept_as_mlflow_keeps_them(server: Gateway) -> None:
    run_id = server.new_run()
    for key, number in {
        "nan": "NaN",
        "inf": "Infinity",
        "over": "1e999",
        "under": "-1e999",
    }.items():
        raw = f'{{"run_id": "{run_id}", "key": "{key}", "value": {number}, "timestamp": 1}}'
        assert server.ask("POST", f"{MLFLOW}/runs/log-metric", raw, JSON).json == {}
    data = server.ask("GET", f"{MLFLOW}/runs/get?run_id={run_id}").json["run"]["data"]
    kept = {each["key"]: each["value"] for each in data["metrics"]}
    largest = 1.7976931348623157e308
    assert kept == {"nan": "NaN", "inf": largest, "over": largest, "under": -largest}
    for field in ("timestamp", "step"):
        for number in ("NaN", "1e999", "-Infinity"):
            point = f'"key": "k", "value": 1, "timestamp": 1, "{field}": {number}'
            raw = f'{{"run_id": "{run_id}", {point}}}'
            answer = server.ask("POST", f"{MLFLOW}/runs/log-metric", raw, JSON)
            assert answer.error == INVALID
            assert f"'{field}'" in answer.json["message"]


def test_of_a_key_that_is_there_twice_the_last_counts(server: Gateway) -> None:
    """As with MLflow, and as with every other reader of JSON."""
    run_id = server.new_run()
    raw = (
        f'{{"run_id": "{"0" * 32}", "run_id": "{run_id}", "key": "k", "value": "1", "value": "2"}}'
    )
    assert server.ask("POST", f"{MLFLOW}/runs/set-tag", raw, JSON).json == {}
    found = server.ask("GET", f"{MLFLOW}/runs/get?run_id={run_id}").json["run"]["data"]["tags"]
    assert {"key": "k", "value": "2"} in found


ROUTES = Routes(TABLE)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")


def test_methods_that_a_path_has_not_are_refused(embedded: Gateway) -> None:
    by_path: dict[str, set[str]] = {}
    for route in TABLE:
        by_path.setdefault(path_of(route), set()).add(route.method)
    for path, has in by_path.items():
        for method in METHODS:
            # A path with parameters may be one of another line, too.
            if method not in has and not is_there(path, method):
                answer = embedded.ask(method, path, b"{}", JSON)
                assert answer.error == (405, "ENDPOINT_NOT_FOUND"), (method, path)
                assert has <= set(answer.headers["allow"].split(", "))


def is_there(path: str, method: str) -> bool:
    """Whether some line of the table takes a method at a path."""
    return method in ROUTES.find(path)[0]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/api",
            "/api/",
            "/api/2.0",
            "/api/2.0/mlflow",
            "/api/2.0/mlflow/",
            "/api/2.0/mlflow/runs",
        ),
        *(f"{MLFLOW}/runs/create/", f"{MLFLOW}//runs/create", f"{MLFLOW}/runs/Create"),
        *(
            "/api/1.0/mlflow/runs/create",
            "/api/2.1/mlflow/runs/create",
            "/API/2.0/mlflow/runs/create",
        ),
        *("/ajax-api/../api/2.0/mlflow/runs/create", "/api/%2e%2e/etc/passwd", "//etc/passwd"),
        *(f"{MLFLOW}/runs/create%00", f"{MLFLOW}/runs/create%0a", "/%ff", "/..;/health"),
        *("/get-artifact/", "/v1", "/v1/traces/", "/.env", "/api/2.0/mlflow/users/create"),
    ],
)
def test_paths_that_are_none_are_not_there(embedded: Gateway, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        body = None if method == "GET" else b"{}"
        answer = embedded.ask(method, path, body, JSON)
        assert answer.error == (404, "ENDPOINT_NOT_FOUND"), method


@pytest.mark.parametrize("route", IN_QUERIES, ids=named)
def test_queries_that_are_no_text_are_refused(embedded: Gateway, route: Route) -> None:
    name = next(iter(route.fields))
    for query in (
        f"{name}=%ff",
        f"{name}=%00",
        f"{name}=%",
        "=&&=",
        f"{name}[]=x",
        f"{name}=x" * 500,
    ):
        answer = embedded.ask(route.method, f"{path_of(route)}?{query}")
        assert is_mistake_or_done(answer), (query, answer.body)


def test_pages_from_elsewhere_change_nothing(embedded: Gateway) -> None:
    run_id = embedded.new_run()
    body = json.dumps({"run_id": run_id, "key": "k", "value": "v"})
    put = f"{PROXY}/artifacts/{root(run_id)}/f"
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        asked = embedded.ask("POST", f"{MLFLOW}/runs/set-tag", body, {**JSON, **headers})
        assert asked.error == (403, "PERMISSION_DENIED")
        assert embedded.ask("PUT", put, b"x", headers).status == 403
        assert embedded.ask("DELETE", put, None, headers).status == 403
    assert embedded.ask("GET", put, None, {"Host": "evil.example"}).status == 403
    found = embedded.ask("GET", f"{MLFLOW}/runs/get?run_id={run_id}").json["run"]["data"]["tags"]
    assert "k" not in [each["key"] for each in found]
    assert embedded.ask("GET", put).error == (404, "RESOURCE_DOES_NOT_EXIST")

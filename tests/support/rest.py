"""One REST request to MLflow's server and to ours, and what of the answers must be the same."""

from __future__ import annotations

import http.client
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from support.compat import says_the_same

SECONDS = 60.0
API = "/api/2.0/mlflow"

# What a parameter of each kind cannot be: its JSON type is another.
WRONG_TYPES: dict[str, tuple[Any, ...]] = {
    "string": (5, True, 1.5, ["a"], {"a": 1}),
    "integer": ("abc", True, 1.5, [1], {"a": 1}, 2**70),
    "number": ("abc", True, [1], {"a": 1}),
    "list": ("abc", 5, True, {"a": 1}, [None], [[]]),
    "boolean": ("abc", 5, [True], {"a": 1}),
}
# What has the right type, or stands for "absent", and may still be wrong.
ODD: dict[str, tuple[Any, ...]] = {
    "string": (None, ""),
    "integer": ("5", None, -1),
    "number": ("1.5", None),
    "list": (None, []),
    "boolean": (None, "true"),
}


class Endpoint(NamedTuple):
    """A method and a path with parameters that are right: name to (kind, value).

    Values may hold ``{experiment}``, ``{run}`` and the like, which each server fills in.
    """

    method: str
    path: str
    parameters: Mapping[str, tuple[str, Any]]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Request(NamedTuple):
    """What is sent: ``body`` as it stands, or none. ``wrong`` is a parameter of a wrong type."""

    name: str
    method: str
    path: str
    query: dict[str, Any]
    body: bytes | None
    wrong: str = ""


class Answer(NamedTuple):
    """A status and what stood in the body: JSON where it is some, else its text."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        return str(self.body.get("error_code", "")) if isinstance(self.body, dict) else ""

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""


def send(url: str, request: Request) -> Answer:
    """The answer of a server; AssertionError when it gives none."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=SECONDS)
    target = request.path + (f"?{urlencode(request.query, doseq=True)}" if request.query else "")
    headers = {"Content-Type": "application/json"} if request.body is not None else {}
    try:
        connection.request(request.method, target, request.body, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    try:
        return Answer(answer.status, json.loads(text))
    except ValueError:
        return Answer(answer.status, text.decode("utf-8", errors="replace"))


def shape(value: Any, leave_out: Collection[str] = ()) -> Any:
    """The keys and kinds of a JSON value; of a list, those of all its elements."""
    if isinstance(value, dict):
        return {
            key: shape(each, leave_out)
            for key, each in sorted(value.items())
            if key not in leave_out
        }
    if isinstance(value, list):
        kinds = [shape(each, leave_out) for each in value]
        if all(isinstance(each, dict) for each in kinds):
            return [{key: each[key] for each in kinds for key in each}] if kinds else []
        return sorted({json.dumps(each) for each in kinds})
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def difference(
    expected: Answer, got: Answer, leave_out: Collection[str] = (), wrong: str = ""
) -> str | None:
    """What a client would notice, in a line; None when it would notice nothing.

    A 500 of MLflow's is a fault of its: ours is then any refusal that is not one. What its web
    framework refuses has no error code to compare. Of some parameters MLflow takes a ``wrong``
    type in silence, where ours names it. Fields of ``leave_out`` are known to be absent.
    """
    refused = (got.status, got.code) == (400, "INVALID_PARAMETER_VALUE")
    if wrong and refused and expected.status < 400:
        same = f"'{wrong}" in got.message
    elif expected.status >= 500:
        same = 400 <= got.status < 500
    elif expected.status >= 400:
        same = expected.status == got.status and (
            not expected.code
            or (expected.code == got.code and says_the_same(expected.message, got.message))
        )
    else:
        same = (expected.status, shape(expected.body, leave_out)) == (
            got.status,
            shape(got.body, leave_out),
        )
    return None if same else f"MLflow {_told(expected)}; Runstone {_told(got)}"


def _told(answer: Answer) -> str:
    if answer.status < 400:
        return f"{answer.status} {json.dumps(shape(answer.body))[:300]}"
    return f"{answer.status} {answer.code}: {answer.message[:160] or str(answer.body)[:160]!r}"


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """A value with ``{experiment}`` and the like replaced, at any depth."""
    if isinstance(value, str):
        for name, each in names.items():
            value = value.replace(f"{{{name}}}", each)
        return value
    if isinstance(value, list):
        return [filled(each, names) for each in value]
    if isinstance(value, dict):
        return {key: filled(each, names) for key, each in value.items()}
    return value


def requests(endpoint: Endpoint, names: Mapping[str, str]) -> Iterator[Request]:
    """Every wrong request that the table makes of an endpoint, and at last the right one."""
    good = {key: filled(value, names) for key, (_, value) in endpoint.parameters.items()}
    path = filled(endpoint.path, names)
    for key, (kind, _) in endpoint.parameters.items():
        yield _request(endpoint, path, f"without {key}", {**good, key: ...})
        if endpoint.method != "GET":
            for value in WRONG_TYPES[kind]:
                values = {**good, key: value}
                yield _request(endpoint, path, f"{key} is {value!r}", values, wrong=key)
            for value in ODD[kind]:
                yield _request(endpoint, path, f"{key} is {value!r}", {**good, key: value})
        elif kind == "integer":
            for value in ("abc", "1.5", "-1", "", str(2**70)):
                yield _request(endpoint, path, f"{key} is {value!r}", {**good, key: value})
        else:
            yield _request(endpoint, path, f"{key} is ''", {**good, key: ""})
    if endpoint.method != "GET":
        for body in (b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"{'a': 1}", b'{"a": NaN}'):
            yield Request(f"body {body!r}", endpoint.method, path, {}, body)
    yield _request(endpoint, path, "with an unknown field", {**good, "colour": "x"})
    for method in ("PUT", "GET" if endpoint.method != "GET" else "DELETE"):
        yield Request(f"by {method}", method, path, {}, None)
    yield _request(endpoint, path, "as it should be", good)


def _request(
    endpoint: Endpoint, path: str, name: str, values: Mapping[str, Any], wrong: str = ""
) -> Request:
    given = {key: value for key, value in values.items() if value is not ...}
    if endpoint.method == "GET":
        return Request(name, "GET", path, given, None, wrong)
    return Request(name, endpoint.method, path, {}, json.dumps(given).encode(), wrong)

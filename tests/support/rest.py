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
    "object": ("abc", 5, True, ["a"]),
}
# What has the right type, or stands for "absent", and may still be wrong.
ODD: dict[str, tuple[Any, ...]] = {
    "string": (None, ""),
    "integer": ("5", None, -1),
    "number": ("1.5", None),
    "list": (None, []),
    "boolean": (None, "true"),
    "object": (None, {}),
}


class Endpoint(NamedTuple):
    """A method and a path with parameters that are right: name to (kind, value).

    Values may hold ``{experiment}``, ``{run}`` and the like, which each server fills in. A name
    with dots is that of a field in an object. With ``data``, a file's bytes, the parameters stand
    in the query. With a ``case``, something else about the endpoint, only the right request is
    sent.
    """

    method: str
    path: str
    parameters: Mapping[str, tuple[str, Any]]
    data: bytes | None = None
    case: str = ""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}" + (f" ({self.case})" if self.case else "")

    @property
    def asks_in_query(self) -> bool:
        return self.method == "GET" or self.data is not None

    def about(self, case: str) -> Endpoint:
        """The same as a single request, told apart from others of its path."""
        return self._replace(case=case)


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
    type in silence, or says first that it cannot do such a thing at all, where ours names it.
    Fields of ``leave_out`` are known to be absent.
    """
    cannot = expected.code == "NOT_IMPLEMENTED"
    refused = (got.status, got.code) == (400, "INVALID_PARAMETER_VALUE")
    if wrong and refused and (cannot or expected.status < 400):
        same = f"'{wrong}" in got.message
    elif expected.status >= 500 and not cannot:
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


def filled(request: Request, names: Mapping[str, str]) -> Request:
    """A request with ``{experiment}`` and the like replaced by what they are on a server."""

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(each) for each in value]
        for name, each in names.items() if isinstance(value, str) else ():
            value = value.replace(f"{{{name}}}", each)
        return value

    query = {key: text(value) for key, value in request.query.items()}
    body = None if request.body is None else _bytes(request.body, names)
    return request._replace(path=text(request.path), query=query, body=body)


def _bytes(body: bytes, names: Mapping[str, str]) -> bytes:
    for name, each in names.items():
        body = body.replace(f"{{{name}}}".encode(), each.encode())
    return body


BODIES = (b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"{'a': 1}", b'{"a": NaN}')
"""What is no object of JSON, or an empty one."""


def requests(endpoint: Endpoint) -> Iterator[Request]:
    """Every wrong request that the table makes of an endpoint, and at last the right one."""
    good = {key: value for key, (_, value) in endpoint.parameters.items()}
    if not endpoint.case:
        yield from _wrong_requests(endpoint, good)
    yield _request(endpoint, "as it should be", good)


def _wrong_requests(endpoint: Endpoint, good: Mapping[str, Any]) -> Iterator[Request]:
    for key, (kind, _) in endpoint.parameters.items():
        yield _request(endpoint, f"without {key}", {**good, key: ...})
        if not endpoint.asks_in_query:
            for value in WRONG_TYPES[kind]:
                yield _request(endpoint, f"{key} is {value!r}", {**good, key: value}, wrong=key)
            for value in ODD[kind]:
                yield _request(endpoint, f"{key} is {value!r}", {**good, key: value})
        elif kind == "integer":
            for value in ("abc", "1.5", "-1", "", str(2**70)):
                yield _request(endpoint, f"{key} is {value!r}", {**good, key: value})
        else:
            yield _request(endpoint, f"{key} is ''", {**good, key: ""})
    if not endpoint.asks_in_query:
        for body in BODIES:
            yield Request(f"body {body!r}", endpoint.method, endpoint.path, {}, body)
    yield _request(endpoint, "with an unknown field", {**good, "colour": "x"})
    for method in ("PUT", "GET" if endpoint.method != "GET" else "DELETE"):
        if method != endpoint.method:
            yield Request(f"by {method}", method, endpoint.path, {}, None)


def _request(endpoint: Endpoint, name: str, values: Mapping[str, Any], wrong: str = "") -> Request:
    given = {key: value for key, value in values.items() if value is not ...}
    method, path = endpoint.method, endpoint.path
    if endpoint.asks_in_query:
        return Request(name, method, path, given, endpoint.data, wrong)
    return Request(name, method, path, {}, json.dumps(_nested(given)).encode(), wrong)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Objects in objects of names with dots."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        *outer, last = name.split(".")
        place = whole
        for each in outer:
            place = place.setdefault(each, {})
        place[last] = value
    return whole

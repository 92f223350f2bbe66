"""Takes a request through its line of the table: parameters in, handler, answer or error out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import orjson
import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runstone_gateway.body import read_json
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError, of_failure
from runstone_gateway.fields import Fields, read_object, wrong
from runstone_gateway.identity import OPEN, check
from runstone_gateway.routing import Route, Routes
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.upstream import Upstream
from runstone_kit.ids import SystemIds
from runstone_kit.peers import failure
from runstone_kit.tokens import TokenFile

REQUEST_ID = "x-request-id"

AccessWriter = Callable[[str, str, float, str, str, str], None]

_WELL_FORMED_ID = re.compile(r"[!-~]{1,128}")

_handled = Counter(
    "http_server_requests_total",
    "Requests that were answered.",
    ["http_method", "http_route", "http_status"],
)
_seconds = Histogram(
    "http_server_request_seconds",
    "From the request's head to the end of its answer.",
    ["http_method", "http_route"],
)
_log = structlog.get_logger("runstone_gateway")


class Dispatcher:
    """The ASGI application below the guards. ``upstream`` is set once the event loop runs."""

    def __init__(
        self,
        routes: Routes,
        settings: GatewaySettings,
        write_access: AccessWriter | None,
        tokens: TokenFile | None = None,
    ) -> None:
        self._routes = routes
        self._tokens = tokens
        self._settings = settings
        self._write_access = write_access
        self._ids = SystemIds()
        self.upstream: Upstream | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        request = Request(scope, receive)
        request_id = request.headers.get(REQUEST_ID, "")
        if _WELL_FORMED_ID.fullmatch(request_id) is None:
            request_id = self._ids.hex_id()
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        methods, found = self._routes.find(scope["path"])
        route = methods.get(method)
        said = ""
        try:
            if route is None:
                raise _no_route(scope["method"], scope["path"], methods)
            response = await self._answer(route, request, request_id, found)
        except ClientDisconnect:
            return
        except GatewayError as error:
            said = error.message
            response = _error(error)
            if error.status == 405:
                response.headers["allow"] = ", ".join(sorted(methods))
        response.headers[REQUEST_ID] = request_id
        try:
            await response(scope, receive, send)
        finally:
            self._note(scope["method"], route, response.status_code, began, request_id, said)

    async def _answer(
        self, route: Route, request: Request, request_id: str, found: dict[str, str]
    ) -> Response:
        assert self.upstream is not None, "the application was not started"
        try:
            call = Call(request, request_id, self.upstream, self._settings)
            if self._tokens is not None and route.path not in OPEN:
                if call.unreadable is not None:
                    raise call.unreadable
                check(self._tokens, call.authorization)
            values = read_object(route.fields, await self._given(route, request))
            _require_one_meaning(values, found)
            answer = await route.handler(call, **{**values, **found})
        except (GatewayError, ClientDisconnect):
            raise
        except grpc.aio.AioRpcError as error:
            raise of_failure(failure(error)) from error
        except Exception:
            _log.exception("unforeseen", route=route.path, request_id=request_id)
            message = f"An unforeseen error; the gateway's log has it under {request_id}."
            raise GatewayError("INTERNAL_ERROR", message) from None
        if isinstance(answer, Response):
            return answer
        raw = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        return Response(raw, media_type="application/json")

    async def _given(self, route: Route, request: Request) -> Mapping[str, Any]:
        if route.streams or (route.method == "GET" and request.query_params):
            return _from_query(request, route.fields)
        return await read_json(request, self._settings.max_json_bytes)

    def _note(
        self,
        method: str,
        route: Route | None,
        status: int,
        began: float,
        request_id: str,
        said: str,
    ) -> None:
        seconds = time.perf_counter() - began
        # The path is the caller's; only ours may be a label.
        path = "unknown" if route is None else route.path
        if route is None and method not in _METHODS:
            method = "unknown"
        _handled.labels(method, path, str(status)).inc()
        _seconds.labels(method, path).observe(seconds)
        if self._write_access is not None:
            self._write_access(
                f"{method} {path}", str(status), 1000 * seconds, request_id, "", said
            )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _require_one_meaning(values: Mapping[str, Any], found: Mapping[str, str]) -> None:
    """A parameter that stands in the path, and once more in the body, must be the same there."""
    for name in values.keys() & found.keys():
        if values[name] not in ("", found[name]):
            raise wrong(values[name], name, f"{found[name]!r}, which stands in the path")


def _from_query(request: Request, fields: Fields) -> dict[str, Any]:
    query = request.query_params
    given: dict[str, Any] = dict(query)
    for name, field in fields.items():
        if field.many and name in query:
            given[name] = query.getlist(name)
    return given


def _no_route(method: str, path: str, methods: Mapping[str, Route]) -> GatewayError:
    if methods:
        allowed = ", ".join(sorted(methods))
        return GatewayError(
            "ENDPOINT_NOT_FOUND", f"{path} takes {allowed}, not {method}.", status=405
        )
    return GatewayError("ENDPOINT_NOT_FOUND", f"There is no {path} here.")


def _error(error: GatewayError) -> Response:
    return Response(
        orjson.dumps(error.body),
        status_code=error.status,
        media_type="application/json",
        headers=error.headers,
    )

"""The HTTP application (ASGI): paths, limits, and the way to the pool in which models predict.

Written to ASGI itself: a prediction for one row takes less than a framework's way to it.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from runstone._serving import infer_http, inference, parsing, refusals, rendering
from runstone._serving.batching import Batcher
from runstone._serving.engine import SERVING, STOPPING, Engine, log
from runstone._serving.refusals import Refusal
from runstone._version import __version__

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Body = TypeVar("Body")
Send = Callable[[dict[str, Any]], Awaitable[None]]

MOST_WAITING = 1000
"""Requests in one process at once: those behind so many would be late in any case."""

JSON = b"application/json"
BYTES = b"application/octet-stream"
TEXT = b"text/plain; charset=utf-8"
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"

_MODEL = re.compile(
    r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<verb>ready|infer))?"
)


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Gone(Exception):
    """The caller hung up before its request was here."""


class App:
    """Serves one engine.

    Args:
        pool: Where predictions run; the event loop only moves bytes.
    """

    def __init__(self, engine: Engine, pool: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._pool = pool
        self._timeout_s = engine.settings.timeout_s
        self._most = engine.settings.max_body_bytes
        self._in_flight = 0
        self._batcher = Batcher(engine, self._in_pool) if engine.settings.batch_rows > 1 else None
        self._plain: dict[str, Callable[[], Answer]] = {
            "/ping": self._health,
            "/health": self._health,
            "/version": lambda: Answer(200, __version__.encode(), TEXT),
            "/metrics": self._metrics,
            "/v2": lambda: _told(inference.server()),
            "/v2/health/live": lambda: _told({"live": True}),
            "/v2/health/ready": self._ready,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served, not {scope['type']}")
        meters, path = self._engine.meters, scope["path"]
        began = time.perf_counter()
        meters.began()
        self._in_flight += 1
        endpoint = path if path == "/invocations" or path in self._plain else "other"
        status = 499
        try:
            try:
                if path == "/invocations":
                    answer = await self._invocations(scope, receive)
                elif (plain := self._plain.get(path)) is not None:
                    answer = _only(scope, "GET", plain)
                elif (found := _MODEL.fullmatch(path)) is not None:
                    endpoint = f"/v2/models/{found['verb'] or ''}"
                    answer = await self._inference(scope, receive, found)
                else:
                    raise Refusal(f"there is nothing at {path!r:.200}", 404, "ENDPOINT_NOT_FOUND")
            except Refusal as refusal:
                answer = _refused(refusal, v2=path.startswith("/v2"))
            except Gone:
                return
            except Exception as error:
                log.exception("a request failed at %s", path)
                answer = _refused(refusals.failed(RuntimeError(type(error).__name__), "the server"))
            status = answer.status
            await _send(send, answer)
        finally:
            self._in_flight -= 1
            meters.ended(endpoint, status, time.perf_counter() - began)

    async def _invocations(self, scope: Scope, receive: Receive) -> Answer:
        _check_method(scope, "POST")
        self._check_room()
        kind = _header(scope, b"content-type")
        if not kind:
            raise refusals.unsupported(
                f"Content-Type must be {parsing.JSON}, {parsing.CSV} or {parsing.PARQUET}"
            )
        parsing.media_type(kind)
        return Answer(200, await self._timed(self._predicted(scope, receive, kind)))

    async def _predicted(self, scope: Scope, receive: Receive, kind: str) -> bytes:
        body = await self._body(scope, receive)
        if self._batcher is None:
            found: bytes = await self._in_pool(functools.partial(self._engine.answer, body, kind))
            return found
        return await self._batched(self._batcher, body, kind)

    async def _batched(self, batcher: Batcher, body: bytes, kind: str) -> bytes:
        import pandas as pd

        with self._engine.using() as loaded:
            query = await self._in_pool(lambda: parsing.read(body, kind, loaded.taken))
            if isinstance(query.data, pd.DataFrame) and not query.params and len(query.data):
                found = await batcher.predict(loaded, query.data)
            else:
                found = await self._in_pool(
                    lambda: self._engine.predict(loaded, query.data, query.params)
                )
        rendered: bytes = await self._in_pool(
            lambda: rendering.predictions(found, whole=query.whole)
        )
        return rendered

    async def _inference(self, scope: Scope, receive: Receive, found: re.Match[str]) -> Answer:
        verb = found["verb"]
        _check_method(scope, "POST" if verb == "infer" else "GET")
        inference.check_named(self._engine, found["name"], found["version"])
        if verb == "ready":
            return self._ready()
        self._check_room()
        if verb is None:
            with self._engine.using() as loaded:
                return _told(inference.described(self._engine.name, loaded))

        length = _header(scope, infer_http.LENGTH)

        async def work() -> tuple[bytes, int | None]:
            body = await self._body(scope, receive)
            answer: tuple[bytes, int | None] = await self._in_pool(
                lambda: infer_http.answer(self._engine, body, length)
            )
            return answer

        told, text = await self._timed(work())
        if text is None:
            return Answer(200, told)
        return Answer(200, told, BYTES, ((infer_http.LENGTH, b"%d" % text),))

    async def _timed(self, work: Awaitable[Body]) -> Body:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await work
        except TimeoutError:
            raise refusals.too_late(self._timeout_s) from None

    def _in_pool(self, work: Callable[[], Any]) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        length = _header(scope, b"content-length")
        if length.isdigit() and int(length) > self._most:
            raise refusals.too_large(self._most)
        try:
            return await self._received(receive)
        except asyncio.CancelledError:
            if self._engine.state == STOPPING:
                raise
            # The time of the whole request passed while its body was still to come.
            raise refusals.too_slow(self._timeout_s) from None

    async def _received(self, receive: Receive) -> bytes:
        pieces, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._most:
                raise refusals.too_large(self._most)
            if not message.get("more_body"):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check_room(self) -> None:
        self._engine.check_serving()
        if self._in_flight > MOST_WAITING:
            raise refusals.unavailable(f"{MOST_WAITING} requests wait already; try again later")

    def _health(self) -> Answer:
        self._engine.check_serving()
        return Answer(200, b"\n")

    def _ready(self) -> Answer:
        ready = self._engine.state == SERVING
        return _told({"name": self._engine.name, "ready": ready}, 200 if ready else 503)

    def _metrics(self) -> Answer:
        page = self._engine.meters.page()
        if page is None:
            raise Refusal("prometheus-client is not installed here", 404, "ENDPOINT_NOT_FOUND")
        return Answer(200, page, PROMETHEUS)


def _only(scope: Scope, method: str, plain: Callable[[], Answer]) -> Answer:
    _check_method(scope, method)
    return plain()


def _check_method(scope: Scope, method: str) -> None:
    if scope["method"] != method and not (method == "GET" and scope["method"] == "HEAD"):
        raise Refusal(f"this takes {method}, not {scope['method']}", 405, "METHOD_NOT_ALLOWED")


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


def _told(document: dict[str, Any], status: int = 200) -> Answer:
    import orjson

    return Answer(status, orjson.dumps(document))


def _refused(refusal: Refusal, *, v2: bool = False) -> Answer:
    if v2:
        return _told({"error": refusal.message}, refusal.status)
    return _told({"error_code": refusal.code, "message": refusal.message}, refusal.status)


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.kind),
        (b"content-length", b"%d" % len(answer.body)),
        *answer.headers,
    ]
    if answer.status == 503:
        headers.append((b"retry-after", b"1"))
    if answer.status in {408, 413}:
        # What is left of the body would be taken for the next request, or waited for.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

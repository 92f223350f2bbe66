"""Keeps other people's web pages out: which Host and which Origin a request may carry.

A page of any web site can have its visitor's browser call a server on the visitor's own machine or
network, by a name that its owner points there (DNS rebinding) or across origins. The Host header
gives the first away: it is never an address, nor "localhost". The Origin header gives the second.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runstone_gateway.errors import GatewayError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Change nothing; a page of another origin cannot read their answers without our leave."""

PREFLIGHT_SECONDS = 600
"""A browser may keep our leave for so long."""

METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"


class HostGuard:
    """ASGI middleware: 403 for names that are not ours and origins that were not allowed."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], origins: Sequence[str]) -> None:
        self._app = app
        self._hosts = [host.lower() for host in hosts]
        self._origins = [origin.lower().rstrip("/") for origin in origins]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        # Liveness probes and load balancers call by whatever name they have.
        if scope["path"] != "/health" and not self._known(host):
            await _refuse(send, "Invalid Host header - possible DNS rebinding attack detected")
            return
        origin = headers.get("origin")
        if origin is None or _same(origin, host):
            await self._app(scope, receive, send)
            return
        allowed = "*" in self._origins or origin.lower() in self._origins
        if scope["method"] == "OPTIONS" and allowed:
            await _preflight(send, origin)
        elif allowed:
            await self._app(scope, receive, _with_leave(send, origin))
        elif scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
        else:
            await _refuse(send, "Cross-origin request blocked")

    def _known(self, host: str) -> bool:
        name = _name(host)
        if name == "localhost" or name.endswith(".localhost") or _is_address(name):
            return True
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._hosts)


def _name(host: str) -> str:
    """The host's name, without its port and without brackets."""
    if host.startswith("["):
        name, closed, _ = host[1:].partition("]")
        return name if closed else ""
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host
    except ValueError:
        return False


def _with_leave(send: Send, origin: str) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["access-control-allow-origin"] = origin
            headers.add_vary_header("Origin")
        await send(message)

    return told


async def _preflight(send: Send, origin: str) -> None:
    headers = {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": "*, Authorization",
        "access-control-max-age": str(PREFLIGHT_SECONDS),
        "vary": "Origin",
    }
    await _answer(send, 204, headers, b"")


async def _refuse(send: Send, message: str) -> None:
    error = GatewayError("PERMISSION_DENIED", message)
    headers = {"content-type": "application/json"}
    await _answer(send, error.status, headers, orjson.dumps(error.body))


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})

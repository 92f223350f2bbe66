"""Puts the gateway's application together: guards, routes, and the way to the services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from runstone_gateway.dispatch import AccessWriter, Dispatcher
from runstone_gateway.hosts import HostGuard
from runstone_gateway.routing import Routes
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.table import TABLE
from runstone_gateway.upstream import Addresses, Upstream
from runstone_kit.logs import access_writer
from runstone_kit.tokens import TokenFile


def build(settings: GatewaySettings, addresses: Addresses) -> Starlette:
    """The application; it connects to the services when its event loop starts.

    Raises TokensError when the file of tokens cannot be used.
    """
    tokens = None if settings.tokens_file is None else TokenFile(settings.tokens_file)
    dispatcher = Dispatcher(Routes(TABLE), settings, _access(settings), tokens)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        dispatcher.upstream = Upstream(addresses, settings.max_transfers)
        try:
            yield
        finally:
            await dispatcher.upstream.close()

    guard = Middleware(
        HostGuard, hosts=_list(settings.allowed_hosts), origins=_list(settings.allowed_origins)
    )
    app = Starlette(middleware=[guard], lifespan=lifespan)
    # Not mounted: a mount's pattern does not match paths with line ends.
    app.router.default = dispatcher
    return app


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _access(settings: GatewaySettings) -> AccessWriter | None:
    if settings.access_log == "off":
        return None
    write = access_writer("gateway", settings.log_format)
    if settings.access_log == "all":
        return write

    def failures(
        method: str, code: str, ms: float, request_id: str, actor: str, message: str
    ) -> None:
        # Not found is an answer, as it is to the services' logs.
        if code >= "400" and code != "404":
            write(method, code, ms, request_id, actor, message)

    return failures

"""A header of Authorization: judged where tokens are, and nobody's business elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any, cast

import pytest

from runstone_gateway.call import Call
from runstone_gateway.dispatch import Dispatcher
from runstone_gateway.routing import Route, Routes
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.upstream import Upstream
from runstone_kit.tokens import TokenFile

FOREIGN = ["Negotiate YII=", "AWS4-HMAC-SHA256 Credential=a/b", "Basic bm90aGluZw==", "Basic %"]


class NoServices:
    tracking = artifact = registry = remembered = None


async def seen(call: Call) -> dict[str, Any]:
    """What is passed on to the services."""
    return {"authorization": call.authorization}


def asked(path: str, header: str, tokens: TokenFile | None) -> tuple[int, Any]:
    async def call() -> tuple[int, Any]:
        dispatcher = Dispatcher(ROUTES, GatewaySettings(), None, tokens)
        dispatcher.upstream = cast("Upstream", NoServices())
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"authorization", header.encode())],
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await dispatcher(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])

    return asyncio.run(call())


ROUTES = Routes([Route("GET", "/health", seen), Route("GET", "/x", seen)])


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    path = tmp_path / "tokens"
    path.write_text(f"ada sha256:{hashlib.sha256(b'secret').hexdigest()}\n", "utf-8")
    return TokenFile(path)


@pytest.mark.parametrize("header", FOREIGN)
def test_without_tokens_a_proxys_header_is_nothing_to_us(header: str) -> None:
    for path in ("/health", "/x"):
        assert asked(path, header, None) == (200, {"authorization": ""})


@pytest.mark.parametrize("header", FOREIGN)
def test_with_tokens_it_is_refused_but_not_to_probes(header: str, tokens: TokenFile) -> None:
    assert asked("/health", header, tokens)[0] == 200
    status, said = asked("/x", header, tokens)
    assert (status, said["error_code"]) == (401, "UNAUTHENTICATED")
    assert "Authorization" in said["message"] or "Basic" in said["message"]
    assert asked("/x", "Bearer secret", tokens) == (200, {"authorization": "Bearer secret"})

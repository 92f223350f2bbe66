"""Whose pages may use the gateway, and under which names it is called."""

import asyncio
from typing import Any

import pytest

from runstone_gateway.hosts import HostGuard


def answer(
    method: str = "POST",
    path: str = "/api/2.0/mlflow/runs/create",
    hosts: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
    **headers: str,
) -> tuple[int, dict[str, str]]:
    """Status and headers; 200 from the application behind the guard."""
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a guard reads no body")

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(HostGuard(app, hosts, origins)(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:5000", "LOCALHOST", "runs.localhost:5000"),
        *("127.0.0.1:5000", "10.1.2.3", "[::1]:5000", "[::1]", "203.0.113.7"),
    ],
)
def test_addresses_and_localhost_are_always_ours(host: str) -> None:
    assert answer(host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:5000", "localhost.evil.example", "127.0.0.1.evil.example"),
        *(
            "",
            "[::1",
            "notlocalhost",
            "127.1",
            "0x7f000001",
            "2130706433",
            "evil.example:@localhost",
        ),
    ],
)
def test_any_other_name_may_lead_here_by_rebinding(host: str) -> None:
    assert answer(host=host)[0] == 403


def test_a_request_without_a_host_is_refused() -> None:
    assert answer()[0] == 403


@pytest.mark.parametrize(
    ("pattern", "host", "status"),
    [
        ("runs.example.com", "runs.example.com:443", 200),
        ("Runs.Example.com", "runs.example.com", 200),
        ("*.example.com", "a.example.com", 200),
        ("*.example.com", "example.com", 403),
        ("*.example.com", "a.example.com.evil.org", 403),
        ("*", "anything.at.all", 200),
    ],
)
def test_names_that_the_operator_gave(pattern: str, host: str, status: int) -> None:
    assert answer(hosts=(pattern,), host=host)[0] == status


def test_probes_call_by_any_name() -> None:
    assert answer("GET", "/health", host="pod-7")[0] == 200


HERE = "127.0.0.1:5000"


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [
        ("POST", f"http://{HERE}", 200),
        ("POST", "http://localhost:3000", 403),
        ("POST", "https://evil.example", 403),
        ("DELETE", "https://evil.example", 403),
        ("POST", "null", 403),
        ("POST", "http://[", 403),
        ("GET", "https://evil.example", 200),
        ("OPTIONS", "https://evil.example", 200),
    ],
)
def test_pages_of_other_origins_change_nothing(method: str, origin: str, status: int) -> None:
    found, headers = answer(method, host=HERE, origin=origin)
    assert found == status
    # Without this header no page of another origin reads the answer.
    assert "access-control-allow-origin" not in headers


def test_an_origin_that_was_allowed() -> None:
    app = "https://app.example.com"
    status, headers = answer("OPTIONS", origins=(app,), host=HERE, origin=app)
    assert (status, headers["access-control-allow-origin"]) == (204, app)
    status, headers = answer("POST", origins=(app,), host=HERE, origin=app)
    assert (status, headers["access-control-allow-origin"], headers["vary"]) == (200, app, "Origin")
    assert answer("POST", origins=(app,), host=HERE, origin="https://other.example.com")[0] == 403

"""Bodies: bounded, decompressed, and read as MLflow's servers read them."""

import asyncio
import gzip
import json
import math
import threading
import zlib
from typing import Any

import pytest
from starlette.requests import Request

from runstone_gateway import body
from runstone_gateway.errors import GatewayError

LIMIT = 10_000

ZIPPED = gzip.compress(b'{"a": 1}', mtime=0)


def read(raw: bytes, pieces: int = 1, **headers: str) -> Any:
    """What is read of a body that comes in pieces."""
    told = {
        "content-type": "application/json",
        **{k.replace("_", "-"): headers[k] for k in headers},
    }
    size = max(1, -(-len(raw) // pieces))
    queue = [raw[start : start + size] for start in range(0, len(raw), size)] or [b""]

    async def receive() -> dict[str, Any]:
        piece = queue.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(queue)}

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
    }
    return asyncio.run(body.read_json(Request(scope, receive), LIMIT))


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", {}),
        (b"null", {}),
        (b'{"a": 1}', {"a": 1}),
        (b'"{\\"a\\": 1}"', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": Infinity, "b": -Infinity}', {"a": math.inf, "b": -math.inf}),
        (b'{"a": 1e999}', {"a": math.inf}),
        ('{"ä": "ü"}'.encode(), {"ä": "ü"}),
        (b'{"a": "\\u0000"}', {"a": "\0"}),
    ],
)
def test_what_is_read(raw: bytes, found: dict[str, Any]) -> None:
    assert read(raw) == found
    assert read(raw, pieces=3) == found


def test_nan_is_read() -> None:
    assert math.isnan(read(b'{"a": NaN}')["a"])


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"{]",
        b"a=b",
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"[" * 5000,
        b'{"a":' * 1500,
        b"[]",
        b"5",
        b"true",
        b'"text"',
        b'"5"',
    ],
)
def test_what_is_no_object_of_json(raw: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        read(raw)
    assert (raised.value.status, raised.value.code) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(GatewayError, match="Content-Type"):
        read(b"{}", content_type=kind)


def test_a_kind_with_parameters_is_the_same_kind() -> None:
    assert read(b"{}", content_type="Application/JSON; charset=utf-8") == {}


def test_gzip() -> None:
    assert read(ZIPPED, content_encoding="gzip") == {"a": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b"no gzip at all",
        ZIPPED[:-9],
        ZIPPED[:5],
        zlib.compress(b"{}"),
        ZIPPED[:-5] + b"12345",
    ],
)
def test_bad_gzip(raw: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        read(raw, content_encoding="gzip")
    assert raised.value.status == 400


def test_another_encoding_is_not_known() -> None:
    with pytest.raises(GatewayError) as raised:
        read(b"{}", content_encoding="br")
    assert raised.value.status == 415


def test_a_body_past_the_limit_is_refused_however_it_is_sent() -> None:
    large = b'{"a": "' + b"x" * LIMIT + b'"}'
    sent: list[tuple[bytes, dict[str, str]]] = [
        (large, {}),
        (large, {"content_length": str(len(large))}),
        # The lie is found when the bytes come.
        (large, {"content_length": "5"}),
        (gzip.compress(large), {"content_encoding": "gzip"}),
        (gzip.compress(b"\0" * 10**8), {"content_encoding": "gzip"}),
    ]
    for raw, headers in sent:
        with pytest.raises(GatewayError) as raised:
            read(raw, pieces=7, **headers)
        assert raised.value.status == 413


def test_a_length_that_is_no_number() -> None:
    with pytest.raises(GatewayError) as raised:
        read(b"{}", content_length="many")
    assert raised.value.status == 400


def stopping(pieces: list[bytes], **headers: str) -> Request:
    """A request whose client sends these pieces of its body, and then nothing more."""
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": True}
        await asyncio.Event().wait()
        return {}

    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": told}, receive)


@pytest.mark.parametrize("pieces", [[], [b'{"a":'], [b"{", b" " * 2**18]])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_that_stops_is_given_up(
    pieces: list[bytes], encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "SILENCE_S", 0.02)
    if encoding == "gzip":
        pieces = [gzip.compress(b"".join(pieces))[:-1]] if pieces else []
    request = stopping(pieces, content_type="application/json", content_encoding=encoding)
    with pytest.raises(GatewayError, match="stopped for") as raised:
        asyncio.run(body.read_json(request, 2**20))
    assert raised.value.status == 408
    assert raised.value.headers == {"connection": "close"}


def test_a_large_gzip_does_not_hold_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    inflate = body._Inflating.add

    def add(self: Any, pieces: list[bytes]) -> None:
        threads.add(threading.current_thread())
        inflate(self, pieces)

    monkeypatch.setattr(body._Inflating, "add", add)
    monkeypatch.setattr(f"{__name__}.LIMIT", 10**7)
    text = "".join(map(str, range(200_000)))
    assert read(gzip.compress(json.dumps({"a": text}).encode()), 9, content_encoding="gzip") == {
        "a": text
    }
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("length", ["²", "9" * 5000, str(2**63), "-1", "1e3"])
def test_lengths_that_are_none_are_mistakes(length: str) -> None:
    with pytest.raises(GatewayError) as raised:
        body.declared_size(stopping([], content_length=length))
    assert raised.value.status in (400, 413)

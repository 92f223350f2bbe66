"""Reads JSON bodies: bounded, also after decompression, and as MLflow's servers read them."""

from __future__ import annotations

import asyncio
import json
import math
import zlib
from typing import Any

import orjson
from starlette.requests import Request

from runstone_gateway.errors import GatewayError, refused

GZIP = 16 + zlib.MAX_WBITS

PIECE_BYTES = 256 * 2**10
"""Read, and decompressed, at a time: so a small body cannot become a large one unseen."""

PLAIN_BYTES = 4 * 2**10
"""Of gzip that are decompressed in the event loop: they become 4 MiB at most, in some
milliseconds."""

LARGEST_BYTES = 2**63 - 1
"""What any service can be told of a size."""

SILENCE_S = 45.0
"""A client that sends nothing for so long is given up, before the service gives us up."""


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """The object in the body; empty when there is no body. Raises GatewayError."""
    raw = await read_bytes(request, limit)
    if not raw:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Else any web page could have a browser send it, without being asked for leave first.
        raise refused("Bad Request. Content-Type must be one of ['application/json'].")
    found = parse(raw)
    if isinstance(found, str):
        # Old clients encode twice.
        found = parse(found.encode("utf-8", "surrogatepass"))
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise refused(f"The body must be a JSON object, not {type(found).__name__}.")
    return found


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body, decompressed. Raises GatewayError when it is larger than ``limit`` bytes, or stops
    for SILENCE_S."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise GatewayError(
            "BAD_REQUEST", f"Content-Encoding {encoding!r} is not known; use gzip", status=415
        )
    if (declared_size(request) or 0) > limit:
        raise too_large(limit)
    body = Body(request)
    inflating = _Inflating(limit) if encoding == "gzip" else None
    found: list[bytes] = []
    total = 0
    while pieces := await body.pieces(PIECE_BYTES):
        size = sum(map(len, pieces))
        total += size
        if total > limit:
            raise too_large(limit)
        if inflating is None:
            found += pieces
        elif size > PLAIN_BYTES:
            # zlib lets other threads work meanwhile.
            await asyncio.to_thread(inflating.add, pieces)
        else:
            inflating.add(pieces)
    return b"".join(found if inflating is None else inflating.ended())


def declared_size(request: Request) -> int | None:
    """The body's bytes; None when they come without being counted before. Raises GatewayError."""
    declared = request.headers.get("content-length")
    if declared is None:
        return None
    if not declared.isascii() or not declared.isdigit():
        raise GatewayError("BAD_REQUEST", "Content-Length is no number")
    if len(declared) > len(str(LARGEST_BYTES)) or int(declared) > LARGEST_BYTES:
        raise too_large(LARGEST_BYTES)
    return int(declared)


def too_large(limit: int) -> GatewayError:
    """The answer to a body past its limit."""
    message = f"The body is too large: at most {limit} bytes are taken here."
    return GatewayError("BAD_REQUEST", message, status=413)


class _Inflating:
    """A gzip that comes in pieces: no more of it is held than what comes out of it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inflate = zlib.decompressobj(GZIP)
        self._found: list[bytes] = []
        self._total = 0
        self._began = False

    def add(self, pieces: list[bytes]) -> None:
        """Take the next pieces. Raises GatewayError."""
        self._began = True
        try:
            for piece in pieces:
                self._add(piece)
        except zlib.error:
            raise refused("The body is not gzip, though Content-Encoding says so.") from None

    def _add(self, raw: bytes) -> None:
        while not self._inflate.eof:
            piece = self._inflate.decompress(raw, PIECE_BYTES)
            raw = self._inflate.unconsumed_tail
            if not piece:
                return
            self._total += len(piece)
            if self._total > self._limit:
                raise too_large(self._limit)
            self._found.append(piece)

    def ended(self) -> list[bytes]:
        """What came out; nothing of a body that is empty. Raises GatewayError."""
        if self._began and not self._inflate.eof:
            raise refused("The gzip of the body ends too early.")
        return self._found


class Body:
    """A request's body, in pieces of the size that is asked for."""

    def __init__(self, request: Request) -> None:
        self._pieces = aiter(request.stream())

    async def read(self, wanted: int) -> bytes:
        """About ``wanted`` bytes. Empty at the end. Raises as ``pieces`` does."""
        return b"".join(await self.pieces(wanted))

    async def pieces(self, wanted: int, linger_s: float = math.inf) -> list[bytes]:
        """About ``wanted`` bytes, or what came within ``linger_s``. Empty at the end.

        Raises GatewayError for a silent client, ClientDisconnect.
        """
        pieces: list[bytes] = []
        size = 0
        loop = asyncio.get_running_loop()
        until = loop.time() + linger_s
        try:
            async with asyncio.timeout(SILENCE_S) as patience:
                async for piece in self._pieces:
                    if not piece:
                        continue
                    pieces.append(piece)
                    size += len(piece)
                    now = loop.time()
                    if size >= wanted or now > until:
                        break
                    if now > (patience.when() or 0) - SILENCE_S / 2:
                        patience.reschedule(now + SILENCE_S)
        except TimeoutError:
            message = f"The body stopped for {SILENCE_S:.0f} s before its end."
            raise GatewayError("BAD_REQUEST", message, status=408) from None
        return pieces


def parse(raw: bytes) -> Any:
    """The value of a JSON text. Raises GatewayError.

    Python clients write NaN and Infinity as bare words, and MLflow's servers take them, and
    numbers that no double holds as infinite ones.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        first = error
    try:
        found = json.loads(raw)
        # Half of a surrogate pair is no text: nothing behind the gateway can keep it.
        orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS)
    except (ValueError, TypeError, RecursionError):
        raise refused(f"The body is not JSON: {first}.") from None
    return found

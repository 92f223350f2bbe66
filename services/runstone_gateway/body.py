"""Reads JSON bodies: bounded, also after decompression, and as MLflow's servers read them."""

from __future__ import annotations

import json
import zlib
from typing import Any

import orjson
from starlette.requests import Request

from runstone_gateway.errors import GatewayError, refused

GZIP = 16 + zlib.MAX_WBITS

PIECE_BYTES = 256 * 2**10
"""Decompressed at a time, so that a small body cannot become a large one unseen."""


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
    """The body, decompressed. Raises GatewayError when it is larger than ``limit`` bytes."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise GatewayError(
            "BAD_REQUEST", f"Content-Encoding {encoding!r} is not known; use gzip", status=415
        )
    try:
        declared = int(request.headers.get("content-length", 0))
    except ValueError:
        raise GatewayError("BAD_REQUEST", "Content-Length is no number") from None
    if declared > limit:
        raise too_large(limit)
    pieces: list[bytes] = []
    total = 0
    async for piece in request.stream():
        total += len(piece)
        if total > limit:
            raise too_large(limit)
        pieces.append(piece)
    raw = b"".join(pieces)
    return _gunzip(raw, limit) if encoding == "gzip" and raw else raw


def too_large(limit: int) -> GatewayError:
    """The answer to a body past its limit."""
    message = f"The body is too large: at most {limit} bytes are taken here."
    return GatewayError("BAD_REQUEST", message, status=413)


def _gunzip(raw: bytes, limit: int) -> bytes:
    inflate = zlib.decompressobj(GZIP)
    pieces: list[bytes] = []
    total = 0
    try:
        while not inflate.eof:
            piece = inflate.decompress(raw, PIECE_BYTES)
            raw = inflate.unconsumed_tail
            if not piece and not raw:
                break
            total += len(piece)
            if total > limit:
                raise too_large(limit)
            pieces.append(piece)
    except zlib.error:
        raise refused("The body is not gzip, though Content-Encoding says so.") from None
    if not inflate.eof:
        raise refused("The gzip of the body ends too early.")
    return b"".join(pieces)


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

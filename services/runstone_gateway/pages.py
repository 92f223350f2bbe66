"""Answers that are several pages of a service."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from runstone_gateway.call import Call
from runstone_gateway.streaming import aside

PLAIN_ITEMS = 50
"""Are written in the event loop: a millisecond."""

MAX_ANSWER_BYTES = 64 * 2**20
"""Of one answer; a larger one ends early, with a token for the rest."""


async def collect(
    call: Call, method: Any, request: Any, name: str, render: Callable[[Any], Any], limit: int
) -> bytes:
    """As many pages of ``method`` as hold ``limit`` items, as JSON.

    ``name`` is the field of the items, in the response and in the answer alike. Written page by
    page: the objects of a large answer would weigh ten times its text.
    """
    pieces: list[bytes] = []
    size = 0
    while True:
        request.page_size = limit
        page = await call.ask(method, request)
        items = getattr(page, name)
        if items:
            pieces.append(await aside(len(items) > PLAIN_ITEMS, _written, items, render))
            size += len(pieces[-1])
        limit -= len(items)
        request.page_token = page.next_page_token
        if not request.page_token or limit <= 0 or size > MAX_ANSWER_BYTES:
            break
    answer = b'"' + name.encode() + b'":[' + b",".join(pieces) + b"]" if pieces else b""
    if request.page_token:
        token = b'"next_page_token":' + orjson.dumps(request.page_token)
        answer = answer + b"," + token if answer else token
    return b"{" + answer + b"}"


def _written(items: Iterable[Any], render: Callable[[Any], Any]) -> bytes:
    return orjson.dumps([render(each) for each in items])[1:-1]

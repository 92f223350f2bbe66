"""HTTP to the object store: parts by PUT, ranges by GET, connections kept by each thread."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from runstone.exceptions import ObjectDamaged, RunstoneException, Unavailable

BLOCK_BYTES = 2**20
TIMEOUT_SECONDS = 120.0
"""Without a byte; an object store may take a while to make a part durable."""


class UrlExpired(Unavailable):
    """The URL was good for an hour; a fresh one will do."""

    reason = "URL_EXPIRED"


class HttpPool:
    """Connections of one transfer; every thread has its own."""

    def __init__(self) -> None:
        self._here = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close them all."""
        for connection in self._all:
            connection.close()

    def put(self, url: str, body: Any, size: int, headers: dict[str, str]) -> None:
        """PUT ``size`` bytes that ``body.read(n)`` gives. Raises Unavailable, UrlExpired."""
        connection, target = self._connect(url)
        try:
            connection.request("PUT", target, body, {**headers, "Content-Length": str(size)})
            response = connection.getresponse()
            said = response.read()
        except RunstoneException:
            # The body's own: a local file that changed is an OSError too.
            connection.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _away(error) from error
        _check(response.status, said, connection)

    def get(self, url: str, offset: int, size: int) -> Iterator[memoryview]:
        """A range of an object, in blocks, each good until the next one is asked for.

        Raises Unavailable, UrlExpired, ObjectDamaged.
        """
        connection, target = self._connect(url)
        wanted = {"Range": f"bytes={offset}-{offset + size - 1}"}
        try:
            connection.request("GET", target, headers=wanted)
            response = connection.getresponse()
            if response.status != http.client.PARTIAL_CONTENT:
                _check(response.status, response.read(BLOCK_BYTES), connection)
                connection.close()
                raise Unavailable(f"the object store answers {response.status} to a range")
            buffer = self._buffer()
            while size:
                count = response.readinto(buffer[: min(BLOCK_BYTES, size)])
                if not count:
                    raise http.client.IncompleteRead(b"", size)
                size -= count
                yield buffer[:count]
            response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _away(error) from error
        except GeneratorExit:
            connection.close()
            raise

    def _buffer(self) -> memoryview:
        """This thread's: memory that was just used is in the cache, and fresh memory is cleared."""
        if not hasattr(self._here, "buffer"):
            self._here.buffer = memoryview(bytearray(BLOCK_BYTES))
        kept: memoryview = self._here.buffer
        return kept

    def _connect(self, url: str) -> tuple[http.client.HTTPConnection, str]:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unavailable("the server gave a URL that is not http")
        if not hasattr(self._here, "connections"):
            self._here.connections = {}
        kept: dict[str, http.client.HTTPConnection] = self._here.connections
        place = f"{parts.scheme}://{parts.netloc}"
        if place not in kept:
            kind = (
                http.client.HTTPSConnection
                if parts.scheme == "https"
                else http.client.HTTPConnection
            )
            kept[place] = kind(
                parts.hostname, parts.port, timeout=TIMEOUT_SECONDS, blocksize=BLOCK_BYTES
            )
            self._all.append(kept[place])
        return kept[place], f"{parts.path}?{parts.query}"


def _check(status: int, said: bytes, connection: http.client.HTTPConnection) -> None:
    if status < http.client.MULTIPLE_CHOICES:
        return
    # What is left of the body would be taken for the next answer.
    connection.close()
    if status == http.client.FORBIDDEN:
        raise UrlExpired("the object store refuses the URL", retry_after=0.1)
    if status in (http.client.NOT_FOUND, http.client.REQUESTED_RANGE_NOT_SATISFIABLE):
        if b"NoSuchUpload" in said:
            raise UrlExpired("the object store has no such upload", retry_after=0.1)
        raise ObjectDamaged("the object store does not have the object")
    raise Unavailable(f"the object store answers {status}")


def _away(error: Exception) -> Unavailable:
    return Unavailable(f"the object store does not answer: {type(error).__name__}: {error}")

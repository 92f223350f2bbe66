"""Requests that a store leaves unanswered: which are asked again, and how soon."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from urllib3.exceptions import HTTPError

from runstone_artifact import objectstore_s3_pool
from runstone_artifact.objectstore_s3_pool import StorePool

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Store:
    """Takes requests, leaves the first ones unanswered, and answers the others."""

    def __init__(self, deaf: int) -> None:
        self.deaf = deaf
        self.requests: list[bytes] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/bucket/key"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self._open.append(connection)
            asked = connection.recv(65_536)
            if not asked:
                return
            self.requests.append(asked.split(b" ")[0])
            if len(self.requests) > self.deaf:
                connection.sendall(ANSWER)

    def close(self) -> None:
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        for each in (*self._open, self._listener):
            each.close()


@contextmanager
def store(deaf: int) -> Iterator[Store]:
    made = Store(deaf)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[StorePool]:
    monkeypatch.setattr(objectstore_s3_pool, "PROMPT_S", 0.2)
    monkeypatch.setattr(objectstore_s3_pool, "SLOW_S", 1.0)
    made = StorePool(2)
    yield made
    made.clear()


@pytest.mark.parametrize(
    ("method", "body"), [("PUT", b"bytes"), ("GET", None), ("DELETE", None), ("POST", None)]
)
def test_what_is_not_answered_is_asked_again(
    pool: StorePool, method: str, body: bytes | None
) -> None:
    with store(deaf=1) as asked:
        assert pool.urlopen(method, asked.url, body=body).data == b"ok"
        assert asked.requests == [method.encode()] * 2


def test_the_end_of_an_upload_is_asked_once(pool: StorePool) -> None:
    with store(deaf=9) as asked:
        with pytest.raises(HTTPError):
            pool.urlopen("POST", asked.url, body=b"<parts/>")
        assert asked.requests == [b"POST"]


def test_a_store_that_stays_deaf_fails(pool: StorePool) -> None:
    with store(deaf=9) as asked, pytest.raises(HTTPError):
        pool.urlopen("PUT", asked.url, body=b"bytes")

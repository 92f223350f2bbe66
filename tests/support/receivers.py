"""Receivers of webhooks on loopback, well behaved and not."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STREAM_CHUNK = b"x" * 65_536


@dataclass(frozen=True)
class Request:
    """What came: `line` is the request line, header names are lower case."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


class Receiver:
    """Keeps each request, then answers it by `behave`, which gets the connection and the request.

    Connections stay open until `close`, so that a behaviour may hold one.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.behave: Callable[[socket.socket, Request], None] = answering(200)
        self.closing = threading.Event()
        self.connections = 0
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.requests]

    def close(self) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            # Wakes the thread that accepts.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            request = read_request(connection)
            if request is not None:
                self.requests.append(request)
                self.behave(connection, request)
        except OSError:
            pass  # the other side went away
        finally:
            connection.close()


def read_request(connection: socket.socket) -> Request | None:
    """One request; None when the connection ends before."""
    with connection.makefile("rb") as stream:
        lines: list[str] = []
        while (line := stream.readline().decode("latin-1").rstrip("\r\n")) or not lines:
            if not line:
                return None
            lines.append(line)
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Request(lines[0], headers, stream.read(int(headers.get("content-length", "0"))))


def answering(
    status: int, body: bytes = b"", **headers: str
) -> Callable[[socket.socket, Request], None]:
    """Answers with a status; `retry_after="5"` is the header Retry-After."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    content = "\r\n".join([*lines, "", ""]).encode() + body
    return lambda connection, _request: connection.sendall(content)


def in_turn(*behaviours: Callable[[socket.socket, Request], None]) -> Any:
    """The first request gets the first behaviour …; the last stays."""
    left = list(behaviours)

    def behave(connection: socket.socket, request: Request) -> None:
        now = left.pop(0) if len(left) > 1 else left[0]
        now(connection, request)

    return behave


def hanging(receiver: Receiver) -> Callable[[socket.socket, Request], None]:
    """Never answers."""
    return lambda _connection, _request: _hold(receiver)


def _hold(receiver: Receiver) -> None:
    receiver.closing.wait(60)


def trickling(receiver: Receiver) -> Callable[[socket.socket, Request], None]:
    """A byte of a header now and then, for ever: no single read takes long."""

    def behave(connection: socket.socket, _request: Request) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not receiver.closing.wait(0.05):
            connection.sendall(b"x")

    return behave


def streaming(receiver: Receiver) -> Callable[[socket.socket, Request], None]:
    """An answer without end."""

    def behave(connection: socket.socket, _request: Request) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not receiver.closing.is_set():
            connection.sendall(STREAM_CHUNK)

    return behave


def raw(content: bytes) -> Callable[[socket.socket, Request], None]:
    """Sends just these bytes and closes."""
    return lambda connection, _request: connection.sendall(content)


@contextlib.contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver for the length of a `with`."""
    made = Receiver(tls)
    try:
        yield made
    finally:
        made.close()


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a receiver of that host name, and for a sender that trusts it alone."""
    key, certified = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"),
            *("-keyout", str(key), "-out", str(certified)),
        ],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certified, key)
    return server, ssl.create_default_context(cafile=str(certified))

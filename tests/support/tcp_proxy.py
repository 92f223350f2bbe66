"""A TCP proxy before a server of this machine: what passes it can be watched, or be cut."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

CHUNK_BYTES = 65_536


class TcpProxy:
    """Listens on `address` and leads to `port` of this machine, until closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def watch(self, up: bool) -> Callable[[bytes], bool]:
        """For one direction of a new connection, `up` to the server: whether its next bytes pass.

        Else the connection is cut before them.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the listener and every connection."""
        # accept() returns in its thread only when the socket is shut down first.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._sockets):
            _cut(each)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            self._sockets |= {client, server}
            for source, target, up in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._forward, args=(source, target, up), daemon=True
                ).start()

    def _forward(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        passes = self.watch(up)
        try:
            while (chunk := source.recv(CHUNK_BYTES)) and passes(chunk):
                target.sendall(chunk)
        except OSError:
            pass
        finally:
            for each in (source, target):
                _cut(each)
                self._sockets.discard(each)


def _cut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()

"""A TCP proxy that counts the bytes of each direction, to see what was sent twice."""

import contextlib
import socket
import threading
from typing import Self

from support.processes import wait_until

CHUNK_BYTES = 65_536


class CountingProxy:
    """Listens on `address` and leads to `port` of this machine, until closed.

    `up` counts what clients sent, `down` what the server answered, both since `begin_again`.
    """

    def __init__(self, port: int) -> None:
        self.up = 0
        self.down = 0
        self._port = port
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def begin_again(self) -> None:
        """Count from zero."""
        with self._lock:
            self.up = self.down = 0

    def wait_moved(self, size: int, seconds: float = 30.0) -> None:
        """Waits until so many bytes went either way."""
        wait_until(lambda: max(self.up, self.down) >= size, seconds, f"{size} bytes moved")

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
            server = socket.create_connection(("127.0.0.1", self._port))
            self._sockets |= {client, server}
            for source, target, up in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._forward, args=(source, target, up), daemon=True
                ).start()

    def _forward(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        try:
            while chunk := source.recv(CHUNK_BYTES):
                with self._lock:
                    if up:
                        self.up += len(chunk)
                    else:
                        self.down += len(chunk)
                target.sendall(chunk)
        except OSError:
            pass
        finally:
            _cut(source)
            _cut(target)


def _cut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()

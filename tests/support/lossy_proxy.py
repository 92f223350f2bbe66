"""A TCP proxy before a gRPC server that loses answers: the request arrives, its answer does not.

It reads HTTP/2 only as far as it must. Armed by `lose`, it waits for the first DATA frame from the
server, which begins the answer of a call that is over there, and cuts both connections.
"""

import contextlib
import socket
import threading
from typing import Self

from support.processes import wait_until

FRAME_HEADER_BYTES = 9
DATA = 0
CHUNK_BYTES = 65_536


class LossyProxy:
    """Listens on `address` and leads to `port` of this machine, until closed."""

    def __init__(self, port: int) -> None:
        self.lost = 0
        self._port = port
        self._to_lose = 0
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, answers: int = 1) -> None:
        """Cut the connection that the next so many answers come on."""
        with self._lock:
            self._to_lose += answers

    def wait_lost(self, answers: int, seconds: float = 30.0) -> None:
        """Waits until so many have been lost in all."""
        wait_until(lambda: self.lost >= answers, seconds, f"{answers} answers lost")

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
            for source, target, answers in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._forward, args=(source, target, answers), daemon=True
                ).start()

    def _forward(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        frames = Frames()
        try:
            while chunk := source.recv(CHUNK_BYTES):
                if answers and frames.begins_data(chunk) and self._loses():
                    break
                target.sendall(chunk)
        except OSError:
            pass
        finally:
            for each in (source, target):
                _cut(each)
                self._sockets.discard(each)

    def _loses(self) -> bool:
        with self._lock:
            if not self._to_lose:
                return False
            self._to_lose -= 1
            self.lost += 1
            return True


class Frames:
    """Where the frames of one direction of an HTTP/2 connection begin."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    def begins_data(self, chunk: bytes) -> bool:
        """Whether a DATA frame begins in the next bytes."""
        found, place = False, 0
        while place < len(chunk):
            if self._left:
                step = min(self._left, len(chunk) - place)
                self._left -= step
            else:
                step = min(FRAME_HEADER_BYTES - len(self._header), len(chunk) - place)
                self._header += chunk[place : place + step]
                if len(self._header) == FRAME_HEADER_BYTES:
                    found = found or self._header[3] == DATA
                    self._left = int.from_bytes(self._header[:3], "big")
                    self._header = b""
            place += step
        return found


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()

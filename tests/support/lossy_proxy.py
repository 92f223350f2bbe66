"""A TCP proxy before a gRPC server that loses answers: the request arrives, its answer does not.

It reads HTTP/2 only as far as it must. Armed by `lose`, it waits for the first DATA frame from the
server, which begins the answer of a call that is over there, and cuts both connections.
"""

import threading
from collections.abc import Callable

from support.processes import wait_until
from support.tcp_proxy import TcpProxy

FRAME_HEADER_BYTES = 9
DATA = 0


class LossyProxy(TcpProxy):
    """Loses as many answers as it is told; `lost` counts them."""

    def __init__(self, port: int) -> None:
        self.lost = 0
        self._to_lose = 0
        self._lock = threading.Lock()
        super().__init__(port)

    def lose(self, answers: int = 1) -> None:
        """Cut the connection that the next so many answers come on."""
        with self._lock:
            self._to_lose += answers

    def wait_lost(self, answers: int, seconds: float = 30.0) -> None:
        """Waits until so many have been lost in all."""
        wait_until(lambda: self.lost >= answers, seconds, f"{answers} answers lost")

    def watch(self, up: bool) -> Callable[[bytes], bool]:
        """Cuts before an answer that is to be lost."""
        if up:
            return lambda _: True
        frames = Frames()
        return lambda chunk: not (frames.begins_data(chunk) and self._loses())

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

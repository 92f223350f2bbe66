"""A TCP proxy that counts the bytes of each direction, to see what was sent twice."""

import threading
from collections.abc import Callable

from support.processes import wait_until
from support.tcp_proxy import TcpProxy


class CountingProxy(TcpProxy):
    """`up` counts what clients sent, `down` what the server answered, both since `begin_again`."""

    def __init__(self, port: int) -> None:
        self.up = 0
        self.down = 0
        self._lock = threading.Lock()
        super().__init__(port)

    def begin_again(self) -> None:
        """Count from zero."""
        with self._lock:
            self.up = self.down = 0

    def wait_moved(self, size: int, seconds: float = 30.0) -> None:
        """Waits until so many bytes went either way."""
        wait_until(lambda: max(self.up, self.down) >= size, seconds, f"{size} bytes moved")

    def watch(self, up: bool) -> Callable[[bytes], bool]:
        """Counts, and lets all pass."""

        def passes(chunk: bytes) -> bool:
            with self._lock:
                if up:
                    self.up += len(chunk)
                else:
                    self.down += len(chunk)
            return True

        return passes

"""Serves the application by uvicorn: in a process of its own, or in a thread of the suite."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn
from starlette.types import ASGIApp

BACKLOG = 2048
"""Connections that wait to be accepted: a thousand clients may start at once."""

KEEP_ALIVE_S = 75
"""Longer than the pause between two batches of a training job; MLflow's clients reuse theirs."""


class StartError(Exception):
    """The server cannot start; the message is for the operator."""


def bind(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A listening socket. Raises OSError when the address cannot be had."""
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(where)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


class Served:
    """An application served from a thread of its own, from ``start`` until ``stop``."""

    def __init__(self, app: ASGIApp, listening: socket.socket, *, grace_s: float = 10.0) -> None:
        self._socket = listening
        config: dict[str, Any] = {
            "lifespan": "on",
            "access_log": False,
            "log_config": None,
            "backlog": BACKLOG,
            "timeout_keep_alive": KEEP_ALIVE_S,
            "timeout_graceful_shutdown": max(1, round(grace_s)),
            "server_header": False,
            # Whose address it is decides nothing here, so nobody's word is taken for it.
            "proxy_headers": False,
            "ws": "none",
        }
        self._server = uvicorn.Server(uvicorn.Config(app, **config))
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._ended = threading.Event()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    @property
    def ended(self) -> threading.Event:
        """Set when the server has stopped, for whatever reason."""
        return self._ended

    def start(self) -> None:
        """Serve; returns when requests are taken. Raises StartError."""
        self._thread.start()
        while not self._server.started:
            if self._ended.wait(0.01):
                raise StartError("the HTTP server did not start; its log tells why")

    def stop(self) -> None:
        """Take no more requests, give those in progress their grace, and end."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def abandon(self) -> None:
        """End the requests in progress now, during a ``stop`` that still gives them grace."""
        self._server.force_exit = True

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._ended.set()

"""One process that serves: loads the model, listens, and ends in order."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from runstone._fluent import _state
from runstone._serving import meters
from runstone._serving.app import App
from runstone._serving.engine import Engine, log
from runstone._serving.following import Follower
from runstone._serving.settings import Settings

EXIT_CANNOT_START = 3
"""Another start would not help."""

BACKLOG = 2048
KEEP_ALIVE_S = 75
"""Longer than load balancers keep a connection, which is usually 60 s."""

SWITCH_S = 0.0005
"""How long a prediction in Python may keep others waiting; ten times less than Python's default,
which is a whole request's time."""


def bind(host: str, port: int, *, shared: bool = False, listen: bool = True) -> socket.socket:
    """A socket on an address; several processes may have a ``shared`` one. Raises OSError."""
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(where)
        if listen:
            bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        other = " (--port and --grpc-port choose others)" if error.errno == errno.EADDRINUSE else ""
        raise OSError(f"nothing can listen on {host}:{port}: {error.strerror}{other}") from error
    return bound


class Worker:
    """The parts of one serving process.

    Args:
        shared: The port is shared with other workers: listen only when there is a model, since
            whoever listens gets requests.
        told: Called with the port once requests are answered.
    """

    def __init__(
        self, settings: Settings, *, shared: bool, told: Callable[[int], None] = lambda _: None
    ) -> None:
        self._settings = settings
        self._shared = shared
        self._told = told
        self.engine = Engine(settings, meters.meters())
        self._follower = Follower(self.engine)
        self._error: Exception | None = None
        self._server: Any = None
        self._rpc: Any = None
        self.grpc_port: int | None = None
        self._ending = threading.Event()

    def run(self) -> None:
        """Serve until told to end.

        Raises:
            OSError: the port cannot be had.
            What ``Engine.load`` raises.
        """
        settings = self._settings
        listening = None
        if self._shared:
            self.engine.load()
        else:
            listening = bind(settings.host, settings.port)
        pool = ThreadPoolExecutor(settings.threads_used, "predict")
        try:
            if settings.grpc_port is not None:
                from runstone._serving import rpc

                self._rpc, self.grpc_port = rpc.server(self.engine, pool)
                self._rpc.start()
            if listening is None:
                listening = bind(settings.host, settings.port, shared=True)
            self._serve(App(self.engine, pool), listening, pool)
        finally:
            if listening is not None:
                listening.close()
            if self._rpc is not None:
                self._rpc.stop(settings.grace_s).wait()
            self._follower.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            self.engine.close()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Take no more requests, give those in progress their grace; from any thread."""
        self.engine.stop()
        self._ending.set()
        if self._server is not None:
            self._server.should_exit = True

    def _serve(self, app: App, listening: socket.socket, pool: ThreadPoolExecutor) -> None:
        self._server = _server(app, self._settings)
        if self._ending.is_set():
            return
        threading.Thread(target=self._begin, args=(listening,), name="begin", daemon=True).start()
        self._server.run(sockets=[listening])

    def _begin(self, listening: socket.socket) -> None:
        """Load what is not loaded yet, while requests are told to come later."""
        try:
            if self.engine.version is None:
                self.engine.load()
        except Exception as error:
            self._error = error
            self.end()
            return
        self._follower.start()
        if not self._ending.is_set():
            self._told(int(listening.getsockname()[1]))


def _server(app: App, settings: Settings) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """One that leaves signals to whoever runs it."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config: dict[str, Any] = {
        "lifespan": "off",
        "access_log": False,
        "log_config": None,
        "log_level": "warning",
        "backlog": BACKLOG,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": max(1, round(settings.grace_s)),
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "ws": "none",
    }
    return Server(uvicorn.Config(app, **config))


def main(settings: Settings, *, shared: bool = False, parent: int | None = None) -> int:
    """Serve in this process until SIGTERM or SIGINT; the exit status.

    Args:
        parent: A pipe that ends when the parent of several workers is gone.
    """
    if settings.tracking_uri is not None:
        _state.set_tracking_uri(settings.tracking_uri)
    sys.setswitchinterval(SWITCH_S)

    def told(port: int) -> None:
        log.info(
            "%s, version %s, is served at http://%s:%s",
            *(settings.model_uri, worker.engine.version, settings.host, port),
        )

    worker = Worker(settings, shared=shared, told=told)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.end())
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent, worker), daemon=True).start()
    try:
        worker.run()
    except Exception as error:
        log.error("cannot serve %s: %s", settings.model_uri, error)
        return EXIT_CANNOT_START
    log.info("stopped")
    return 0


def _end_with(pipe: int, worker: Worker) -> None:
    os.read(pipe, 1)
    worker.end()

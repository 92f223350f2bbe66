"""The Prometheus page, on a port of its own: of this process, or of several workers together."""

from __future__ import annotations

import threading
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector


class PageError(Exception):
    """The page cannot be served."""


class Page:
    """A page being served."""

    def __init__(self, server: WSGIServer, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop serving the page."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def open_page(host: str, port: int, workers_dir: Path | None = None) -> Page:
    """Serve ``/metrics`` on host and port (0: any).

    ``workers_dir`` is the folder in which worker processes keep their values; without it the page
    shows this process. Raises PageError when the port is taken.
    """
    registry = REGISTRY
    if workers_dir is not None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(workers_dir))  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise PageError(f"cannot serve metrics on {host}:{port}: {error.strerror}") from error
    return Page(server, thread)

"""What a server is made of: the parts a service gives, and how they are to be served."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from runstone_kit.health import INTERVAL_S, Check
from runstone_kit.logs import Format
from runstone_kit.settings import BaseServiceSettings


def _nothing() -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class ServiceParts:
    """One service, built and ready to be put on a server.

    ``name`` is the full proto name, ``runstone.tracking.v1.TrackingService``. ``add_to_server``
    registers the servicer. ``readiness`` are checks by name: they raise while the service cannot
    work. ``start`` is called once the server listens (background jobs), ``stopping`` when it is
    about to refuse new calls and give those in progress their grace: what would wait for good ends
    itself then. ``close`` is called after the last call has ended, also when the start of the
    server failed. ``watches`` names the RPCs that wait most of the time, ``grouped`` those whose
    calls gather and are done together: their threads are apart.
    """

    name: str
    add_to_server: Callable[[grpc.Server], None]
    readiness: Mapping[str, Check] = field(default_factory=dict)
    start: Callable[[], None] = _nothing
    stopping: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing
    watches: Sequence[str] = ()
    grouped: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ServerSpec:
    """How to serve.

    ``build`` makes the parts; with several workers each process calls it. It may raise any
    RunstoneError, whose message the operator then reads; Unavailable (a database that is not up
    yet) makes ``serve`` call it again.
    ``addresses`` are ``host:port`` or ``unix:/path``; several workers can share only host:port.
    ``channel_options`` are added to the kit's own gRPC server options and win over them.
    ``max_watches`` streams of ``ServiceParts.watches`` are served at a time, besides the
    ``max_threads`` calls; one costs a thread that waits, and the work that its service allows it.
    ``tokens_file`` names who may call (None: everybody); with ``trust_unix`` whoever may open a
    unix socket, too. ``readiness_interval_s`` is how old an answer of health may be.
    """

    name: str
    build: Callable[[], Sequence[ServiceParts]]
    addresses: Sequence[str]
    workers: int = 1
    max_threads: int = 16
    max_waiting: int = 1_024
    max_watches: int = 64
    metrics_address: tuple[str, int] | None = None
    reflection: bool = False
    default_deadline_s: float | None = 60.0
    shutdown_delay_s: float = 0.0
    shutdown_grace_s: float = 10.0
    readiness_interval_s: float = INTERVAL_S
    access_log: str = "all"
    log_format: Format = "json"
    channel_options: Sequence[tuple[str, Any]] = ()
    tokens_file: Path | None = None
    trust_unix: bool = False

    @classmethod
    def from_settings(
        cls,
        name: str,
        settings: BaseServiceSettings,
        build: Callable[[], Sequence[ServiceParts]],
        **changes: Any,
    ) -> ServerSpec:
        """The spec that ``settings`` describe; ``changes`` win, by field name."""
        metrics = None
        if settings.metrics_port is not None:
            host = "127.0.0.1"
            if not settings.listen.startswith("unix:"):
                host = split_address(settings.listen)[0]
            metrics = (host, settings.metrics_port)
        fields: dict[str, Any] = {
            "addresses": [settings.listen],
            "workers": settings.workers,
            "max_threads": settings.max_threads,
            "max_waiting": settings.max_waiting,
            "metrics_address": metrics,
            "reflection": settings.reflection,
            "default_deadline_s": settings.default_deadline_s,
            "shutdown_delay_s": settings.shutdown_delay_s,
            "shutdown_grace_s": settings.shutdown_grace_s,
            "access_log": settings.access_log,
            "log_format": settings.log_format,
            "tokens_file": settings.tokens_file,
        }
        return cls(name=name, build=build, **(fields | changes))


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[v6]:port``. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"not an address of the form host:port: {address!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - ":5051" means every interface

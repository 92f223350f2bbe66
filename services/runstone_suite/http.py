"""The gateway in the suite's own process: MLflow's REST API on a port beside gRPC's."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from runstone_kit import workers
from runstone_kit.spec import ServiceParts, split_address
from runstone_suite.datadir import SuiteError
from runstone_suite.settings import SuiteSettings

if TYPE_CHECKING:
    from runstone_gateway.server import Served
    from runstone_gateway.settings import GatewaySettings

Build = Callable[[], Sequence[ServiceParts]]


class Front:
    """The HTTP side of a suite; one without a socket does nothing."""

    def __init__(
        self,
        settings: GatewaySettings | None = None,
        listening: socket.socket | None = None,
        grace_s: float = 0.0,
    ) -> None:
        self._settings = settings
        self._listening = listening
        self._grace_s = grace_s
        self._served: Served | None = None

    @property
    def port(self) -> int | None:
        """The bound port; None without HTTP."""
        return None if self._listening is None else int(self._listening.getsockname()[1])

    def before(self, build: Build) -> Build:
        """``build`` with parts that end HTTP first, while the services still answer it."""
        if self._listening is None:
            return build

        def with_front() -> Sequence[ServiceParts]:
            first, *others = build()
            return [replace(first, stopping=_both(self.stop, first.stopping)), *others]

        return with_front

    def start(self, address: str) -> None:
        """Serve, asking the services at ``address``. Raises SuiteError."""
        if self._listening is None or self._settings is None:
            return
        from runstone_gateway.app import build
        from runstone_gateway.server import Served, StartError
        from runstone_gateway.upstream import Addresses

        app = build(self._settings, Addresses(address, address, address))
        self._served = Served(app, self._listening, grace_s=self._grace_s)
        try:
            self._served.start()
        except StartError as error:
            raise SuiteError(str(error)) from error

    def stop(self) -> None:
        """End the requests in progress within their grace; safe to call again."""
        served, self._served = self._served, None
        if served is not None:
            served.stop()
        elif self._listening is not None:
            self._listening.close()


def open_front(settings: SuiteSettings) -> Front:
    """The port taken; nothing is served yet. Raises SettingsError, SuiteError."""
    if settings.http_port is None or (settings.workers > 1 and not workers.is_worker()):
        # The parent of several workers serves nothing itself.
        return Front()
    # Imported here: a suite in the background serves no HTTP, and scripts wait for its start.
    from runstone_gateway.server import bind
    from runstone_gateway.settings import GatewaySettings

    host = split_address(settings.listen)[0]
    told = GatewaySettings.load(
        access_log=settings.access_log,
        log_format=settings.log_format,
        tokens_file=settings.tokens_file,
    )
    name = name_for_clients(host)
    if name != host:
        # The address that a start tells people has this name in it.
        hosts = ",".join(filter(None, (told.allowed_hosts, name)))
        told = told.model_copy(update={"allowed_hosts": hosts})
    try:
        listening = bind(host, settings.http_port, reuse_port=workers.is_worker())
    except OSError as error:
        raise SuiteError(
            f"cannot listen on {host}:{settings.http_port}: {error.strerror or error};"
            " choose another with --http-port (0: any), or --no-http"
        ) from error
    return Front(told, listening, settings.shutdown_grace_s)


def name_for_clients(host: str) -> str:
    """What a client calls the host by: nobody can connect to "every interface"."""
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    return socket.gethostname() if everywhere else host


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def stopping() -> None:
        first()
        second()

    return stopping

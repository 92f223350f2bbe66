"""Puts the gateway together as a process of its own."""

from __future__ import annotations

import sys
import threading

import structlog

from runstone_gateway.app import build
from runstone_gateway.server import Served, StartError, bind
from runstone_gateway.settings import GatewaySettings
from runstone_gateway.upstream import Addresses
from runstone_kit import commandline, logs, memory, metricspage, signals, workers
from runstone_kit.server import ServerSpec
from runstone_kit.settings import SettingsError
from runstone_kit.spec import split_address
from runstone_kit.tokens import TokensError

_log = structlog.get_logger("runstone_gateway")


def addresses(settings: GatewaySettings) -> Addresses:
    """Where the settings say that the services are."""
    return Addresses(
        settings.tracking_address, settings.artifact_address, settings.registry_address
    )


def main() -> int:
    """``runstone-gateway``: serve until told to stop; returns the exit status."""
    if (told := commandline.answered("runstone-gateway", GatewaySettings)) is not None:
        return told
    try:
        settings = GatewaySettings.load()
        split_address(settings.listen)
    except (SettingsError, ValueError) as error:
        print(f"runstone-gateway: {error}", file=sys.stderr)  # noqa: T201 - before there are logs
        return 2
    memory.keep_freed_memory()
    logs.configure("runstone-gateway", settings.log_level, settings.log_format)
    try:
        if settings.workers > 1 and not workers.is_worker():
            return workers.supervise(_spec(settings))
        return serve(settings)
    except (OSError, StartError, TokensError, metricspage.PageError) as error:
        _log.error("cannot start", listen=settings.listen, reason=str(error))
        return workers.EXIT_CANNOT_START


def serve(settings: GatewaySettings) -> int:
    """Serve until SIGTERM or SIGINT; the second one ends the grace of requests in progress.

    Raises OSError, PageError or StartError when it cannot start.
    """
    reuse = workers.is_worker()
    host, port = split_address(workers.address() if reuse else settings.listen)
    served = Served(
        build(settings, addresses(settings)),
        bind(host, port, reuse_port=reuse),
        grace_s=settings.shutdown_grace_s,
    )
    page = None
    if settings.metrics_port is not None and not reuse:
        page = metricspage.open_page(host, settings.metrics_port)
    asked, impatient = threading.Event(), threading.Event()
    with signals.ending(asked, impatient):
        served.start()
        workers.stop_with_parent(asked)
        _log.info("serving", host=host, port=served.port)
        asked.wait()
        _log.info("stopping")
        # Load balancers need a moment to notice that this one is going.
        impatient.wait(settings.shutdown_delay_s)
        end = threading.Thread(target=served.stop, name="stop")
        end.start()
        while not served.ended.wait(0.1):
            if impatient.is_set():
                served.abandon()
        end.join()
    if page is not None:
        page.close()
    workers.clean_up()
    _log.info("stopped")
    return 0


def _spec(settings: GatewaySettings) -> ServerSpec:
    """What the parent of several workers needs to know; nothing is built in it."""
    return ServerSpec.from_settings("runstone-gateway", settings, build=list)


if __name__ == "__main__":
    sys.exit(main())

"""Runs services on one gRPC server: start, health, metrics, and an end that loses no call.

``serve`` is what a main calls; ``start`` gives the running server to whoever wants to hold it
(tests, the suite).
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2_grpc

from runstone_kit import metricspage, signals, workers
from runstone_kit.errors import RunstoneError, Unavailable
from runstone_kit.health import Readiness
from runstone_kit.ids import SystemIds
from runstone_kit.interceptors.about import HEALTH_SERVICE, AboutLayer
from runstone_kit.interceptors.access_log import AccessLogLayer
from runstone_kit.interceptors.activity import Activity, ActivityLayer
from runstone_kit.interceptors.actor import ActorLayer
from runstone_kit.interceptors.authentication import AuthenticationLayer
from runstone_kit.interceptors.chain import Chain, Layer
from runstone_kit.interceptors.deadline import DeadlineLayer
from runstone_kit.interceptors.error_mapping import ErrorMappingLayer
from runstone_kit.interceptors.metrics import MetricsLayer, process_metrics
from runstone_kit.interceptors.permission import PermissionLayer
from runstone_kit.interceptors.request_context import RequestContextLayer
from runstone_kit.interceptors.stream_limit import StreamLimitLayer
from runstone_kit.interceptors.waiting import CallPool, WaitingLimit
from runstone_kit.logs import OnceAMinute, access_writer
from runstone_kit.registration import RegistrationError, register
from runstone_kit.spec import ServerSpec, ServiceParts
from runstone_kit.tokens import TokenFile, TokensError

__all__ = ["Running", "ServerSpec", "ServiceParts", "StartError", "serve", "start"]

MAX_RECEIVE_BYTES = 70 * 2**20
"""The largest legal request is a data set's profile: 16,777,215 characters of 4 bytes at most."""

MAX_SEND_BYTES = 64 * 2**20
"""A page of 50,000 small runs; what the client accepts is the client's choice."""

GROUPED = 3
"""Threads for calls that wait for each other, to one of those that work: the larger the groups, the
less each call costs."""

GC_THRESHOLD = 20_000
"""Objects made before the youngest are looked at; a call makes some hundred, and drops them all."""

START_RETRY_S = 1.0
"""Services may start in any order; a database takes seconds to come up."""

_log = structlog.get_logger("runstone_kit.server")


class StartError(Exception):
    """The server cannot start; the message is for the operator."""


class Running:
    """A started server. ``ports`` are the bound ports of the TCP addresses, in their order."""

    def __init__(
        self,
        server: grpc.Server,
        parts: Sequence[ServiceParts],
        readiness: Readiness,
        pools: Sequence[ThreadPoolExecutor],
        page: metricspage.Page | None,
        ports: Sequence[int],
        activity: Activity,
    ) -> None:
        self._server = server
        self._parts = parts
        self._pools = pools
        self._page = page
        self.readiness = readiness
        self.ports = list(ports)
        self.activity = activity
        self._stop_lock = threading.Lock()
        self._stopped = False

    @property
    def port(self) -> int:
        """The bound port of the first TCP address."""
        return self.ports[0]

    @property
    def metrics_port(self) -> int | None:
        """The bound port of the metrics page, None without one."""
        return None if self._page is None else self._page.port

    def stop(self, *, grace_s: float = 10.0, delay_s: float = 0.0) -> None:
        """NOT_SERVING, wait ``delay_s``, refuse new calls, give running ones ``grace_s``, close.

        Safe to call again; the second call waits for the first.
        """
        with self._stop_lock:
            if self._stopped:
                return
            self._stopped = True
            self.readiness.stop()
            time.sleep(delay_s)
            for part in self._parts:
                part.stopping()
            self._server.stop(grace_s).wait()
            for pool in self._pools:
                pool.shutdown(wait=False, cancel_futures=True)
            _close(self._parts)
            if self._page is not None:
                self._page.close()

    def abandon_calls(self) -> None:
        """End the calls in progress now, during a ``stop`` that still gives them grace."""
        self._server.stop(0)


def start(spec: ServerSpec) -> Running:
    """Build the parts and serve them from this process, whatever ``spec.workers`` says.

    Returns when the server listens and health has been asked once. Raises StartError when an
    address cannot be bound, an RPC has no permission rule (the parts are closed then), or ``build``
    raised a RunstoneError; its Unavailable passes as it is.
    """
    return _start(spec, spec.addresses, reuse_port=False)


def serve(
    spec: ServerSpec,
    *,
    stop: threading.Event | None = None,
    on_started: Callable[[Running], None] | None = None,
) -> int:
    """Serve until SIGTERM, SIGINT or ``stop``; returns the exit status of the process.

    Call it from the main thread. While ``build`` raises Unavailable it is called again. With
    several workers this process only watches over them (and serves the metrics of all); ``stop``
    and ``on_started`` then belong to the workers. A second signal ends the grace of the calls in
    progress.
    """
    if spec.workers > 1 and not workers.is_worker():
        try:
            return workers.supervise(spec)
        except OSError as error:
            return _refuse(spec, f"cannot listen on {', '.join(spec.addresses)}: {error}")
    stop = stop if stop is not None else threading.Event()
    impatient = threading.Event()
    with signals.ending(stop, impatient):
        reuse = workers.is_worker()
        addresses = [workers.address()] if reuse else spec.addresses
        try:
            running = _start_patiently(spec, addresses, reuse, stop)
        except StartError as error:
            return _refuse(spec, str(error))
        if running is None:
            return 0
        workers.stop_with_parent(stop)
        _log.info("serving", server=spec.name, addresses=list(addresses), ports=running.ports)
        try:
            if on_started is not None:
                on_started(running)
            # What is there now stays: no collection need look at it again. With a thousand clients
            # the collector took a sixth of the interpreter's time.
            gc.freeze()
            gc.set_threshold(GC_THRESHOLD)
            stop.wait()
        finally:
            _log.info("stopping", server=spec.name)
            _stop_impatiently(running, spec, impatient)
            workers.clean_up()
        _log.info("stopped", server=spec.name)
        return 0


def _start_patiently(
    spec: ServerSpec, addresses: Sequence[str], reuse_port: bool, stop: threading.Event
) -> Running | None:
    """A started server, however long its database is away; None when stopped before."""
    said = OnceAMinute()
    while True:
        try:
            return _start(spec, addresses, reuse_port=reuse_port)
        except Unavailable as error:
            if said.due(error.message):
                _log.warning("waiting to start", server=spec.name, reason=error.for_operator)
        if stop.wait(START_RETRY_S):
            return None


def _start(spec: ServerSpec, addresses: Sequence[str], *, reuse_port: bool) -> Running:
    try:
        tokens = None if spec.tokens_file is None else TokenFile(spec.tokens_file)
    except TokensError as error:
        raise StartError(f"RUNSTONE_TOKENS_FILE: {error}") from None
    try:
        parts = list(spec.build())
    except Unavailable:
        raise
    except RunstoneError as error:
        raise StartError(error.for_operator) from error
    activity = Activity()
    calls = CallPool(spec.max_threads)
    groups = CallPool(GROUPED * spec.max_threads, "group")
    # Probes must be answered however busy the calls keep their threads.
    probes = ThreadPoolExecutor(1, thread_name_prefix="probe")
    refusals = ThreadPoolExecutor(1, thread_name_prefix="refusal")
    # One more than may watch: it tells the others so.
    watchers = ThreadPoolExecutor(spec.max_watches + 1, thread_name_prefix="watch")
    watches = frozenset(f"/{part.name}/{name}" for part in parts for name in part.watches)
    grouped = [f"/{part.name}/{name}" for part in parts for name in part.grouped]
    pools = {
        HEALTH_SERVICE: probes,
        **dict.fromkeys(watches, watchers),
        **dict.fromkeys(grouped, groups),
    }
    gate = WaitingLimit(calls, spec.max_waiting, refusals)
    server = grpc.server(
        calls,
        interceptors=[Chain(_layers(spec, activity, watches, tokens), pools, gate)],
        options=[*_options(reuse_port), *spec.channel_options],
    )
    servicer = health.HealthServicer()
    page = None
    try:
        register(server, parts)
        names = [part.name for part in parts]
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        if spec.reflection:
            # Imported here: few ask for it, and everybody would wait for it.
            from grpc_reflection.v1alpha import reflection

            open_names = [HEALTH_SERVICE, reflection.SERVICE_NAME]
            reflection.enable_server_reflection([*names, *open_names], server)
        ports = [_bind(server, address) for address in addresses]
        if spec.metrics_address is not None and not reuse_port:
            page = metricspage.open_page(*spec.metrics_address)
        checks = {
            f"{part.name}/{name}": check for part in parts for name, check in part.readiness.items()
        }
        readiness = Readiness(servicer, names, checks, interval_s=spec.readiness_interval_s)
        server.start()
        readiness.start()
        for part in parts:
            part.start()
    except BaseException as error:
        server.stop(None)
        if page is not None:
            page.close()
        _close(parts)
        if isinstance(error, (RegistrationError, metricspage.PageError)):
            raise StartError(str(error)) from error
        raise
    tcp_ports = [
        port for address, port in zip(addresses, ports, strict=True) if not _is_unix(address)
    ]
    closing = [calls, groups, probes, refusals, watchers]
    return Running(server, parts, readiness, closing, page, tcp_ports, activity)


def _layers(
    spec: ServerSpec, activity: Activity, watches: frozenset[str], tokens: TokenFile | None
) -> list[Layer]:
    layers: list[Layer] = [
        RequestContextLayer(SystemIds(), spec.default_deadline_s),
        ActivityLayer(activity),
    ]
    if spec.access_log != "off":
        writer = access_writer(spec.name, spec.log_format)
        layers.append(AccessLogLayer(writer, failures_only=spec.access_log == "failures"))
    layers += [MetricsLayer(process_metrics()), ErrorMappingLayer()]
    if tokens is not None:
        layers.append(AuthenticationLayer(tokens, trust_unix=spec.trust_unix))
    layers += [
        ActorLayer(),
        PermissionLayer(),
        StreamLimitLayer(max(1, spec.max_threads // 2), watches, spec.max_watches),
        DeadlineLayer(),
        AboutLayer(),
    ]
    return layers


def _options(reuse_port: bool) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", int(reuse_port)),
        ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
        ("grpc.max_send_message_length", MAX_SEND_BYTES),
        # Finds peers that vanished, and lets idle clients look for us as often as every 10 s.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


def _bind(server: grpc.Server, address: str) -> int:
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartError(f"cannot listen on {address}: is it in use?") from error
    if port == 0:
        raise StartError(f"cannot listen on {address}: is it in use?")
    return port


def _is_unix(address: str) -> bool:
    return address.startswith(("unix:", "unix-abstract:"))


def _close(parts: Sequence[ServiceParts]) -> None:
    for part in reversed(parts):
        try:
            part.close()
        except Exception:
            _log.exception("closing failed", part=part.name)


def _stop_impatiently(running: Running, spec: ServerSpec, impatient: threading.Event) -> None:
    end = threading.Thread(
        target=running.stop,
        kwargs={"grace_s": spec.shutdown_grace_s, "delay_s": spec.shutdown_delay_s},
        name="stop",
    )
    end.start()
    while end.is_alive():
        end.join(0.1)
        if impatient.is_set():
            running.abandon_calls()
            break
    end.join()


def _refuse(spec: ServerSpec, reason: str) -> int:
    _log.error("cannot start", server=spec.name, reason=reason)
    with suppress(OSError):
        sys.stderr.flush()
    return workers.EXIT_CANNOT_START

"""Puts the registry service together: for a process of its own, and for the suite."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import grpc

from runstone.registry.v1 import registry_service_pb2_grpc
from runstone_kit import commandline, logs
from runstone_kit.clock import Clock, SystemClock
from runstone_kit.database import Database
from runstone_kit.ids import IdMaker, SystemIds
from runstone_kit.peers import channel
from runstone_kit.server import serve
from runstone_kit.settings import SettingsError
from runstone_kit.spec import ServerSpec, ServiceParts
from runstone_registry.peers import RpcArtifactPeer, RpcRunPeer, service_config
from runstone_registry.service import (
    DeliveryPolicy,
    Dispatcher,
    Parts,
    RegistryService,
    Sweeper,
)
from runstone_registry.servicer import RegistryServicer
from runstone_registry.settings import RegistrySettings
from runstone_registry.sqlstore import SqlRegistryStore
from runstone_registry.store import ArtifactPeer, RunPeer
from runstone_registry.store_webhooks import WebhookSender
from runstone_registry.tables import SCHEMA
from runstone_registry.webhookclient import HttpSender

NAME = "runstone.registry.v1.RegistryService"

MIGRATIONS = Path(__file__).parent / "migrations"

STOP_S = 10.0
"""How long the end of the service waits for a sweep that deletes many files."""


def open_database(settings: RegistrySettings) -> Database:
    """The service's database; nothing is connected yet. Raises SettingsError without a URL."""
    if settings.database_url is None:
        raise SettingsError("RUNSTONE_DATABASE_URL (or RUNSTONE_REGISTRY_DATABASE_URL) is not set")
    try:
        return Database.from_url(
            settings.database_url.get_secret_value(),
            schema=SCHEMA,
            pool_size=settings.connections,
            application_name="runstone-registry",
        )
    except ValueError as error:
        raise SettingsError(f"RUNSTONE_DATABASE_URL: {error}") from None


def upgrade(settings: RegistrySettings) -> None:
    """Bring the service's schema to the newest revision."""
    from runstone_kit import migrate

    database = open_database(settings)
    try:
        migrate.upgrade(database, MIGRATIONS)
    finally:
        database.dispose()


def _open_migrated(settings: RegistrySettings) -> Database:
    # Imported here: Alembic takes longer to import than a suite may take to start.
    from runstone_kit import migrate

    database = open_database(settings)
    try:
        migrate.require(database, MIGRATIONS)
    except BaseException:
        database.dispose()
        raise
    return database


def build(
    settings: RegistrySettings,
    *,
    database: Database | None = None,
    artifact_channel: grpc.Channel | None = None,
    tracking_channel: grpc.Channel | None = None,
    artifacts: ArtifactPeer | None = None,
    runs: RunPeer | None = None,
    clock: Clock | None = None,
    ids: IdMaker | None = None,
    sender: WebhookSender | None = None,
    policy: DeliveryPolicy | None = None,
) -> ServiceParts:
    """The service, ready to be put on a server. What is not given is made from ``settings``.

    What is made here is closed by the parts' ``close``; what was given stays open, and a database
    that was given is taken as migrated. Raises FailedPrecondition when the schema is too old,
    Unavailable when the database is away, SettingsError when none is set.
    """
    closers: list[Callable[[], None]] = []
    if database is None:
        database = _open_migrated(settings)
        closers.append(database.dispose)

    def connect(address: str, service: str) -> grpc.Channel:
        made = channel(address, service_config=service_config(service), token=settings.own_token)
        closers.append(made.close)
        return made

    if artifacts is None:
        artifacts = RpcArtifactPeer(
            artifact_channel or connect(settings.artifact_address, "artifact")
        )
    if runs is None:
        runs = RpcRunPeer(tracking_channel or connect(settings.tracking_address, "tracking"))
    clock = clock or SystemClock()
    ids = ids or SystemIds()
    store = SqlRegistryStore(database)
    sweeper = Sweeper(store, artifacts, clock)
    lease_ms = int(settings.lease_s * 1000)
    allow_private = settings.webhooks_allow_private
    sender = sender or HttpSender(settings.webhooks_timeout_s, allow_private=allow_private)
    parts = Parts(store, artifacts, runs, clock, ids, sweeper, sender, lease_ms)
    servicer = RegistryServicer(RegistryService(parts), allow_private=allow_private)
    job = _SweepJob(sweeper, settings.sweep_interval_s, ids)
    dispatcher = Dispatcher(
        store,
        sender,
        clock,
        ids,
        timeout_s=settings.webhooks_timeout_s,
        threads=settings.webhooks_threads,
        policy=policy,
    )

    def start() -> None:
        job.start()
        dispatcher.start()

    def close() -> None:
        dispatcher.close()
        job.stop()
        for closer in reversed(closers):
            closer()

    return ServiceParts(
        name=NAME,
        add_to_server=lambda server: (
            registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server)
        ),
        readiness={"database": database.ping},
        start=start,
        close=close,
    )


class _SweepJob:
    """The sweeper's thread."""

    def __init__(self, sweeper: Sweeper, interval_s: float, ids: IdMaker) -> None:
        self._sweeper = sweeper
        self._stop = threading.Event()
        # A daemon: a peer that hangs must not keep the process from ending.
        self._thread = threading.Thread(
            target=sweeper.run,
            args=(self._stop, interval_s, ids),
            name="registry-sweep",
            daemon=True,
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._sweeper.nudge()
        if self._thread.is_alive():
            self._thread.join(STOP_S)


def main() -> int:
    """``runstone-registry``: serve until SIGTERM; returns the exit status."""
    if (told := commandline.answered("runstone-registry", RegistrySettings)) is not None:
        return told
    try:
        settings = RegistrySettings.load()
        open_database(settings).dispose()
    except SettingsError as error:
        print(f"runstone-registry: {error}", file=sys.stderr)  # noqa: T201 - before there are logs
        return 2
    logs.configure("runstone-registry", settings.log_level, settings.log_format)
    spec = ServerSpec.from_settings("runstone-registry", settings, lambda: [build(settings)])
    return serve(spec)


if __name__ == "__main__":
    sys.exit(main())

"""Puts the tracking service together: the only place that chooses its parts."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc

from runstone.tracking.v1 import tracking_service_pb2
from runstone_kit import commandline, logs
from runstone_kit.clock import Clock, SystemClock
from runstone_kit.database import Database
from runstone_kit.ids import IdMaker, SystemIds
from runstone_kit.server import ServerSpec, ServiceParts, serve
from runstone_kit.settings import SettingsError
from runstone_tracking.service import TrackingService
from runstone_tracking.service_compaction import Compaction
from runstone_tracking.service_names import NameMaker, RandomNames
from runstone_tracking.servicer import TrackingServicer
from runstone_tracking.servicer_metrics import add_tracking_servicer
from runstone_tracking.settings import TrackingSettings
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.tables import SCHEMA

# The generated stubs do not import the service's descriptor, where its permissions are.
NAME = tracking_service_pb2.DESCRIPTOR.services_by_name["TrackingService"].full_name

MIGRATIONS = Path(__file__).with_name("migrations")


def open_database(settings: TrackingSettings) -> Database:
    """The service's database; nothing is connected yet. Raises SettingsError without a URL."""
    if settings.database_url is None:
        raise SettingsError("RUNSTONE_DATABASE_URL (or RUNSTONE_TRACKING_DATABASE_URL) is not set")
    try:
        return Database.from_url(
            settings.database_url.get_secret_value(),
            schema=SCHEMA,
            pool_size=settings.connections,
            application_name="runstone-tracking",
        )
    except ValueError as error:
        raise SettingsError(f"RUNSTONE_DATABASE_URL: {error}") from None


def upgrade(settings: TrackingSettings) -> None:
    """Bring the service's schema to the newest revision."""
    from runstone_kit import migrate

    database = open_database(settings)
    try:
        migrate.upgrade(database, MIGRATIONS)
    finally:
        database.dispose()


def _open_migrated(settings: TrackingSettings) -> Database:
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
    settings: TrackingSettings,
    *,
    database: Database | None = None,
    clock: Clock | None = None,
    ids: IdMaker | None = None,
    names: NameMaker | None = None,
) -> ServiceParts:
    """The service, ready to be put on a server.

    A database that is made here is closed by the parts' ``close``; one that was given stays open
    and is taken as migrated. Raises FailedPrecondition when the schema is too old, Unavailable when
    the database is away.
    """
    opened = database is None
    database = database or _open_migrated(settings)
    clock, ids, transactions = clock or SystemClock(), ids or SystemIds(), SqlTransactions(database)
    service = TrackingService(transactions, clock, ids, names or RandomNames())
    compaction = Compaction(transactions, clock, ids)
    servicer = TrackingServicer(service)

    def add_to_server(server: grpc.Server) -> None:
        add_tracking_servicer(servicer, server)

    def close() -> None:
        compaction.close()
        if opened:
            database.dispose()

    return ServiceParts(
        name=NAME,
        add_to_server=add_to_server,
        readiness={"database": database.ping},
        start=compaction.start if settings.compaction else _nothing,
        stopping=service.metrics.stop_watches,
        close=close,
        watches=["WatchMetrics"],
        grouped=["AppendMetrics", "AppendBatches"],
    )


def _nothing() -> None:
    pass


def main() -> int:
    """``runstone-tracking``: serve until told to stop; returns the exit status."""
    if (told := commandline.answered("runstone-tracking", TrackingSettings)) is not None:
        return told
    try:
        settings = TrackingSettings.load()
        open_database(settings).dispose()
    except SettingsError as error:
        print(f"runstone-tracking: {error}", file=sys.stderr)  # noqa: T201 - before there are logs
        return 2
    logs.configure("runstone-tracking", settings.log_level, settings.log_format)
    spec = ServerSpec.from_settings("runstone-tracking", settings, build=lambda: [build(settings)])
    return serve(spec)


if __name__ == "__main__":
    sys.exit(main())

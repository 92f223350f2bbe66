"""Puts the artifact service together: the only place that chooses its parts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import grpc

from runstone_artifact import servicer
from runstone_artifact.errors import ObjectStoreUnavailable
from runstone_artifact.objectstore_folder import FolderObjectStore
from runstone_artifact.peers import RpcRunDirectory, service_config
from runstone_artifact.service import FileService
from runstone_artifact.service_claim import claimed
from runstone_artifact.service_downloads import DownloadService
from runstone_artifact.service_limits import ActiveRuns, TransferSlots
from runstone_artifact.service_soundness import Soundness
from runstone_artifact.service_upkeep import UpkeepService
from runstone_artifact.service_uploads import UploadService
from runstone_artifact.settings import ArtifactSettings
from runstone_artifact.sqlstore import SqlArtifactStore
from runstone_artifact.store import ObjectStore, RunDirectory
from runstone_artifact.tables import SCHEMA
from runstone_kit import commandline, logs, memory
from runstone_kit.clock import Clock, SystemClock
from runstone_kit.database import Database
from runstone_kit.ids import IdMaker, SystemIds
from runstone_kit.peers import channel
from runstone_kit.server import ServerSpec, ServiceParts, serve
from runstone_kit.settings import SettingsError

NAME = "runstone.artifact.v1.ArtifactService"

MIGRATIONS = Path(__file__).with_name("migrations")


def open_database(settings: ArtifactSettings) -> Database:
    """The service's database; nothing is connected yet. Raises SettingsError without a URL."""
    if settings.database_url is None:
        raise SettingsError("RUNSTONE_DATABASE_URL (or RUNSTONE_ARTIFACT_DATABASE_URL) is not set")
    try:
        return Database.from_url(
            settings.database_url.get_secret_value(),
            schema=SCHEMA,
            pool_size=settings.connections,
            application_name="runstone-artifact",
        )
    except ValueError as error:
        raise SettingsError(f"RUNSTONE_DATABASE_URL: {error}") from None


def upgrade(settings: ArtifactSettings) -> None:
    """Bring the service's schema to the newest revision."""
    from runstone_kit import migrate

    database = open_database(settings)
    try:
        migrate.upgrade(database, MIGRATIONS)
    finally:
        database.dispose()


def open_objects(settings: ArtifactSettings) -> ObjectStore:
    """The object store. A folder is made when missing, a bucket by the service's first look.

    Raises SettingsError for a URL that cannot be read, ObjectStoreUnavailable for a folder that
    cannot be made.
    """
    if settings.objects_url is None:
        raise SettingsError("RUNSTONE_OBJECTS_URL (or RUNSTONE_ARTIFACT_OBJECTS_URL) is not set")
    url = settings.objects_url.get_secret_value()
    if url.startswith("s3+"):
        # Imported here: the embedded suite keeps its objects in a folder and starts without it.
        from runstone_artifact.objectstore_s3 import S3Address, S3ObjectStore

        try:
            address = S3Address.parse(url)
        except ValueError as error:
            raise SettingsError(f"RUNSTONE_OBJECTS_URL: {error}") from None
        return S3ObjectStore(
            address,
            settings.objects_public_url or "",
            connections=settings.max_threads + 16,
        )
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return FolderObjectStore(Path(unquote(parts.path)))
    if "://" in url:
        raise SettingsError(
            "RUNSTONE_OBJECTS_URL: is s3+http://…, s3+https://…, file:///folder or a path"
        )
    return FolderObjectStore(Path(url))


def _open_migrated(settings: ArtifactSettings) -> Database:
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
    settings: ArtifactSettings,
    *,
    database: Database | None = None,
    objects: ObjectStore | None = None,
    tracking_channel: grpc.Channel | None = None,
    runs: RunDirectory | None = None,
    clock: Clock | None = None,
    ids: IdMaker | None = None,
) -> ServiceParts:
    """The service, ready to be put on a server. What is not given is made from ``settings``.

    What is made here is closed by the parts' ``close``; what was given stays open, and a database
    that was given is taken as migrated. Raises FailedPrecondition when the schema is too old or the
    object store is another installation's, Unavailable when the database is away, SettingsError
    when something is not set.
    """
    closers: list[Callable[[], None]] = []
    if objects is None:
        objects = open_objects(settings)
        closers.append(objects.close)
    if database is None:
        database = _open_migrated(settings)
        closers.append(database.dispose)
    if runs is None:
        if tracking_channel is None:
            tracking_channel = channel(
                settings.tracking_address,
                service_config=service_config(),
                token=settings.own_token,
            )
            closers.append(tracking_channel.close)
        runs = RpcRunDirectory(tracking_channel)
    clock, ids = clock or SystemClock(), ids or SystemIds()
    rows, active = SqlArtifactStore(database), ActiveRuns(runs)
    objects = claimed(objects, rows)
    slots = TransferSlots(settings.transfers)
    soundness = Soundness(rows, objects)
    files = FileService(rows, objects, soundness, active, clock, ids)
    closers += [soundness.close, files.close, slots.drain]
    services = servicer.Services(
        files,
        UploadService(rows, objects, soundness, active, slots, clock, ids),
        DownloadService(rows, objects, slots),
        UpkeepService(rows, objects, clock),
    )

    def add_to_server(server: grpc.Server) -> None:
        servicer.add_to_server(services, server)

    def close() -> None:
        for closer in reversed(closers):
            closer()

    try:
        # A store that is away is asked again by readiness, and before anything is written to it.
        with suppress(ObjectStoreUnavailable):
            objects.ping()
    except BaseException:
        close()
        raise
    return ServiceParts(
        name=NAME,
        add_to_server=add_to_server,
        readiness={"database": rows.ping, "objects": objects.ping},
        close=close,
    )


def main() -> int:
    """``runstone-artifact``: serve until told to stop; returns the exit status."""
    if (told := commandline.answered("runstone-artifact", ArtifactSettings)) is not None:
        return told
    try:
        settings = ArtifactSettings.load()
        open_database(settings).dispose()
        open_objects(settings).close()
    except SettingsError as error:
        print(f"runstone-artifact: {error}", file=sys.stderr)  # noqa: T201 - before there are logs
        return 2
    memory.keep_freed_memory()
    logs.configure("runstone-artifact", settings.log_level, settings.log_format)
    spec = ServerSpec.from_settings("runstone-artifact", settings, build=lambda: [build(settings)])
    return serve(spec)


if __name__ == "__main__":
    sys.exit(main())

"""Puts the three services together: their databases, their objects, and the way to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from runstone_artifact.settings import ArtifactSettings
from runstone_kit.database import Database
from runstone_kit.errors import RunstoneError
from runstone_kit.settings import BaseServiceSettings
from runstone_kit.spec import ServiceParts
from runstone_registry.settings import RegistrySettings
from runstone_suite import schemas
from runstone_suite.datadir import SuiteError
from runstone_suite.inprocess import LocalChannel
from runstone_suite.settings import SuiteSettings
from runstone_tracking.settings import TrackingSettings


@dataclass(frozen=True, slots=True)
class Composition:
    """The settings of every service, filled in with what the suite decides."""

    services: dict[str, BaseServiceSettings]

    @classmethod
    def of(cls, settings: SuiteSettings, folder: Path | None) -> Composition:
        """The services' own settings, with the data folder where they name no place.

        Raises SettingsError or SuiteError.
        """
        found: dict[str, BaseServiceSettings] = {
            "tracking": _with_database(TrackingSettings.load(), settings, folder),
            "artifact": _with_database(
                _with_objects(_artifact(settings), settings, folder), settings, folder
            ),
            "registry": _with_database(RegistrySettings.load(), settings, folder),
        }
        if settings.workers > 1 and any(map(_is_sqlite, found.values())):
            raise SuiteError(
                "SQLite takes one process: --workers needs PostgreSQL; set RUNSTONE_DATABASE_URL"
            )
        return cls(found)

    def prepare(self) -> None:
        """Migrate the SQLite files; PostgreSQL must be migrated already (`runstone db upgrade`).

        Raises SuiteError.
        """
        for service, settings in self.services.items():
            database = _open(service, settings)
            try:
                if database.dialect == "sqlite":
                    schemas.bring_to_head(service, database)
                elif schemas.revision_of(database) != schemas.head(service):
                    _require(database, service)
            except RunstoneError as error:
                raise SuiteError(f"the database of {service}: {error.message}") from error
            finally:
                database.dispose()

    def build(self) -> Sequence[ServiceParts]:
        """The services, connected to each other. `prepare` comes first."""
        channel = LocalChannel()
        peers = {
            "tracking": {},
            "artifact": {"tracking_channel": channel},
            "registry": {"tracking_channel": channel, "artifact_channel": channel},
        }
        parts = []
        with ExitStack() as undo:
            for service, settings in self.services.items():
                database = _open(service, settings)
                undo.callback(database.dispose)
                made = _main(service).build(settings, database=database, **peers[service])
                undo.callback(made.close)
                channel.connect(made)
                parts.append(replace(made, close=_both(made.close, database.dispose)))
            undo.pop_all()
        return parts


def _with_database(own: Any, settings: SuiteSettings, folder: Path | None) -> Any:
    if own.database_url is None and settings.database_url is not None:
        own = own.model_copy(update={"database_url": settings.database_url})
    if own.database_url is not None:
        if _is_sqlite(own):
            raise SuiteError(
                "RUNSTONE_DATABASE_URL is for PostgreSQL; SQLite files stand in --data-dir"
            )
        return own
    assert folder is not None
    url = SecretStr(schemas.sqlite_url(own.service, folder))
    return own.model_copy(update={"database_url": url})


def _artifact(settings: SuiteSettings) -> ArtifactSettings:
    own = ArtifactSettings.load()
    if own.objects_public_url is None and settings.objects_public_url is not None:
        # Loaded again and not copied: the artifact service knows what fits.
        own = ArtifactSettings.load(objects_public_url=settings.objects_public_url)
    return own


def _with_objects(own: Any, settings: SuiteSettings, folder: Path | None) -> Any:
    if own.objects_url is not None:
        return own
    url = settings.objects_url
    if url is None:
        assert folder is not None
        url = SecretStr(str(folder / "objects"))
    return own.model_copy(update={"objects_url": url})


def _is_sqlite(settings: BaseServiceSettings) -> bool:
    url = settings.database_url
    return url is not None and url.get_secret_value().startswith("sqlite")


def _main(service: str) -> Any:
    return import_module(f"runstone_{service}.main")


def _open(service: str, settings: BaseServiceSettings) -> Database:
    opened: Database = _main(service).open_database(settings)
    return opened


def _require(database: Database, service: str) -> None:
    # Alembic knows whether another revision is an older or a newer one.
    from runstone_kit import migrate

    migrate.require(database, schemas.scripts(service))


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def close() -> None:
        try:
            first()
        finally:
            second()

    return close

"""Puts the three services together: their databases, their objects, and the way to each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from runstone_artifact.settings import ArtifactSettings
from runstone_kit.database import Database
from runstone_kit.settings import BaseServiceSettings, variable_names
from runstone_kit.spec import ServiceParts
from runstone_registry.settings import RegistrySettings
from runstone_suite import schemas
from runstone_suite.datadir import SuiteError
from runstone_suite.inprocess import LocalChannel
from runstone_suite.settings import SuiteSettings
from runstone_tracking.settings import TrackingSettings


@dataclass(frozen=True, slots=True)
class Composition:
    """The settings of every service, filled in with what the suite decides.

    embedded: all is kept in the data folder; else nothing is.
    """

    services: dict[str, BaseServiceSettings]
    embedded: bool

    @classmethod
    def of(cls, settings: SuiteSettings, folder: Path) -> Composition:
        """The services' own settings, with the data folder where they name no place.

        Raises SettingsError; SuiteError when only some of the places are named: the rest would be
        in a folder of this machine, where nobody looks for it and no backup finds it.
        """
        found: dict[str, Any] = {
            "tracking": TrackingSettings.load(),
            "artifact": _with_objects(_artifact(settings), settings),
            "registry": RegistrySettings.load(),
        }
        found = {service: _with_database(own, settings) for service, own in found.items()}
        named = [service for service, own in found.items() if own.database_url is not None]
        objects = found["artifact"].objects_url is not None
        if not named and not objects:
            return cls(_in_folder(found, folder), embedded=True)
        if len(named) < len(found) or not objects:
            raise SuiteError(_half_named(found, named))
        return cls(found, embedded=False)

    def prepare(self) -> None:
        """Migrate the SQLite files; PostgreSQL must be migrated already (`runstone db upgrade`).

        Raises SuiteError.
        """
        if not self.embedded:
            # A URL that cannot be read is told before a database is waited for.
            _main("artifact").open_objects(self.services["artifact"]).close()
        for service, settings in self.services.items():
            database = _open(service, settings)
            try:
                with schemas.explained(service):
                    if database.dialect == "sqlite":
                        schemas.bring_to_head(service, database)
                    elif schemas.revision_of(database) != schemas.head(service):
                        _require(database, service)
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


def _with_database(own: Any, settings: SuiteSettings) -> Any:
    if own.database_url is None and settings.database_url is not None:
        own = own.model_copy(update={"database_url": settings.database_url})
    if own.database_url is None:
        return own
    scheme = own.database_url.get_secret_value().partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        raise SuiteError(
            f"{_variable(own)} is for PostgreSQL here; SQLite files stand in --data-dir"
        )
    if scheme not in ("postgresql", "postgres"):
        raise SuiteError(
            f"{_variable(own)}: no such database: {scheme!r};"
            " use postgresql://user:password@host:5432/database"
        )
    return own


def _artifact(settings: SuiteSettings) -> ArtifactSettings:
    own = ArtifactSettings.load()
    if own.objects_public_url is None and settings.objects_public_url is not None:
        # Loaded again and not copied: the artifact service knows what fits.
        own = ArtifactSettings.load(objects_public_url=settings.objects_public_url)
    return own


def _with_objects(own: ArtifactSettings, settings: SuiteSettings) -> ArtifactSettings:
    if own.objects_url is not None or settings.objects_url is None:
        return own
    return own.model_copy(update={"objects_url": settings.objects_url})


def _in_folder(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    placed = {}
    for service, own in found.items():
        places = {"database_url": SecretStr(schemas.sqlite_url(service, folder))}
        if service == "artifact":
            places["objects_url"] = SecretStr(str(folder / "objects"))
        placed[service] = own.model_copy(update=places)
    return placed


def _half_named(found: dict[str, Any], named: list[str]) -> str:
    if named and len(named) < len(found):
        missing = [f"RUNSTONE_{each.upper()}_DATABASE_URL" for each in found if each not in named]
        return (
            f"{_variable(found[named[0]])} is set and {' and '.join(missing)}"
            f" {'is' if len(missing) == 1 else 'are'} not: set RUNSTONE_DATABASE_URL for every"
            " service, or each, or none"
        )
    if named:
        return (
            f"{_variable(found[named[0]])} is set and RUNSTONE_OBJECTS_URL is not: artifacts would"
            " stay in a folder of this machine. Set both (RUNSTONE_OBJECTS_URL is"
            " s3+http://key:secret@host:9000/bucket, or file:///folder), or neither"
        )
    return (
        f"{_variable(found['artifact'], 'objects_url')} is set and RUNSTONE_DATABASE_URL is not:"
        " the object store would be of use to the SQLite files of one folder only. Set both"
        " (RUNSTONE_DATABASE_URL is postgresql://user:password@host:5432/database), or neither"
    )


def _variable(own: BaseServiceSettings, field: str = "database_url") -> str:
    """The variable that set a field, else the one that would have set it for every service."""
    names = [*variable_names(type(own), field), *variable_names(SuiteSettings, field)]
    return next((name for name in names if name in os.environ), f"RUNSTONE_{field.upper()}")


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

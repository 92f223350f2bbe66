"""Puts the three services together: their databases, their objects, and the way to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from runstone_kit.errors import RunstoneError
from runstone_kit.spec import ServiceParts
from runstone_suite import schemas
from runstone_suite.datadir import SuiteError
from runstone_suite.inprocess import LocalChannel
from runstone_suite.settings import SuiteSettings
from runstone_tracking.settings import TrackingSettings


@dataclass(frozen=True, slots=True)
class Composition:
    """The settings of every service, filled in with what the suite decides."""

    tracking: TrackingSettings

    @classmethod
    def of(cls, settings: SuiteSettings, folder: Path | None) -> Composition:
        """The services' own settings, with the data folder where they name no place."""
        tracking = TrackingSettings.load()
        return cls(_with_database(tracking, "tracking", folder))

    def migrate(self) -> None:
        """Bring every schema to its head. Raises SuiteError."""
        from runstone_tracking.main import open_database

        database = open_database(self.tracking)
        try:
            schemas.bring_to_head("tracking", database)
        except RunstoneError as error:
            raise SuiteError(f"the database of tracking: {error}") from error
        finally:
            database.dispose()

    def build(self) -> Sequence[ServiceParts]:
        """The services, connected to each other."""
        from runstone_tracking import main as tracking_main

        channel = LocalChannel()
        tracking = tracking_main.build(self.tracking)
        channel.connect(tracking)
        return [tracking]


def _with_database(settings: Any, service: str, folder: Path | None) -> Any:
    if settings.database_url is not None or folder is None:
        return settings
    url = SecretStr(schemas.sqlite_url(service, folder))
    return settings.model_copy(update={"database_url": url})

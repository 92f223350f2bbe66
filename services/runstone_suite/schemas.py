"""The schemas behind the suite: what they are at, what they need, and how they get there.

Asking costs one query a service and does not import Alembic, so that a suite whose schemas are
current, which is nearly always, starts without it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnClause, column, make_url, select, table
from sqlalchemy.exc import DatabaseError

from runstone_kit.database import Database
from runstone_kit.errors import RunstoneError
from runstone_suite.datadir import DataDir, SuiteError, owner_of
from runstone_suite.settings import SuiteSettings

SERVICES = ("tracking", "artifact", "registry")

CONNECTIONS = 2
"""A migration holds the advisory lock by one connection and works on another."""

VERSION_TABLE = "schema_version"
"""The kit's name for it; its own constant lies beside the import of Alembic."""

_ASSIGNED = re.compile(r"""^(down_revision|revision)\b[^=\n]*=\s*["']([^"']+)["']""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Schema:
    """One service's schema: its revision (None when empty) and the one this release needs."""

    service: str
    database: str
    current: str | None
    head: str


def current(data_dir: Path | None, services: Sequence[str] = SERVICES) -> list[Schema]:
    """What each schema is at. Changes nothing. Raises SuiteError, SettingsError or the kit's."""
    found = []
    for service in services:
        url = database_url(service, data_dir)
        missing = url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()
        revision = None
        if not missing:
            with _opened(service, url) as database:
                revision = revision_of(database)
        found.append(Schema(service, _shown(url), revision, head(service)))
    return found


def upgrade(data_dir: Path | None, services: Sequence[str] = SERVICES) -> list[Schema]:
    """Bring each schema to its head, under the advisory lock, and tell what it is at then.

    Raises SuiteError when a running suite serves the data folder (it migrates at its start).
    """
    urls = {service: database_url(service, data_dir) for service in services}
    embedded = any(url.startswith("sqlite:///") for url in urls.values())
    folder = None
    if embedded:
        settings = SuiteSettings.load(**({} if data_dir is None else {"data_dir": data_dir}))
        if owner := owner_of(settings.data_dir):
            raise SuiteError(
                f"{settings.data_dir} is served by pid {owner.pid}, which migrated it at its start"
            )
        folder = DataDir(settings.data_dir, mode="foreground", version="db upgrade")
        folder.claim()
    try:
        for service, url in urls.items():
            with _opened(service, url) as database:
                bring_to_head(service, database)
    finally:
        if folder is not None:
            folder.release()
    return current(data_dir, services)


def bring_to_head(service: str, database: Database) -> None:
    """Migrate one service's schema unless it is at its head already."""
    if revision_of(database) == head(service):
        return
    # Imported here: it takes a third of the start of a suite that needs no migration.
    from runstone_kit import migrate

    migrate.upgrade(database, scripts(service))


def database_url(service: str, data_dir: Path | None = None) -> str:
    """Where a service's tables are, as its settings say, else the SQLite file of the folder."""
    settings = importlib.import_module(f"runstone_{service}.settings")
    own = getattr(settings, f"{service.capitalize()}Settings").load()
    if own.database_url is not None:
        return str(own.database_url.get_secret_value())
    suite = SuiteSettings.load(**({} if data_dir is None else {"data_dir": data_dir}))
    return sqlite_url(service, suite.data_dir)


def sqlite_url(service: str, folder: Path) -> str:
    """The URL of a service's file in a data folder."""
    return f"sqlite:///{folder.resolve() / f'{service}.db'}"


def scripts(service: str) -> Path:
    """The folder of a service's migrations."""
    package = importlib.import_module(f"runstone_{service}")
    assert package.__file__ is not None
    return Path(package.__file__).parent / "migrations"


def head(service: str) -> str:
    """The revision that no other revision follows, read from the scripts' own text."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for script in (scripts(service) / "versions").glob("*.py"):
        for name, value in _ASSIGNED.findall(script.read_text("utf-8")):
            (revisions if name == "revision" else followed).add(value)
    heads = revisions - followed
    if len(heads) != 1:
        raise SuiteError(f"the migrations of {service} end in {sorted(heads) or 'nothing'}")
    return heads.pop()


def revision_of(database: Database) -> str | None:
    """The revision a schema is at, None when it was never migrated."""
    schema = database.schema if database.dialect == "postgresql" else None
    revision: ColumnClause[str] = column("version_num")
    query = select(revision).select_from(table(VERSION_TABLE, schema=schema))
    try:
        with database.read() as connection:
            return connection.execute(query).scalar()
    except DatabaseError:
        # No such table: nothing was migrated yet. A database that is away raises a kind instead.
        return None


def schema_name(service: str) -> str:
    """The schema that a service's tables are declared with."""
    return f"runstone_{service}"


@contextmanager
def explained(service: str) -> Iterator[None]:
    """The kit's errors as a SuiteError that says which database it was, and why."""
    try:
        yield
    except RunstoneError as error:
        raise SuiteError(f"the database of {service}: {error.for_operator}") from error


@contextmanager
def _opened(service: str, url: str) -> Iterator[Database]:
    try:
        database = Database.from_url(url, schema=schema_name(service), pool_size=CONNECTIONS)
    except ValueError as error:
        raise SuiteError(f"the database URL of {service}: {error}") from None
    try:
        with explained(service):
            yield database
    finally:
        database.dispose()


def _shown(url: str) -> str:
    # A password has no business on a screen, and may stand in the query too.
    return make_url(url).set(query={}).render_as_string(hide_password=True)

"""The tracking service's database for tests, and builders of what is in it."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import runstone_tracking
from runstone_kit import migrate
from runstone_kit.database import Database
from runstone_tracking.model import Experiment, NewRun
from runstone_tracking.store import Session
from runstone_tracking.tables import SCHEMA

MIGRATIONS = Path(runstone_tracking.__file__).with_name("migrations")

ON_POSTGRESQL = pytest.mark.parametrize("tracking_url", ["postgresql"], indirect=True)
"""For what SQLite cannot do: it has one writer, so nobody waits for the lock of a row."""

_numbers = itertools.count(1)


@contextmanager
def opened(url: str, **options: Any) -> Iterator[Database]:
    """The database at a URL, closed at the end."""
    database = Database.from_url(url, schema=SCHEMA, **options)
    try:
        yield database
    finally:
        database.dispose()


def migrate_database(url: str) -> None:
    """Brings it to the newest revision."""
    with opened(url) as database:
        migrate.upgrade(database, MIGRATIONS)


def run_id(number: int | None = None) -> str:
    """A run id; each is another one unless a number is given."""
    return f"{next(_numbers) if number is None else number:032x}"


def add_experiment(session: Session, name: str = "", now: int = 1) -> Experiment:
    """An experiment, with a made up name if none is given."""
    return session.experiments.create(name or f"experiment {next(_numbers)}", {}, now)


def add_run(
    session: Session,
    experiment_id: str = "0",
    *,
    name: str = "a run",
    start_time: int = 1,
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
) -> str:
    """A run with tags and params; returns its id."""
    new = NewRun(run_id(), experiment_id, name, "somebody", start_time, tags or {})
    session.runs.create(new)
    session.runs.add_params(new.run_id, params or {})
    return new.run_id

"""`runstone db`: the schemas of the services' databases."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from runstone.cli._session import Group, Session
from runstone.cli._suite import suite_module
from runstone.cli._table import Column

SERVICES = ("tracking", "artifact", "registry")

COLUMNS = [
    Column("SERVICE", lambda row: row["service"]),
    Column("SCHEMA AT", lambda row: row["current"] or "(empty)"),
    Column("NEEDS", lambda row: row["head"]),
    Column("STATE", lambda row: "Ready" if row["current"] == row["head"] else "Needs upgrade"),
    Column("DATABASE", lambda row: row["database"], fold=True),
]

data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of an embedded suite, when RUNSTONE_DATABASE_URL is not set.",
)
service = click.option(
    "--service",
    "services",
    type=click.Choice(SERVICES),
    multiple=True,
    help="Only this one (can be repeated). Default: all.",
)


EXAMPLES = """\b
Examples:
  runstone db current
  runstone db upgrade --dry-run
  runstone db upgrade --service tracking --service artifact
"""


@click.group("db", cls=Group, epilog=EXAMPLES)
def command() -> None:
    """The databases behind a server: RUNSTONE_DATABASE_URL, else SQLite in the data folder.

    A service that has a database of its own names it in RUNSTONE_TRACKING_DATABASE_URL and so on.
    """


@command.command(local=True)
@data_dir
@service
@click.pass_obj
def current(session: Session, data_dir: Path | None, services: tuple[str, ...]) -> None:
    """Show which revision each schema is at."""
    with suite_module("schemas") as schemas:
        _show(session, schemas.current(data_dir, services or SERVICES))


@command.command(local=True)
@data_dir
@service
@click.option("--dry-run", is_flag=True, help="Only show what would be upgraded.")
@click.pass_obj
def upgrade(
    session: Session, data_dir: Path | None, services: tuple[str, ...], dry_run: bool
) -> None:
    """Bring the schemas to what this release needs. Safe to run from many machines at once."""
    with suite_module("schemas") as schemas:
        change = schemas.current if dry_run else schemas.upgrade
        _show(session, change(data_dir, services or SERVICES))


def _show(session: Session, rows: list[Any]) -> None:
    session.table([asdict(row) for row in rows], COLUMNS)

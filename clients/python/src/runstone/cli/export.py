"""`runstone export`: what we hold, written to another tracking server."""

from __future__ import annotations

import click

from runstone.cli._migration import (
    INCOMPLETE,
    experiments,
    no_artifacts,
    no_registry,
    on_conflict,
    said,
)
from runstone.cli._session import Command, Group, Session

EXAMPLES = """\b
Examples:
  runstone export mlflow http://mlflow.example:5000
  runstone export mlflow http://mlflow.example:5000 --experiments churn
"""


@click.group("export", cls=Group)
def command() -> None:
    """Write what is here to another tracking server."""


@command.command("mlflow", cls=Command, epilog=EXAMPLES)
@click.argument("target", metavar="TARGET_URL")
@experiments
@on_conflict
@no_artifacts
@no_registry
@click.pass_obj
def mlflow(
    session: Session,
    target: str,
    experiments: tuple[str, ...],
    on_conflict: str,
    no_artifacts: bool,
    no_registry: bool,
) -> int:
    """Write experiments, runs, metrics, artifacts and models to MLflow.

    TARGET_URL is a tracking server's. Safe to be interrupted and run again: what is there is not
    made twice, and what is new here since is added. Exit code 1 when something was not written.
    """
    from runstone._migrate.export import Export, ExportOptions
    from runstone._migrate.progress import watched
    from runstone._migrate.target import TargetClient

    options = ExportOptions(
        experiments, on_conflict, files=not no_artifacts, registry=not no_registry
    )
    client = TargetClient(session.tracking_uri)
    export = Export(client, target, options)
    try:
        with watched("exporting") as watcher:
            report = export.write(watcher)
    finally:
        export.close()
        client.close()
    session.answer(report.to_dictionary(), said(report, "Exported"))
    return 0 if report.complete else INCOMPLETE

"""`runstone import`: what another tracking server holds, brought over."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from runstone.cli._format import counted
from runstone.cli._migration import (
    INCOMPLETE,
    experiments,
    no_artifacts,
    no_registry,
    on_conflict,
    said,
)
from runstone.cli._session import Command, Group, Session

if TYPE_CHECKING:
    from runstone._migrate.copying import Preview

EXAMPLES = """\b
Examples:
  runstone import mlflow http://mlflow.example:5000 --dry-run
  runstone import mlflow postgresql://host/mlflow --artifacts s3://files
  runstone import mlflow mlruns --experiments churn --experiments fraud

\b
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or
MLFLOW_TRACKING_TOKEN, say who you are to a tracking server.
"""


@click.group("import", cls=Group)
def command() -> None:
    """Bring over what another tracking server holds."""


@command.command("mlflow", cls=Command, epilog=EXAMPLES)
@click.argument("source", metavar="SOURCE")
@experiments
@on_conflict
@click.option(
    "--artifacts",
    metavar="PLACE",
    help="Where the files are that MLflow names by mlflow-artifacts: (for a database or a folder).",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be brought over.")
@no_artifacts
@no_registry
@click.pass_obj
def mlflow(
    session: Session,
    source: str,
    experiments: tuple[str, ...],
    on_conflict: str,
    artifacts: str | None,
    dry_run: bool,
    no_artifacts: bool,
    no_registry: bool,
) -> int:
    """Bring over experiments, runs, metrics, artifacts and models from MLflow.

    SOURCE is a tracking server's URL, the URL of its database, or a folder mlruns. It is only read.
    Safe to be interrupted and run again: what is here is not made twice, and what is new there
    since is added. Exit code 1 when something could not be carried.
    """
    from runstone._migrate.copying import Options, bring_over, preview
    from runstone._migrate.progress import watched
    from runstone._migrate.source import opened
    from runstone._migrate.target import TargetClient

    options = Options(experiments, on_conflict, files=not no_artifacts, registry=not no_registry)
    client = TargetClient(session.tracking_uri)
    reader = opened(source, artifacts)
    try:
        if dry_run:
            found = preview(reader, client, options)
            session.answer(asdict(found), _foreseen(found))
            return 0
        with watched("importing") as watcher:
            report = bring_over(reader, client, options, watcher)
    finally:
        reader.close()
        client.close()
    session.answer(report.to_dictionary(), said(report, "Imported"))
    return 0 if report.complete else INCOMPLETE


def _foreseen(found: Preview) -> str:
    runs = [
        f"  experiment {each['name']}{_as(each)}: {counted(_number(each['runs']), 'run')},"
        f" {each['new_runs']} of them new"
        for each in found.experiments
    ]
    models = [
        f"  model {each['name']}{_as(each)}: {counted(_number(each['versions']), 'version')}"
        for each in found.models
    ]
    heading = f"From {found.source} to {found.target}:"
    return "\n".join([heading, *runs, *models, "Nothing was changed."])


def _as(each: dict[str, Any]) -> str:
    new = "new" if each["new"] else "there"
    return (
        f" ({new})" if each["name"] == each["target_name"] else f" as {each['target_name']} ({new})"
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0

"""`runstone artifacts`: files of runs and of model versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from runstone.artifact.v1 import artifact_pb2
from runstone.cli import _archive_commands
from runstone.cli._format import cell, counted, short_time, size_text
from runstone.cli._place import place, target_argument
from runstone.cli._plain import plain
from runstone.cli._session import Group, Session, confirm, limit, pages, yes
from runstone.cli._table import Column

COLUMNS = [
    Column("PATH", lambda row: f"{row['path']}/" if row["is_directory"] else row["path"]),
    Column("SIZE", lambda row: _size(row, str), lambda row: _size(row, size_text), right=True),
    Column("CREATED", lambda row: row["create_time"], lambda row: short_time(row["create_time"])),
    Column("SHA256", lambda row: row["sha256"], lambda row: row["sha256"][:12]),
]

DAMAGE_COLUMNS = [
    Column("SHA256", lambda row: row["sha256"]),
    Column(
        "PROBLEM",
        lambda row: row["problem"],
        lambda row: cell([row["problem"], *row["artifacts"]]),
        fold=True,
    ),
    Column("ARTIFACTS", lambda row: row["artifacts"], only_piped=True),
]


def _size(row: Mapping[str, Any], text: Callable[[int], str]) -> str:
    return "" if row["is_directory"] else text(row["size"])


EXAMPLES = """\b
Examples:
  runstone artifacts log model.skops runs:/3f2a9c41/model
  runstone artifacts list 3f2a9c41 --recursive
  runstone artifacts download models:/iris/Production --to fetched
  runstone artifacts scrub --max-bytes 1000000000
"""


@click.group("artifacts", cls=Group, epilog=EXAMPLES)
def command() -> None:
    """Files of runs and model versions.

    TARGET is a run id (or its first digits), runs:/RUN_ID/PATH, models:/NAME/VERSION/PATH or
    models:/NAME@ALIAS, where VERSION is a number, a stage or latest.
    """


_archive_commands.add_to(command)


@command.command()
@click.argument("local", type=click.Path(path_type=Path))
@target_argument
@click.pass_obj
def log(session: Session, local: Path, target: str) -> None:
    """Send a local file, or what stands in a local folder, to a run.

    Interrupted and called again, it sends what is not there yet.
    """
    where = place(session, target)
    if not where.owner.run_id:
        raise click.UsageError(
            "a version's files are final; `runstone models register --from` makes a new version"
        )
    from runstone import _transfer

    _transfer.upload_missing(session.service("artifact"), where.owner, local, where.path)
    # Files go into TARGET's path; a folder's entries do, not the folder.
    names = sorted(each.name for each in local.iterdir()) if local.is_dir() else [local.name]
    paths = [where.below(name) for name in names]
    session.answer({"uri": where.uri, "paths": paths}, f"Logged {local} to {where.uri}.")


@command.command("list")
@target_argument
@click.argument("path", default="")
@click.option("--recursive", "-r", is_flag=True, help="All files below, not only the next level.")
@limit
@click.pass_obj
def list_all(session: Session, target: str, path: str, recursive: bool, limit: int) -> None:
    """List files."""
    where = place(session, target)
    chosen = where.below(path)
    service = session.service("artifact")
    if chosen:
        # A list of nothing would not tell an empty answer from a misspelled path.
        service.GetArtifact(artifact_pb2.GetArtifactRequest(owner=where.owner, path=chosen))
    request = artifact_pb2.ListArtifactsRequest(owner=where.owner, path=chosen, recursive=recursive)
    call = service.ListArtifacts
    session.table(map(plain, pages(call, request, "artifacts", limit)), COLUMNS, none="No files.")


@command.command()
@target_argument
@click.argument("path", default="")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the working directory",
    help="Where to put it.",
)
@click.pass_obj
def download(session: Session, target: str, path: str, to: Path) -> None:
    """Fetch a file, or a folder with all below it."""
    where = place(session, target)
    local = session.client.download_artifacts(
        where.owner.run_id or None,
        where.below(path),
        to,
        model_version_id=where.owner.model_version_id or None,
        logged_model_id=where.owner.logged_model_id or None,
    )
    session.answer({"path": local}, local)


@command.command()
@target_argument
@click.argument("path", default="")
@yes
@click.pass_obj
def delete(session: Session, target: str, path: str, yes: bool) -> None:
    """Delete a file of a run, or a folder with all below it. `runstone gc` frees the bytes."""
    where = place(session, target)
    chosen = where.below(path)
    if not where.owner.run_id:
        raise click.UsageError("a version's files go with it: `runstone models delete`")
    confirm(session, f"Delete {where.uri_of(chosen)}?", yes)
    request = artifact_pb2.DeleteArtifactsRequest(owner=where.owner, path=chosen)
    deleted = session.service("artifact").DeleteArtifacts(request).deleted
    session.answer({"deleted": deleted}, f"Deleted {counted(deleted, 'file')}.")


@command.command()
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    metavar="BYTES",
    help="Stop after so many bytes were read. Default: read them all.",
)
@click.pass_context
def scrub(ctx: click.Context, max_bytes: int | None) -> None:
    """Read the stored bytes and compare them with their digests; exit code 1 when some differ."""
    session: Session = ctx.obj
    totals = {"checked": 0, "size": 0}
    damaged: list[Mapping[str, Any]] = []
    for part in _scrubbed(session, max_bytes):
        totals["checked"] += part.checked
        totals["size"] += part.size
        damaged += map(plain, part.damaged)
    if session.as_json:
        session.answer({**totals, "damaged": damaged}, "")
    else:
        if damaged:
            session.table(damaged, DAMAGE_COLUMNS)
        click.echo(
            f"Read {counted(totals['checked'], 'object')} ({size_text(totals['size'])}):"
            f" {len(damaged)} damaged."
        )
    ctx.exit(1 if damaged else 0)


def _scrubbed(session: Session, max_bytes: int | None) -> Iterator[Any]:
    request = artifact_pb2.ScrubArtifactsRequest()
    left = max_bytes
    while True:
        if left is not None:
            request.max_bytes = left
        answer = session.service("artifact").ScrubArtifacts(request)
        yield answer
        if left is not None:
            left -= answer.size
        if not answer.next_page_token or (left is not None and left <= 0):
            return
        request.page_token = answer.next_page_token

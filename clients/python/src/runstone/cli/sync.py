"""`runstone sync`: delivers what offline mode kept in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstone.cli._format import counted, size_text
from runstone.cli._session import Command, Session

if TYPE_CHECKING:
    from runstone._sync.report import Report, RunReport

LEFT = 1
"""Exit code when something is not on the server."""

EXAMPLES = """\b
Examples:
  RUNSTONE_MODE=offline python train.py
  runstone sync runstone-offline --tracking-uri runstone://tracking.example
  runstone sync /scratch/offline --clean
"""


@click.command("sync", cls=Command, epilog=EXAMPLES)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--again",
    is_flag=True,
    help="Forget what was delivered before: deliver all of it, as to another server.",
)
@click.option(
    "--clean", is_flag=True, help="Remove what is delivered whole, of processes that are gone."
)
@click.pass_obj
def command(session: Session, folder: Path | None, again: bool, clean: bool) -> int:
    """Deliver what scripts logged with RUNSTONE_MODE=offline.

    DIR is the folder that it was kept in: RUNSTONE_OFFLINE_DIR, else ./runstone-offline, when
    absent. Safe to be interrupted and run again, also while a script still logs: what was delivered
    is not delivered twice. Exit code 1 when something was refused, is damaged, or waits.
    """
    from runstone import _uri
    from runstone._sync.folder import sync
    from runstone._sync.server import SyncClient

    client = SyncClient(session.tracking_uri)
    try:
        report = sync((folder or _uri.offline_dir()).absolute(), client, again=again, clean=clean)
    finally:
        client.close()
    session.answer(report.to_dictionary(), _said(report))
    return 0 if report.complete else LEFT


def _said(report: Report) -> str:
    lines = [_of_run(each) for each in report.runs if each.server_run_id]
    lines.append(
        f"Delivered to {report.tracking_uri}: {counted(report.runs_created, 'new run')},"
        f" {counted(report.params, 'param')}, {counted(report.tags, 'tag')},"
        f" {counted(report.points, 'point')}, {counted(report.inputs, 'input')},"
        f" {counted(report.files, 'file')} ({size_text(report.file_bytes)})."
    )
    if report.live_processes:
        lines += [
            f"{counted(report.live_processes, 'process', 'processes')} may log more: sync again."
        ]
    if report.dropped_points:
        lines += [f"{counted(report.dropped_points, 'point')} found no room when logged."]
    lines += [f"Refused: {each}" for each in report.refused]
    lines += [f"Damaged: {each}" for each in report.damaged]
    lines += [f"Waiting: {each}" for each in report.waiting]
    if report.removed:
        lines += [f"Removed the files of {counted(report.removed, 'process', 'processes')}."]
    return "\n".join(lines)


def _of_run(run: RunReport) -> str:
    name = f" {run.name}" if run.name else ""
    return f"Run {run.run_id}{name} is {run.server_run_id} (runs:/{run.server_run_id})."

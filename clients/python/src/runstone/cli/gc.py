"""`runstone gc`: removes for good what was deleted.

The order makes every step safe to be killed after: files go while their deleted run still names
them, the run goes when its files are gone, and bytes go last, when nothing refers to them. What
an interrupted gc leaves is found by the next one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import click

from runstone.artifact.v1 import artifact_pb2
from runstone.cli._session import Command, Session, confirm, yes
from runstone.exceptions import RunNotDeleted, RunNotFound
from runstone.tracking.v1 import run_pb2

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Age(click.ParamType[float]):
    """A number and a unit, such as 30d, 12h, 15m or 90s, as seconds."""

    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds. Fails the command line for anything else."""
        if isinstance(value, int | float):
            return float(value)
        read = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", str(value).strip())
        if read is None:
            self.fail(f"{value!r} is not an age such as 30d, 12h, 15m or 90s", param, ctx)
        return float(read[1]) * UNITS[read[2]]


@dataclass
class Removed:
    """What was, or would be, removed. `more`: a dry run saw only the first thousand."""

    dry_run: bool
    run_ids: list[str] = field(default_factory=list)
    artifacts: int = 0
    experiment_ids: list[str] = field(default_factory=list)
    objects: int = 0
    bytes: int = 0
    uploads: int = 0
    more: bool = False


@click.command("gc", cls=Command)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--older-than",
    type=Age(),
    default="0s",
    show_default=True,
    help="Only what was deleted longer ago than this, such as 30d, 12h, 15m.",
)
@click.option(
    "--objects-older-than",
    type=Age(),
    default="1d",
    show_default=True,
    help="Stored bytes that nothing refers to: an upload under way may be as young as this.",
)
@yes
@click.pass_obj
def command(
    session: Session, dry_run: bool, older_than: float, objects_older_than: float, yes: bool
) -> None:
    """Remove for good what was deleted: runs, experiments, and bytes that nothing refers to.

    Registered model versions keep their files, whatever becomes of the runs they came from.
    """
    if not dry_run:
        confirm(session, "Remove for good what was deleted?", yes)
    before = int((time.time() - older_than) * 1000)
    removed = Removed(dry_run)
    for run_ids in _purgeable(session, before, removed):
        for run_id in run_ids:
            if dry_run or _remove(session, run_id, before, removed):
                removed.run_ids.append(run_id)
    removed.experiment_ids = _purge_experiments(session, before, dry_run)
    _collect(session, removed, int(objects_older_than))
    session.answer(asdict(removed), _said(removed))


def _purgeable(session: Session, before: int, removed: Removed) -> Iterator[list[str]]:
    """Deleted runs, in batches; each batch must be purged before the next is asked for."""
    request = run_pb2.PurgeRunsRequest(dry_run=True)
    request.deleted_before.FromMilliseconds(before)
    while True:
        answer = session.service("tracking").PurgeRuns(request)
        if answer.run_ids:
            yield list(answer.run_ids)
        if removed.dry_run:
            # Nothing went, so the next answer would be the same one.
            removed.more |= answer.more
            return
        if not answer.more:
            return


def _remove(session: Session, run_id: str, before: int, removed: Removed) -> bool:
    """Remove one run and its files; not when it was restored, or removed, since it was listed.

    Run by run: with a batch, files of a run that is restored meanwhile would go long after the
    look at it. Between the look and the deletion there is one call's time, no more.
    """
    try:
        # The server's own rule, so that a run deleted anew after `before` is left alone too.
        if not _purge(session, run_id, before, dry_run=True):
            return False
    except (RunNotFound, RunNotDeleted):
        return False
    removed.artifacts += _delete_files(session, run_id)
    _purge(session, run_id, before, dry_run=False)
    return True


def _delete_files(session: Session, run_id: str) -> int:
    request = artifact_pb2.DeleteArtifactsRequest(owner=artifact_pb2.Owner(run_id=run_id))
    deleted: int = session.service("artifact").DeleteArtifacts(request).deleted
    return deleted


def _purge(session: Session, run_id: str, before: int, *, dry_run: bool) -> bool:
    request = run_pb2.PurgeRunsRequest(run_ids=[run_id], dry_run=dry_run)
    request.deleted_before.FromMilliseconds(before)
    return run_id in session.service("tracking").PurgeRuns(request).run_ids


def _purge_experiments(session: Session, before: int, dry_run: bool) -> list[str]:
    purged: list[str] = []
    request = run_pb2.PurgeExperimentsRequest(dry_run=dry_run)
    request.deleted_before.FromMilliseconds(before)
    while True:
        answer = session.service("tracking").PurgeExperiments(request)
        purged += answer.experiment_ids
        if dry_run or not answer.more:
            return purged


def _collect(session: Session, removed: Removed, min_age: int) -> None:
    request = artifact_pb2.CollectGarbageRequest(
        dry_run=removed.dry_run, min_age_seconds=max(min_age, 1)
    )
    while True:
        answer = session.service("artifact").CollectGarbage(request)
        removed.objects += answer.objects
        removed.bytes += answer.size
        removed.uploads += answer.uploads
        if removed.dry_run:
            removed.more |= answer.more
            return
        if not answer.more:
            return


def _said(removed: Removed) -> str:
    verb = "Would remove" if removed.dry_run else "Removed"
    if removed.more:
        verb = "Would remove at least"
    return (
        f"{verb} {len(removed.run_ids)} runs, {len(removed.experiment_ids)} experiments,"
        f" {removed.objects} stored objects ({removed.bytes:,} bytes)"
        f" and {removed.uploads} abandoned uploads."
    )

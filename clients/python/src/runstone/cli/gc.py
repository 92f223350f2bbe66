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
from typing import TYPE_CHECKING, Any

import click

from runstone.artifact.v1 import artifact_pb2
from runstone.cli._format import counted, size_text
from runstone.cli._runids import warn_of_versions
from runstone.cli._session import Command, Session, confirm, pages, yes
from runstone.exceptions import (
    LoggedModelNotDeleted,
    LoggedModelNotFound,
    RunNotDeleted,
    RunNotFound,
)
from runstone.tracking.v1 import experiment_pb2, logged_model_pb2, run_pb2

YOUNGEST = 1
"""Seconds; the contract takes no less."""

EXAMPLES = """\b
Examples:
  runstone gc --dry-run
  runstone gc --older-than 30d --yes
  runstone gc --objects-older-than 1h
"""

LONGEST = 36525 * 86400
"""Seconds; before 1970 no times are kept, and far from it they cannot be written down."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


if TYPE_CHECKING:
    _Seconds = click.ParamType[float]
else:
    # Generic in late releases of click only; 8.3 fails on it.
    _Seconds = click.ParamType


class Age(_Seconds):
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
        seconds = float(read[1]) * UNITS[read[2]]
        if seconds > LONGEST:
            self.fail(f"{value!r} is more than a hundred years", param, ctx)
        return seconds


@dataclass
class Removed:
    """What was, or would be, removed. `more`: a dry run saw only the first thousand runs.

    Files are those of the runs and logged models; objects are bytes that nothing refers to, and
    those held back are younger than the limit.
    """

    dry_run: bool
    run_ids: list[str] = field(default_factory=list)
    logged_model_ids: list[str] = field(default_factory=list)
    artifacts: int = 0
    artifact_bytes: int = 0
    experiment_ids: list[str] = field(default_factory=list)
    objects: int = 0
    bytes: int = 0
    uploads: int = 0
    more: bool = False
    held_objects: int = 0
    held_bytes: int = 0


@click.command("gc", cls=Command, epilog=EXAMPLES)
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
    help="Only bytes stored longer ago than this; an upload under way must be younger.",
)
@yes
@click.pass_obj
def command(
    session: Session, dry_run: bool, older_than: float, objects_older_than: float, yes: bool
) -> None:
    """Remove for good what was deleted: runs, logged models, experiments, and bytes left over.

    Registered model versions keep their files, whatever becomes of the runs they came from.
    Before anything goes, it says how much and asks; answering no is exit code 3.
    """
    before = int((time.time() - older_than) * 1000)
    min_age = max(int(objects_older_than), YOUNGEST)
    asks = not (dry_run or yes or session.as_json)
    if asks:
        would = _removed(session, before, min_age, dry_run=True, warn=True)
        if not any(
            (
                would.run_ids,
                would.logged_model_ids,
                would.experiment_ids,
                would.objects,
                would.uploads,
            )
        ):
            session.answer(asdict(would), _said(would))
            return
        confirm(session, f"Remove for good {_amount(would)}?", yes)
    removed = _removed(session, before, min_age, dry_run=dry_run, warn=not asks)
    session.answer(asdict(removed), _said(removed))


def _removed(session: Session, before: int, min_age: int, *, dry_run: bool, warn: bool) -> Removed:
    removed = Removed(dry_run)
    for run_ids in _purgeable(session, before, removed):
        if warn:
            warn_of_versions(session, run_ids)
        for run_id in run_ids:
            count, size = _size_of_files(session, artifact_pb2.Owner(run_id=run_id))
            if not dry_run:
                gone = _remove(session, run_id, before)
                if gone is None:
                    continue
                count = gone
            removed.run_ids.append(run_id)
            removed.artifacts += count
            removed.artifact_bytes += size
    _remove_models(session, before, removed)
    purged = _deleted_experiments if dry_run else _purge_experiments
    removed.experiment_ids = purged(session, before)
    _collect(session, removed, min_age)
    _count_held_back(session, removed, min_age)
    return removed


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


def _remove(session: Session, run_id: str, before: int) -> int | None:
    """Remove one run and its files, and say how many; None when it was restored, or removed, since.

    Run by run: with a batch, files of a run that is restored meanwhile would go long after the
    look at it. Between the look and the deletion there is one call's time, no more.
    """
    try:
        # The server's own rule, so that a run deleted anew after `before` is left alone too.
        if not _purge(session, run_id, before, dry_run=True):
            return None
    except (RunNotFound, RunNotDeleted):
        return None
    deleted = _delete_files(session, artifact_pb2.Owner(run_id=run_id))
    _purge(session, run_id, before, dry_run=False)
    return deleted


def _remove_models(session: Session, before: int, removed: Removed) -> None:
    """Remove deleted logged models as runs are removed, or count what they have."""
    while True:
        answer = _purge_models(session, [], before, dry_run=True)
        for model_id in answer.model_ids:
            owner = artifact_pb2.Owner(logged_model_id=model_id)
            count, size = _size_of_files(session, owner)
            if not removed.dry_run:
                try:
                    if not _purge_models(session, [model_id], before, dry_run=True).model_ids:
                        continue
                except (LoggedModelNotFound, LoggedModelNotDeleted):
                    continue
                count = _delete_files(session, owner)
                _purge_models(session, [model_id], before, dry_run=False)
            removed.logged_model_ids.append(model_id)
            removed.artifacts += count
            removed.artifact_bytes += size
        if removed.dry_run:
            removed.more |= answer.more
        if removed.dry_run or not answer.more:
            return


def _purge_models(
    session: Session, model_ids: list[str], before: int, *, dry_run: bool
) -> logged_model_pb2.PurgeLoggedModelsResponse:
    request = logged_model_pb2.PurgeLoggedModelsRequest(model_ids=model_ids, dry_run=dry_run)
    request.deleted_before.FromMilliseconds(before)
    answer: logged_model_pb2.PurgeLoggedModelsResponse
    answer = session.service("tracking").PurgeLoggedModels(request)
    return answer


def _size_of_files(session: Session, owner: artifact_pb2.Owner) -> tuple[int, int]:
    """How many files an owner has, and their bytes."""
    request = artifact_pb2.ListArtifactsRequest(owner=owner, recursive=True)
    call = session.service("artifact").ListArtifacts
    sizes = [each.size for each in pages(call, request, "artifacts", 0)]
    return len(sizes), sum(sizes)


def _delete_files(session: Session, owner: artifact_pb2.Owner) -> int:
    request = artifact_pb2.DeleteArtifactsRequest(owner=owner)
    deleted: int = session.service("artifact").DeleteArtifacts(request).deleted
    return deleted


def _purge(session: Session, run_id: str, before: int, *, dry_run: bool) -> bool:
    request = run_pb2.PurgeRunsRequest(run_ids=[run_id], dry_run=dry_run)
    request.deleted_before.FromMilliseconds(before)
    return run_id in session.service("tracking").PurgeRuns(request).run_ids


def _deleted_experiments(session: Session, before: int) -> list[str]:
    """What a purge would find; the server's dry run leaves those out whose runs still wait for it.

    Their runs and logged models were deleted with them or earlier, so that these all go first.
    """
    request = experiment_pb2.SearchExperimentsRequest(
        view_type=experiment_pb2.VIEW_TYPE_DELETED_ONLY
    )
    call = session.service("tracking").SearchExperiments
    return [
        each.experiment_id
        for each in pages(call, request, "experiments", 0)
        if each.delete_time.ToMilliseconds() < before
    ]


def _purge_experiments(session: Session, before: int) -> list[str]:
    purged: list[str] = []
    request = run_pb2.PurgeExperimentsRequest()
    request.deleted_before.FromMilliseconds(before)
    while True:
        answer = session.service("tracking").PurgeExperiments(request)
        purged += answer.experiment_ids
        if not answer.more:
            return purged


def _collect(session: Session, removed: Removed, min_age: int) -> None:
    request = artifact_pb2.CollectGarbageRequest(dry_run=removed.dry_run, min_age_seconds=min_age)
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


def _count_held_back(session: Session, removed: Removed, min_age: int) -> None:
    if min_age == YOUNGEST:
        return
    call = session.service("artifact").CollectGarbage
    every, old = (
        call(artifact_pb2.CollectGarbageRequest(dry_run=True, min_age_seconds=age))
        for age in (YOUNGEST, min_age)
    )
    # Others may collect, or delete files, between the two calls.
    removed.held_objects = max(0, every.objects - old.objects)
    removed.held_bytes = max(0, every.size - old.size)


def _amount(removed: Removed) -> str:
    files = f"{counted(removed.artifacts, 'file')}, {size_text(removed.artifact_bytes)}"
    owners = counted(len(removed.run_ids), "run")
    if removed.logged_model_ids:
        owners += f" and {counted(len(removed.logged_model_ids), 'logged model')}"
    return (
        f"{'at least ' if removed.more else ''}{owners} ({files}),"
        f" {counted(len(removed.experiment_ids), 'experiment')},"
        f" {counted(removed.objects, 'stored object')} ({size_text(removed.bytes)})"
        f" and {counted(removed.uploads, 'abandoned upload')}"
    )


def _said(removed: Removed) -> str:
    said = f"{'Would remove' if removed.dry_run else 'Removed'} {_amount(removed)}."
    if removed.held_objects:
        said += (
            f"\nHeld back by --objects-older-than:"
            f" {counted(removed.held_objects, 'stored object')} ({size_text(removed.held_bytes)})"
            " that nothing refers to but that may belong to an upload under way."
        )
    return said

"""Run ids on the command line: a beginning will do, and versions made from a run are told of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import click

from runstone.cli import _complete
from runstone.cli._format import word
from runstone.cli._plain import plain
from runstone.cli._session import Session, pages
from runstone.exceptions import RunNotFound, RunstoneException
from runstone.registry.v1 import model_version_pb2
from runstone.tracking.v1 import experiment_pb2, run_pb2

BEGINNING = re.compile(r"[0-9a-f]{4,31}")
"""Four digits: fewer are typed by mistake more often than they are unique."""

EXPERIMENTS_AT_ONCE = 1000
"""What SearchRuns takes."""

LISTED = 10
"""Matches of an ambiguous beginning that are listed; more do not help to choose."""

RUNS_AT_ONCE = 100
"""Ids in one filter, which is bounded."""

run_id_argument = click.argument("run_id", shell_complete=_complete.run)
run_ids_argument = click.argument(
    "run_ids", nargs=-1, required=True, metavar="RUN_ID...", shell_complete=_complete.run
)


def all_experiments(session: Session) -> Iterator[tuple[str, str]]:
    """Id and name of every experiment, deleted ones too."""
    request = experiment_pb2.SearchExperimentsRequest(view_type=experiment_pb2.VIEW_TYPE_ALL)
    call = session.service("tracking").SearchExperiments
    for each in pages(call, request, "experiments", 0):
        yield each.experiment_id, each.name


def whole_run_id(session: Session, text: str) -> str:
    """The run id that `text` is, or is the beginning of; other texts as they are.

    Raises RunNotFound when no run begins so, click.ClickException when several do.
    """
    text = text.strip()
    if not BEGINNING.fullmatch(text.lower()):
        return text
    text = text.lower()
    matches = _beginning_with(session, text)
    if not matches:
        raise RunNotFound(f"there is no run whose id begins with {text}", metadata={"run_id": text})
    if len(matches) > 1:
        named = ", ".join(f"{run.run_id} ({run.name})" for run in matches[:LISTED])
        more = ", ..." if len(matches) > LISTED else ""
        raise click.ClickException(f"several run ids begin with {text}: {named}{more}")
    return str(matches[0].run_id)


def whole_run_ids(session: Session, texts: Sequence[str]) -> list[str]:
    """The same for many, each run once; all of them are read before anything is done to one."""
    return list(dict.fromkeys(whole_run_id(session, text) for text in texts))


def _beginning_with(session: Session, text: str) -> list[Any]:
    call = session.service("tracking").SearchRuns
    experiments = (experiment_id for experiment_id, _ in all_experiments(session))
    found: list[Any] = []
    while some := list(islice(experiments, EXPERIMENTS_AT_ONCE)):
        request = run_pb2.SearchRunsRequest(
            experiment_ids=some,
            filter=f"attributes.run_id LIKE '{text}%'",
            view_type=experiment_pb2.VIEW_TYPE_ALL,
        )
        found += pages(call, request, "runs", LISTED + 1)
    return found


def require_run(session: Session, text: str) -> str:
    """The whole id of a run that is there. Raises RunNotFound."""
    run_id = whole_run_id(session, text)
    session.service("tracking").GetRun(run_pb2.GetRunRequest(run_id=run_id))
    return run_id


def warn_of_versions(session: Session, run_ids: Sequence[str]) -> None:
    """Tell which model versions came from runs that are to be deleted. Never fails for it."""
    if session.as_json:
        return
    try:
        versions = list(_versions_of(session, run_ids))
    except RunstoneException as error:
        session.warn(f"whether model versions came from it is not known: {error.message}")
        return
    for row in versions:
        stage = "" if row["stage"] == "NONE" else f" ({word(row['stage'])})"
        session.warn(
            f"version {row['version']} of model {row['name']!r}{stage} came from run"
            f" {row['run_id']}; the version keeps its own files."
        )


def _versions_of(session: Session, run_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    call = session.service("registry").SearchModelVersions
    for start in range(0, len(run_ids), RUNS_AT_ONCE):
        some = (run_id.replace("'", "''") for run_id in run_ids[start : start + RUNS_AT_ONCE])
        quoted = ", ".join(f"'{run_id}'" for run_id in some)
        request = model_version_pb2.SearchModelVersionsRequest(
            filter=f"run_id IN ({quoted})", order_by=["name ASC", "version_number ASC"]
        )
        for version in pages(call, request, "model_versions", 0):
            yield plain(version)

"""The part of `runstone runs` that makes runs by hand and puts them side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from google.protobuf.field_mask_pb2 import FieldMask

from runstone._connection import new_id
from runstone.cli import _complete, _experiment_options
from runstone.cli._format import duration_text, number, seconds_between, short_time, word
from runstone.cli._plain import enum_number, plain
from runstone.cli._runids import run_id_argument, run_ids_argument, whole_run_id, whole_run_ids
from runstone.cli._runtable import short_ids, with_latest
from runstone.cli._session import Command, Session, key_values
from runstone.cli._table import Column, Row
from runstone.tracking.v1 import run_pb2

ENDED = ("finished", "failed", "killed")
"""What a run that is over can be."""

FEWEST = 2
"""Runs of a comparison."""


def add_to(group: click.Group) -> None:
    """Put these commands into the group of runs."""
    for each in (create, end, compare):
        group.add_command(each)


@click.command(cls=Command)
@click.option(
    "--experiment",
    default="Default",
    show_default=True,
    metavar="ID|NAME",
    shell_complete=_complete.experiment,
    help="Where it belongs.",
)
@click.option("--name", default="", help="Of the run. Default: one is made up.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Can be repeated.")
@click.pass_obj
def create(session: Session, experiment: str, name: str, tags: tuple[str, ...]) -> None:
    """Begin a run that no script is behind; `end` ends it."""
    request = run_pb2.CreateRunRequest(
        name=name,
        tags=key_values(tags, "--tag"),
        request_id=new_id(),
        experiment_id=_experiment_options.found(session, experiment, False).experiment_id,
    )
    run = session.service("tracking").CreateRun(request).run
    session.answer(plain(run), f"Created run {run.run_id}, {run.name}.")


@click.command(cls=Command)
@run_id_argument
@click.option(
    "--status",
    type=click.Choice(ENDED),
    default="finished",
    show_default=True,
    help="How it went.",
)
@click.pass_obj
def end(session: Session, run_id: str, status: str) -> None:
    """End a run that is under way, now."""
    run = run_pb2.Run(run_id=whole_run_id(session, run_id))
    run.status = enum_number(run_pb2.RunStatus.DESCRIPTOR, status)  # type: ignore[assignment]
    run.end_time.GetCurrentTime()
    request = run_pb2.UpdateRunRequest(run=run, update_mask=FieldMask(paths=["status", "end_time"]))
    ended = session.service("tracking").UpdateRun(request).run
    session.answer(plain(ended), f"Run {ended.run_id} is {status}.")


@click.command(cls=Command)
@run_ids_argument
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
@click.pass_obj
def compare(session: Session, run_ids: tuple[str, ...], everything: bool) -> None:
    """Put runs side by side: the params, latest metrics and times in which they differ."""
    chosen = whole_run_ids(session, run_ids)
    if len(chosen) < FEWEST:
        raise click.UsageError("name two runs at least")
    tracking = session.service("tracking")
    runs = [
        with_latest(plain(tracking.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run))
        for run_id in chosen
    ]
    rows = [row for row in compared(runs) if everything or row["differs"]]
    session.table(rows, _columns(runs), none="They do not differ.", rest="a pipe gets all")


def compared(runs: Sequence[Row]) -> list[dict[str, Any]]:
    """A row for each thing that any of the runs has: `values` by run id, None where one lacks it.

    The rows are attributes, then metrics, then params; both of these by the alphabet.
    """
    rows = [
        _row("attribute", name, {run["run_id"]: run[name] for run in runs})
        for name in ("name", "experiment_id", "status", "user_id", "start_time", "end_time")
    ]
    for kind, field in (("metric", "latest"), ("param", "params")):
        keys = sorted({key for run in runs for key in run[field]})
        rows += [
            _row(kind, key, {run["run_id"]: run[field].get(key) for run in runs}) for key in keys
        ]
    took = {
        run["run_id"]: _whole(seconds_between(run["start_time"], run["end_time"])) for run in runs
    }
    return [*rows[:6], _row("attribute", "duration", took), *rows[6:]]


def _row(kind: str, key: str, values: Mapping[str, object]) -> dict[str, Any]:
    first, *others = values.values()
    return {
        "kind": kind,
        "key": key,
        "values": dict(values),
        "differs": any(other != first for other in others),
    }


def _whole(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _columns(runs: Sequence[Row]) -> list[Column]:
    short = short_ids([run["run_id"] for run in runs])
    return [
        Column("KIND", lambda row: row["kind"]),
        Column("KEY", lambda row: row["key"], text=True),
        *(_column(run["run_id"], short[run["run_id"]]) for run in runs),
    ]


def _column(run_id: str, heading: str) -> Column:
    return Column(
        heading,
        lambda row: row["values"][run_id],
        lambda row: _shown(row["key"], row["kind"], row["values"][run_id]),
        optional=True,
        name=run_id,
    )


def _shown(key: str, kind: str, value: Any) -> str:
    if value is None or kind != "attribute":
        return number(value)
    if key == "status":
        return word(value)
    if key == "duration":
        return duration_text(value)
    return short_time(value) if key.endswith("_time") else str(value)

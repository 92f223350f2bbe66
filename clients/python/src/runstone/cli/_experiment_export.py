"""`runstone experiments export`: every run of an experiment as one table, for other programs."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from runstone.cli import _experiment_options
from runstone.cli._format import counted
from runstone.cli._plain import enum_text, time_text
from runstone.cli._session import Command, Session, pages
from runstone.tracking.v1 import experiment_pb2, run_pb2

FIXED = (
    "run_id",
    "experiment_id",
    "name",
    "status",
    "lifecycle_stage",
    "user_id",
    "start_time",
    "end_time",
)
"""The first columns, whatever the runs have; metrics.KEY, params.KEY and tags.KEY follow."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, also in its full width."""

NAME_TAG = "mlflow.runName"
"""The same as the column `name`."""


@click.command(cls=Command)
@_experiment_options.experiment_argument
@_experiment_options.by_name
@click.option(
    "-o", "--output", default="-", metavar="FILE", help="Where to write. Default: standard output."
)
@click.option("--filter", "text", default="", help="Only these runs: as of `runs search`.")
@_experiment_options.view
@click.option(
    "--raw", is_flag=True, help="Leave texts as they are that a spreadsheet takes for formulas."
)
@click.pass_obj
def export(
    session: Session, experiment: str, name: bool, output: str, text: str, view: str, raw: bool
) -> None:
    """Write all runs of an experiment as CSV: metrics (the latest), params and tags.

    It is UTF-8 with a line of headings: run_id, experiment_id, name, status, lifecycle_stage,
    user_id, start_time, end_time, metrics.KEY, params.KEY, tags.KEY. Times are ISO 8601 in UTC; a
    run's missing value is an empty cell. A text that begins with =, +, - or @ and is no number
    gets an apostrophe in front, since a spreadsheet would run it as a formula; --raw leaves it.

    With --json each run is a line of JSON.
    """
    found = _experiment_options.found(session, experiment, name)
    request = run_pb2.SearchRunsRequest(
        experiment_ids=[found.experiment_id],
        filter=text,
        order_by=["start_time ASC"],
        view_type=_experiment_options.view_type(view),
    )
    runs = pages(session.service("tracking").SearchRuns, request, "runs", 0)
    with _written(output) as file:
        if session.as_json:
            count = _write_lines(file, runs)
        else:
            count = write_csv(file, runs, raw=raw)
    if output != "-":
        click.echo(f"Wrote {counted(count, 'run')} to {output}.", err=True)


def _write_lines(file: IO[str], runs: Iterator[Any]) -> int:
    count = 0
    for run in runs:
        count += 1
        row = _row(run)
        for name in row:
            if isinstance(row[name], float) and not math.isfinite(row[name]):
                row[name] = str(row[name])
        file.write(f"{json.dumps(row, ensure_ascii=False)}\n")
    return count


def write_csv(file: IO[str], runs: Iterator[Any], *, raw: bool) -> int:
    """Write runs; returns how many.

    Which columns there are is known behind the last run: until then rows wait in a file on the
    disk, so that memory holds one page and the names of columns. Read twice, the second reading
    might find runs that the first did not.
    """
    # Other commands of experiments must not wait for them.
    import csv
    import tempfile

    columns: dict[str, None] = {}
    count = 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as kept:
        for run in runs:
            count += 1
            row = _row(run)
            columns.update(dict.fromkeys(row))
            kept.write(f"{json.dumps(row)}\n")
        names = [*FIXED, *sorted(set(columns) - set(FIXED), key=_place)]
        shown = (lambda value: value) if raw else harmless
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([shown(name) for name in names])
        kept.seek(0)
        for line in kept:
            row = json.loads(line)
            writer.writerow([shown(row.get(name, "")) for name in names])
    return count


def _place(name: str) -> tuple[str, str]:
    kind, _, key = name.partition(".")
    return kind, key


def _row(run: Any) -> dict[str, Any]:
    """The cells of a run, by column; what it lacks is not there."""
    row = {
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "name": run.name,
        "status": enum_text(run_pb2.RunStatus.DESCRIPTOR, run.status),
        "lifecycle_stage": enum_text(experiment_pb2.LifecycleStage.DESCRIPTOR, run.lifecycle_stage),
        "user_id": run.user_id,
        "start_time": time_text(run.start_time),
        "end_time": time_text(run.end_time) if run.HasField("end_time") else "",
    }
    row |= {f"metrics.{metric.key}": metric.value for metric in run.metrics}
    row |= {f"params.{key}": run.params[key] for key in run.params}
    row |= {f"tags.{key}": run.tags[key] for key in run.tags if key != NAME_TAG}
    return row


def harmless(value: object) -> object:
    """A cell that no spreadsheet runs: numbers as they are, also those that are texts."""
    if not isinstance(value, str) or not value.lstrip(" ").startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


@contextmanager
def _written(output: str) -> Iterator[IO[str]]:
    """The file to write: there when all of it is, and not before. `-`: standard output."""
    if output == "-":
        yield sys.stdout
        # What Python flushes at its end would complain of a reader that left.
        sys.stdout.flush()
        return
    target = Path(output)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise

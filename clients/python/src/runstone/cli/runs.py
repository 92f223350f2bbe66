"""`runstone runs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from runstone.cli import experiments
from runstone.cli._plain import plain
from runstone.cli._session import Group, Session, confirm, limit, pages, yes
from runstone.tracking.v1 import experiment_pb2, metric_pb2, run_pb2

MOST_EXPERIMENTS = 1000
"""A search names its experiments; more than the contract takes need --experiment."""


@click.group("runs", cls=Group)
def command() -> None:
    """Runs and what they logged."""


def _latest(row: Mapping[str, Any]) -> dict[str, float]:
    return {metric["key"]: metric["value"] for metric in row["metrics"]}


COLUMNS = [
    ("RUN", lambda row: row["run_id"]),
    ("NAME", lambda row: row["name"]),
    ("EXPERIMENT", lambda row: row["experiment_id"]),
    ("STATUS", lambda row: row["status"]),
    ("STARTED", lambda row: row["start_time"]),
    ("PARAMS", lambda row: row["params"]),
    ("METRICS", _latest),
]

METRIC_COLUMNS = [
    ("STEP", lambda row: row["step"]),
    ("TIMESTAMP MS", lambda row: row["timestamp_ms"]),
    ("VALUE", lambda row: row["value"]),
]

experiment_option = click.option(
    "--experiment",
    "chosen",
    multiple=True,
    metavar="ID|NAME",
    help="Can be repeated. Default: every experiment.",
)


@command.command("list")
@experiment_option
@experiments.view
@limit
@click.pass_obj
def list_all(session: Session, chosen: tuple[str, ...], view: str, limit: int) -> None:
    """List runs, the last started first."""
    _search(session, chosen, "", (), view, limit)


@command.command()
@experiment_option
@click.option(
    "--filter",
    "text",
    default="",
    help="For example: metrics.acc > 0.9 AND params.lr = '0.1'.",
)
@click.option("--order-by", multiple=True, help="For example: metrics.acc DESC. Can be repeated.")
@experiments.view
@limit
@click.pass_obj
def search(
    session: Session,
    chosen: tuple[str, ...],
    text: str,
    order_by: tuple[str, ...],
    view: str,
    limit: int,
) -> None:
    """List the runs that match a filter.

    A filter compares metrics.KEY, params.KEY, tags.KEY and attributes (status, run_name, user_id,
    start_time, ...) by =, !=, <, <=, >, >=, LIKE, ILIKE, IN and IS NULL, joined by AND, OR, NOT and
    parentheses.
    """
    _search(session, chosen, text, order_by, view, limit)


def _search(
    session: Session,
    chosen: tuple[str, ...],
    text: str,
    order_by: tuple[str, ...],
    view: str,
    limit: int,
) -> None:
    request = run_pb2.SearchRunsRequest(
        experiment_ids=_experiment_ids(session, chosen),
        filter=text,
        order_by=order_by,
        view_type=experiments.view_type(view),
    )
    call = session.service("tracking").SearchRuns
    session.table(map(plain, pages(call, request, "runs", limit)), COLUMNS)


def _experiment_ids(session: Session, chosen: tuple[str, ...]) -> Iterable[str]:
    if chosen:
        return [
            each if each.isdigit() else experiments.found(session, each, True).experiment_id
            for each in chosen
        ]
    request = experiment_pb2.SearchExperimentsRequest(view_type=experiments.view_type("all"))
    call = session.service("tracking").SearchExperiments
    listed = [
        each.experiment_id for each in pages(call, request, "experiments", MOST_EXPERIMENTS + 1)
    ]
    if len(listed) > MOST_EXPERIMENTS:
        raise click.UsageError(
            f"there are more than {MOST_EXPERIMENTS} experiments: choose some with --experiment"
        )
    return listed


@command.command()
@click.argument("run_id")
@click.pass_obj
def get(session: Session, run_id: str) -> None:
    """Show a run with its params, tags, latest metrics and inputs."""
    run = session.service("tracking").GetRun(run_pb2.GetRunRequest(run_id=run_id)).run
    row = plain(run)
    if not session.as_json:
        row["metrics"] = _latest(row)
        row["inputs"] = [
            f"{each['dataset']['name']} ({each['dataset']['digest']})" for each in row["inputs"]
        ]
    session.details(row)


# The word that MLflow's users type.
command.add_command(get, "describe")


@command.command()
@click.argument("run_id")
@click.argument("key")
@click.pass_obj
def metric(session: Session, run_id: str, key: str) -> None:
    """Show every point of one metric of a run."""
    request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key=key)
    rows: list[dict[str, Any]] = []
    for part in session.service("tracking").GetMetricHistory(request):
        points = plain(part)
        rows += [
            {"step": step, "timestamp_ms": timestamp, "value": value}
            for step, timestamp, value in zip(
                points["steps"], points["timestamps_ms"], points["values"], strict=True
            )
        ]
    session.table(rows, METRIC_COLUMNS)


@command.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...")
@yes
@click.pass_obj
def delete(session: Session, run_ids: tuple[str, ...], yes: bool) -> None:
    """Delete runs; `restore` brings them back until `runstone gc`."""
    confirm(session, f"Delete {len(run_ids)} run(s)?", yes)
    tracking = session.service("tracking")
    for run_id in run_ids:
        tracking.DeleteRun(run_pb2.DeleteRunRequest(run_id=run_id))
    session.answer({"run_ids": run_ids}, f"Deleted {', '.join(run_ids)}.")


@command.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...")
@click.pass_obj
def restore(session: Session, run_ids: tuple[str, ...]) -> None:
    """Bring deleted runs back."""
    tracking = session.service("tracking")
    for run_id in run_ids:
        tracking.RestoreRun(run_pb2.RestoreRunRequest(run_id=run_id))
    session.answer({"run_ids": run_ids}, f"Restored {', '.join(run_ids)}.")

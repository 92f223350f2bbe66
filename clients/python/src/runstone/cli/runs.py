"""`runstone runs`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import click

from runstone.cli import _complete, _experiment_options, _run_commands, _tag_commands
from runstone.cli._diff_command import diff
from runstone.cli._format import counted
from runstone.cli._plain import number, plain
from runstone.cli._reproduce_command import reproduce
from runstone.cli._runids import (
    all_experiments,
    run_id_argument,
    run_ids_argument,
    warn_of_versions,
    whole_run_id,
    whole_run_ids,
)
from runstone.cli._runtable import RunColumns, with_latest
from runstone.cli._session import Group, Session, confirm, limit, on_terminal, pages, yes
from runstone.cli._table import Column
from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2, run_pb2

MOST_EXPERIMENTS = 1000
"""A search names its experiments; more than the contract takes need --experiment."""


EXAMPLES = """\b
Examples:
  runstone runs search --experiment iris --order-by "metrics.acc DESC"
  runstone runs search --filter "metrics.acc > 0.9 AND params.lr = '0.1'"
  runstone runs search --columns run_id,name,metrics.acc,params
  runstone runs search | cut -f 1
"""


@click.group("runs", cls=Group)
def command() -> None:
    """Runs and what they logged."""


_run_commands.add_to(command)
command.add_command(_tag_commands.of_runs)

METRIC_COLUMNS = [
    Column("STEP", lambda row: row["step"], right=True),
    Column("TIMESTAMP MS", lambda row: row["timestamp_ms"], right=True),
    Column("VALUE", lambda row: row["value"], right=True),
]

experiment_option = click.option(
    "--experiment",
    "chosen",
    multiple=True,
    metavar="ID|NAME",
    shell_complete=_complete.experiment,
    help="Can be repeated. Default: every experiment.",
)


columns_option = click.option(
    "--columns",
    multiple=True,
    metavar="NAME,...",
    help="What to show, in this order: run_id, name, experiment, status, start_time, end_time,"
    " duration, user_id, lifecycle_stage, metrics, params, metrics.KEY, params.KEY, tags.KEY.",
)


@command.command("list")
@experiment_option
@_experiment_options.view
@columns_option
@limit
@click.pass_obj
def list_all(
    session: Session, chosen: tuple[str, ...], view: str, columns: tuple[str, ...], limit: int
) -> None:
    """List runs, the last started first."""
    _search(session, Query(chosen, view=view, limit=limit), columns)


@command.command(epilog=EXAMPLES)
@experiment_option
@click.option(
    "--filter", "text", default="", help="Example: \"metrics.acc > 0.9 AND params.lr = '0.1'\"."
)
@click.option("--order-by", multiple=True, help='Can be repeated. Example: "metrics.acc DESC".')
@_experiment_options.view
@columns_option
@limit
@click.pass_obj
def search(
    session: Session,
    chosen: tuple[str, ...],
    text: str,
    order_by: tuple[str, ...],
    view: str,
    columns: tuple[str, ...],
    limit: int,
) -> None:
    """List the runs that match a filter.

    A filter compares metrics.KEY, params.KEY, tags.KEY and attributes (status, run_name, user_id,
    start_time, ...) by =, !=, <, <=, >, >=, LIKE, ILIKE, IN and IS NULL, joined by AND, OR, NOT and
    parentheses.

    A terminal shows the metrics and params that fit, those of the filter and order first; --columns
    chooses others. A pipe gets them all, tab separated, with whole ids.
    """
    _search(session, Query(chosen, text, order_by, view, limit), columns)


@dataclass(frozen=True)
class Query:
    """What is asked of SearchRuns."""

    chosen: tuple[str, ...]
    text: str = ""
    order_by: tuple[str, ...] = ()
    view: str = "active"
    limit: int = 0


def _search(session: Session, query: Query, columns: tuple[str, ...]) -> None:
    names = _experiments(session, query.chosen)
    request = run_pb2.SearchRunsRequest(
        experiment_ids=names,
        filter=query.text,
        order_by=query.order_by,
        view_type=_experiment_options.view_type(query.view),
    )
    call = session.service("tracking").SearchRuns
    # One more than is shown tells whether there are more.
    most = query.limit and query.limit + 1
    found = [plain(each) for each in pages(call, request, "runs", most)]
    rows = found[: query.limit] if query.limit else found
    shown = [] if session.as_json else [with_latest(row) for row in rows]
    can_have = RunColumns(shown, names, [*query.order_by, query.text])
    listed = [name.strip() for each in columns for name in each.split(",")]
    usual = can_have.usual(piped=not on_terminal())
    session.table(
        rows if session.as_json else shown,
        can_have.chosen(listed) if listed else usual,
        none="No runs match." if query.text else "No runs.",
        rest="choose with --columns; a pipe gets all",
    )
    if len(found) > len(rows):
        session.note(f"There are more than these {len(rows)} runs (--limit 0 shows all).")


def _experiments(session: Session, chosen: tuple[str, ...]) -> dict[str, str]:
    """Ids of the experiments to search in, with their names."""
    if chosen:
        # An id needs no question: an unknown one holds no runs.
        return dict((each, each) if each.isdigit() else _by_name(session, each) for each in chosen)
    listed = dict(islice(all_experiments(session), MOST_EXPERIMENTS + 1))
    if len(listed) > MOST_EXPERIMENTS:
        raise click.UsageError(
            f"there are more than {MOST_EXPERIMENTS} experiments: choose some with --experiment"
        )
    return listed


def _by_name(session: Session, name: str) -> tuple[str, str]:
    return _experiment_options.found(session, name, False).experiment_id, name


@command.command()
@run_id_argument
@click.pass_obj
def get(session: Session, run_id: str) -> None:
    """Show a run with its params, tags, latest metrics and inputs."""
    request = run_pb2.GetRunRequest(run_id=whole_run_id(session, run_id))
    row = plain(session.service("tracking").GetRun(request).run)
    if not session.as_json:
        row["metrics"] = with_latest(row)["latest"]
        row["inputs"] = [
            f"{each['dataset']['name']} ({each['dataset']['digest']})" for each in row["inputs"]
        ]
    session.details(row)


# The word that MLflow's users type.
command.add_command(get, "describe")
command.add_command(diff)
command.add_command(reproduce)


@command.command()
@run_id_argument
@click.argument("key")
@click.pass_obj
def metric(session: Session, run_id: str, key: str) -> None:
    """Show every point of one metric of a run."""
    request = metric_pb2.GetMetricHistoryRequest(run_id=whole_run_id(session, run_id), key=key)
    rows: list[dict[str, Any]] = []
    for part in session.service("tracking").GetMetricHistory(request):
        rows += [
            {"step": step, "timestamp_ms": timestamp, "value": number(value)}
            for step, timestamp, value in zip(
                columnar.unpack_int64(columnar.joined(part.steps)),
                columnar.unpack_int64(columnar.joined(part.timestamps_ms)),
                columnar.unpack_double(columnar.joined(part.values)),
                strict=True,
            )
        ]
    session.table(rows, METRIC_COLUMNS)


@command.command()
@run_ids_argument
@yes
@click.pass_obj
def delete(session: Session, run_ids: tuple[str, ...], yes: bool) -> None:
    """Delete runs; `restore` brings them back until `runstone gc`.

    Model versions made from them keep files of their own.
    """
    chosen = whole_run_ids(session, run_ids)
    warn_of_versions(session, chosen)
    confirm(session, f"Delete {counted(len(chosen), 'run')}?", yes)
    tracking = session.service("tracking")
    for run_id in chosen:
        tracking.DeleteRun(run_pb2.DeleteRunRequest(run_id=run_id))
    session.answer({"run_ids": chosen}, f"Deleted {', '.join(chosen)}.")


@command.command()
@run_ids_argument
@click.pass_obj
def restore(session: Session, run_ids: tuple[str, ...]) -> None:
    """Bring deleted runs back; active ones stay as they are."""
    chosen = whole_run_ids(session, run_ids)
    tracking = session.service("tracking")
    restored: list[str] = []
    active: list[str] = []
    for run_id in chosen:
        before = tracking.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run
        deleted = before.HasField("delete_time")
        if deleted:
            tracking.RestoreRun(run_pb2.RestoreRunRequest(run_id=run_id))
        (restored if deleted else active).append(run_id)
    said = [f"Restored {', '.join(restored)}."] if restored else []
    said += [f"Active already: {', '.join(active)}."] if active else []
    session.answer({"run_ids": chosen}, " ".join(said))

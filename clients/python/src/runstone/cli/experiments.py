"""`runstone experiments`."""

from __future__ import annotations

import click
from google.protobuf import field_mask_pb2

from runstone._connection import new_id
from runstone.cli import _experiment_export, _tag_commands
from runstone.cli._experiment_options import (
    by_name,
    experiment_argument,
    found,
    view,
    view_type,
)
from runstone.cli._format import short_time, word
from runstone.cli._plain import plain
from runstone.cli._session import Group, Session, confirm, key_values, limit, pages, yes
from runstone.cli._table import Column
from runstone.tracking.v1 import experiment_pb2

COLUMNS = [
    Column("ID", lambda row: row["experiment_id"]),
    Column("NAME", lambda row: row["name"], text=True),
    Column("STAGE", lambda row: word(row["lifecycle_stage"])),
    Column("UPDATED", lambda row: row["update_time"], lambda row: short_time(row["update_time"])),
    Column("TAGS", lambda row: row["tags"], text=True),
]


EXAMPLES = """\b
Examples:
  runstone experiments create iris --tag team=blue
  runstone experiments search --filter "tags.team = 'blue'"
  runstone experiments rename iris flowers
"""


@click.group("experiments", cls=Group, epilog=EXAMPLES)
def command() -> None:
    """Named groups of runs."""


command.add_command(_experiment_export.export)
command.add_command(_tag_commands.of_experiments)


@command.command()
@click.argument("name")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Can be repeated.")
@click.pass_obj
def create(session: Session, name: str, tags: tuple[str, ...]) -> None:
    """Create an experiment."""
    request = experiment_pb2.CreateExperimentRequest(
        name=name, tags=key_values(tags, "--tag"), request_id=new_id()
    )
    experiment = session.service("tracking").CreateExperiment(request).experiment
    session.answer(plain(experiment), f"Created experiment {experiment.experiment_id}.")


@command.command("list")
@view
@limit
@click.pass_obj
def list_all(session: Session, view: str, limit: int) -> None:
    """List experiments, the last changed first."""
    _search(session, "", (), view, limit)


@command.command()
@click.option("--filter", "text", default="", help="Example: \"name LIKE 'iris%'\".")
@click.option("--order-by", multiple=True, help='Can be repeated. Example: "name ASC".')
@view
@limit
@click.pass_obj
def search(session: Session, text: str, order_by: tuple[str, ...], view: str, limit: int) -> None:
    """List the experiments that match a filter."""
    _search(session, text, order_by, view, limit)


def _search(session: Session, text: str, order_by: tuple[str, ...], view: str, limit: int) -> None:
    request = experiment_pb2.SearchExperimentsRequest(
        filter=text, order_by=order_by, view_type=view_type(view)
    )
    call = session.service("tracking").SearchExperiments
    rows = map(plain, pages(call, request, "experiments", limit))
    session.table(rows, COLUMNS, none="No experiments.")


@command.command()
@experiment_argument
@by_name
@click.pass_obj
def get(session: Session, experiment: str, name: bool) -> None:
    """Show an experiment."""
    session.details(plain(found(session, experiment, name)))


@command.command()
@experiment_argument
@click.argument("new_name")
@by_name
@click.pass_obj
def rename(session: Session, experiment: str, new_name: str, name: bool) -> None:
    """Give an experiment another name."""
    request = experiment_pb2.UpdateExperimentRequest(
        experiment=experiment_pb2.Experiment(
            experiment_id=found(session, experiment, name).experiment_id, name=new_name
        ),
        update_mask=field_mask_pb2.FieldMask(paths=["name"]),
    )
    changed = session.service("tracking").UpdateExperiment(request).experiment
    session.answer(plain(changed), f"Experiment {changed.experiment_id} is now {changed.name!r}.")


@command.command()
@experiment_argument
@by_name
@yes
@click.pass_obj
def delete(session: Session, experiment: str, name: bool, yes: bool) -> None:
    """Delete an experiment with its runs; `restore` brings them back until `runstone gc`."""
    chosen = found(session, experiment, name)
    confirm(session, f"Delete experiment {chosen.name!r} with its runs?", yes)
    session.service("tracking").DeleteExperiment(
        experiment_pb2.DeleteExperimentRequest(experiment_id=chosen.experiment_id)
    )
    session.answer(
        {"experiment_id": chosen.experiment_id}, f"Deleted experiment {chosen.experiment_id}."
    )


@command.command()
@experiment_argument
@by_name
@click.pass_obj
def restore(session: Session, experiment: str, name: bool) -> None:
    """Bring a deleted experiment back, with the runs that were deleted with it."""
    chosen = found(session, experiment, name)
    answer = {"experiment_id": chosen.experiment_id}
    if not chosen.HasField("delete_time"):
        session.answer(answer, f"Experiment {chosen.experiment_id} is active already.")
        return
    session.service("tracking").RestoreExperiment(
        experiment_pb2.RestoreExperimentRequest(experiment_id=chosen.experiment_id)
    )
    session.answer(answer, f"Restored experiment {chosen.experiment_id}.")

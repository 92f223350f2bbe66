"""Experiments on the command line: by id or name, active or deleted."""

from __future__ import annotations

from typing import Any

import click

from runstone.cli import _complete
from runstone.cli._plain import enum_number
from runstone.cli._session import Session
from runstone.tracking.v1 import experiment_pb2

VIEWS = {"active": "ACTIVE_ONLY", "deleted": "DELETED_ONLY", "all": "ALL"}

view = click.option(
    "--view",
    type=click.Choice(list(VIEWS)),
    default="active",
    show_default=True,
    help="Whether deleted ones are shown.",
)
experiment_argument = click.argument(
    "experiment", metavar="ID|NAME", shell_complete=_complete.experiment
)
by_name = click.option("--name", is_flag=True, help="ID|NAME is a name even if it is a number.")


def view_type(text: str) -> Any:
    """The contract's value for --view."""
    return enum_number(experiment_pb2.ViewType.DESCRIPTOR, VIEWS[text])


def found(session: Session, experiment: str, is_name: bool) -> Any:
    """The experiment with this id or name; digits are an id unless they are said to be a name."""
    request = experiment_pb2.GetExperimentRequest()
    if is_name or not experiment.isdigit():
        request.name = experiment
    else:
        request.experiment_id = experiment
    return session.service("tracking").GetExperiment(request).experiment

"""`tag set` and `tag delete` of experiments, runs, models and model versions."""

from __future__ import annotations

from typing import Any

import click

from runstone.cli import _complete
from runstone.cli._experiment_options import experiment_argument, found
from runstone.cli._names import model_argument
from runstone.cli._plain import plain
from runstone.cli._runids import run_id_argument, whole_run_id
from runstone.cli._session import Group, Session, key_values

pairs_argument = click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...")
keys_argument = click.argument("keys", nargs=-1, required=True, metavar="KEY...")
version_option = click.option(
    "--version",
    metavar="VERSION",
    shell_complete=_complete.version,
    help="Of this version, rather than of the model.",
)


def _said(what: str, keys: Any) -> str:
    return f"{what} {', '.join(keys)}."


@click.group("tag", cls=Group)
def of_experiments() -> None:
    """Tags of an experiment."""


@of_experiments.command("set")
@experiment_argument
@pairs_argument
@click.pass_obj
def set_of_experiment(session: Session, experiment: str, tags: tuple[str, ...]) -> None:
    """Set tags: all of them or none."""
    from runstone.tracking.v1 import experiment_pb2

    given = key_values(tags, "KEY=VALUE")
    request = experiment_pb2.SetExperimentTagsRequest(
        experiment_id=found(session, experiment, False).experiment_id, tags=given
    )
    session.service("tracking").SetExperimentTags(request)
    session.answer({"tags": given}, _said("Set", given))


@of_experiments.command("delete")
@experiment_argument
@keys_argument
@click.pass_obj
def delete_of_experiment(session: Session, experiment: str, keys: tuple[str, ...]) -> None:
    """Delete tags: all of them or, when one is not set, none."""
    from runstone.tracking.v1 import experiment_pb2

    request = experiment_pb2.DeleteExperimentTagsRequest(
        experiment_id=found(session, experiment, False).experiment_id, keys=keys
    )
    session.service("tracking").DeleteExperimentTags(request)
    session.answer({"keys": keys}, _said("Deleted", keys))


@click.group("tag", cls=Group)
def of_runs() -> None:
    """Tags of a run."""


@of_runs.command("set")
@run_id_argument
@pairs_argument
@click.pass_obj
def set_of_run(session: Session, run_id: str, tags: tuple[str, ...]) -> None:
    """Set tags: all of them or none."""
    from runstone.tracking.v1 import run_pb2

    given = key_values(tags, "KEY=VALUE")
    request = run_pb2.LogBatchRequest(run_id=whole_run_id(session, run_id), tags=given)
    session.service("tracking").LogBatch(request)
    session.answer({"tags": given}, _said("Set", given))


@of_runs.command("delete")
@run_id_argument
@keys_argument
@click.pass_obj
def delete_of_run(session: Session, run_id: str, keys: tuple[str, ...]) -> None:
    """Delete tags: all of them or, when one is not set, none."""
    from runstone.tracking.v1 import run_pb2

    request = run_pb2.DeleteRunTagsRequest(run_id=whole_run_id(session, run_id), keys=keys)
    session.service("tracking").DeleteRunTags(request)
    session.answer({"keys": keys}, _said("Deleted", keys))


@click.group("tag", cls=Group)
def of_models() -> None:
    """Tags of a model, or of one of its versions."""


@of_models.command("set")
@model_argument
@pairs_argument
@version_option
@click.pass_obj
def set_of_model(session: Session, name: str, tags: tuple[str, ...], version: str | None) -> None:
    """Set tags: all of them or none."""
    from runstone.registry.v1 import model_pb2, model_version_pb2

    given = key_values(tags, "KEY=VALUE")
    registry = session.service("registry")
    changed: Any
    if version is None:
        of_model = model_pb2.SetRegisteredModelTagsRequest(name=name, tags=given)
        changed = registry.SetRegisteredModelTags(of_model).registered_model
    else:
        of_version = model_version_pb2.SetModelVersionTagsRequest(
            name=name, version=_number(session, name, version), tags=given
        )
        changed = registry.SetModelVersionTags(of_version).model_version
    session.answer(plain(changed), _said("Set", given))


@of_models.command("delete")
@model_argument
@keys_argument
@version_option
@click.pass_obj
def delete_of_model(
    session: Session, name: str, keys: tuple[str, ...], version: str | None
) -> None:
    """Delete tags: all of them or, when one is not set, none."""
    from runstone.registry.v1 import model_pb2, model_version_pb2

    registry = session.service("registry")
    changed: Any
    if version is None:
        of_model = model_pb2.DeleteRegisteredModelTagsRequest(name=name, keys=keys)
        changed = registry.DeleteRegisteredModelTags(of_model).registered_model
    else:
        of_version = model_version_pb2.DeleteModelVersionTagsRequest(
            name=name, version=_number(session, name, version), keys=keys
        )
        changed = registry.DeleteModelVersionTags(of_version).model_version
    session.answer(plain(changed), _said("Deleted", keys))


def _number(session: Session, name: str, version: str) -> int:
    from runstone.cli.models import found_version

    number: int = found_version(session, name, version).version
    return number

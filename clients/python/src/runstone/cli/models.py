"""`runstone models`: registered models and their versions. What moves them is in _governance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from runstone._connection import new_id
from runstone.cli import (
    _governance,
    _image_commands,
    _model_commands,
    _serving_commands,
    _tag_commands,
)
from runstone.cli._format import short_time, word
from runstone.cli._names import (
    model_argument,
    optional_model_argument,
    optional_version_argument,
)
from runstone.cli._plain import enum_number, plain
from runstone.cli._runids import require_run
from runstone.cli._session import Group, Session, confirm, key_values, limit, pages, yes
from runstone.cli._table import Column
from runstone.registry.v1 import model_pb2, model_version_pb2

NO_STAGE = "NONE"


EXAMPLES = """\b
Examples:
  runstone models register iris --run 3f2a9c41 --path model
  runstone models transition iris 1 Production --archive-existing-versions
  runstone models alias set iris @champion 1
  runstone models versions iris --filter "stage = 'Production'"
  runstone models get iris Production
"""


@click.group("models", cls=Group, epilog=EXAMPLES)
def command() -> None:
    """Registered models, their versions and stages.

    VERSION is a number, a stage (Production), an alias (@champion) or latest.
    """


_governance.add_to(command)
_serving_commands.add_to(command)
_image_commands.add_to(command)
_model_commands.add_to(command)
command.add_command(_tag_commands.of_models)


def _stages(row: Mapping[str, Any]) -> dict[str, int]:
    return {
        word(each["stage"]): each["version"]
        for each in row["latest_versions"]
        if each["stage"] != NO_STAGE
    }


MODEL_COLUMNS = [
    Column("NAME", lambda row: row["name"], text=True),
    Column("STAGES", _stages, text=True),
    Column("ALIASES", lambda row: row["aliases"], text=True),
    Column("UPDATED", lambda row: row["update_time"], lambda row: short_time(row["update_time"])),
    Column("TAGS", lambda row: row["tags"], text=True),
]

VERSION_COLUMNS = [
    Column("NAME", lambda row: row["name"], text=True),
    Column("VERSION", lambda row: row["version"], right=True),
    Column("STAGE", lambda row: word(row["stage"])),
    Column("ALIASES", lambda row: row["aliases"], text=True),
    Column("STATUS", lambda row: word(row["status"])),
    Column("CREATED", lambda row: row["create_time"], lambda row: short_time(row["create_time"])),
    Column("BY", lambda row: row["creator"], text=True),
    Column("SOURCE", lambda row: row["source"], fold=True),
]


@command.command("list")
@limit
@click.pass_obj
def list_all(session: Session, limit: int) -> None:
    """List registered models."""
    _search(session, "", (), limit)


@command.command()
@click.option("--filter", "text", default="", help="Example: \"name LIKE 'iris%'\".")
@click.option("--order-by", multiple=True, help='Can be repeated. Example: "name DESC".')
@limit
@click.pass_obj
def search(session: Session, text: str, order_by: tuple[str, ...], limit: int) -> None:
    """List the registered models that match a filter."""
    _search(session, text, order_by, limit)


def _search(session: Session, text: str, order_by: tuple[str, ...], limit: int) -> None:
    request = model_pb2.SearchRegisteredModelsRequest(filter=text, order_by=order_by)
    call = session.service("registry").SearchRegisteredModels
    rows = map(plain, pages(call, request, "registered_models", limit))
    session.table(rows, MODEL_COLUMNS, none="No models.")


@command.command()
@optional_model_argument
@click.option("--filter", "text", default="", help="Example: \"stage = 'Production'\".")
@limit
@click.pass_obj
def versions(session: Session, name: str | None, text: str, limit: int) -> None:
    """List versions: of one model, of all, or those that match a filter."""
    if name is not None:
        quoted = name.replace("'", "''")
        text = f"name = '{quoted}' AND ({text})" if text else f"name = '{quoted}'"
    request = model_version_pb2.SearchModelVersionsRequest(
        filter=text, order_by=["name ASC", "version_number DESC"]
    )
    call = session.service("registry").SearchModelVersions
    rows = map(plain, pages(call, request, "model_versions", limit))
    session.table(rows, VERSION_COLUMNS, none="No versions.")


@command.command()
@model_argument
@optional_version_argument
@click.pass_obj
def get(session: Session, name: str, version: str | None) -> None:
    """Show a model, or one of its versions."""
    if version is not None:
        session.details(plain(found_version(session, name, version)))
        return
    request = model_pb2.GetRegisteredModelRequest(name=name)
    row = plain(session.service("registry").GetRegisteredModel(request).registered_model)
    if not session.as_json:
        row["latest_versions"] = _stages(row)
    session.details(row)


def found_version(session: Session, name: str, version: str) -> Any:
    """The version that VERSION names: a number, a stage, @alias or latest."""
    request = model_version_pb2.GetModelVersionRequest(name=name)
    if version.isdigit():
        request.version = int(version)
    elif version.startswith("@"):
        request.alias = version[1:]
    elif version.lower() == "latest":
        request.latest = True
    else:
        request.stage = stage_number(version)
    return session.service("registry").GetModelVersion(request).model_version


def stage_number(text: str) -> Any:
    """The contract's value of a stage's name. Raises click.BadParameter."""
    try:
        return enum_number(model_pb2.Stage.DESCRIPTOR, text)
    except KeyError:
        raise click.BadParameter(
            f"{text!r} is neither a number, a stage (None, Staging, Production, Archived),"
            " an alias (@name) nor latest"
        ) from None


@command.command()
@click.argument("name")
@click.option("--description", default="", help="For people.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Can be repeated.")
@click.pass_obj
def create(session: Session, name: str, description: str, tags: tuple[str, ...]) -> None:
    """Register a model, without versions yet."""
    request = model_pb2.CreateRegisteredModelRequest(
        name=name,
        description=description,
        tags=key_values(tags, "--tag"),
        request_id=new_id(),
    )
    model = session.service("registry").CreateRegisteredModel(request).registered_model
    session.answer(plain(model), f"Created model {name!r}.")


@command.command()
@model_argument
@click.option("--run", "run_id", metavar="RUN_ID", help="Take the files from this run.")
@click.option(
    "--path", default="", help="File or folder of that run's artifacts. Default: all of them."
)
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, resolve_path=True),
    help="Upload this file or folder instead.",
)
@click.option("--description", default="", help="For people.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Can be repeated.")
@click.pass_obj
def register(
    session: Session,
    name: str,
    run_id: str | None,
    path: str,
    folder: Path | None,
    description: str,
    tags: tuple[str, ...],
) -> None:
    """Make the next version of a model (which is registered if need be)."""
    if (run_id is None) == (folder is None):
        raise click.UsageError("give either --run or --from")
    if run_id is not None:
        run_id = require_run(session, run_id)
    source = f"runs:/{run_id}/{path}" if run_id is not None else str(folder)
    _model_commands.ensure_model(session.service("registry"), name)
    made = session.client.create_model_version(
        name, source, tags=key_values(tags, "--tag"), description=description
    )
    version = found_version(session, name, str(made.version))
    session.answer(plain(version), f"Created version {version.version} of {name!r}.")


@command.command()
@model_argument
@click.argument("new_name")
@click.pass_obj
def rename(session: Session, name: str, new_name: str) -> None:
    """Give a model, with its versions, another name."""
    request = model_pb2.RenameRegisteredModelRequest(name=name, new_name=new_name)
    model = session.service("registry").RenameRegisteredModel(request).registered_model
    session.answer(plain(model), f"Model {name!r} is now {new_name!r}.")


@command.command()
@model_argument
@optional_version_argument
@yes
@click.pass_obj
def delete(session: Session, name: str, version: str | None, yes: bool) -> None:
    """Delete a model with all its versions, or one version; their files go too, for good."""
    registry = session.service("registry")
    if version is None:
        confirm(session, f"Delete model {name!r} with all its versions for good?", yes)
        registry.DeleteRegisteredModel(model_pb2.DeleteRegisteredModelRequest(name=name))
        session.answer({"name": name}, f"Deleted model {name!r}.")
        return
    number = found_version(session, name, version).version
    confirm(session, f"Delete version {number} of {name!r} for good?", yes)
    registry.DeleteModelVersion(
        model_version_pb2.DeleteModelVersionRequest(name=name, version=number)
    )
    session.answer({"name": name, "version": number}, f"Deleted version {number} of {name!r}.")

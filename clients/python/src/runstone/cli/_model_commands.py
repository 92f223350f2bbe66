"""The part of `runstone models` that copies versions: to another model, and to another server."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from google.protobuf.field_mask_pb2 import FieldMask

from runstone._connection import new_id
from runstone.cli._archive_commands import max_bytes_option, written
from runstone.cli._format import counted
from runstone.cli._names import model_argument, optional_version_argument, version_argument
from runstone.cli._plain import plain
from runstone.cli._session import Command, Session, pages
from runstone.cli._table import Column
from runstone.exceptions import ModelNameTaken
from runstone.registry.v1 import model_pb2, model_version_pb2

IMPORT_COLUMNS = [
    Column("VERSION THERE", lambda row: row["source_version"], right=True),
    Column("VERSION HERE", lambda row: row["version"], right=True),
    Column("STATE", lambda row: "New" if row["new"] else "There already"),
]


def add_to(group: click.Group) -> None:
    """Put these commands into the group of models."""
    for each in (copy, export, import_archive, update):
        group.add_command(each)


def ensure_model(registry: Any, name: str) -> None:
    """Register a model unless it is."""
    request = model_pb2.CreateRegisteredModelRequest(name=name, request_id=new_id())
    try:
        registry.CreateRegisteredModel(request)
    except ModelNameTaken:
        pass


@click.command(cls=Command)
@model_argument
@version_argument
@click.argument("new_name")
@click.pass_obj
def copy(session: Session, name: str, version: str, new_name: str) -> None:
    """Make a version of another model from a version: its files, tags and description.

    The files are shared, not moved; NEW_NAME is registered if need be. Stages and aliases are not
    copied.
    """
    from runstone.cli.models import found_version

    source = found_version(session, name, version)
    registry = session.service("registry")
    ensure_model(registry, new_name)
    request = model_version_pb2.CreateModelVersionRequest(
        name=new_name,
        version=model_version_pb2.VersionSource(name=source.name, version=source.version),
        description=source.description,
        tags=source.tags,
        request_id=new_id(),
    )
    made = registry.CreateModelVersion(request).model_version
    said = f"Version {source.version} of {name!r} is version {made.version} of {new_name!r}."
    session.answer(plain(made), said)


@click.command(cls=Command)
@model_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write; - is standard output. Default: NAME.tar.gz here.",
)
@click.option(
    "--version", "chosen", multiple=True, metavar="VERSION", help="Only this one; can be repeated."
)
@click.pass_obj
def export(session: Session, name: str, output: str | None, chosen: tuple[str, ...]) -> None:
    """Write a model and its versions to one archive, for `import` on another server.

    It holds their files with digests, descriptions, tags, stages, aliases, and where they came
    from. Versions whose files never arrived are left out. The same versions make the same archive.
    """
    from runstone._archives import models, writing
    from runstone._transfer.progress import bar
    from runstone.cli.models import found_version

    registry = session.service("registry")
    request = model_pb2.GetRegisteredModelRequest(name=name)
    model = registry.GetRegisteredModel(request).registered_model
    if chosen:
        picked = {each.version: each for each in (found_version(session, name, v) for v in chosen)}
        found = [picked[number] for number in sorted(picked)]
    else:
        found = list(_all_versions(session, name))
    ready = [each for each in found if each.status == model_pb2.MODEL_VERSION_STATUS_READY]
    for each in found:
        if each.status != model_pb2.MODEL_VERSION_STATUS_READY:
            session.warn(f"version {each.version} has no files and is left out.")
    manifest = models.described(model, ready, session.service("artifact"))
    size = sum(file["size"] for each in manifest["versions"] for file in each["files"])
    place = output or f"{name}.tar.gz"
    with (
        bar(f"exporting {name}", size) as progress,
        written(place) as target,
        writing.opened(target, "tar.gz") as writer,
    ):
        models.write(writer, manifest, session.service("artifact"), progress)
    if place != "-":
        facts = {"archive": place, "versions": [each.version for each in ready], "size": size}
        session.answer(facts, f"Wrote {counted(len(ready), 'version')} of {name!r} to {place}.")


def _all_versions(session: Session, name: str) -> Iterator[Any]:
    quoted = name.replace("'", "''")
    request = model_version_pb2.SearchModelVersionsRequest(
        filter=f"name = '{quoted}'", order_by=["version_number ASC"]
    )
    call = session.service("registry").SearchModelVersions
    return pages(call, request, "model_versions", 0)


@click.command("import", cls=Command)
@click.argument("archive", metavar="ARCHIVE")
@click.option("--name", help="Register it by this name. Default: its own.")
@click.option(
    "--keep-stages", is_flag=True, help="Give the versions the stages and aliases they had, too."
)
@max_bytes_option
@click.pass_obj
def import_archive(
    session: Session, archive: str, name: str | None, keep_stages: bool, unpacked: int | None
) -> None:
    """Bring in the versions that `export` wrote; - is standard input.

    They get the next numbers of the model, which is registered if need be. Safe to be interrupted
    and run again: what is here is not made twice, and new versions of a later archive are added.
    """
    from runstone._archives import models
    from runstone._transfer.progress import bar

    with _local(archive) as path:
        manifest = models.read_manifest(path, unpacked)
        target = name or manifest["model"]["name"]
        size = sum(file["size"] for each in manifest["versions"] for file in each["files"])
        bringing = models.Import(
            session.service("registry"), session.service("artifact"), manifest, target
        )
        with bar(f"importing {target}", size) as progress:
            imported = bringing.run(path, unpacked, progress)
        if keep_stages:
            bringing.keep_stages(imported)
    rows = [asdict(each) for each in imported]
    if session.as_json:
        session.answer({"name": target, "versions": rows}, "")
    else:
        session.table(rows, IMPORT_COLUMNS, none=f"{target!r} had no versions.")


@contextmanager
def _local(archive: str) -> Iterator[Path]:
    """An archive that can be read twice."""
    if archive != "-":
        yield Path(archive)
        return
    with tempfile.NamedTemporaryFile(prefix="runstone-import-") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.flush()
        yield Path(kept.name)


@click.command(cls=Command)
@model_argument
@optional_version_argument
@click.option("--description", required=True, help="For people.")
@click.pass_obj
def update(session: Session, name: str, version: str | None, description: str) -> None:
    """Change the description of a model, or of one of its versions."""
    from runstone.cli.models import found_version

    registry = session.service("registry")
    mask = FieldMask(paths=["description"])
    if version is None:
        request = model_pb2.UpdateRegisteredModelRequest(
            registered_model=model_pb2.RegisteredModel(name=name, description=description),
            update_mask=mask,
        )
        changed: Any = registry.UpdateRegisteredModel(request).registered_model
        session.answer(plain(changed), f"Changed model {name!r}.")
        return
    number = found_version(session, name, version).version
    of_version = model_version_pb2.UpdateModelVersionRequest(
        model_version=model_pb2.ModelVersion(name=name, version=number, description=description),
        update_mask=mask,
    )
    changed = registry.UpdateModelVersion(of_version).model_version
    session.answer(plain(changed), f"Changed version {number} of {name!r}.")

"""Rows to values: models and versions with what hangs on them, by their ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, and_, func, select

from runstone_registry.model import ModelVersion, RegisteredModel, Stage, VersionStatus
from runstone_registry.tables import (
    model_aliases,
    model_version_tags,
    model_versions,
    registered_model_tags,
    registered_models,
)

T = TypeVar("T")

STAGES = list(Stage)


def cut(rows: Sequence[tuple[T, int]], limit: int, budget: int) -> tuple[list[T], bool]:
    """The first of ``rows`` (value, size) that fit, at least one; and whether any are left."""
    taken: list[T] = []
    used = 0
    for value, size in rows:
        used += size
        if len(taken) == limit or (taken and used > budget):
            return taken, True
        taken.append(value)
    return taken, False


def version_size() -> Any:
    """About how many bytes a version takes in an answer."""
    columns = model_versions.c
    return func.length(columns.description) + func.length(columns.source) + columns.tags_bytes + 500


def model_size() -> Any:
    """About how many bytes a model takes in an answer, without its latest versions."""
    return func.length(registered_models.c.description) + registered_models.c.tags_bytes + 500


def load_versions(connection: Connection, ids: Sequence[str]) -> dict[str, ModelVersion]:
    """The versions with these ids, by id."""
    if not ids:
        return {}
    versions = model_versions.c
    rows = connection.execute(
        select(model_versions, registered_models.c.name)
        .join(registered_models, registered_models.c.model_id == versions.model_id)
        .where(versions.model_version_id.in_(ids))
    ).all()
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(
        select(model_version_tags).where(model_version_tags.c.model_version_id.in_(ids))
    ):
        tags[row.model_version_id][row.key] = row.value
    aliases: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(
        select(model_aliases)
        .where(model_aliases.c.model_version_id.in_(ids))
        .order_by(model_aliases.c.alias)
    ):
        aliases[row.model_version_id].append(row.alias)
    return {
        row.model_version_id: replace(
            _version(row),
            tags=tags.get(row.model_version_id, {}),
            aliases=tuple(aliases.get(row.model_version_id, ())),
        )
        for row in rows
    }


def latest_of(connection: Connection, model_ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """By model id: id and size of the newest version of each stage that has one."""
    newest = (
        select(
            model_versions.c.model_id,
            model_versions.c.stage,
            func.max(model_versions.c.version).label("version"),
        )
        .where(model_versions.c.model_id.in_(model_ids))
        .group_by(model_versions.c.model_id, model_versions.c.stage)
        .subquery()
    )
    statement = select(
        model_versions.c.model_id, model_versions.c.model_version_id, version_size().label("size")
    ).join(
        newest,
        and_(
            newest.c.model_id == model_versions.c.model_id,
            newest.c.version == model_versions.c.version,
        ),
    )
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for row in connection.execute(statement):
        found[row.model_id].append((row.model_version_id, row.size))
    return found


def load_models(
    connection: Connection, ids: Sequence[str], latest: dict[str, list[tuple[str, int]]]
) -> dict[str, RegisteredModel]:
    """The models with these ids, by id; ``latest`` is what ``latest_of`` said of them."""
    if not ids:
        return {}
    rows = connection.execute(
        select(registered_models).where(registered_models.c.model_id.in_(ids))
    ).all()
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(
        select(registered_model_tags).where(registered_model_tags.c.model_id.in_(ids))
    ):
        tags[row.model_id][row.key] = row.value
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(
        select(model_aliases.c.model_id, model_aliases.c.alias, model_versions.c.version)
        .join(model_versions, model_versions.c.model_version_id == model_aliases.c.model_version_id)
        .where(model_aliases.c.model_id.in_(ids))
        .order_by(model_aliases.c.alias)
    ):
        aliases[row.model_id][row.alias] = row.version
    wanted = [version_id for each in ids for version_id, _ in latest.get(each, ())]
    versions: dict[str, list[ModelVersion]] = defaultdict(list)
    for version in load_versions(connection, wanted).values():
        versions[version.model_id].append(version)
    return {
        row.model_id: RegisteredModel(
            model_id=row.model_id,
            name=row.name,
            created_ms=row.created_ms,
            updated_ms=row.updated_ms,
            etag=row.etag,
            creator=row.creator,
            description=row.description,
            tags=tags.get(row.model_id, {}),
            aliases=aliases.get(row.model_id, {}),
            latest_versions=tuple(
                sorted(versions.get(row.model_id, ()), key=lambda each: STAGES.index(each.stage))
            ),
        )
        for row in rows
    }


def _version(row: Row[Any]) -> ModelVersion:
    return ModelVersion(
        model_version_id=row.model_version_id,
        model_id=row.model_id,
        name=row.name,
        version=row.version,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        etag=row.etag,
        creator=row.creator,
        description=row.description,
        stage=Stage(row.stage),
        status=VersionStatus(row.status),
        status_message=row.status_message,
        run_id=row.run_id,
        source=row.source,
    )

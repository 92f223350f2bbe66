"""Rows to values: models and versions with what hangs on them, by their ids."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Row,
    Text,
    any_,
    func,
    literal,
    select,
)

from runstone_kit.sqltext import TextBytes
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


def among(
    connection: Connection, column: ColumnElement[str], values: Sequence[str]
) -> ColumnElement[bool]:
    """``column IN (values)`` with one parameter: a thousand take drivers long to bind."""
    if connection.dialect.name == "postgresql":
        return column == any_(literal(list(values), ARRAY(Text)))
    return column.in_(select(func.json_each(json.dumps(values)).table_valued("value").c.value))


def version_size() -> Any:
    """About how many bytes a version takes in an answer."""
    columns = model_versions.c
    texts = (columns.description, columns.source, columns.external_uri, columns.run_link)
    return sum(map(TextBytes, texts), columns.tags_bytes) + 500


def model_size() -> Any:
    """About how many bytes a model takes in an answer, without its latest versions."""
    return TextBytes(registered_models.c.description) + registered_models.c.tags_bytes + 500


def load_versions(connection: Connection, ids: Sequence[str]) -> dict[str, ModelVersion]:
    """The versions with these ids, by id."""
    if not ids:
        return {}
    versions = model_versions.c
    rows = connection.execute(
        select(model_versions, registered_models.c.name)
        .join(registered_models, registered_models.c.model_id == versions.model_id)
        .where(among(connection, versions.model_version_id, ids))
    ).all()
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    owner = model_version_tags.c.model_version_id
    for row in connection.execute(select(model_version_tags).where(among(connection, owner, ids))):
        tags[row.model_version_id][row.key] = row.value
    aliases: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(
        select(model_aliases)
        .where(among(connection, model_aliases.c.model_version_id, ids))
        .order_by(model_aliases.c.alias)
    ):
        aliases[row.model_version_id].append(row.alias)
    return {
        row.model_version_id: _version(
            row, tags.get(row.model_version_id, {}), aliases.get(row.model_version_id, [])
        )
        for row in rows
    }


def latest_of(connection: Connection, model_ids: Sequence[str]) -> dict[str, list[str]]:
    """By model id: the ids of the newest version of each stage that has one."""
    statement = select(registered_models.c.model_id, *map(_newest_in, STAGES)).where(
        among(connection, registered_models.c.model_id, model_ids)
    )
    return {row[0]: [each for each in row[1:] if each] for row in connection.execute(statement)}


def _newest_in(stage: Stage) -> ColumnElement[str]:
    """One step down the index (model_id, stage, version), however many versions there are."""
    other = model_versions.alias()
    return (
        select(other.c.model_version_id)
        .where(other.c.model_id == registered_models.c.model_id, other.c.stage == stage.value)
        .order_by(other.c.version.desc())
        .limit(1)
        .correlate(registered_models)
        .scalar_subquery()
    )


def version_sizes(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """By version id: about how many bytes it takes in an answer."""
    statement = select(model_versions.c.model_version_id, version_size()).where(
        among(connection, model_versions.c.model_version_id, ids)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def load_models(
    connection: Connection, ids: Sequence[str], latest: dict[str, list[str]]
) -> dict[str, RegisteredModel]:
    """The models with these ids, by id; ``latest`` is what ``latest_of`` said of them."""
    if not ids:
        return {}
    rows = connection.execute(
        select(registered_models).where(among(connection, registered_models.c.model_id, ids))
    ).all()
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(
        select(registered_model_tags).where(
            among(connection, registered_model_tags.c.model_id, ids)
        )
    ):
        tags[row.model_id][row.key] = row.value
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(
        select(model_aliases.c.model_id, model_aliases.c.alias, model_versions.c.version)
        .join(model_versions, model_versions.c.model_version_id == model_aliases.c.model_version_id)
        .where(among(connection, model_aliases.c.model_id, ids))
        .order_by(model_aliases.c.alias)
    ):
        aliases[row.model_id][row.alias] = row.version
    wanted = [version_id for each in ids for version_id in latest.get(each, ())]
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


def _version(row: Row[Any], tags: dict[str, str], aliases: list[str]) -> ModelVersion:
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
        external_uri=row.external_uri,
        run_link=row.run_link,
        logged_model_id=row.logged_model_id,
        tags=tags,
        aliases=tuple(aliases),
    )

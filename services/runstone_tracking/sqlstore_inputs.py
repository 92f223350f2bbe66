"""Data sets that runs read, in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, select, tuple_

from runstone_kit.sqltext import TextBytes
from runstone_tracking.model import (
    DATASET_CONTEXT_TAG,
    ENTRY_BYTES,
    Dataset,
    DatasetInput,
    DatasetSummary,
)
from runstone_tracking.sqlstore_statements import (
    Belonging,
    among,
    experiment_number,
    insert_into,
)
from runstone_tracking.tables import datasets, experiments, input_tags, run_inputs, runs

_SMALL_TEXTS = ("name", "digest", "source_type", "source")
_IDENTITY = ("experiment_id", "name", "digest")

MAX_LARGE_BYTES = 32 * 1024 * 1024
"""Schemas and profiles that come with one run: a message has at most 64 MiB."""

_BYTES_SO_FAR = func.sum(TextBytes(datasets.c.schema) + TextBytes(datasets.c.profile)).over(
    partition_by=run_inputs.c.run_id, order_by=run_inputs.c.dataset_id
)

_SMALL, _LARGE = (
    Belonging(
        run_inputs.c.run_id,
        select(
            run_inputs.c.run_id,
            run_inputs.c.dataset_id,
            *(datasets.c[name] for name in _SMALL_TEXTS),
            *larger,
        )
        .join(datasets, datasets.c.dataset_id == run_inputs.c.dataset_id)
        .order_by(run_inputs.c.run_id, run_inputs.c.dataset_id),
    )
    for larger in (
        (),
        [
            case((_BYTES_SO_FAR <= MAX_LARGE_BYTES, large), else_=literal(""))
            for large in (datasets.c.schema, datasets.c.profile)
        ],
    )
)

_TAGS = Belonging(
    input_tags.c.run_id,
    select(input_tags.c.run_id, input_tags.c.dataset_id, input_tags.c.key, input_tags.c.value),
)

DATASETS_A_QUERY = 100
"""Pairs of name and digest in one IN; LogInputs takes as many."""


def add_inputs(connection: Connection, run_id: str, inputs: Sequence[DatasetInput]) -> None:
    """Insert the data sets that are new, then the uses, then the tags of the uses.

    The experiment is locked against a purge, which removes data sets that no run uses.
    """
    experiment = connection.execute(
        select(experiments.c.experiment_id)
        .join(runs, runs.c.experiment_id == experiments.c.experiment_id)
        .where(runs.c.run_id == run_id)
        .with_for_update(read=True, of=experiments)
    ).scalar_one()
    by_identity = {(each.dataset.name, each.dataset.digest): each.dataset for each in inputs}
    rows = [_dataset_row(experiment, by_identity[key]) for key in sorted(by_identity)]
    connection.execute(
        insert_into(connection, datasets).on_conflict_do_nothing(index_elements=_IDENTITY), rows
    )
    ids = _dataset_ids(connection, experiment, list(by_identity))
    uses = [{"run_id": run_id, "dataset_id": each} for each in sorted(ids.values())]
    connection.execute(
        insert_into(connection, run_inputs).on_conflict_do_nothing(
            index_elements=["run_id", "dataset_id"]
        ),
        uses,
    )
    tags = {
        (ids[each.dataset.name, each.dataset.digest], key): value
        for each in inputs
        for key, value in each.tags.items()
    }
    if tags:
        insert = insert_into(connection, input_tags)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["run_id", "dataset_id", "key"],
                set_={"value": insert.excluded.value},
            ),
            [
                {"run_id": run_id, "dataset_id": dataset, "key": key, "value": tags[dataset, key]}
                for dataset, key in sorted(tags)
            ],
        )


def load_inputs(
    connection: Connection, run_ids: Sequence[str], *, large: bool
) -> Mapping[str, list[DatasetInput]]:
    """The inputs of each run, in the order in which their data sets were first seen."""
    found = (_LARGE if large else _SMALL).read(connection, run_ids)
    if not found:
        return {}
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for run_id, dataset_id, key, value in _TAGS.read(connection, run_ids):
        tags[run_id, dataset_id][key] = value
    inputs: dict[str, list[DatasetInput]] = defaultdict(list)
    for run_id, dataset_id, *dataset in found:
        inputs[run_id].append(DatasetInput(Dataset(*dataset), tags[run_id, dataset_id]))
    return inputs


def find_datasets(
    connection: Connection, experiment_ids: Sequence[str], limit: int
) -> list[DatasetSummary]:
    """Each data set with each of the contexts in which runs used it."""
    numbers = [number for each in experiment_ids if (number := experiment_number(each)) is not None]
    if not numbers:
        return []
    context = func.coalesce(input_tags.c.value, "").label("context")
    columns = (datasets.c.experiment_id, datasets.c.name, datasets.c.digest, context)
    of_use = and_(
        input_tags.c.run_id == run_inputs.c.run_id,
        input_tags.c.dataset_id == run_inputs.c.dataset_id,
        input_tags.c.key == DATASET_CONTEXT_TAG,
    )
    used = datasets.join(run_inputs, run_inputs.c.dataset_id == datasets.c.dataset_id)
    statement = (
        select(*columns)
        .select_from(used.outerjoin(input_tags, of_use))
        .where(among(connection, datasets.c.experiment_id, numbers))
        .distinct()
        .order_by(*columns)
        .limit(limit)
    )
    return [DatasetSummary(str(number), *texts) for number, *texts in connection.execute(statement)]


def inputs_bytes(run_id: str) -> list[ColumnElement[int]]:
    """What the run's data sets, without their large texts, and their tags take in a message."""
    dataset = sum(
        (TextBytes(datasets.c[name]) + ENTRY_BYTES for name in _SMALL_TEXTS), start=literal(0)
    )
    entry = TextBytes(input_tags.c.key) + TextBytes(input_tags.c.value) + ENTRY_BYTES
    used = run_inputs.join(datasets, datasets.c.dataset_id == run_inputs.c.dataset_id)
    return [
        select(func.coalesce(func.sum(dataset), 0))
        .select_from(used)
        .where(run_inputs.c.run_id == run_id)
        .scalar_subquery(),
        select(func.coalesce(func.sum(entry), 0))
        .where(input_tags.c.run_id == run_id)
        .scalar_subquery(),
    ]


def _dataset_row(experiment: int, dataset: Dataset) -> dict[str, Any]:
    return {
        "experiment_id": experiment,
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": dataset.source_type,
        "source": dataset.source,
        "schema": dataset.schema,
        "profile": dataset.profile,
    }


def _dataset_ids(
    connection: Connection, experiment: int, identities: list[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    ids: dict[tuple[str, str], int] = {}
    for start in range(0, len(identities), DATASETS_A_QUERY):
        found = connection.execute(
            select(datasets.c.name, datasets.c.digest, datasets.c.dataset_id).where(
                datasets.c.experiment_id == experiment,
                tuple_(datasets.c.name, datasets.c.digest).in_(
                    identities[start : start + DATASETS_A_QUERY]
                ),
            )
        )
        ids.update({(row.name, row.digest): row.dataset_id for row in found})
    return ids

"""Logged models that runs read or made, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from runstone_kit.sqltext import TextBytes
from runstone_tracking.errors import LoggedModelNotFound
from runstone_tracking.model import ENTRY_BYTES, ModelOutput
from runstone_tracking.sqlstore_statements import Belonging, among, insert_into
from runstone_tracking.tables import runs
from runstone_tracking.tables_logged import logged_models, run_models

_MODELS = Belonging(
    run_models.c.run_id,
    select(run_models.c.run_id, run_models.c.made, run_models.c.model_id, run_models.c.step),
)


def lock_models(connection: Connection, model_ids: Sequence[str]) -> dict[str, str]:
    """The stage of each model, which stays until the transaction ends.

    Raises LoggedModelNotFound.
    """
    wanted = sorted(set(model_ids))
    found = connection.execute(
        select(logged_models.c.model_id, logged_models.c.stage)
        .where(among(connection, logged_models.c.model_id, wanted))
        .order_by(logged_models.c.model_id)
        .with_for_update(read=True, key_share=True)
    )
    stages: dict[str, str] = {row.model_id: row.stage for row in found}
    for model_id in wanted:
        if model_id not in stages:
            raise LoggedModelNotFound(model_id)
    return stages


def add_models(
    connection: Connection, run_id: str, outputs: Sequence[ModelOutput], *, made: bool
) -> None:
    """Mark the run, then insert what is new and set the step of what is there.

    Raises LoggedModelNotFound.
    """
    lock_models(connection, [each.model_id for each in outputs])
    # The run's row before others, as everywhere.
    connection.execute(
        update(runs).where(runs.c.run_id == run_id, ~runs.c.has_models).values(has_models=True)
    )
    insert = insert_into(connection, run_models)
    steps = {each.model_id: each.step for each in outputs}
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["run_id", "made", "model_id"], set_={"step": insert.excluded.step}
        ),
        [
            {"run_id": run_id, "made": made, "model_id": model_id, "step": steps[model_id]}
            for model_id in sorted(steps)
        ],
    )


def load_models(connection: Connection, run_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """What ``Run`` says of models, for those of the runs that have some."""
    if not run_ids:
        return {}
    read: dict[str, list[str]] = {}
    made: dict[str, list[ModelOutput]] = {}
    for run_id, is_output, model_id, step in _MODELS.read(connection, run_ids):
        if is_output:
            made.setdefault(run_id, []).append(ModelOutput(model_id, step))
        else:
            read.setdefault(run_id, []).append(model_id)
    return {
        run_id: {
            "model_inputs": tuple(sorted(read.get(run_id, ()))),
            "model_outputs": tuple(
                sorted(made.get(run_id, ()), key=lambda each: (each.step, each.model_id))
            ),
        }
        for run_id in {*read, *made}
    }


def models_bytes(run_id: str) -> ColumnElement[int]:
    """What the run's models take in a message."""
    entry = TextBytes(run_models.c.model_id) + ENTRY_BYTES
    return (
        select(func.coalesce(func.sum(entry), 0))
        .where(run_models.c.run_id == run_id)
        .scalar_subquery()
    )

"""Removing deleted runs for good."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, exists, select

from runstone_tracking.errors import RunNotDeleted, RunNotFound
from runstone_tracking.model import Purged, Stage
from runstone_tracking.sqlstore_statements import among
from runstone_tracking.tables import datasets, experiments, run_inputs, runs


def purge_runs(
    connection: Connection,
    run_ids: Sequence[str] | None,
    deleted_before: int | None,
    limit: int,
    *,
    dry_run: bool,
) -> Purged:
    """Lock the runs, delete them (their rows follow by cascade), then data sets without a use."""
    statement = select(runs.c.run_id, runs.c.stage, runs.c.delete_time)
    if run_ids is None:
        statement = statement.where(runs.c.delete_time.is_not(None)).order_by(
            runs.c.delete_time, runs.c.run_id
        )
        if deleted_before is not None:
            statement = statement.where(runs.c.delete_time < deleted_before)
        statement = statement.limit(limit + 1)
    else:
        statement = statement.where(among(connection, runs.c.run_id, run_ids)).order_by(
            runs.c.run_id
        )
    found = connection.execute(statement if dry_run else statement.with_for_update()).all()
    if run_ids is not None:
        stages = {row.run_id: row.stage for row in found}
        for run_id in run_ids:
            if run_id not in stages:
                raise RunNotFound(run_id)
            if stages[run_id] != Stage.DELETED:
                raise RunNotDeleted(run_id)
    doomed = [
        row.run_id for row in found if deleted_before is None or row.delete_time < deleted_before
    ]
    purged = Purged(tuple(doomed[:limit]), len(doomed) > limit)
    if not dry_run and purged.ids:
        _remove(connection, purged.ids)
    return purged


def _remove(connection: Connection, run_ids: Sequence[str]) -> None:
    these = among(connection, runs.c.run_id, run_ids)
    read = list(
        connection.execute(
            select(run_inputs.c.dataset_id)
            .where(among(connection, run_inputs.c.run_id, run_ids))
            .distinct()
        ).scalars()
    )
    if read:
        # Whoever notes a data set holds a share of this lock until the note is committed.
        connection.execute(
            select(experiments.c.experiment_id)
            .where(
                experiments.c.experiment_id.in_(select(runs.c.experiment_id).where(these)),
            )
            .order_by(experiments.c.experiment_id)
            .with_for_update(key_share=True)
        )
    connection.execute(delete(runs).where(these))
    if read:
        unused = ~exists().where(run_inputs.c.dataset_id == datasets.c.dataset_id)
        connection.execute(
            delete(datasets).where(among(connection, datasets.c.dataset_id, read), unused)
        )

"""Removing deleted runs for good, and then, in another transaction, the data sets left unused."""

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
    """Lock the runs in the order of their ids, then delete them; their rows follow by cascade.

    No experiment is locked: whoever deletes or restores one locks it before its runs.
    """
    statement = select(runs.c.run_id, runs.c.stage, runs.c.delete_time)
    more = False
    if run_ids is None:
        run_ids, more = _oldest(connection, deleted_before, limit)
        statement = statement.where(runs.c.stage == Stage.DELETED)
        named: Sequence[str] = ()
    else:
        named = run_ids
    statement = statement.where(among(connection, runs.c.run_id, run_ids)).order_by(runs.c.run_id)
    found = connection.execute(statement if dry_run else statement.with_for_update()).all()
    stages = {row.run_id: row.stage for row in found}
    for run_id in named:
        if run_id not in stages:
            raise RunNotFound(run_id)
        if stages[run_id] != Stage.DELETED:
            raise RunNotDeleted(run_id)
    doomed = {
        row.run_id for row in found if deleted_before is None or row.delete_time < deleted_before
    }
    ids = [run_id for run_id in run_ids if run_id in doomed]
    more = more or len(ids) > limit
    ids = ids[:limit]
    datasets_read = () if dry_run or not ids else _remove(connection, ids)
    return Purged(tuple(ids), more, datasets_read)


def _oldest(
    connection: Connection, deleted_before: int | None, limit: int
) -> tuple[list[str], bool]:
    """The runs that were deleted first, and whether there are more."""
    statement = (
        select(runs.c.run_id)
        .where(runs.c.delete_time.is_not(None))
        .order_by(runs.c.delete_time, runs.c.run_id)
        .limit(limit + 1)
    )
    if deleted_before is not None:
        statement = statement.where(runs.c.delete_time < deleted_before)
    found = list(connection.execute(statement).scalars())
    return found[:limit], len(found) > limit


def _remove(connection: Connection, run_ids: Sequence[str]) -> tuple[int, ...]:
    """Delete runs; returns the keys of the data sets that they had read."""
    read = connection.execute(
        select(run_inputs.c.dataset_id)
        .where(among(connection, run_inputs.c.run_id, run_ids))
        .distinct()
    ).scalars()
    datasets_read = tuple(sorted(read))
    connection.execute(delete(runs).where(among(connection, runs.c.run_id, run_ids)))
    return datasets_read


def drop_unused(connection: Connection, keys: Sequence[int]) -> None:
    """Lock the experiments of these data sets, then delete those that no run reads."""
    these = among(connection, datasets.c.dataset_id, keys)
    # Whoever notes a data set holds a share of this lock until the note is committed.
    connection.execute(
        select(experiments.c.experiment_id)
        .where(experiments.c.experiment_id.in_(select(datasets.c.experiment_id).where(these)))
        .order_by(experiments.c.experiment_id)
        .with_for_update(key_share=True)
    )
    unused = ~exists().where(run_inputs.c.dataset_id == datasets.c.dataset_id)
    connection.execute(delete(datasets).where(these, unused))

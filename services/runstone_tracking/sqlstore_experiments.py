"""Experiments and their tags in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, select, update
from sqlalchemy.exc import IntegrityError

from runstone_tracking.errors import (
    ExperimentDeleted,
    ExperimentNameTaken,
    ExperimentNotFound,
    TagNotFound,
)
from runstone_tracking.model import Experiment, Purged, Stage
from runstone_tracking.sqlstore_search import find_experiments
from runstone_tracking.sqlstore_statements import (
    among,
    drop_keys,
    experiment_number,
    insert_into,
    put_key_values,
)
from runstone_tracking.store import FoundExperiment
from runstone_tracking.store_query import Query
from runstone_tracking.tables import experiment_tags, experiments, runs
from runstone_tracking.tables_logged import logged_models


class SqlExperimentStore:
    """See ExperimentStore."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str, tags: Mapping[str, str], now: int) -> Experiment:
        """Insert it, or say who has the name: the insert waits for a concurrent one."""
        statement = (
            insert_into(self._connection, experiments)
            .values(name=name, stage=Stage.ACTIVE, create_time=now, update_time=now)
            .on_conflict_do_nothing(index_elements=["name"])
            .returning(experiments.c.experiment_id)
        )
        number = self._connection.execute(statement).scalar()
        if number is None:
            raise self._name_taken(name)
        put_key_values(
            self._connection, experiment_tags, "experiment_id", number, tags, replace=False
        )
        return Experiment(str(number), name, Stage.ACTIVE, now, now, tags=dict(tags))

    def get(self, experiment_id: str) -> Experiment:
        """One row and its tags."""
        number = _number(experiment_id)
        row = self._row(number)
        if row is None:
            raise ExperimentNotFound(experiment_id=experiment_id)
        return self._experiment(row)

    def get_by_name(self, name: str) -> Experiment:
        """The same by name."""
        found = select(experiments).where(experiments.c.name == name)
        row = self._connection.execute(found).one_or_none()
        if row is None:
            raise ExperimentNotFound(name=name)
        return self._experiment(row)

    def rename(self, experiment_id: str, name: str, now: int) -> Experiment:
        """Update the name within a savepoint: who has it is asked after the update failed."""
        try:
            with self._connection.begin_nested():
                self._touch(experiment_id, now, name=name)
        except IntegrityError as error:
            raise self._name_taken(name) from error
        return self.get(experiment_id)

    def delete(self, experiment_id: str, now: int) -> None:
        """The experiment first: whoever creates something in it waits, and finds it deleted."""
        number = _number(experiment_id)
        changed = self._connection.execute(
            update(experiments)
            .where(experiments.c.experiment_id == number, experiments.c.stage == Stage.ACTIVE)
            .values(stage=Stage.DELETED, delete_time=now, update_time=now)
        )
        if not changed.rowcount:
            self._require(number, experiment_id)
            return
        for table in (runs, logged_models):
            touched = {"update_time": now} if table is logged_models else {}
            self._connection.execute(
                update(table)
                .where(table.c.experiment_id == number, table.c.stage == Stage.ACTIVE)
                .values(
                    stage=Stage.DELETED, delete_time=now, deleted_with_experiment=True, **touched
                )
            )

    def restore(self, experiment_id: str, now: int) -> None:
        """The experiment first, then its runs and models."""
        number = _number(experiment_id)
        changed = self._connection.execute(
            update(experiments)
            .where(experiments.c.experiment_id == number, experiments.c.stage == Stage.DELETED)
            .values(stage=Stage.ACTIVE, delete_time=None, update_time=now)
        )
        if not changed.rowcount:
            self._require(number, experiment_id)
            return
        for table in (runs, logged_models):
            touched = {"update_time": now} if table is logged_models else {}
            self._connection.execute(
                update(table)
                .where(
                    table.c.experiment_id == number,
                    table.c.stage == Stage.DELETED,
                    table.c.deleted_with_experiment,
                )
                .values(
                    stage=Stage.ACTIVE, delete_time=None, deleted_with_experiment=False, **touched
                )
            )

    def set_tags(self, experiment_id: str, tags: Mapping[str, str], now: int) -> None:
        """Touch the experiment, then upsert."""
        number = self._touch(experiment_id, now)
        put_key_values(
            self._connection, experiment_tags, "experiment_id", number, tags, replace=True
        )

    def delete_tags(self, experiment_id: str, keys: Sequence[str], now: int) -> None:
        """Touch the experiment, then delete."""
        number = self._touch(experiment_id, now)
        missing = drop_keys(self._connection, experiment_tags, "experiment_id", number, keys)
        if missing:
            raise TagNotFound(missing[0])

    def search(self, query: Query) -> list[FoundExperiment]:
        """One query for the rows, one for their tags."""
        found = find_experiments(self._connection, query)
        tags = self._tags([row.experiment_id for row, _ in found])
        return [
            FoundExperiment(_to_experiment(row, tags[row.experiment_id]), keys)
            for row, keys in found
        ]

    def purge(self, deleted_before: int | None, limit: int, *, dry_run: bool) -> Purged:
        """Lock the experiments, then delete those that are still without runs and models.

        Whoever creates one holds a share of this lock, so none comes after the second look.
        """
        empty = and_(
            *(
                ~exists().where(table.c.experiment_id == experiments.c.experiment_id)
                for table in (runs, logged_models)
            )
        )
        condition = and_(experiments.c.stage == Stage.DELETED, empty)
        if deleted_before is not None:
            condition = and_(condition, experiments.c.delete_time < deleted_before)
        statement = (
            select(experiments.c.experiment_id)
            .where(condition)
            .order_by(experiments.c.experiment_id)
            .limit(limit + 1)
        )
        if not dry_run:
            statement = statement.with_for_update()
        found = list(self._connection.execute(statement).scalars())
        numbers = found[:limit]
        if not dry_run and numbers:
            gone = self._connection.execute(
                delete(experiments)
                .where(among(self._connection, experiments.c.experiment_id, numbers), empty)
                .returning(experiments.c.experiment_id)
            )
            numbers = sorted(gone.scalars())
        return Purged(tuple(map(str, numbers)), len(found) > limit)

    def _touch(self, experiment_id: str, now: int, **changes: Any) -> int:
        """Note a change of an active experiment, which locks it, and return its key."""
        number = _number(experiment_id)
        changed = self._connection.execute(
            update(experiments)
            .where(experiments.c.experiment_id == number, experiments.c.stage == Stage.ACTIVE)
            .values(update_time=now, **changes)
        )
        if not changed.rowcount:
            self._require(number, experiment_id)
            raise ExperimentDeleted(experiment_id)
        return number

    def _require(self, number: int, experiment_id: str) -> None:
        if self._row(number) is None:
            raise ExperimentNotFound(experiment_id=experiment_id)

    def _row(self, number: int) -> Row[Any] | None:
        found = select(experiments).where(experiments.c.experiment_id == number)
        return self._connection.execute(found).one_or_none()

    def _name_taken(self, name: str) -> ExperimentNameTaken:
        holder = self._connection.execute(
            select(experiments.c.experiment_id, experiments.c.stage).where(
                experiments.c.name == name
            )
        ).one_or_none()
        # Purged in between: the name was taken when it was asked for.
        number, stage = ("", Stage.DELETED) if holder is None else holder
        return ExperimentNameTaken(name, str(number), deleted=stage == Stage.DELETED)

    def _experiment(self, row: Row[Any]) -> Experiment:
        return _to_experiment(row, self._tags([row.experiment_id])[row.experiment_id])

    def _tags(self, numbers: Sequence[int]) -> Mapping[int, dict[str, str]]:
        tags: dict[int, dict[str, str]] = defaultdict(dict)
        if not numbers:
            return tags
        found = select(experiment_tags).where(
            among(self._connection, experiment_tags.c.experiment_id, numbers)
        )
        for number, key, value in self._connection.execute(found):
            tags[number][key] = value
        return tags


def _number(experiment_id: str) -> int:
    number = experiment_number(experiment_id)
    if number is None:
        raise ExperimentNotFound(experiment_id=experiment_id)
    return number


def _to_experiment(row: Row[Any], tags: Mapping[str, str]) -> Experiment:
    return Experiment(
        experiment_id=str(row.experiment_id),
        name=row.name,
        stage=Stage(row.stage),
        create_time=row.create_time,
        update_time=row.update_time,
        delete_time=row.delete_time,
        tags=tags,
    )

"""Logged models, their params and tags in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Text, delete, func, literal, select, update

from runstone_kit.sqltext import TextBytes
from runstone_tracking.errors import (
    ExperimentDeleted,
    ExperimentNotFound,
    LoggedModelDeleted,
    LoggedModelNotDeleted,
    LoggedModelNotFound,
    ParamImmutable,
    TagNotFound,
)
from runstone_tracking.model import ENTRY_BYTES, ModelMetric, ModelOutput, Purged, Stage
from runstone_tracking.model_logged import (
    LoggedModel,
    LoggedModelInfo,
    LoggedModelStatus,
    MetricDataset,
)
from runstone_tracking.sqlstore_logged_metrics import add_points, load_metrics
from runstone_tracking.sqlstore_logged_runs import add_models
from runstone_tracking.sqlstore_logged_search import find_models
from runstone_tracking.sqlstore_statements import (
    Belonging,
    among,
    drop_keys,
    experiment_number,
    insert_into,
    inserted,
    put_key_values,
)
from runstone_tracking.store_logged import FoundLoggedModel
from runstone_tracking.store_query import Query
from runstone_tracking.tables import experiments
from runstone_tracking.tables_logged import logged_model_params as params
from runstone_tracking.tables_logged import logged_model_tags as tags
from runstone_tracking.tables_logged import logged_models

_PARAMS, _TAGS = (
    Belonging(table.c.model_id, select(table.c.model_id, table.c.key, table.c.value))
    for table in (params, tags)
)


class SqlLoggedModelStore:
    """See LoggedModelStore."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, new: LoggedModelInfo) -> None:
        """One insert that also asks for the experiment and locks it against being deleted."""
        number = experiment_number(new.experiment_id)
        if number is None:
            raise ExperimentNotFound(experiment_id=new.experiment_id)
        times = {
            name: literal(new.create_time, logged_models.c.create_time.type)
            for name in ("create_time", "update_time")
        }
        values = {
            "model_id": literal(new.model_id, Text),
            "experiment_id": experiments.c.experiment_id,
            "name": literal(new.name, Text),
            "status": literal(new.status.value, Text),
            "stage": literal(new.stage.value, Text),
            "model_type": literal(new.model_type or None, Text),
            "source_run_id": literal(new.source_run_id or None, Text),
            "creator": literal(new.creator, Text),
            **times,
        }
        source = (
            select(*values.values())
            .where(experiments.c.experiment_id == number, experiments.c.stage == Stage.ACTIVE)
            .with_for_update(read=True)
        )
        statement = insert_into(self._connection, logged_models).from_select(list(values), source)
        if inserted(self._connection, statement):
            return
        known = select(experiments.c.stage).where(experiments.c.experiment_id == number)
        if self._connection.execute(known).scalar() is None:
            raise ExperimentNotFound(experiment_id=new.experiment_id)
        raise ExperimentDeleted(new.experiment_id)

    def get(self, model_id: str) -> LoggedModel:
        """One row and what belongs to it."""
        found = self._connection.execute(
            select(logged_models).where(logged_models.c.model_id == model_id)
        ).one_or_none()
        if found is None:
            raise LoggedModelNotFound(model_id)
        return self.load([to_info(found)])[0]

    def load(self, infos: Sequence[LoggedModelInfo]) -> list[LoggedModel]:
        """A query for each kind of thing, whatever the number of models."""
        ids = [info.model_id for info in infos]
        if not ids:
            return []
        found_params, found_tags = self._key_values(_PARAMS, ids), self._key_values(_TAGS, ids)
        metrics = load_metrics(self._connection, ids)
        return [
            LoggedModel(
                info=info,
                params=found_params[info.model_id],
                tags=found_tags[info.model_id],
                metrics=metrics.get(info.model_id, ()),
            )
            for info in infos
        ]

    def lock_active(self, model_id: str) -> None:
        """Read its stage, with a lock that keeps no metrics waiting."""
        stage = self._connection.execute(
            select(logged_models.c.stage)
            .where(logged_models.c.model_id == model_id)
            .with_for_update(key_share=True)
        ).scalar()
        if stage is None:
            raise LoggedModelNotFound(model_id)
        if stage != Stage.ACTIVE:
            raise LoggedModelDeleted(model_id)

    def finalize(self, model_id: str, status: LoggedModelStatus, now: int) -> LoggedModelInfo:
        """One update that returns the row; asked why only when there is none."""
        row = self._connection.execute(
            update(logged_models)
            .where(logged_models.c.model_id == model_id, logged_models.c.stage == Stage.ACTIVE)
            .values(status=status.value, update_time=now)
            .returning(*logged_models.c)
        ).one_or_none()
        if row is None:
            self._require(model_id)
            raise LoggedModelDeleted(model_id)
        return to_info(row)

    def delete(self, model_id: str, now: int) -> None:
        """Mark it."""
        changed = self._connection.execute(
            update(logged_models)
            .where(logged_models.c.model_id == model_id, logged_models.c.stage == Stage.ACTIVE)
            .values(
                stage=Stage.DELETED,
                delete_time=now,
                update_time=now,
                deleted_with_experiment=False,
            )
        )
        if not changed.rowcount:
            self._require(model_id)

    def add_params(self, model_id: str, items: Mapping[str, str]) -> None:
        """Insert what is new, and read what is there only when something was."""
        added = put_key_values(self._connection, params, "model_id", model_id, items, replace=False)
        if added == len(items):
            return
        found = self._connection.execute(
            select(params.c.key, params.c.value)
            .where(params.c.model_id == model_id, among(self._connection, params.c.key, items))
            .order_by(params.c.key)
        )
        for key, value in found:
            if items[key] != value:
                raise ParamImmutable(model_id, key, value, items[key], owner="model")

    def set_tags(self, model_id: str, items: Mapping[str, str]) -> None:
        """Upsert."""
        put_key_values(self._connection, tags, "model_id", model_id, items, replace=True)

    def delete_tags(self, model_id: str, keys: Sequence[str]) -> None:
        """Delete, and look what came back."""
        missing = drop_keys(self._connection, tags, "model_id", model_id, keys)
        if missing:
            raise TagNotFound(missing[0])

    def text_bytes(self, model_id: str) -> int:
        """Add up what is there, without reading long texts on PostgreSQL."""
        entries = (
            select(
                func.coalesce(
                    func.sum(TextBytes(table.c.key) + TextBytes(table.c.value) + ENTRY_BYTES), 0
                )
            )
            .where(table.c.model_id == model_id)
            .scalar_subquery()
            for table in (params, tags)
        )
        return int(sum(self._connection.execute(select(*entries)).one()))

    def add_metrics(self, run_id: str, metrics: Sequence[ModelMetric]) -> dict[str, int]:
        """See ``sqlstore_logged_metrics``."""
        return add_points(self._connection, run_id, metrics)

    def add_inputs(self, run_id: str, model_ids: Sequence[str]) -> None:
        """See ``sqlstore_logged_runs``."""
        add_models(self._connection, run_id, [ModelOutput(each) for each in model_ids], made=False)

    def add_outputs(self, run_id: str, outputs: Sequence[ModelOutput]) -> None:
        """See ``sqlstore_logged_runs``."""
        add_models(self._connection, run_id, outputs, made=True)

    def search(self, query: Query, datasets: Sequence[MetricDataset]) -> list[FoundLoggedModel]:
        """See ``sqlstore_logged_search``."""
        found = find_models(self._connection, query, datasets)
        return [FoundLoggedModel(to_info(row), keys) for row, keys in found]

    def purge(
        self,
        model_ids: Sequence[str] | None,
        deleted_before: int | None,
        limit: int,
        *,
        dry_run: bool,
    ) -> Purged:
        """Lock the models in the order of their ids, then delete them; the rest by cascade."""
        statement = select(
            logged_models.c.model_id, logged_models.c.stage, logged_models.c.delete_time
        ).order_by(logged_models.c.model_id)
        named = list(model_ids or ())
        wanted = self._oldest(deleted_before, limit + 1) if model_ids is None else named
        statement = statement.where(among(self._connection, logged_models.c.model_id, wanted))
        rows = self._connection.execute(statement if dry_run else statement.with_for_update())
        found = {row.model_id: row for row in rows}
        for model_id in named:
            if model_id not in found:
                raise LoggedModelNotFound(model_id)
            if found[model_id].stage != Stage.DELETED:
                raise LoggedModelNotDeleted(model_id)
        doomed = [
            each
            for each in wanted
            # Restored or purged since they were looked for.
            if each in found and found[each].stage == Stage.DELETED
            if deleted_before is None or found[each].delete_time < deleted_before
        ]
        ids = doomed[:limit]
        if ids and not dry_run:
            these = among(self._connection, logged_models.c.model_id, ids)
            self._connection.execute(delete(logged_models).where(these))
        return Purged(tuple(ids), len(wanted) > limit)

    def _oldest(self, deleted_before: int | None, limit: int) -> list[str]:
        """The models that were deleted first."""
        statement = (
            select(logged_models.c.model_id)
            .where(logged_models.c.delete_time.is_not(None))
            .order_by(logged_models.c.delete_time, logged_models.c.model_id)
            .limit(limit)
        )
        if deleted_before is not None:
            statement = statement.where(logged_models.c.delete_time < deleted_before)
        return list(self._connection.execute(statement).scalars())

    def _require(self, model_id: str) -> None:
        known = select(logged_models.c.model_id).where(logged_models.c.model_id == model_id)
        if self._connection.execute(known).scalar() is None:
            raise LoggedModelNotFound(model_id)

    def _key_values(self, kind: Belonging, ids: Sequence[str]) -> Mapping[str, dict[str, str]]:
        items: dict[str, dict[str, str]] = defaultdict(dict)
        for model_id, key, value in kind.read(self._connection, ids):
            items[model_id][key] = value
        return items


def to_info(row: Row[Any]) -> LoggedModelInfo:
    """A model from its row, which may be followed by other columns."""
    return LoggedModelInfo(
        model_id=row.model_id,
        experiment_id=str(row.experiment_id),
        name=row.name,
        status=LoggedModelStatus(row.status),
        stage=Stage(row.stage),
        model_type=row.model_type or "",
        source_run_id=row.source_run_id or "",
        creator=row.creator,
        create_time=row.create_time,
        update_time=row.update_time,
        delete_time=row.delete_time,
    )

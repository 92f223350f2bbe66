"""Runs, their params and tags in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Text,
    exists,
    func,
    literal,
    null,
    select,
    update,
)

from runstone_kit.sqltext import TextBytes
from runstone_tracking.errors import (
    EtagMismatch,
    ExperimentDeleted,
    ExperimentNotFound,
    ParamImmutable,
    RunDeleted,
    RunNotFound,
    TagNotFound,
)
from runstone_tracking.model import (
    ENTRY_BYTES,
    RUN_NAME_TAG,
    DatasetInput,
    DatasetSummary,
    NewRun,
    Purged,
    Run,
    RunChanges,
    RunInfo,
    RunStatus,
    Stage,
    entries_bytes,
)
from runstone_tracking.model_columns import RunColumns
from runstone_tracking.sqlstore_columns import fitting, load_columns
from runstone_tracking.sqlstore_inputs import (
    add_inputs,
    find_datasets,
    inputs_bytes,
    load_inputs,
)
from runstone_tracking.sqlstore_logged_runs import load_models, models_bytes
from runstone_tracking.sqlstore_metrics import SqlMetricStore
from runstone_tracking.sqlstore_purge import drop_unused, purge_runs
from runstone_tracking.sqlstore_search import RUN_COLUMNS, find_runs
from runstone_tracking.sqlstore_statements import (
    Belonging,
    among,
    drop_keys,
    experiment_number,
    insert_into,
    inserted,
    put_key_values,
)
from runstone_tracking.store import FoundRun
from runstone_tracking.store_query import Query
from runstone_tracking.tables import experiments, params, runs, tags

_PARAMS, _TAGS = (
    Belonging(table.c.run_id, select(table.c.run_id, table.c.key, table.c.value))
    for table in (params, tags)
)


class SqlRunStore:
    """See RunStore."""

    def __init__(self, connection: Connection, metrics: SqlMetricStore) -> None:
        self._connection = connection
        self._metrics = metrics

    def create(self, new: NewRun) -> RunInfo:
        """One insert that also asks for the experiment and locks it against being deleted."""
        number = experiment_number(new.experiment_id)
        if number is None:
            raise ExperimentNotFound(experiment_id=new.experiment_id)
        values = {
            "run_id": literal(new.run_id, Text),
            "experiment_id": experiments.c.experiment_id,
            "name": literal(new.name, Text),
            "status": literal(RunStatus.RUNNING.value, Text),
            "stage": literal(Stage.ACTIVE.value, Text),
            "user_id": literal(new.user_id, Text),
            "start_time": literal(new.start_time, runs.c.start_time.type),
            "bytes": literal(entries_bytes(new.tags), runs.c.bytes.type),
        }
        source = (
            select(*values.values())
            .where(experiments.c.experiment_id == number, experiments.c.stage == Stage.ACTIVE)
            .with_for_update(read=True)
        )
        statement = insert_into(self._connection, runs).from_select(list(values), source)
        if not inserted(self._connection, statement):
            self._refuse_experiment(number, new.experiment_id)
        put_key_values(self._connection, tags, "run_id", new.run_id, new.tags, replace=False)
        return RunInfo(
            run_id=new.run_id,
            experiment_id=new.experiment_id,
            name=new.name,
            status=RunStatus.RUNNING,
            stage=Stage.ACTIVE,
            user_id=new.user_id,
            start_time=new.start_time,
        )

    def get(self, run_id: str) -> Run:
        """One row and what belongs to it."""
        found = self._connection.execute(
            select(*RUN_COLUMNS).where(runs.c.run_id == run_id)
        ).one_or_none()
        if found is None:
            raise RunNotFound(run_id)
        return self.load([to_info(found)])[0]

    def load(self, infos: Sequence[RunInfo], *, large: bool = True) -> list[Run]:
        """A query for each kind of thing, whatever the number of runs."""
        ids = [info.run_id for info in infos]
        if not ids:
            return []
        found_params = self._key_values(_PARAMS, ids)
        found_tags = self._key_values(_TAGS, ids)
        summaries = self._metrics.summaries(ids)
        inputs = load_inputs(self._connection, ids, large=large)
        models = load_models(self._connection, [each.run_id for each in infos if each.has_models])
        return [
            Run(
                info=info,
                params=found_params[info.run_id],
                tags={**found_tags[info.run_id], RUN_NAME_TAG: info.name},
                metrics=tuple(summaries.get(info.run_id, ())),
                inputs=tuple(inputs.get(info.run_id, ())),
                **models.get(info.run_id, {}),
            )
            for info in infos
        ]

    def load_columns(self, infos: Sequence[RunInfo], *, values_only: bool) -> RunColumns:
        """See ``sqlstore_columns``."""
        fit = infos[: fitting(self._connection, infos)]
        return load_columns(self._connection, fit, values_only=values_only)

    def start_time(self, run_id: str) -> int:
        """One column of its row."""
        statement = select(runs.c.start_time).where(runs.c.run_id == run_id)
        found: int | None = self._connection.execute(statement).scalar()
        if found is None:
            raise RunNotFound(run_id)
        return found

    def require_active(self, run_id: str) -> None:
        """Read its stage, with the lock that holds back a purge."""
        statement = (
            select(runs.c.stage)
            .where(runs.c.run_id == run_id)
            .with_for_update(read=True, key_share=True)
        )
        stage = self._connection.execute(statement).scalar()
        if stage is None:
            raise RunNotFound(run_id)
        if stage != Stage.ACTIVE:
            raise RunDeleted(run_id)

    def grow(self, run_id: str, size: int) -> int | None:
        """One update; its lock makes others that count wait."""
        found = self._connection.execute(
            update(runs)
            .where(runs.c.run_id == run_id, runs.c.stage == Stage.ACTIVE)
            .values(bytes=runs.c.bytes + size)
            .returning(runs.c.bytes)
        ).one_or_none()
        if found is None:
            self._refuse(run_id)
            raise RunDeleted(run_id)
        total: int | None = found.bytes
        return total

    def recount(self, run_id: str) -> int:
        """Add up what is there, without reading long texts on PostgreSQL."""
        entries = (
            select(
                func.coalesce(
                    func.sum(TextBytes(table.c.key) + TextBytes(table.c.value) + ENTRY_BYTES), 0
                )
            )
            .where(table.c.run_id == run_id)
            .scalar_subquery()
            for table in (params, tags)
        )
        others = (*inputs_bytes(run_id), models_bytes(run_id))
        parts = self._connection.execute(select(*entries, *others)).one()
        total = int(sum(parts))
        self._connection.execute(update(runs).where(runs.c.run_id == run_id).values(bytes=total))
        return total

    def update(self, run_id: str, changes: RunChanges) -> RunInfo:
        """One update that returns the row; asked why only when there is none."""
        values: dict[str, Any] = {}
        if changes.name is not None:
            values["name"] = changes.name
        if changes.status is not None:
            values["status"] = changes.status.value
        if changes.end_time is not None:
            values["end_time"] = changes.end_time
        elif changes.clear_end_time or changes.default_end_time is not None:
            kept = null() if changes.clear_end_time else runs.c.end_time
            values["end_time"] = func.coalesce(
                kept, literal(changes.default_end_time, runs.c.end_time.type)
            )
        statement = (
            update(runs)
            .where(runs.c.run_id == run_id, runs.c.stage == Stage.ACTIVE)
            .values(values)
            .returning(*RUN_COLUMNS)
        )
        row = self._connection.execute(statement).one_or_none()
        if row is None:
            self._refuse(run_id)
            raise RunDeleted(run_id)
        return to_info(row)

    def delete(self, run_id: str, now: int) -> None:
        """Mark it."""
        changed = self._connection.execute(
            update(runs)
            .where(runs.c.run_id == run_id, runs.c.stage == Stage.ACTIVE)
            .values(stage=Stage.DELETED, delete_time=now, deleted_with_experiment=False)
        )
        if not changed.rowcount:
            self._refuse(run_id)

    def restore(self, run_id: str) -> None:
        """Lock its experiment against being deleted, then take the mark away."""
        found = self._connection.execute(
            select(experiments.c.experiment_id, experiments.c.stage)
            .join(runs, runs.c.experiment_id == experiments.c.experiment_id)
            .where(runs.c.run_id == run_id)
            .with_for_update(read=True, of=experiments)
        ).one_or_none()
        if found is None:
            raise RunNotFound(run_id)
        active = runs.c.stage == Stage.ACTIVE
        if (
            found.stage != Stage.ACTIVE
            and not self._connection.execute(
                select(exists().where(runs.c.run_id == run_id, active))
            ).scalar()
        ):
            raise ExperimentDeleted(str(found.experiment_id))
        changed = self._connection.execute(
            update(runs)
            .where(runs.c.run_id == run_id)
            .values(stage=Stage.ACTIVE, delete_time=None, deleted_with_experiment=False)
        )
        if not changed.rowcount:
            raise RunNotFound(run_id)

    def add_params(self, run_id: str, items: Mapping[str, str]) -> None:
        """Insert what is new, and read what is there only when something was."""
        added = put_key_values(self._connection, params, "run_id", run_id, items, replace=False)
        if added == len(items):
            return
        found = self._connection.execute(
            select(params.c.key, params.c.value)
            .where(params.c.run_id == run_id, among(self._connection, params.c.key, items))
            .order_by(params.c.key)
        )
        for key, value in found:
            if items[key] != value:
                raise ParamImmutable(run_id, key, value, items[key])

    def expect_tags(self, run_id: str, expected: Mapping[str, str]) -> None:
        """Who adds one waits at ``grow``, who deletes one at its row."""
        statement = (
            select(tags.c.key, tags.c.value)
            .where(tags.c.run_id == run_id, tags.c.key.in_(expected))
            .order_by(tags.c.key)
            .with_for_update()
        )
        found = {row.key: row.value for row in self._connection.execute(statement)}
        for key, value in expected.items():
            if found.get(key, "") != value:
                raise EtagMismatch(key)

    def set_tags(self, run_id: str, items: Mapping[str, str]) -> None:
        """Upsert; the run's own row comes before the rows of its tags."""
        others = dict(items)
        name = others.pop(RUN_NAME_TAG, None)
        if name is not None:
            self.update(run_id, RunChanges(name=name))
        put_key_values(self._connection, tags, "run_id", run_id, others, replace=True)

    def delete_tags(self, run_id: str, keys: Sequence[str]) -> None:
        """Delete, and look what came back."""
        missing = drop_keys(self._connection, tags, "run_id", run_id, keys)
        if missing:
            raise TagNotFound(missing[0])

    def add_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """See ``sqlstore_inputs``."""
        add_inputs(self._connection, run_id, inputs)

    def search(self, query: Query) -> list[FoundRun]:
        """See ``sqlstore_search``."""
        return [FoundRun(to_info(row), keys) for row, keys in find_runs(self._connection, query)]

    def search_datasets(self, experiment_ids: Sequence[str], limit: int) -> list[DatasetSummary]:
        """See ``sqlstore_inputs``."""
        return find_datasets(self._connection, experiment_ids, limit)

    def purge(
        self,
        run_ids: Sequence[str] | None,
        deleted_before: int | None,
        limit: int,
        *,
        dry_run: bool,
    ) -> Purged:
        """See ``sqlstore_purge``."""
        return purge_runs(self._connection, run_ids, deleted_before, limit, dry_run=dry_run)

    def drop_unused_datasets(self, datasets: Sequence[int]) -> None:
        """See ``sqlstore_purge``."""
        drop_unused(self._connection, datasets)

    def _refuse(self, run_id: str) -> None:
        if not self._connection.execute(select(exists().where(runs.c.run_id == run_id))).scalar():
            raise RunNotFound(run_id)

    def _refuse_experiment(self, number: int, experiment_id: str) -> None:
        stage = self._connection.execute(
            select(experiments.c.stage).where(experiments.c.experiment_id == number)
        ).scalar()
        if stage is None:
            raise ExperimentNotFound(experiment_id=experiment_id)
        raise ExperimentDeleted(experiment_id)

    def _key_values(self, kind: Belonging, ids: Sequence[str]) -> Mapping[str, dict[str, str]]:
        items: dict[str, dict[str, str]] = defaultdict(dict)
        for run_id, key, value in kind.read(self._connection, ids):
            items[run_id][key] = value
        return items


_STATUSES = {each.value: each for each in RunStatus}
_STAGES = {each.value: each for each in Stage}


def to_info(row: Row[Any]) -> RunInfo:
    """A run from RUN_COLUMNS, which may be followed by others."""
    # By place: a search makes 50,000 of them, and a name is looked up for three times as long.
    held: Sequence[Any] = row[: len(RUN_COLUMNS)]
    run_id, experiment_id, name, status, stage, user_id, start, end, delete, has_models = held
    return RunInfo(
        run_id=run_id,
        experiment_id=str(experiment_id),
        name=name,
        status=_STATUSES[status],
        stage=_STAGES[stage],
        user_id=user_id,
        start_time=start,
        end_time=end,
        delete_time=delete,
        has_models=has_models,
    )

"""Traces in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, select, update

from runstone_tracking.errors import (
    ExperimentDeleted,
    ExperimentNotFound,
    TagNotFound,
    TraceNotFound,
)
from runstone_tracking.model import Stage
from runstone_tracking.model_traces import (
    TRACE_NAME_TAG,
    Entries,
    NewSpan,
    Trace,
    TraceDeletion,
    TraceInfo,
    TraceState,
)
from runstone_tracking.sqlstore_statements import (
    Belonging,
    among,
    drop_keys,
    experiment_number,
    insert_into,
)
from runstone_tracking.sqlstore_traces_search import find_traces
from runstone_tracking.sqlstore_traces_spans import (
    of_rows,
    put_entries,
    put_spans,
    read_sizes,
    read_spans,
)
from runstone_tracking.store_query import Query
from runstone_tracking.store_traces import FoundTrace
from runstone_tracking.tables import experiments
from runstone_tracking.tables_traces import trace_metadata, trace_runs, trace_tags, traces

_TAGS, _METADATA = (
    Belonging(table.c.trace_id, select(table.c.trace_id, table.c.key, table.c.value))
    for table in (trace_tags, trace_metadata)
)

_UPDATE = (
    update(traces)
    .where(traces.c.trace_id == bindparam("this_trace"))
    .values({column.name: bindparam(column.name) for column in traces.c if not column.primary_key})
)


_FIELDS = [field.name for field in fields(TraceInfo)]
"""Also the names of the columns."""


class SqlTraceStore:
    """See TraceStore."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, experiment_id: str, infos: Sequence[TraceInfo]) -> dict[str, TraceInfo]:
        """Insert them in the order of their ids, then lock those that were there."""
        self._require_active(experiment_id)
        ordered = sorted(infos, key=lambda info: info.trace_id)
        rows = [_row(info) for info in ordered]
        insert, parameters = of_rows(self._connection, insert_into(self._connection, traces), rows)
        insert = insert.on_conflict_do_nothing(index_elements=["trace_id"])
        made = self._connection.execute(insert.returning(traces.c.trace_id), parameters)
        new = set(made.scalars())
        others = [info.trace_id for info in ordered if info.trace_id not in new]
        return {info.trace_id: info for info in self._locked(others)}

    def lock(self, trace_id: str) -> TraceInfo:
        """One row, for update."""
        for found in self._locked([trace_id]):
            return found
        raise TraceNotFound(trace_id)

    def update(self, infos: Sequence[TraceInfo]) -> None:
        """A statement for each, sent together."""
        rows = []
        for info in sorted(infos, key=lambda info: info.trace_id):
            row = _row(info)
            rows.append({"this_trace": row.pop("trace_id"), **row})
        if rows:
            self._connection.execute(_UPDATE, rows)

    def put_tags(self, items: Entries) -> None:
        """Upsert."""
        put_entries(self._connection, trace_tags, items, replace=True)

    def put_metadata(self, items: Entries, *, replace: bool) -> None:
        """Upsert, or insert."""
        put_entries(self._connection, trace_metadata, items, replace=replace)

    def delete_tags(self, trace_id: str, keys: Sequence[str]) -> None:
        """Delete, and look what came back."""
        missing = drop_keys(self._connection, trace_tags, "trace_id", trace_id, keys)
        if missing:
            raise TagNotFound(missing[0])

    def sizes(self, spans_: Iterable[NewSpan]) -> Mapping[tuple[str, str], int]:
        """See ``sqlstore_traces_spans``."""
        return read_sizes(self._connection, spans_)

    def put_spans(self, spans_: Sequence[NewSpan]) -> None:
        """See ``sqlstore_traces_spans``."""
        put_spans(self._connection, spans_)

    def get(self, trace_ids: Sequence[str]) -> list[TraceInfo]:
        """One query."""
        rows = self._connection.execute(
            select(traces).where(among(self._connection, traces.c.trace_id, trace_ids))
        )
        found = {row.trace_id: _info(row) for row in rows}
        return [found[trace_id] for trace_id in trace_ids if trace_id in found]

    def load(self, infos: Sequence[TraceInfo], *, spans: bool = False) -> list[Trace]:
        """A query for each kind of thing, whatever the number of traces."""
        ids = [info.trace_id for info in infos]
        if not ids:
            return []
        tags, entries = self._entries(_TAGS, ids), self._entries(_METADATA, ids)
        contents = read_spans(self._connection, ids) if spans else {}
        loaded = []
        for info in infos:
            own = tags[info.trace_id]
            if info.name is not None:
                own[TRACE_NAME_TAG] = info.name
            content = tuple(contents.get(info.trace_id, ()))
            loaded.append(Trace(info, entries[info.trace_id], own, content))
        return loaded

    def search(self, query: Query) -> list[FoundTrace]:
        """See ``sqlstore_traces_search``."""
        return [FoundTrace(_info(row), keys) for row, keys in find_traces(self._connection, query)]

    def link(self, run_id: str, trace_ids: Sequence[str]) -> None:
        """Insert what is new."""
        insert = insert_into(self._connection, trace_runs).on_conflict_do_nothing(
            index_elements=["run_id", "trace_id"]
        )
        rows = [{"run_id": run_id, "trace_id": trace_id} for trace_id in sorted(set(trace_ids))]
        self._connection.execute(insert, rows)

    def delete(self, deletion: TraceDeletion, limit: int) -> int:
        """Lock the traces in the order of their ids, then delete them; rows follow by cascade."""
        number = self._number(deletion.experiment_id)
        if not self._connection.execute(
            select(exists().where(experiments.c.experiment_id == number))
        ).scalar():
            raise ExperimentNotFound(experiment_id=deletion.experiment_id)
        wanted = select(traces.c.trace_id).where(traces.c.experiment_id == number)
        if deletion.trace_ids:
            ids = among(self._connection, traces.c.trace_id, deletion.trace_ids)
            wanted = wanted.where(ids)
        if deletion.max_request_time is not None:
            wanted = wanted.where(traces.c.request_time <= deletion.max_request_time)
        oldest = wanted.order_by(traces.c.request_time, traces.c.trace_id.desc()).limit(limit)
        return self._drop(list(self._connection.execute(oldest).scalars()))

    def drop_of_deleted(self, experiment_ids: Sequence[str], limit: int) -> int:
        """A share of the lock that restoring would take."""
        numbers = [self._number(each) for each in experiment_ids]
        gone = self._connection.execute(
            select(experiments.c.experiment_id)
            .where(
                among(self._connection, experiments.c.experiment_id, numbers),
                experiments.c.stage == Stage.DELETED,
            )
            .order_by(experiments.c.experiment_id)
            .with_for_update(read=True)
        )
        doomed = list(gone.scalars())
        if not doomed:
            return 0
        here = among(self._connection, traces.c.experiment_id, doomed)
        some = select(traces.c.trace_id).where(here).limit(limit)
        return self._drop(list(self._connection.execute(some).scalars()))

    def _drop(self, trace_ids: Sequence[str]) -> int:
        if not trace_ids:
            return 0
        doomed = [info.trace_id for info in self._locked(sorted(trace_ids))]
        self._connection.execute(
            delete(trace_runs).where(among(self._connection, trace_runs.c.trace_id, doomed))
        )
        return self._connection.execute(
            delete(traces).where(among(self._connection, traces.c.trace_id, doomed))
        ).rowcount

    def _locked(self, trace_ids: Sequence[str]) -> list[TraceInfo]:
        if not trace_ids:
            return []
        found = self._connection.execute(
            select(traces)
            .where(among(self._connection, traces.c.trace_id, trace_ids))
            .order_by(traces.c.trace_id)
            .with_for_update()
        )
        return list(map(_info, found))

    def _require_active(self, experiment_id: str) -> None:
        number = self._number(experiment_id)
        stage = self._connection.execute(
            select(experiments.c.stage)
            .where(experiments.c.experiment_id == number)
            # What the foreign key takes anyway: a purge cannot come in between.
            .with_for_update(read=True, key_share=True)
        ).scalar()
        if stage is None:
            raise ExperimentNotFound(experiment_id=experiment_id)
        if stage != Stage.ACTIVE:
            raise ExperimentDeleted(experiment_id)

    @staticmethod
    def _number(experiment_id: str) -> int:
        number = experiment_number(experiment_id)
        if number is None:
            raise ExperimentNotFound(experiment_id=experiment_id)
        return number

    def _entries(self, kind: Belonging, ids: Sequence[str]) -> Mapping[str, dict[str, str]]:
        items: dict[str, dict[str, str]] = defaultdict(dict)
        for trace_id, key, value in kind.read(self._connection, ids):
            items[trace_id][key] = value
        return items


def _row(info: TraceInfo) -> dict[str, Any]:
    row = {name: getattr(info, name) for name in _FIELDS}
    row["experiment_id"] = int(info.experiment_id)
    row["state"] = info.state.value
    return row


def _info(row: Row[Any]) -> TraceInfo:
    return TraceInfo(
        trace_id=row.trace_id,
        experiment_id=str(row.experiment_id),
        request_time=row.request_time,
        state=TraceState(row.state),
        duration=row.duration,
        name=row.name,
        request_preview=row.request_preview,
        response_preview=row.response_preview,
        client_request_id=row.client_request_id,
        finalized=row.finalized,
        span_count=row.span_count,
        bytes=row.bytes,
    )

"""Reading the registry's tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Table, func, or_, select, true

from runstone_registry.model import (
    AuditEvent,
    Comment,
    ModelHead,
    ModelVersion,
    PendingOwner,
    RegisteredModel,
    Remembered,
    RequestState,
    Stage,
    TransitionRequest,
)
from runstone_registry.sqlstore_filter import Columns, FilterCompiler, after, sort_keys
from runstone_registry.sqlstore_rows import (
    cut,
    latest_of,
    load_models,
    load_versions,
    model_size,
    version_size,
    version_sizes,
)
from runstone_registry.sqlstore_webhooks import SqlWebhookReads
from runstone_registry.store import Found, ListQuery, SearchQuery
from runstone_registry.tables import (
    audit_events,
    comments,
    create_requests,
    model_aliases,
    model_version_tags,
    model_versions,
    pending_owners,
    registered_model_tags,
    registered_models,
    transition_requests,
)

T = TypeVar("T")

_MODEL_COLUMNS = Columns(
    attributes={
        "name": registered_models.c.name,
        "creation_timestamp": registered_models.c.created_ms,
        "last_updated_timestamp": registered_models.c.updated_ms,
    },
    tags=registered_model_tags,
    tag_owner=registered_model_tags.c.model_id == registered_models.c.model_id,
)

_VERSION_COLUMNS = Columns(
    attributes={
        "name": registered_models.c.name,
        "version_number": model_versions.c.version,
        "run_id": model_versions.c.run_id,
        "source_path": model_versions.c.source,
        "stage": model_versions.c.stage,
        "creation_timestamp": model_versions.c.created_ms,
        "last_updated_timestamp": model_versions.c.updated_ms,
    },
    tags=model_version_tags,
    tag_owner=model_version_tags.c.model_version_id == model_versions.c.model_version_id,
    optional=frozenset({"run_id", "source_path"}),
)


class SqlReadSession(SqlWebhookReads):
    """``store.ReadSession`` on one connection."""

    def head(self, name: str) -> ModelHead | None:
        """The model called ``name``, without locking it."""
        return self._head(registered_models.c.name == name)

    def _head(self, condition: ColumnElement[bool], *, lock: bool = False) -> ModelHead | None:
        columns = registered_models.c
        statement = select(columns.model_id, columns.name, columns.etag).where(condition)
        row = self._connection.execute(statement.with_for_update() if lock else statement).first()
        return None if row is None else ModelHead(row.model_id, row.name, row.etag)

    def model(self, model_id: str) -> RegisteredModel | None:
        """A model with tags, aliases and latest versions."""
        latest = latest_of(self._connection, [model_id])
        return load_models(self._connection, [model_id], latest).get(model_id)

    def version(self, model_id: str, number: int) -> ModelVersion | None:
        """A version by number."""
        return self._version(
            model_versions.c.model_id == model_id, model_versions.c.version == number
        )

    def version_by_id(self, model_version_id: str) -> ModelVersion | None:
        """A version by its id."""
        return load_versions(self._connection, [model_version_id]).get(model_version_id)

    def version_by_alias(self, model_id: str, alias: str) -> ModelVersion | None:
        """The version that an alias points to."""
        found = self._connection.execute(
            select(model_aliases.c.model_version_id).where(
                model_aliases.c.model_id == model_id, model_aliases.c.alias == alias
            )
        ).scalar()
        return None if found is None else self.version_by_id(found)

    def latest_version(self, model_id: str, stage: Stage | None) -> ModelVersion | None:
        """The version with the highest number, of one stage or of all."""
        in_stage = true() if stage is None else model_versions.c.stage == stage.value
        return self._version(model_versions.c.model_id == model_id, in_stage)

    def _version(self, *conditions: ColumnElement[bool]) -> ModelVersion | None:
        found = self._connection.execute(
            select(model_versions.c.model_version_id)
            .where(*conditions)
            .order_by(model_versions.c.version.desc())
            .limit(1)
        ).scalar()
        return None if found is None else self.version_by_id(found)

    def numbers_in(self, model_id: str, stages: Iterable[Stage]) -> list[tuple[int, Stage]]:
        """Number and stage of the versions in any of ``stages``, by number."""
        columns = model_versions.c
        rows = self._connection.execute(
            select(columns.version, columns.stage)
            .where(columns.model_id == model_id)
            .where(columns.stage.in_([stage.value for stage in stages]))
            .order_by(columns.version)
        )
        return [(row.version, Stage(row.stage)) for row in rows]

    def search_models(self, query: SearchQuery) -> Found[RegisteredModel]:
        """Models that match, cut by number and size."""
        columns = registered_models.c
        statement = _searched(
            select(columns.model_id, model_size()), query, _MODEL_COLUMNS, self._dialect
        )
        sizes = {row[0]: row[1] for row in self._connection.execute(statement)}
        ids, more = cut(list(sizes.items()), query.limit, query.budget)
        latest = latest_of(self._connection, ids) if ids else {}
        also = version_sizes(
            self._connection, [each for found in latest.values() for each in found]
        )
        whole = [(key, sizes[key] + sum(also[each] for each in latest[key])) for key in ids]
        ids, shortened = cut(whole, query.limit, query.budget)
        found = load_models(self._connection, ids, latest)
        return Found([found[key] for key in ids], more or shortened)

    def search_versions(self, query: SearchQuery) -> Found[ModelVersion]:
        """Versions that match, cut by number and size."""
        columns = model_versions.c
        selected = select(columns.model_version_id, version_size()).join(
            registered_models, registered_models.c.model_id == columns.model_id
        )
        statement = _searched(selected, query, _VERSION_COLUMNS, self._dialect)
        rows = [(row[0], row[1]) for row in self._connection.execute(statement)]
        ids, more = cut(rows, query.limit, query.budget)
        found = load_versions(self._connection, ids)
        return Found([found[key] for key in ids], more)

    def transition_request(self, transition_request_id: str) -> TransitionRequest | None:
        """A transition request."""
        row = self._connection.execute(
            _of_version(transition_requests).where(
                transition_requests.c.transition_request_id == transition_request_id
            )
        ).first()
        return None if row is None else _transition_request(row)

    def open_request(self, model_version_id: str, stage: Stage) -> TransitionRequest | None:
        """The open request for this version and stage."""
        columns = transition_requests.c
        row = self._connection.execute(
            _of_version(transition_requests).where(
                columns.model_version_id == model_version_id,
                columns.stage == stage.value,
                columns.state == RequestState.OPEN.value,
            )
        ).first()
        return None if row is None else _transition_request(row)

    def transition_requests(self, query: ListQuery) -> Found[TransitionRequest]:
        """Transition requests, newest first."""
        columns = transition_requests.c
        size = func.length(columns.comment) + func.length(columns.decision_comment) + 700
        keys = _with_version(select(columns.sequence, size), transition_requests)
        if query.name:
            keys = keys.where(registered_models.c.name == query.name)
        if query.version:
            keys = keys.where(model_versions.c.version == query.version)
        if query.state is not None:
            keys = keys.where(columns.state == query.state.value)
        if query.after is not None:
            keys = keys.where(columns.sequence < query.after)
        rows = _of_version(transition_requests)
        return self._listed(
            query,
            keys.order_by(columns.sequence.desc()),
            rows,
            columns.sequence,
            _transition_request,
        )

    def comment(self, comment_id: str) -> Comment | None:
        """A comment."""
        row = self._connection.execute(
            _of_version(comments).where(comments.c.comment_id == comment_id)
        ).first()
        return None if row is None else _comment(row)

    def comments(self, query: ListQuery) -> Found[Comment]:
        """Comments of a version, oldest first."""
        columns = comments.c
        keys = select(columns.sequence, func.length(columns.text) + 500).where(
            columns.model_version_id == query.model_version_id
        )
        if query.after is not None:
            keys = keys.where(columns.sequence > query.after)
        rows = _of_version(comments)
        return self._listed(
            query, keys.order_by(columns.sequence), rows, columns.sequence, _comment
        )

    def audit_events(self, query: ListQuery) -> Found[AuditEvent]:
        """Changes, newest first."""
        columns = audit_events.c
        size = func.length(columns.comment) + func.length(columns.details) + 600
        keys = select(columns.event_id, size)
        if query.name:
            keys = keys.where(
                or_(columns.name == query.name, columns.model_id == query.model_id)
                if query.model_id
                else columns.name == query.name
            )
        if query.version:
            keys = keys.where(columns.version == query.version)
        if query.after is not None:
            keys = keys.where(columns.event_id < query.after)
        return self._listed(
            query,
            keys.order_by(columns.event_id.desc()),
            select(audit_events),
            columns.event_id,
            _audit_event,
        )

    def _listed(
        self,
        query: ListQuery,
        keys: Select[Any],
        rows: Select[Any],
        key: ColumnElement[int],
        make: Callable[[Row[Any]], T],
    ) -> Found[T]:
        """Keys and sizes first, then only the rows that fit: texts may be long."""
        sized = [(row[0], row[1]) for row in self._connection.execute(keys.limit(query.limit + 1))]
        wanted, more = cut(sized, query.limit, query.budget)
        if not wanted:
            return Found([])
        # The key is each table's first column.
        found = {row[0]: row for row in self._connection.execute(rows.where(key.in_(wanted)))}
        return Found([make(found[each]) for each in wanted], more)

    def remembered(self, request_id: str) -> Remembered | None:
        """What the create with this request id made."""
        row = self._connection.execute(
            select(create_requests).where(create_requests.c.request_id == request_id)
        ).first()
        if row is None:
            return None
        return Remembered(row.request_id, row.digest, row.model_id, row.subject, row.created_ms)

    def due_owners(self, now_ms: int, limit: int) -> list[PendingOwner]:
        """Pending owners whose time has come, longest due first."""
        columns = pending_owners.c
        rows = self._connection.execute(
            select(columns.model_version_id, columns.due_ms, columns.attempts)
            .where(columns.due_ms <= now_ms)
            .order_by(columns.due_ms)
            .limit(limit)
        )
        return [PendingOwner(row.model_version_id, row.due_ms, row.attempts) for row in rows]


def _searched(
    statement: Select[Any], query: SearchQuery, columns: Columns, dialect: str
) -> Select[Any]:
    return (
        statement.where(FilterCompiler(columns, dialect).compile(query.filter))
        .where(after(query.order, columns.attributes, query.after))
        .order_by(*sort_keys(query.order, columns.attributes))
        .limit(query.limit + 1)
    )


def _of_version(table: Table) -> Select[Any]:
    """The rows of ``table`` with name and number of the version they hang on."""
    selected = select(
        table, registered_models.c.model_id, registered_models.c.name, model_versions.c.version
    )
    return _with_version(selected, table)


def _with_version(statement: Select[Any], table: Table) -> Select[Any]:
    return statement.join(
        model_versions, model_versions.c.model_version_id == table.c.model_version_id
    ).join(registered_models, registered_models.c.model_id == model_versions.c.model_id)


def _transition_request(row: Row[Any]) -> TransitionRequest:
    return TransitionRequest(
        transition_request_id=row.transition_request_id,
        model_id=row.model_id,
        model_version_id=row.model_version_id,
        name=row.name,
        version=row.version,
        stage=Stage(row.stage),
        created_ms=row.created_ms,
        archive_existing_versions=row.archive_existing_versions,
        state=RequestState(row.state),
        comment=row.comment,
        creator=row.creator,
        decider=row.decider,
        decision_comment=row.decision_comment,
        decided_ms=row.decided_ms,
        sequence=row.sequence,
    )


def _comment(row: Row[Any]) -> Comment:
    return Comment(
        comment_id=row.comment_id,
        model_id=row.model_id,
        model_version_id=row.model_version_id,
        name=row.name,
        version=row.version,
        text=row.text,
        author=row.author,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        sequence=row.sequence,
    )


def _audit_event(row: Row[Any]) -> AuditEvent:
    return AuditEvent(
        model_id=row.model_id,
        name=row.name,
        action=row.action,
        actor=row.actor,
        created_ms=row.created_ms,
        version=row.version,
        details=json.loads(row.details),
        comment=row.comment,
        request_id=row.request_id,
        event_id=row.event_id,
    )

"""Changing the registry's tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Insert,
    Table,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from runstone_registry.errors import ModelNameTaken, RequestIdReused, TransitionRequestOpen
from runstone_registry.model import (
    AuditEvent,
    Comment,
    ModelHead,
    ModelVersion,
    PendingOwner,
    RegisteredModel,
    Remembered,
    Stage,
    TransitionRequest,
    VersionStatus,
)
from runstone_registry.sqlstore_read import SqlReadSession
from runstone_registry.sqlstore_webhooks import SqlWebhookWrites
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


class SqlWriteSession(SqlWebhookWrites, SqlReadSession):
    """``store.WriteSession`` in one transaction.

    A model is locked by its row on PostgreSQL; SQLite has one writer at a time anyway.
    """

    def lock(self, name: str) -> ModelHead | None:
        """Lock the model called ``name``."""
        return self._head(registered_models.c.name == name, lock=True)

    def lock_id(self, model_id: str) -> ModelHead | None:
        """Lock a model by its id."""
        return self._head(registered_models.c.model_id == model_id, lock=True)

    def insert_model(self, model: RegisteredModel, tags_bytes: int) -> None:
        """Add a model without versions."""
        row = {
            "model_id": model.model_id,
            "name": model.name,
            "description": model.description,
            "creator": model.creator,
            "created_ms": model.created_ms,
            "updated_ms": model.updated_ms,
            "etag": model.etag,
            "tags_bytes": tags_bytes,
        }
        try:
            self._connection.execute(insert(registered_models), row)
        except IntegrityError as error:
            raise ModelNameTaken(model.name) from error
        self._insert_tags(registered_model_tags, "model_id", model.model_id, model.tags)

    def touch_model(self, model_id: str, etag: str, now_ms: int) -> None:
        """Give a model a new etag and time of update."""
        self._set_model(model_id, etag=etag, updated_ms=now_ms)

    def describe_model(self, model_id: str, description: str) -> None:
        """Set a model's description."""
        self._set_model(model_id, description=description)

    def rename_model(self, model_id: str, name: str) -> None:
        """Rename a model."""
        try:
            self._set_model(model_id, name=name)
        except IntegrityError as error:
            raise ModelNameTaken(name) from error

    def delete_model(self, model_id: str) -> None:
        """Delete a model; what hangs on it goes with it."""
        self._connection.execute(
            delete(registered_models).where(registered_models.c.model_id == model_id)
        )

    def put_model_tags(self, model_id: str, tags: Mapping[str, str], tags_bytes: int) -> None:
        """Set tags."""
        self._delete_tags(registered_model_tags, "model_id", model_id, tags)
        self._insert_tags(registered_model_tags, "model_id", model_id, tags)
        self._set_model(model_id, tags_bytes=tags_bytes)

    def drop_model_tags(self, model_id: str, keys: Iterable[str], tags_bytes: int) -> None:
        """Delete tags."""
        self._delete_tags(registered_model_tags, "model_id", model_id, keys)
        self._set_model(model_id, tags_bytes=tags_bytes)

    def next_number(self, model_id: str) -> int:
        """The model's next version number."""
        number: int = self._connection.execute(
            update(registered_models)
            .where(registered_models.c.model_id == model_id)
            .values(last_version=registered_models.c.last_version + 1)
            .returning(registered_models.c.last_version)
        ).scalar_one()
        return number

    def insert_version(self, version: ModelVersion, tags_bytes: int) -> None:
        """Add a version with its tags."""
        row = {
            "model_version_id": version.model_version_id,
            "model_id": version.model_id,
            "version": version.version,
            "description": version.description,
            "creator": version.creator,
            "stage": version.stage.value,
            "status": version.status.value,
            "status_message": version.status_message,
            "run_id": version.run_id,
            "source": version.source,
            "external_uri": version.external_uri,
            "run_link": version.run_link,
            "logged_model_id": version.logged_model_id,
            "created_ms": version.created_ms,
            "updated_ms": version.updated_ms,
            "etag": version.etag,
            "tags_bytes": tags_bytes,
        }
        self._connection.execute(insert(model_versions), row)
        self._insert_tags(
            model_version_tags, "model_version_id", version.model_version_id, version.tags
        )

    def touch_version(self, model_version_id: str, etag: str, now_ms: int) -> None:
        """Give a version a new etag and time of update."""
        self._set_version(model_version_id, etag=etag, updated_ms=now_ms)

    def describe_version(self, model_version_id: str, description: str) -> None:
        """Set a version's description."""
        self._set_version(model_version_id, description=description)

    def set_stage(self, model_version_id: str, stage: Stage) -> None:
        """Move a version."""
        self._set_version(model_version_id, stage=stage.value)

    def archive_others(
        self, version: ModelVersion, stage: Stage, etag: str, now_ms: int
    ) -> list[int]:
        """One statement, however many there are."""
        columns = model_versions.c
        moved = self._connection.execute(
            update(model_versions)
            .where(
                columns.model_id == version.model_id,
                columns.stage == stage.value,
                columns.version != version.version,
            )
            .values(stage=Stage.ARCHIVED.value, etag=etag, updated_ms=now_ms)
            .returning(columns.version)
        )
        return sorted(moved.scalars())

    def set_status(self, model_version_id: str, status: VersionStatus, message: str) -> None:
        """Set a version's status."""
        self._set_version(model_version_id, status=status.value, status_message=message)

    def delete_version(self, model_version_id: str) -> None:
        """Delete a version; what hangs on it goes with it."""
        self._connection.execute(
            delete(model_versions).where(model_versions.c.model_version_id == model_version_id)
        )

    def put_version_tags(
        self, model_version_id: str, tags: Mapping[str, str], tags_bytes: int
    ) -> None:
        """Set tags."""
        self._delete_tags(model_version_tags, "model_version_id", model_version_id, tags)
        self._insert_tags(model_version_tags, "model_version_id", model_version_id, tags)
        self._set_version(model_version_id, tags_bytes=tags_bytes)

    def drop_version_tags(
        self, model_version_id: str, keys: Iterable[str], tags_bytes: int
    ) -> None:
        """Delete tags."""
        self._delete_tags(model_version_tags, "model_version_id", model_version_id, keys)
        self._set_version(model_version_id, tags_bytes=tags_bytes)

    def put_alias(self, model_id: str, alias: str, model_version_id: str) -> None:
        """Point an alias at a version."""
        self.drop_alias(model_id, alias)
        row = {"model_id": model_id, "alias": alias, "model_version_id": model_version_id}
        self._connection.execute(insert(model_aliases), row)

    def drop_alias(self, model_id: str, alias: str) -> None:
        """Delete an alias."""
        self._connection.execute(
            delete(model_aliases).where(
                model_aliases.c.model_id == model_id, model_aliases.c.alias == alias
            )
        )

    def insert_transition_request(self, request: TransitionRequest) -> None:
        """Add a request."""
        row = {
            "transition_request_id": request.transition_request_id,
            "model_version_id": request.model_version_id,
            "stage": request.stage.value,
            "archive_existing_versions": request.archive_existing_versions,
            "state": request.state.value,
            "comment": request.comment,
            "creator": request.creator,
            "created_ms": request.created_ms,
            "decider": request.decider,
            "decision_comment": request.decision_comment,
            "decided_ms": request.decided_ms,
        }
        try:
            self._connection.execute(insert(transition_requests), row)
        except IntegrityError as error:
            raise TransitionRequestOpen(request.transition_request_id) from error

    def close_transition_request(self, request: TransitionRequest) -> None:
        """Store the decision."""
        self._connection.execute(
            update(transition_requests)
            .where(transition_requests.c.transition_request_id == request.transition_request_id)
            .values(
                state=request.state.value,
                decider=request.decider,
                decision_comment=request.decision_comment,
                decided_ms=request.decided_ms,
            )
        )

    def insert_comment(self, comment: Comment) -> None:
        """Add a comment."""
        row = {
            "comment_id": comment.comment_id,
            "model_version_id": comment.model_version_id,
            "text": comment.text,
            "author": comment.author,
            "created_ms": comment.created_ms,
            "updated_ms": comment.updated_ms,
        }
        self._connection.execute(insert(comments), row)

    def change_comment(self, comment_id: str, text: str, now_ms: int) -> None:
        """Set a comment's text."""
        self._connection.execute(
            update(comments)
            .where(comments.c.comment_id == comment_id)
            .values(text=text, updated_ms=now_ms)
        )

    def delete_comment(self, comment_id: str) -> None:
        """Delete a comment."""
        self._connection.execute(delete(comments).where(comments.c.comment_id == comment_id))

    def append_audit(self, *events: AuditEvent) -> None:
        """Add audit events."""
        rows = [
            {
                "model_id": event.model_id,
                "name": event.name,
                "version": event.version,
                "action": event.action,
                "actor": event.actor,
                "created_ms": event.created_ms,
                "details": json.dumps(dict(event.details), ensure_ascii=False),
                "comment": event.comment,
                "request_id": event.request_id,
            }
            for event in events
        ]
        self._connection.execute(insert(audit_events), rows)

    def remember(self, done: Remembered) -> None:
        """Keep what a create made."""
        row = {
            "request_id": done.request_id,
            "digest": done.digest,
            "model_id": done.model_id,
            "subject": done.subject,
            "created_ms": done.created_ms,
        }
        try:
            self._connection.execute(insert(create_requests), row)
        except IntegrityError as error:
            raise RequestIdReused(done.request_id) from error

    def forget_requests(self, before_ms: int) -> None:
        """Drop what was remembered before a time."""
        self._connection.execute(
            delete(create_requests).where(create_requests.c.created_ms < before_ms)
        )

    def reserve_owner(self, owner: PendingOwner) -> None:
        """Note an owner whose files are about to be made."""
        self._connection.execute(_pending(owner.model_version_id, owner.due_ms, reserved=True))

    def settle_owner(self, model_version_id: str) -> bool:
        """Drop a reservation, its version being stored."""
        done = self._connection.execute(
            delete(pending_owners).where(
                pending_owners.c.model_version_id == model_version_id,
                pending_owners.c.reserved.is_(True),
            )
        )
        return done.rowcount == 1

    def orphan_owner(self, model_version_id: str, due_ms: int) -> None:
        """Give an owner, known or not, to the sweeper."""
        done = self._connection.execute(
            update(pending_owners)
            .where(pending_owners.c.model_version_id == model_version_id)
            .values(reserved=False, due_ms=due_ms)
        )
        if done.rowcount == 0:
            self._connection.execute(_pending(model_version_id, due_ms, reserved=False))

    def orphan_owners_of(self, model_id: str, due_ms: int) -> list[str]:
        """Give the owners of all versions of a model to the sweeper."""
        mine = model_versions.c.model_id == model_id
        ids = (
            self._connection.execute(
                select(model_versions.c.model_version_id)
                .where(mine)
                .order_by(model_versions.c.version)
            )
            .scalars()
            .all()
        )
        self._connection.execute(
            insert(pending_owners).from_select(
                ["model_version_id", "reserved", "due_ms", "attempts"],
                select(
                    model_versions.c.model_version_id, literal(False), literal(due_ms), literal(0)
                ).where(mine),
            )
        )
        return list(ids)

    def claim_owner(self, model_version_id: str, now_ms: int, retry_ms: int) -> bool:
        """Take a due owner out of its create's hands."""
        done = self._connection.execute(
            update(pending_owners)
            .where(
                pending_owners.c.model_version_id == model_version_id,
                pending_owners.c.due_ms <= now_ms,
            )
            .values(reserved=False, due_ms=retry_ms, attempts=pending_owners.c.attempts + 1)
        )
        return done.rowcount == 1

    def drop_owner(self, model_version_id: str) -> None:
        """Forget an owner whose files are gone."""
        self._connection.execute(
            delete(pending_owners).where(pending_owners.c.model_version_id == model_version_id)
        )

    def _set_model(self, model_id: str, **values: Any) -> None:
        self._connection.execute(
            update(registered_models)
            .where(registered_models.c.model_id == model_id)
            .values(**values)
        )

    def _set_version(self, model_version_id: str, **values: Any) -> None:
        self._connection.execute(
            update(model_versions)
            .where(model_versions.c.model_version_id == model_version_id)
            .values(**values)
        )

    def _insert_tags(self, table: Table, column: str, owner: str, tags: Mapping[str, str]) -> None:
        if tags:
            rows = [{column: owner, "key": key, "value": value} for key, value in tags.items()]
            self._connection.execute(insert(table), rows)

    def _delete_tags(self, table: Table, column: str, owner: str, keys: Iterable[str]) -> None:
        mine: ColumnElement[bool] = table.c[column] == owner
        self._connection.execute(delete(table).where(mine, table.c.key.in_(list(keys))))


def _pending(model_version_id: str, due_ms: int, *, reserved: bool) -> Insert:
    return insert(pending_owners).values(
        model_version_id=model_version_id, reserved=reserved, due_ms=due_ms, attempts=0
    )

"""Remembered creates in SQL."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, select, tuple_, update

from runstone_tracking.errors import RequestIdReused
from runstone_tracking.model import CreateRequest
from runstone_tracking.sqlstore_statements import insert_into, inserted
from runstone_tracking.tables import request_ids


class SqlRequestStore:
    """See RequestStore."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, request: CreateRequest, resource_id: str) -> str | None:
        """Insert the request, or read what is there: the insert waits for a concurrent one."""
        row = {
            "method": request.method,
            "request_id": request.request_id,
            "content": request.content,
            "resource_id": resource_id,
            "create_time": request.now,
        }
        statement = insert_into(self._connection, request_ids).values(row)
        # One that is over its time is taken over, as if it had been forgotten.
        statement = statement.on_conflict_do_update(
            index_elements=["method", "request_id"],
            set_=row,
            where=request_ids.c.create_time < request.forget_before,
        )
        if inserted(self._connection, statement):
            return None
        found = self._connection.execute(
            select(request_ids.c.content, request_ids.c.resource_id).where(self._is(request))
        ).one_or_none()
        if found is None:
            # Forgotten in between, by a clock that is ahead of this one.
            return self.claim(request, resource_id)
        if found.content != request.content:
            raise RequestIdReused(request.request_id)
        return str(found.resource_id)

    def assign(self, request: CreateRequest, resource_id: str) -> None:
        """Change what a claimed request has made."""
        self._connection.execute(
            update(request_ids).where(self._is(request)).values(resource_id=resource_id)
        )

    def forget(self, before: int, limit: int) -> int:
        """Forget at most ``limit`` requests from before; returns how many."""
        key = (request_ids.c.method, request_ids.c.request_id)
        old = select(*key).where(request_ids.c.create_time < before).limit(limit)
        return self._connection.execute(delete(request_ids).where(tuple_(*key).in_(old))).rowcount

    @staticmethod
    def _is(request: CreateRequest) -> ColumnElement[bool]:
        return and_(
            request_ids.c.method == request.method, request_ids.c.request_id == request.request_id
        )

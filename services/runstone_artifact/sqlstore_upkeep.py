"""Garbage and scrubbing in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Text, bindparam, delete, exists, func, or_, select, update

from runstone_artifact.model import Blob, Owner, OwnerKind, Totals, Upload
from runstone_artifact.sqlstore_files import slices
from runstone_artifact.sqlstore_rows import blob_of, upload_of
from runstone_artifact.tables import (
    DOOMED,
    blobs,
    entries,
    installation,
    objects,
    upload_parts,
    uploads,
)
from runstone_kit.database import Database

COMMITTED_KEPT_MS = 86_400_000
"""A committed upload answers for a day."""


class UpkeepSql:
    """``store.UpkeepRows`` on SQLAlchemy Core."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def installation_id(self) -> str:
        """See UpkeepRows."""
        with self._database.read() as connection:
            return str(connection.execute(select(installation.c.id)).scalar_one())

    def count_garbage(self, before_ms: int) -> Totals:
        """See UpkeepRows."""
        query = select(func.count(), func.coalesce(func.sum(objects.c.size), 0))
        with self._database.read() as connection:
            count, size = connection.execute(query.where(_is_garbage(before_ms))).one()
        return Totals(int(count), int(size))

    def take_garbage(self, before_ms: int, limit: int) -> list[tuple[str, int]]:
        """See UpkeepRows."""

        def work(connection: Connection) -> list[tuple[str, int]]:
            query = (
                select(objects.c.object_key, objects.c.size)
                .where(_is_garbage(before_ms))
                .order_by(objects.c.object_key)
                .limit(limit)
                # A locked one is being committed: not garbage any more.
                .with_for_update(skip_locked=True)
            )
            found = {row.object_key: row.size for row in connection.execute(query)}
            if not found:
                return []
            lying = blobs.c.object_key.in_(found)
            # Waits for commits that hold one of the blobs; what they did is then seen.
            lock = select(blobs.c.sha256).where(lying).order_by(blobs.c.sha256).with_for_update()
            connection.execute(lock).all()
            referred = select(blobs.c.object_key).join(entries, entries.c.sha256 == blobs.c.sha256)
            kept = set(connection.execute(referred.where(lying).distinct()).scalars())
            free = [key for key in found if key not in kept]
            if free:
                connection.execute(delete(blobs).where(blobs.c.object_key.in_(free)))
                doomed = update(objects).where(objects.c.object_key.in_(free))
                connection.execute(doomed.values(state=DOOMED))
            return [(key, found[key]) for key in free]

        return self._database.run_write(work)

    def forget_objects(self, keys: Sequence[str]) -> None:
        """See UpkeepRows."""

        def work(connection: Connection) -> None:
            for some in slices(keys):
                statement = delete(objects).where(
                    objects.c.object_key.in_(some), objects.c.state == DOOMED
                )
                connection.execute(statement)

        self._database.run_write(work)

    def abandoned_uploads(self, before_ms: int, now_ms: int) -> int:
        """See UpkeepRows."""
        query = select(func.count()).select_from(uploads)
        with self._database.read() as connection:
            return int(
                connection.execute(query.where(_is_abandoned(before_ms, now_ms))).scalar_one()
            )

    def take_abandoned_uploads(self, before_ms: int, now_ms: int, limit: int) -> list[Upload]:
        """See UpkeepRows."""

        def work(connection: Connection) -> list[Upload]:
            old = uploads.c.commit_ms < now_ms - COMMITTED_KEPT_MS
            connection.execute(delete(uploads).where(old))
            query = (
                select(uploads)
                .where(_is_abandoned(before_ms, now_ms))
                .order_by(uploads.c.upload_id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            taken = [upload_of(row) for row in connection.execute(query)]
            ids = [upload.upload_id for upload in taken]
            connection.execute(delete(upload_parts).where(upload_parts.c.upload_id.in_(ids)))
            connection.execute(delete(uploads).where(uploads.c.upload_id.in_(ids)))
            return taken

        return self._database.run_write(work)

    def known_objects(self, keys: Sequence[str]) -> set[str]:
        """See UpkeepRows."""
        # Uploads first: a commit between the two moves the key from the one to the other.
        return self._known(uploads.c.object_key, keys) | self._known(objects.c.object_key, keys)

    def known_uploads(self, upload_ids: Sequence[str]) -> set[str]:
        """See UpkeepRows."""
        return self._known(uploads.c.upload_id, upload_ids)

    def blobs_after(self, sha256: str, limit: int) -> list[Blob]:
        """See UpkeepRows."""
        query = select(blobs).where(blobs.c.sha256 > sha256).order_by(blobs.c.sha256).limit(limit)
        with self._database.read() as connection:
            return [blob_of(row) for row in connection.execute(query)]

    def note_findings(self, findings: Sequence[Blob]) -> None:
        """See UpkeepRows."""
        statement = (
            update(blobs)
            .where(
                blobs.c.sha256 == bindparam("found_sha256"),
                blobs.c.object_key == bindparam("found_key"),
            )
            .values(
                damage=bindparam("found_damage"),
                blake3=func.coalesce(bindparam("found_blake3", type_=Text), blobs.c.blake3),
            )
        )
        # In the order in which commits and collections take their locks.
        rows = [
            {
                "found_sha256": blob.sha256,
                "found_key": blob.object_key,
                "found_damage": blob.damage or None,
                "found_blake3": blob.blake3 or None,
            }
            for blob in sorted(findings, key=lambda each: each.sha256)
        ]
        self._database.run_write(lambda connection: connection.execute(statement, rows) and None)

    def referrers(self, sha256: str, limit: int) -> list[str]:
        """See UpkeepRows."""
        query = select(entries).where(entries.c.sha256 == sha256).limit(limit)
        with self._database.read() as connection:
            return sorted(
                f"{Owner(OwnerKind(row.owner_kind), row.owner_id)}/{row.path}"
                for row in connection.execute(query)
            )

    def _known(self, column: Any, values: Sequence[str]) -> set[str]:
        query: Callable[[list[str]], Any] = lambda some: select(column).where(column.in_(some))  # noqa: E731
        with self._database.read() as connection:
            return {
                value
                for some in slices(values)
                for value in connection.execute(query(some)).scalars()
            }


def _is_garbage(before_ms: int) -> Any:
    referred = exists().where(
        blobs.c.object_key == objects.c.object_key, entries.c.sha256 == blobs.c.sha256
    )
    return (objects.c.create_ms < before_ms) & ~referred


def _is_abandoned(before_ms: int, now_ms: int) -> Any:
    return (
        (uploads.c.update_ms < before_ms)
        & uploads.c.commit_ms.is_(None)
        & or_(uploads.c.holder == "", uploads.c.held_until_ms <= now_ms)
    )

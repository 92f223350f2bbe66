"""Uploads in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from runstone_artifact.errors import BytesCollected, UploadBusy, UploadNotFound
from runstone_artifact.model import Blob, Upload
from runstone_artifact.sqlstore_files import check_conflicts
from runstone_artifact.sqlstore_rows import (
    blob_values,
    insert_entries,
    insert_or_nothing,
    lock_writable,
    store_blobs,
    upload_of,
    upload_values,
)
from runstone_artifact.tables import STORED, blobs, objects, upload_parts, uploads
from runstone_kit.database import Database


class UploadSql:
    """``store.UploadRows`` on SQLAlchemy Core."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_upload(self, upload: Upload) -> None:
        """See UploadRows."""
        self._database.run_write(
            lambda connection: connection.execute(uploads.insert(), upload_values(upload)) and None
        )

    def upload(self, upload_id: str) -> Upload:
        """See UploadRows."""
        with self._database.read() as connection:
            return _with_parts(connection, _row(connection, upload_id))

    def hold_upload(self, upload_id: str, holder: str, now_ms: int, until_ms: int) -> Upload:
        """See UploadRows."""

        def work(connection: Connection) -> Upload:
            row = _locked(connection, upload_id)
            if row.commit_ms is None:
                if row.holder not in ("", holder) and row.held_until_ms > now_ms:
                    raise UploadBusy(upload_id)
                _change(connection, upload_id, holder=holder, held_until_ms=until_ms)
            return _with_parts(connection, row)

        return self._database.run_write(work)

    def note_progress(self, upload: Upload, holder: str, until_ms: int) -> None:
        """See UploadRows."""

        def work(connection: Connection) -> None:
            _held(connection, upload.upload_id, holder)
            _change(
                connection,
                upload.upload_id,
                size=upload.size,
                durable_offset=upload.offset,
                found_sha256=upload.found_sha256,
                found_blake3=upload.found_blake3 or None,
                update_ms=upload.update_ms,
                held_until_ms=until_ms,
            )
            if upload.parts:
                rows = [
                    {
                        "upload_id": upload.upload_id,
                        "part_number": part.number,
                        "size": part.size,
                        "etag": part.etag,
                    }
                    for part in upload.parts
                ]
                connection.execute(insert_or_nothing(connection, upload_parts), rows)

        self._database.run_write(work)

    def release_upload(self, upload_id: str, holder: str) -> None:
        """See UploadRows."""
        statement = (
            update(uploads)
            .where(uploads.c.upload_id == upload_id, uploads.c.holder == holder)
            .values(holder="", held_until_ms=0)
        )
        self._database.run_write(lambda connection: connection.execute(statement) and None)

    def commit_upload(self, upload: Upload, holder: str, blob: Blob, now_ms: int) -> Upload:
        """See UploadRows."""

        def work(connection: Connection) -> Upload:
            _held(connection, upload.upload_id, holder)
            lock_writable(connection, upload.owner, now_ms, opens=False)
            check_conflicts(connection, upload.owner, [upload.path])
            _keep_or_add(connection, blob, now_ms)
            entry = (upload.path, blob.sha256, blob.size)
            insert_entries(connection, upload.owner, [entry], now_ms)
            _change(
                connection,
                upload.upload_id,
                found_sha256=blob.sha256,
                found_blake3=blob.blake3 or None,
                commit_ms=now_ms,
                update_ms=now_ms,
                holder="",
                held_until_ms=0,
            )
            return upload_of(_locked(connection, upload.upload_id))

        return self._database.run_write(work)

    def remove_upload(self, upload_id: str, holder: str) -> bool:
        """See UploadRows."""
        statement = delete(uploads).where(
            uploads.c.upload_id == upload_id,
            uploads.c.holder == holder,
            uploads.c.commit_ms.is_(None),
        )
        return (
            self._database.run_write(lambda connection: connection.execute(statement).rowcount) == 1
        )


def _row(connection: Connection, upload_id: str) -> Row[Any]:
    row = connection.execute(select(uploads).where(uploads.c.upload_id == upload_id)).first()
    if row is None:
        raise UploadNotFound(upload_id)
    return row


def _locked(connection: Connection, upload_id: str) -> Row[Any]:
    query = select(uploads).where(uploads.c.upload_id == upload_id).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise UploadNotFound(upload_id)
    return row


def _held(connection: Connection, upload_id: str, holder: str) -> None:
    if _locked(connection, upload_id).holder != holder:
        raise UploadBusy(upload_id)


def _change(connection: Connection, upload_id: str, **values: Any) -> None:
    connection.execute(update(uploads).where(uploads.c.upload_id == upload_id).values(**values))


def _with_parts(connection: Connection, row: Row[Any]) -> Upload:
    query = (
        select(upload_parts)
        .where(upload_parts.c.upload_id == row.upload_id)
        .order_by(upload_parts.c.part_number)
    )
    return upload_of(row, connection.execute(query).all())


def _keep_or_add(connection: Connection, blob: Blob, now_ms: int) -> None:
    """Hold the digest's blob until the transaction ends; ours if none is there, or damaged."""
    held = (
        select(blobs.c.object_key)
        .where(blobs.c.sha256 == blob.sha256, blobs.c.damage.is_(None))
        .with_for_update(read=True, key_share=True)
    )
    if connection.execute(held).first() is not None:
        return
    row = {"object_key": blob.object_key, "size": blob.size, "state": STORED, "create_ms": now_ms}
    connection.execute(insert_or_nothing(connection, objects), [row])
    connection.execute(store_blobs(connection), [blob_values(blob)])
    kept = connection.execute(held).first()
    if kept is None:
        raise BytesCollected
    if kept.object_key != blob.object_key:
        connection.execute(objects.delete().where(objects.c.object_key == blob.object_key))

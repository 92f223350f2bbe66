"""Rows to model, paths as the tables keep them, and the lock of an owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite

from runstone_artifact.errors import OwnerNotFound, OwnerSealed
from runstone_artifact.model import Blob, File, Owner, OwnerKind, Part, Upload
from runstone_artifact.tables import blobs, entries, owners

BELOW = "/"
NEXT_TO_BELOW = "0"
"""The character behind "/": paths below ``a`` are those from ``a/`` and before ``a0``."""

TREE_BELOW = "\x01"
TREE_NEXT = "\x02"
"""The same for ``tree_path``; no path holds control characters."""


def tree(path: str) -> str:
    """The path as ``entries.tree_path`` keeps it."""
    return path.replace("/", TREE_BELOW)


def ancestors(path: str) -> list[str]:
    """The directories that a path stands in: ``a`` and ``a/b`` for ``a/b/c``."""
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(1, len(names))]


def is_postgresql(connection: Connection) -> bool:
    """Whether statements may be PostgreSQL's own."""
    return connection.dialect.name == "postgresql"


def insert_or_nothing(connection: Connection, table: Any) -> Any:
    """INSERT that leaves a row alone that is there already."""
    if is_postgresql(connection):
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def store_blobs(connection: Connection) -> Any:
    """INSERT of blobs that takes the place of damaged ones, and of no others."""
    make: Any = postgresql.insert if is_postgresql(connection) else sqlite.insert
    statement = make(blobs)
    new = statement.excluded
    places = ("object_key", "object_offset", "whole", "damage", "blake3")
    return statement.on_conflict_do_update(
        index_elements=["sha256"],
        set_={name: new[name] for name in places},
        where=blobs.c.damage.is_not(None),
    )


def upsert_entries(connection: Connection) -> Any:
    """INSERT of entries that replaces the file at the same path."""
    make: Any = postgresql.insert if is_postgresql(connection) else sqlite.insert
    statement = make(entries)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["owner_kind", "owner_id", "path"],
        set_={"sha256": new.sha256, "size": new.size, "create_ms": new.create_ms},
    )


def of(table: Any, owner: Owner) -> Any:
    """The condition that picks an owner's rows."""
    return (table.c.owner_kind == owner.kind.value) & (table.c.owner_id == owner.id)


def below(path: str) -> Any:
    """The condition that picks entries below a directory (everything for the top)."""
    if not path:
        return entries.c.path > ""
    return (entries.c.path > path + BELOW) & (entries.c.path < path + NEXT_TO_BELOW)


def at_or_below(path: str) -> Any:
    """The condition that picks the file at a path, or the files below it."""
    return below(path) if not path else (entries.c.path == path) | below(path)


def owner_row(owner: Owner, now_ms: int, *, sealed: bool = False) -> dict[str, Any]:
    """The row of an owner."""
    return {
        "owner_kind": owner.kind.value,
        "owner_id": owner.id,
        "sealed": sealed,
        "create_ms": now_ms,
    }


def lock_owner(connection: Connection, owner: Owner, now_ms: int, *, opens: bool) -> bool:
    """Take the owner's turn to write, until the transaction ends; returns whether it is sealed.

    A model version's row is made only if ``opens``, any other's by its first write. Raises
    OwnerNotFound.
    """
    query = select(owners.c.sealed).where(of(owners, owner)).with_for_update()
    sealed = connection.execute(query).scalar()
    if sealed is None:
        if not (owner.is_tracked or opens):
            raise OwnerNotFound(owner)
        connection.execute(insert_or_nothing(connection, owners), [owner_row(owner, now_ms)])
        sealed = connection.execute(query).scalar_one()
    return bool(sealed)


def lock_writable(connection: Connection, owner: Owner, now_ms: int, *, opens: bool) -> None:
    """``lock_owner``; raises OwnerSealed too."""
    if lock_owner(connection, owner, now_ms, opens=opens):
        raise OwnerSealed(owner)


def insert_entries(
    connection: Connection,
    owner: Owner,
    rows: Sequence[tuple[str, str, int]],
    now_ms: int,
) -> None:
    """Make or replace the entries (path, digest, size)."""
    connection.execute(
        upsert_entries(connection),
        [
            {
                "owner_kind": owner.kind.value,
                "owner_id": owner.id,
                "path": path,
                "tree_path": tree(path),
                "sha256": sha256,
                "size": size,
                "create_ms": now_ms,
            }
            for path, sha256, size in rows
        ],
    )


def directory_among(connection: Connection, owner: Owner, json: str) -> Any:
    """One path of a JSON array of paths that is a directory, None when none is."""
    table = "runstone_artifact.entries" if is_postgresql(connection) else "entries"
    listed = (
        "jsonb_array_elements_text(CAST(:paths AS jsonb)) AS wanted(path)"
        if is_postgresql(connection)
        else "(SELECT value AS path FROM json_each(:paths)) AS wanted"
    )
    statement = text(
        f"SELECT wanted.path FROM {listed} WHERE EXISTS (SELECT 1 FROM {table} AS e"  # noqa: S608
        " WHERE e.owner_kind = :kind AND e.owner_id = :id"
        " AND e.path > wanted.path || '/' AND e.path < wanted.path || '0') LIMIT 1"
    ).bindparams(bindparam("paths", json))
    return connection.execute(statement, {"kind": owner.kind.value, "id": owner.id}).scalar()


def file_of(row: Row[Any]) -> File:
    """A row of entries, with its blob's BLAKE3, as a file."""
    return File(row.path, row.sha256, row.size, row.create_ms, row.blake3 or "")


def select_files() -> Any:
    """SELECT of what ``file_of`` reads."""
    return select(entries, blobs.c.blake3).join_from(
        entries, blobs, blobs.c.sha256 == entries.c.sha256
    )


def blob_of(row: Row[Any]) -> Blob:
    """A row of blobs as a blob."""
    return Blob(
        row.sha256,
        row.size,
        row.object_key,
        row.object_offset,
        bool(row.whole),
        row.damage or "",
        row.blake3 or "",
    )


def blob_values(blob: Blob) -> dict[str, Any]:
    """A blob as a row."""
    return {
        "sha256": blob.sha256,
        "size": blob.size,
        "object_key": blob.object_key,
        "object_offset": blob.offset,
        "whole": blob.whole,
        "damage": blob.damage or None,
        "blake3": blob.blake3 or None,
    }


def upload_of(row: Row[Any], parts: Sequence[Row[Any]] = ()) -> Upload:
    """A row of uploads, with its parts, as an upload."""
    made = None
    if row.commit_ms is not None:
        made = File(row.path, row.found_sha256, row.size, row.commit_ms, row.found_blake3 or "")
    return Upload(
        upload_id=row.upload_id,
        owner=Owner(OwnerKind(row.owner_kind), row.owner_id),
        path=row.path,
        size=row.size,
        object_key=row.object_key,
        update_ms=row.update_ms,
        sha256=row.sha256,
        presigned=bool(row.presigned),
        part_size=row.part_size,
        multipart_id=row.multipart_id,
        part_count=row.part_count,
        offset=row.durable_offset,
        found_sha256=row.found_sha256,
        found_blake3=row.found_blake3 or "",
        parts=tuple(Part(part.part_number, part.size, part.etag) for part in parts),
        artifact=made,
    )


def upload_values(upload: Upload) -> dict[str, Any]:
    """A new upload as a row."""
    return {
        "upload_id": upload.upload_id,
        "owner_kind": upload.owner.kind.value,
        "owner_id": upload.owner.id,
        "path": upload.path,
        "size": upload.size,
        "sha256": upload.sha256,
        "object_key": upload.object_key,
        "presigned": upload.presigned,
        "part_size": upload.part_size,
        "multipart_id": upload.multipart_id,
        "part_count": upload.part_count,
        "durable_offset": upload.offset,
        "found_sha256": upload.found_sha256,
        "found_blake3": upload.found_blake3 or None,
        "commit_ms": None,
        "update_ms": upload.update_ms,
        "holder": "",
        "held_until_ms": 0,
    }

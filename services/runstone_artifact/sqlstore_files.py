"""Owners and files in SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import Connection, delete, func, select, text, update

from runstone_artifact.errors import BytesCollected, OwnerNotFound, OwnerSealed, PathConflict
from runstone_artifact.model import Blob, Directory, File, Found, NewFile, Owner, Totals
from runstone_artifact.sqlstore_rows import (
    BELOW,
    TREE_BELOW,
    TREE_NEXT,
    ancestors,
    at_or_below,
    below,
    blob_of,
    blob_values,
    directory_among,
    file_of,
    insert_entries,
    is_postgresql,
    lock_owner,
    lock_writable,
    of,
    select_files,
    store_blobs,
    tree,
)
from runstone_artifact.tables import PENDING, STORED, blobs, entries, objects, owners
from runstone_kit.database import Database
from runstone_kit.errors import invalid_field

MAX_PATH_BYTES = 1024
"""The same as convert's: a copy makes longer paths of shorter ones."""

IN_AT_ONCE = 5_000
"""Values of one IN list; SQLite takes at most 32,766."""


def slices(values: Iterable[str]) -> Iterator[list[str]]:
    """The values, sorted, in lists of at most IN_AT_ONCE: locks are taken in one order."""
    ordered = iter(sorted(values))
    while some := list(islice(ordered, IN_AT_ONCE)):
        yield some


def check_conflicts(connection: Connection, owner: Owner, paths: Sequence[str]) -> None:
    """Raise PathConflict when a path is a directory, or stands below a file."""
    above = {each for path in paths for each in ancestors(path)}
    own = above.intersection(paths)
    if own:
        raise PathConflict(min(own), is_directory=True)
    for some in slices(above):
        query = select(entries.c.path).where(of(entries, owner), entries.c.path.in_(some))
        if (found := connection.execute(query.limit(1)).scalar()) is not None:
            raise PathConflict(found, is_directory=False)
    if (found := directory_among(connection, owner, json.dumps(list(paths)))) is not None:
        raise PathConflict(found, is_directory=True)


def keep_blobs(connection: Connection, digests: Iterable[str]) -> None:
    """Hold these blobs until the transaction ends.

    Raises BytesCollected when one is gone, or damaged by now.
    """
    for some in slices(digests):
        wanted = blobs.c.sha256.in_(some) & blobs.c.damage.is_(None)
        query = select(blobs.c.sha256).where(wanted).order_by(blobs.c.sha256)
        held = connection.execute(query.with_for_update(read=True, key_share=True)).all()
        if len(held) < len(some):
            raise BytesCollected


class FileSql:
    """``store.FileRows`` on SQLAlchemy Core."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_owner(self, owner: Owner, now_ms: int) -> None:
        """See FileRows."""
        self._database.run_write(
            lambda connection: lock_writable(connection, owner, now_ms, opens=True)
        )

    def seal_owner(self, owner: Owner) -> Totals:
        """See FileRows."""

        def work(connection: Connection) -> Totals:
            statement = update(owners).where(of(owners, owner)).values(sealed=True)
            if connection.execute(statement).rowcount == 0:
                raise OwnerNotFound(owner)
            return _totals(connection, owner)

        return self._database.run_write(work)

    def check_writable(self, owner: Owner, path: str) -> None:
        """See FileRows."""
        with self._database.read() as connection:
            query = select(owners.c.sealed).where(of(owners, owner))
            sealed = connection.execute(query).scalar()
            if sealed is None and not owner.is_tracked:
                raise OwnerNotFound(owner)
            if sealed:
                raise OwnerSealed(owner)
            check_conflicts(connection, owner, [path])

    def blobs(self, digests: Iterable[str]) -> dict[str, Blob]:
        """See FileRows."""
        found: dict[str, Blob] = {}
        with self._database.read() as connection:
            for some in slices(digests):
                rows = connection.execute(select(blobs).where(blobs.c.sha256.in_(some)))
                found.update((row.sha256, blob_of(row)) for row in rows)
        return found

    def plan_objects(self, planned: Sequence[tuple[str, int]], now_ms: int) -> None:
        """See FileRows."""
        rows = [
            {"object_key": key, "size": size, "state": PENDING, "create_ms": now_ms}
            for key, size in planned
        ]
        self._database.run_write(
            lambda connection: connection.execute(objects.insert(), rows) and None
        )

    def drop_planned(self, keys: Sequence[str]) -> None:
        """See FileRows."""
        statement = delete(objects).where(
            objects.c.object_key.in_(keys), objects.c.state == PENDING
        )
        self._database.run_write(lambda connection: connection.execute(statement) and None)

    def commit_files(
        self, owner: Owner, files: Sequence[NewFile], stored: Sequence[Blob], now_ms: int
    ) -> list[File]:
        """See FileRows."""

        def work(connection: Connection) -> None:
            lock_writable(connection, owner, now_ms, opens=False)
            check_conflicts(connection, owner, [file.path for file in files])
            if stored:
                keys = {blob.object_key for blob in stored}
                kept = connection.execute(
                    update(objects)
                    .where(objects.c.object_key.in_(keys), objects.c.state == PENDING)
                    .values(state=STORED)
                )
                if kept.rowcount < len(keys):
                    raise BytesCollected
                rows = [blob_values(blob) for blob in sorted(stored, key=lambda b: b.sha256)]
                connection.execute(store_blobs(connection), rows)
            keep_blobs(connection, {file.sha256 for file in files})
            rows3 = [(file.path, file.sha256, file.size) for file in files]
            insert_entries(connection, owner, rows3, now_ms)

        self._database.run_write(work)
        return [File(each.path, each.sha256, each.size, now_ms, each.blake3) for each in files]

    def find(self, owner: Owner, path: str) -> Found | None:
        """See FileRows."""
        with self._database.read() as connection:
            query = select_files().where(of(entries, owner), entries.c.path == path)
            row = connection.execute(query).first()
            if row is not None:
                return file_of(row)
            under = select(entries.c.path).where(of(entries, owner), below(path)).limit(1)
            return None if connection.execute(under).first() is None else Directory(path)

    def locate(self, owner: Owner, paths: Sequence[str]) -> dict[str, tuple[File, Blob]]:
        """See FileRows."""
        joined = select(entries.c.path, entries.c.create_ms, blobs).join_from(
            entries, blobs, blobs.c.sha256 == entries.c.sha256
        )
        found = {}
        with self._database.read() as connection:
            for some in slices(set(paths)):
                query = joined.where(of(entries, owner), entries.c.path.in_(some))
                for row in connection.execute(query):
                    found[row.path] = (file_of(row), blob_of(row))
        return found

    def list_tree(self, owner: Owner, path: str, after: str, limit: int) -> list[File]:
        """See FileRows."""
        query = (
            select_files()
            .where(of(entries, owner), at_or_below(path), entries.c.path > after)
            .order_by(entries.c.path)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [file_of(row) for row in connection.execute(query)]

    def list_children(self, owner: Owner, path: str, after: str, limit: int) -> list[Found]:
        """See FileRows."""
        prefix = path + BELOW if path else ""
        values = {
            "kind": owner.kind.value,
            "id": owner.id,
            "prefix": tree(prefix),
            "skip": len(prefix) + 1,
            "lower": tree(after) + TREE_NEXT if after else tree(prefix),
            "upper": tree(path) + TREE_NEXT if path else None,
            "limit": limit,
        }
        with self._database.read() as connection:
            rows = connection.execute(text(_children_sql(connection, bool(path))), values).all()
        found: list[Found] = []
        for row in rows:
            name, slash, _ = row.path[len(prefix) :].partition(BELOW)
            found.append(Directory(prefix + name) if slash else file_of(row))
        return found

    def delete_files(self, owner: Owner, path: str) -> int:
        """See FileRows."""

        def work(connection: Connection) -> int:
            query = select(owners.c.sealed).where(of(owners, owner)).with_for_update()
            if connection.execute(query).scalar() and path:
                raise OwnerSealed(owner)
            statement = delete(entries).where(of(entries, owner), at_or_below(path))
            deleted = connection.execute(statement).rowcount
            if not path:
                connection.execute(delete(owners).where(of(owners, owner)))
            return deleted

        return self._database.run_write(work)

    def copy_files(
        self,
        source: tuple[Owner, str],
        destination: tuple[Owner, str],
        *,
        seal: bool,
        now_ms: int,
    ) -> Totals:
        """See FileRows."""

        def work(connection: Connection) -> Totals:
            sealed = _lock_both(connection, source[0], destination[0], now_ms)
            rows = _renamed(connection, source, destination[1])
            totals = Totals(len(rows), sum(size for _, _, size in rows))
            owner = destination[0]
            if sealed:
                if _holds_exactly(connection, owner, rows):
                    return totals
                raise OwnerSealed(owner)
            if rows:
                check_conflicts(connection, owner, [path for path, _, _ in rows])
                insert_entries(connection, owner, rows, now_ms)
            if seal:
                connection.execute(update(owners).where(of(owners, owner)).values(sealed=True))
            return totals

        return self._database.run_write(work)


def _totals(connection: Connection, owner: Owner) -> Totals:
    query = select(func.count(), func.coalesce(func.sum(entries.c.size), 0))
    count, size = connection.execute(query.where(of(entries, owner))).one()
    return Totals(int(count), int(size))


def _lock_both(connection: Connection, source: Owner, destination: Owner, now_ms: int) -> bool:
    """Lock both owners in one order, so that copies to and fro do not deadlock."""
    sealed = False
    for owner in sorted({source, destination}, key=str):
        if owner == destination:
            sealed = lock_owner(connection, owner, now_ms, opens=True)
        else:
            lock_owner(connection, owner, now_ms, opens=False)
    return sealed


def _renamed(
    connection: Connection, source: tuple[Owner, str], directory: str
) -> list[tuple[str, str, int]]:
    """The source's files as (path below ``directory``, digest, size)."""
    owner, path = source
    query = select(entries.c.path, entries.c.sha256, entries.c.size)
    rows = connection.execute(query.where(of(entries, owner), at_or_below(path))).all()
    kept = path.rpartition(BELOW)[0] if any(row.path == path for row in rows) else path
    skip = len(kept) + 1 if kept else 0
    prefix = directory + BELOW if directory else ""
    renamed = [(prefix + row.path[skip:], row.sha256, row.size) for row in rows]
    longest = max((len(each.encode()) for each, _, _ in renamed), default=0)
    if longest > MAX_PATH_BYTES:
        raise invalid_field(
            "destination_path",
            f"makes a path of {longest} bytes, and at most {MAX_PATH_BYTES} are allowed",
        )
    return renamed


def _holds_exactly(
    connection: Connection, owner: Owner, rows: Sequence[tuple[str, str, int]]
) -> bool:
    query = select(entries.c.path, entries.c.sha256).where(of(entries, owner))
    held = {(row.path, row.sha256) for row in connection.execute(query)}
    return held == {(path, sha256) for path, sha256, _ in rows}


def _children_sql(connection: Connection, bounded: bool) -> str:
    """One index look-up per child, however many files stand below it."""
    if is_postgresql(connection):
        table, cast = "runstone_artifact.entries", "CAST(:prefix AS text)"
        table_of_blobs = "runstone_artifact.blobs"
        name = f"split_part(substr(step.tree_path, :skip), chr({ord(TREE_BELOW)}), 1)"
    else:
        table, table_of_blobs, cast = "entries", "blobs", ":prefix"
        rest, mark = "substr(step.tree_path, :skip)", f"char({ord(TREE_BELOW)})"
        name = f"substr({rest}, 1, instr({rest} || {mark}, {mark}) - 1)"
    behind = f"{cast} || {name} || {'chr' if is_postgresql(connection) else 'char'}(2)"
    upper = "AND e.tree_path < :upper" if bounded else ""
    first = (
        f"SELECT MIN(e.tree_path) FROM {table} AS e"  # noqa: S608 - names of ours only
        f" WHERE e.owner_kind = :kind AND e.owner_id = :id {upper} AND e.tree_path >= "
    )
    return (
        f"WITH RECURSIVE step(tree_path, seen) AS ("  # noqa: S608 - names of ours only
        f" SELECT ({first} :lower), 1 UNION ALL"
        f" SELECT ({first} {behind}), seen + 1 FROM step"
        f" WHERE step.tree_path IS NOT NULL AND seen < :limit)"
        f" SELECT e.path, e.sha256, e.size, e.create_ms, b.blake3 FROM step JOIN {table} AS e"
        f" ON e.owner_kind = :kind AND e.owner_id = :id AND e.tree_path = step.tree_path"
        f" JOIN {table_of_blobs} AS b ON b.sha256 = e.sha256"
        f" ORDER BY e.tree_path"
    )

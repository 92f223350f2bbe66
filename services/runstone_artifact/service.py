"""Use cases of files: put small ones, look, list, delete, copy, open and seal."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from runstone_artifact.errors import ArtifactNotFound, BytesCollected, OwnerDeleted
from runstone_artifact.model import Blob, Content, File, Found, NewFile, Owner, Totals
from runstone_artifact.service_limits import ActiveRuns
from runstone_artifact.service_soundness import Soundness
from runstone_artifact.store import ArtifactStore, ObjectStore
from runstone_kit.clock import Clock
from runstone_kit.errors import RunstoneError
from runstone_kit.ids import IdMaker
from runstone_kit.paging import Page, cut_page, decode_token, query_hash, resolve_page_size

PACKED_BYTES = 256 * 1024
"""Files up to this size share one object per call: an object store takes a millisecond or more of
CPU for each put, whatever its size. Larger ones are worth an object that has a URL."""

COLLECTED_ATTEMPTS = 5
"""Each lost one needs a collection to run between two statements of ours."""

PUT_THREADS = 8
"""Objects of one call that are put at once; a call has at most 16 that are not packed."""

DEFAULT_PAGE = 1000
MAX_PAGE = 10_000


class FileService:
    """Files of owners. Thread-safe."""

    def __init__(
        self,
        rows: ArtifactStore,
        objects: ObjectStore,
        soundness: Soundness,
        runs: ActiveRuns,
        clock: Clock,
        ids: IdMaker,
    ) -> None:
        self._rows = rows
        self._objects = objects
        self._soundness = soundness
        self._runs = runs
        self._clock = clock
        self._ids = ids
        self._putters = ThreadPoolExecutor(PUT_THREADS, thread_name_prefix="put")

    def close(self) -> None:
        """End the threads."""
        self._putters.shutdown(wait=True)

    def put_artifacts(self, owner: Owner, contents: Sequence[Content]) -> list[File]:
        """Store what is not stored yet, then commit all files or none."""
        self._runs.require(owner, now_too=False)
        files = [NewFile(each.path, each.sha256, len(each.data), each.blake3) for each in contents]
        for attempt in range(1, COLLECTED_ATTEMPTS + 1):
            stored = self._store_missing(contents)
            try:
                self._runs.require(owner)
                return self._rows.commit_files(owner, files, stored, self._clock.now_ms())
            except BytesCollected:
                if attempt == COLLECTED_ATTEMPTS:
                    raise
            except RunstoneError:
                self._drop([blob.object_key for blob in stored])
                raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def get_artifact(self, owner: Owner, path: str) -> Found:
        """What stands at the path. Raises ArtifactNotFound."""
        found = self._rows.find(owner, path)
        if found is None:
            raise ArtifactNotFound(owner, path)
        return found

    def list_artifacts(
        self, owner: Owner, path: str, *, recursive: bool, page_size: int, page_token: str
    ) -> Page[Found]:
        """One page of a directory or a tree; nothing at the path is an empty page."""
        size = resolve_page_size(page_size, default=DEFAULT_PAGE, maximum=MAX_PAGE)
        query = query_hash("ListArtifacts", str(owner), path, recursive)
        key = decode_token(page_token, query, [(str,)])
        after = str(key[0]) if key else ""
        found: Sequence[Found]
        if recursive:
            found = self._rows.list_tree(owner, path, after, size + 1)
        else:
            at = self._rows.find(owner, path) if path else None
            if isinstance(at, File):
                found = [at] if at.path > after else []
            else:
                found = self._rows.list_children(owner, path, after, size + 1)
        return cut_page(found, size, query, lambda each: [each.path])

    def delete_artifacts(self, owner: Owner, path: str) -> int:
        """Delete entries; their bytes go with garbage collection. Raises ArtifactNotFound."""
        deleted = self._rows.delete_files(owner, path)
        if deleted == 0 and path:
            raise ArtifactNotFound(owner, path)
        return deleted

    def copy_artifacts(
        self, source: tuple[Owner, str], destination: tuple[Owner, str], *, seal: bool
    ) -> Totals:
        """Copy entries. Raises ArtifactNotFound, OwnerNotFound."""
        self._runs.require(destination[0])
        if self._rows.find(*source) is None:
            self._explain_nothing(*source)
        return self._rows.copy_files(source, destination, seal=seal, now_ms=self._clock.now_ms())

    def open_artifacts(self, owner: Owner) -> None:
        """Let a model version take files."""
        self._rows.open_owner(owner, self._clock.now_ms())

    def seal_artifacts(self, owner: Owner) -> Totals:
        """Make a model version's files final."""
        return self._rows.seal_owner(owner)

    def _explain_nothing(self, owner: Owner, path: str) -> None:
        if owner.is_tracked:
            # A deleted one may be copied from, an unknown one is a mistake.
            with contextlib.suppress(OwnerDeleted):
                self._runs.require(owner)
        elif not path:
            return
        if path:
            raise ArtifactNotFound(owner, path)

    def _store_missing(self, contents: Sequence[Content]) -> list[Blob]:
        known = self._soundness.sound({each.sha256 for each in contents})
        missing = {each.sha256: each for each in contents if each.sha256 not in known}
        if not missing:
            return []
        blobs, objects = self._lay_out(list(missing.values()))
        sizes = [(key, sum(map(len, chunks))) for key, chunks in objects]
        self._rows.plan_objects(sizes, self._clock.now_ms())
        try:
            if len(objects) == 1:
                self._objects.put(*objects[0])
            else:
                list(self._putters.map(lambda each: self._objects.put(*each), objects))
        except RunstoneError:
            self._drop([key for key, _ in objects])
            raise
        return blobs

    def _lay_out(
        self, contents: Sequence[Content]
    ) -> tuple[list[Blob], list[tuple[str, list[bytes]]]]:
        """Which object each content lies in: small ones together, larger ones alone."""
        small = [each for each in contents if len(each.data) <= PACKED_BYTES]
        alone = [each for each in contents if len(each.data) > PACKED_BYTES]
        blobs, objects = [], []
        if small:
            key, offset = self._ids.hex_id(), 0
            for each in small:
                size = len(each.data)
                whole = len(small) == 1
                blobs.append(Blob(each.sha256, size, key, offset, whole, blake3=each.blake3))
                offset += size
            objects.append((key, [each.data for each in small]))
        for each in alone:
            key = self._ids.hex_id()
            blobs.append(Blob(each.sha256, len(each.data), key, blake3=each.blake3))
            objects.append((key, [each.data]))
        return blobs, objects

    def _drop(self, keys: Sequence[str]) -> None:
        """Leave nothing behind; what cannot be removed now is garbage for later."""
        if not keys:
            return
        try:
            self._rows.drop_planned(keys)
            left = self._rows.known_objects(keys)
            for key in keys:
                if key not in left:
                    self._objects.delete(key)
        except RunstoneError as error:
            logging.getLogger(__name__).warning("objects left for garbage collection: %s", error)

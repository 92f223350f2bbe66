"""Whose the object store is, asked before the first byte is written to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from runstone_artifact.errors import ObjectStoreUnavailable, StoreOfAnother
from runstone_artifact.store import ArtifactStore, ObjectStore


def claimed(objects: ObjectStore, rows: ArtifactStore) -> ObjectStore:
    """``objects``, which takes bytes only once its marker says that it belongs to ``rows``.

    To another installation's garbage collection all that we store there would be strays. Its
    ``ping``, ``put`` and ``stage`` raise StoreOfAnother when it is another's.
    """
    return cast("ObjectStore", _Claimed(objects, rows))


class _Claimed:
    def __init__(self, objects: ObjectStore, rows: ArtifactStore) -> None:
        self._objects = objects
        self._rows = rows
        self._ours = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def ping(self) -> None:
        try:
            self._require()
            self._objects.ping()
        except ObjectStoreUnavailable:
            # What comes back may be another place of this name.
            self._ours = False
            raise

    def put(self, key: str, chunks: Sequence[bytes]) -> None:
        self._require()
        self._objects.put(key, chunks)

    def stage(self, upload_id: str, key: str, size: int, *, presigned: bool) -> tuple[int, str]:
        self._require()
        return self._objects.stage(upload_id, key, size, presigned=presigned)

    def _require(self) -> None:
        # Once is enough while the store is there: the marker never changes hands.
        if self._ours:
            return
        if self._rows.blobs_after("", 1):
            # A place for what is stored already is lost, not missing.
            self._objects.ping()
        else:
            self._objects.prepare()
        own = self._rows.installation_id()
        if (owner := self._objects.claim(own)) != own:
            raise StoreOfAnother(owner)
        self._ours = True

"""Which stored bytes a new file may refer to: known, not known to be damaged, and really there.

A row alone is no proof: an object may be deleted behind our back. Asking the store for its size
costs 27 µs in a folder and 1.3 ms of processor time in S3, no more than the PUT that is saved.
Small files that share an object take one look together, and what is not there yet takes none.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from runstone_artifact.model import Blob
from runstone_artifact.store import ArtifactStore, ObjectStore

LOOKS_AT_ONCE = 8
"""Objects asked for at once; a call names at most 1,000."""


class Soundness:
    """Looks before old bytes stand in for new ones. Thread-safe."""

    def __init__(self, rows: ArtifactStore, objects: ObjectStore) -> None:
        self._rows = rows
        self._objects = objects
        self._lookers = ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="look")

    def close(self) -> None:
        """End the threads."""
        self._lookers.shutdown(wait=True)

    def sound(self, digests: Iterable[str]) -> dict[str, Blob]:
        """The blobs among these digests whose bytes are there, as far as a look can tell.

        What is found missing or cut short is noted, so that whoever stores the bytes again takes
        its place.
        """
        known = [blob for blob in self._rows.blobs(digests).values() if not blob.damage]
        sizes = self._sizes(sorted({blob.object_key for blob in known}))
        found = {blob.sha256: blob.misfit(sizes[blob.object_key]) for blob in known}
        lost = [replace(blob, damage=found[blob.sha256]) for blob in known if found[blob.sha256]]
        if lost:
            self._rows.note_findings(lost)
        return {blob.sha256: blob for blob in known if not found[blob.sha256]}

    def _sizes(self, keys: list[str]) -> dict[str, int | None]:
        if len(keys) <= 1:
            return {key: self._objects.size(key) for key in keys}
        return dict(zip(keys, self._lookers.map(self._objects.size, keys), strict=True))

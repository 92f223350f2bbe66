"""Use cases of reading bytes: stream a range, or make URLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from typing import Any

from runstone_artifact.errors import (
    ArtifactNotFound,
    DigestMismatch,
    ObjectDamaged,
    PathConflict,
    PresignUnsupported,
)
from runstone_artifact.model import Blob, File, Owner
from runstone_artifact.service_limits import TransferSlots
from runstone_artifact.store import ArtifactStore, ObjectStore
from runstone_kit.errors import invalid_field


class DownloadService:
    """Bytes of files. Thread-safe. Files of deleted runs can be read."""

    def __init__(self, rows: ArtifactStore, objects: ObjectStore, slots: TransferSlots) -> None:
        self._rows = rows
        self._objects = objects
        self._slots = slots

    def download_artifact(
        self, owner: Owner, path: str, offset: int, length: int, sha256: str
    ) -> Iterator[File | bytes]:
        """The file, then its bytes from ``offset``, at most ``length`` (0: to the end).

        Raises ObjectDamaged also in the middle, when the object turns out to be too short.
        """
        with self._slots.take():
            file, blob = self._locate(owner, [path])[path]
            if sha256 and sha256 != file.sha256:
                raise DigestMismatch("the file", sha256, file.sha256)
            if offset > file.size:
                raise invalid_field("offset", f"is behind the end: the file has {file.size} bytes")
            left = min(length or file.size, file.size - offset)
            try:
                chunks: Any = self._objects.read(blob.object_key, blob.offset + offset, left)
            except KeyError:
                raise ObjectDamaged(file.sha256, "missing") from None
            yield file
            with closing(chunks) if hasattr(chunks, "close") else nullcontext():
                for chunk in chunks:
                    left -= len(chunk)
                    yield chunk
            if left:
                raise ObjectDamaged(file.sha256, f"{left} bytes too short")

    def create_download_urls(self, owner: Owner, paths: Sequence[str]) -> list[tuple[File, str]]:
        """Each file and its URL; the URL of a file that shares an object is empty."""
        if not self._objects.presigns:
            raise PresignUnsupported
        found = self._locate(owner, paths)
        return [
            (file, self._objects.object_url(blob.object_key) if blob.whole else "")
            for file, blob in (found[path] for path in paths)
        ]

    def _locate(self, owner: Owner, paths: Sequence[str]) -> dict[str, tuple[File, Blob]]:
        found = self._rows.locate(owner, paths)
        for path in paths:
            if path not in found:
                if self._rows.find(owner, path) is not None:
                    raise PathConflict(path, is_directory=True)
                raise ArtifactNotFound(owner, path)
        return found

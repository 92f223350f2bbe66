"""Use cases of reading bytes: stream a range, or make URLs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
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
from runstone_kit.errors import RunstoneError, invalid_field


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
            if blob.has_other_bytes:
                raise ObjectDamaged(file.sha256, "damaged: its bytes are others")
            blob, chunks = self._open(owner, path, blob, offset, left)
            yield file
            with closing(chunks) if hasattr(chunks, "close") else nullcontext():
                for chunk in chunks:
                    left -= len(chunk)
                    yield chunk
            if left:
                self._note(blob)
                raise ObjectDamaged(file.sha256, f"{left} bytes too short")

    def create_download_urls(self, owner: Owner, paths: Sequence[str]) -> list[tuple[File, str]]:
        """Each file and its URL; that of a file that shares an object, or is damaged, is empty."""
        if not self._objects.presigns:
            raise PresignUnsupported
        found = self._locate(owner, paths)
        return [(file, self._url(blob)) for file, blob in (found[path] for path in paths)]

    def _url(self, blob: Blob) -> str:
        gives = blob.whole and not blob.has_other_bytes
        return self._objects.object_url(blob.object_key) if gives else ""

    def _open(
        self, owner: Owner, path: str, blob: Blob, offset: int, size: int
    ) -> tuple[Blob, Any]:
        """The blob's bytes from ``offset``, and the blob, which may have moved meanwhile."""
        while True:
            try:
                return blob, self._objects.read(blob.object_key, blob.offset + offset, size)
            except KeyError:
                now = self._rows.blobs([blob.sha256]).get(blob.sha256)
            if now is None:
                # Deleted and collected since it was looked up.
                raise ArtifactNotFound(owner, path)
            if now.object_key == blob.object_key:
                self._note(blob)
                raise ObjectDamaged(blob.sha256, "missing")
            blob = now

    def _note(self, blob: Blob) -> None:
        """Have the bytes replaced when they are sent again; the reader's answer does not wait."""
        with suppress(RunstoneError):
            if problem := blob.misfit(self._objects.size(blob.object_key)):
                self._rows.note_findings([replace(blob, damage=problem)])

    def _locate(self, owner: Owner, paths: Sequence[str]) -> dict[str, tuple[File, Blob]]:
        found = self._rows.locate(owner, paths)
        for path in paths:
            if path not in found:
                if self._rows.find(owner, path) is not None:
                    raise PathConflict(path, is_directory=True)
                raise ArtifactNotFound(owner, path)
        return found

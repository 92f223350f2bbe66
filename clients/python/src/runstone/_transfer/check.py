"""Whether the bytes that arrived are those that were committed."""

from __future__ import annotations

import hashlib
from typing import Any

from isal.isal_zlib import crc32

from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import ChunkDamaged, ObjectDamaged


class DigestCheck:
    """Takes a file's bytes in their order and compares their digest at the end.

    BLAKE3 where the server knows it: as strong as SHA-256, and 13 times faster on a processor
    without instructions for that one.
    """

    def __init__(self, file: artifact_pb2.Artifact) -> None:
        self._file = file
        self._expected = file.blake3 or file.sha256
        self._state: Any
        if file.blake3:
            from blake3 import blake3

            self._state = blake3()
        else:
            self._state = hashlib.sha256()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """These bytes come next."""
        self._state.update(data)

    @property
    def matches(self) -> bool:
        """Whether they are the file's, once all were taken."""
        return bool(self._state.hexdigest() == self._expected)

    def require(self) -> None:
        """Raise ObjectDamaged unless they are the file's."""
        if not self.matches:
            raise ObjectDamaged(
                f"{self._file.path} arrived with the digest {self._state.hexdigest()}"
                f" and not {self._expected}",
                metadata={"sha256": self._file.sha256},
            )


def require_whole(chunk: Any, path: str) -> None:
    """Raise ChunkDamaged when a DownloadArtifactResponse's bytes were damaged on the way."""
    if crc32(chunk.data) != chunk.crc32:
        raise ChunkDamaged(f"bytes of {path} were damaged on the way")

"""Whether the bytes that arrived are those that were committed."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import ChunkDamaged, ObjectDamaged


class DigestCheck:
    """Takes a file's bytes in their order and compares their digest at the end."""

    def __init__(self, file: artifact_pb2.Artifact) -> None:
        self._file = file
        self._state = hashlib.sha256()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """These bytes come next."""
        self._state.update(data)

    @property
    def matches(self) -> bool:
        """Whether they are the file's, once all were taken."""
        return self._state.hexdigest() == self._file.sha256

    def require(self) -> None:
        """Raise ObjectDamaged unless they are the file's."""
        if not self.matches:
            raise ObjectDamaged(
                f"{self._file.path} arrived with the digest {self._state.hexdigest()}"
                f" and not {self._file.sha256}",
                metadata={"sha256": self._file.sha256},
            )


def require_whole(chunk: Any, path: str) -> None:
    """Raise ChunkDamaged when a DownloadArtifactResponse's bytes were damaged on the way."""
    if zlib.crc32(chunk.data) != chunk.crc32:
        raise ChunkDamaged(f"bytes of {path} were damaged on the way")

"""Files that an owner has already: an interrupted transfer goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runstone._transfer.check import DigestCheck
from runstone._transfer.download import list_files
from runstone._transfer.local import LocalFile, Reader
from runstone._transfer.progress import Progress
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import ArtifactNotFound

BLOCK_BYTES = 2**20


def recorded(stub: Any, owner: artifact_pb2.Owner, path: str) -> dict[str, artifact_pb2.Artifact]:
    """The files at or below a path, by their paths; none when nothing stands there."""
    try:
        return {file.path: file for file in list_files(stub, owner, path)}
    except ArtifactNotFound:
        return {}


def is_same(source: LocalFile, file: artifact_pb2.Artifact) -> bool:
    """Whether a local file has the recorded bytes. Raises LocalPathError."""
    if source.size != file.size:
        return False
    check = DigestCheck(file)
    with Reader(source.source) as reader:
        for offset in range(0, reader.size, BLOCK_BYTES):
            check.update(reader.read(offset, min(BLOCK_BYTES, reader.size - offset)))
    return check.matches


def not_there(
    files: Sequence[LocalFile], there: dict[str, artifact_pb2.Artifact], progress: Progress
) -> Iterator[LocalFile]:
    """Those of the files that are not recorded with the same bytes at the same path."""
    for file in files:
        found = there.get(file.path)
        if found is not None and is_same(file, found):
            progress.advance(file.size)
        else:
            yield file

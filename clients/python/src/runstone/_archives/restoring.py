"""An archive's files to a run: looked through first, then sent file by file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from runstone._archives.reading import BLOCK_BYTES, Member, looked_through, members
from runstone._transfer.check import DigestCheck
from runstone._transfer.present import recorded
from runstone._transfer.progress import Progress, bar
from runstone._transfer.tree import BATCH_BYTES, BATCH_FILES
from runstone._transfer.upload import SMALL_BYTES, upload_file
from runstone.artifact.v1 import artifact_pb2


def restore(
    stub: Any,
    owner: artifact_pb2.Owner,
    archive: Path,
    directory: str = "",
    max_bytes: int | None = None,
) -> tuple[int, int]:
    """Send an archive's files to an owner's directory; returns how many it has, and were sent.

    Nothing is sent of an archive that is refused. Files that are there with the same bytes are not
    sent again, so that a restore that was interrupted goes on. A file larger than a megabyte rests
    on the local disk on its way, one at a time.

    Raises as ``looked_through`` and ``upload_file`` do.
    """
    found = looked_through(archive, max_bytes)
    there = recorded(stub, owner, directory)
    total = sum(member.size for member in found)
    with bar(f"restoring {archive.name}", total) as progress:
        sending = Sending(stub, owner, directory, there, progress)
        for member, content in members(archive, max_bytes):
            sending.take(member, content)
        sending.finish()
    return len(found), sending.sent


class Sending:
    """Takes an archive's files and sends those that are not there, small ones in company."""

    def __init__(
        self,
        stub: Any,
        owner: artifact_pb2.Owner,
        directory: str,
        there: dict[str, artifact_pb2.Artifact],
        progress: Progress,
    ) -> None:
        self.sent = 0
        self._stub = stub
        self._owner = owner
        self._directory = directory
        self._there = there
        self._progress = progress
        self._batch: list[artifact_pb2.SmallFile] = []
        self._batch_bytes = 0

    def take(self, member: Member, content: IO[bytes]) -> None:
        """Send a file, now or with the next ones."""
        path = "/".join(part for part in (self._directory, member.path) if part)
        known = self._there.get(path)
        check = DigestCheck(known) if known is not None and known.size == member.size else None
        if member.size <= SMALL_BYTES:
            data = content.read(member.size)
            if check is not None:
                check.update(data)
            if check is None or not check.matches:
                self._add(artifact_pb2.SmallFile(path=path, content=data))
                return
            self._progress.advance(member.size)
            return
        with tempfile.NamedTemporaryFile(prefix="runstone-restore-") as resting:
            for block in _blocks(content):
                resting.write(block)
                if check is not None:
                    check.update(block)
            resting.flush()
            if check is not None and check.matches:
                self._progress.advance(member.size)
                return
            upload_file(self._stub, self._owner, Path(resting.name), path, self._progress)
            self.sent += 1

    def _add(self, file: artifact_pb2.SmallFile) -> None:
        size = len(file.content)
        if self._batch_bytes + size > BATCH_BYTES or len(self._batch) == BATCH_FILES:
            self.finish()
        self._batch.append(file)
        self._batch_bytes += size

    def finish(self) -> None:
        """Send what waits for company."""
        if not self._batch:
            return
        request = artifact_pb2.PutArtifactsRequest(owner=self._owner, files=self._batch)
        self._stub.PutArtifacts(request)
        self._progress.advance(self._batch_bytes)
        self.sent += len(self._batch)
        self._batch, self._batch_bytes = [], 0


def _blocks(content: IO[bytes]) -> Iterator[bytes]:
    while block := content.read(BLOCK_BYTES):
        yield block

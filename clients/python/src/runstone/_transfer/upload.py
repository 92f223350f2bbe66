"""One file to the service: in one call, by stream, or by URL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from isal.isal_zlib import crc32

from runstone._transfer.http import HttpPool
from runstone._transfer.local import Reader
from runstone._transfer.memory import Memory, remembered
from runstone._transfer.patience import PASSING, Patience
from runstone._transfer.progress import Progress, bar
from runstone._transfer.wire import UploadChunk
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import (
    ChunkDamaged,
    DigestMismatch,
    InvalidArgument,
    RunstoneException,
    Unavailable,
    UploadNotFound,
)

MIB = 2**20

SMALL_BYTES = MIB
"""Up to this a file goes in one call, with others."""

HASHED_FIRST_BYTES = 64 * MIB
"""Up to this the file is hashed before it is sent: bytes that the server has are not sent again.
Beyond, hashing here and there (380 MB/s a core) would take longer than sending; the server's
digest counts, and CRC-32 protects the way."""

CHUNK_BYTES = MIB
"""Of a stream; half and twice as much were slower."""

PARTS_AT_ONCE = 3
"""PUTs at once; more did not make two cores faster, and a far store gets three connections."""

INTERRUPTIONS = (KeyboardInterrupt, SystemExit)
"""Somebody ends the process; a later one goes on with the upload."""

DAMAGED_ATTEMPTS = 3
"""Of an upload by URL whose parts arrived damaged: the whole upload begins anew."""


def upload_file(
    stub: Any,
    owner: artifact_pb2.Owner,
    source: Path,
    path: str,
    progress: Progress | None = None,
) -> artifact_pb2.Artifact:
    """Send a file to an owner's path.

    Raises:
        LocalPathError: it cannot be read, or it was changed meanwhile.
        OwnerNotFound, OwnerDeleted, OwnerSealed, PathConflict
        Unavailable: nothing moved for a minute.
    """
    with Reader(source) as reader:
        if reader.size <= SMALL_BYTES:
            return _put(stub, owner, reader, path, progress)
        if progress is not None:
            return _Upload(stub, owner, reader, path, progress).run()
        with bar(f"uploading {source.name}", reader.size) as shown:
            return _Upload(stub, owner, reader, path, shown).run()


def _put(
    stub: Any, owner: artifact_pb2.Owner, reader: Reader, path: str, progress: Progress | None
) -> artifact_pb2.Artifact:
    content = reader.read(0, reader.size) if reader.size else b""
    reader.check_unchanged()
    file = artifact_pb2.SmallFile(path=path, content=content)
    request = artifact_pb2.PutArtifactsRequest(owner=owner, files=[file])
    made: artifact_pb2.Artifact = stub.PutArtifacts(request).artifacts[0]
    if progress is not None:
        progress.advance(len(content))
    return made


class _Upload:
    def __init__(
        self,
        stub: Any,
        owner: artifact_pb2.Owner,
        reader: Reader,
        path: str,
        progress: Progress,
    ) -> None:
        self._stub = stub
        self._owner = owner
        self._reader = reader
        self._path = path
        self._progress = progress

    def run(self) -> artifact_pb2.Artifact:
        """The whole upload: taken up where an earlier process left it, else begun."""
        memory = remembered(self._owner, self._path, self._reader)
        if memory is None:
            return self._run(None)
        try:
            return self._run(memory)
        finally:
            memory.close()

    def _run(self, memory: Memory | None) -> artifact_pb2.Artifact:
        sha256 = self._hash() if self._reader.size <= HASHED_FIRST_BYTES else ""
        upload = self._taken_up(memory)
        if upload is not None:
            # What two processes sent must be one file; the server compares it with this.
            sha256 = sha256 or self._hash()
        for attempt in range(1, DAMAGED_ATTEMPTS + 1):
            again = upload is not None
            if upload is None:
                begun = self._begin(sha256)
                if begun.HasField("artifact"):
                    self._progress.advance(self._reader.size)
                    return begun.artifact
                upload = begun.upload
                if memory is not None:
                    memory.note(upload)
            try:
                crc32s = self._send(upload, by_urls=again and memory is not None and memory.by_urls)
                self._reader.check_unchanged()
                committed = self._commit(upload.upload_id, sha256, crc32s)
            except (ChunkDamaged, DigestMismatch) as error:
                if attempt == DAMAGED_ATTEMPTS or not (again or isinstance(error, ChunkDamaged)):
                    self._give_up(upload, memory)
                    raise
                self._progress.advance(-self._reader.size)
                upload = None
            except BaseException as error:
                if memory is None or not isinstance(error, (*PASSING, *INTERRUPTIONS)):
                    self._give_up(upload, memory)
                raise
            else:
                if memory is not None:
                    memory.forget()
                return committed
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _taken_up(self, memory: Memory | None) -> artifact_pb2.Upload | None:
        """The upload that an earlier process began and did not end, if the service has it still."""
        if memory is None or not memory.upload_id:
            return None
        request = artifact_pb2.GetUploadRequest(upload_id=memory.upload_id)
        try:
            upload: artifact_pb2.Upload = self._stub.GetUpload(request).upload
        except (UploadNotFound, InvalidArgument):
            return None
        if upload.size != self._reader.size:
            return None
        if memory.by_urls:
            self._progress.advance(upload.size - sum(part.size for part in upload.parts))
        return upload

    def _give_up(self, upload: artifact_pb2.Upload, memory: Memory | None) -> None:
        self._abort(upload.upload_id)
        if memory is not None:
            memory.forget()

    def _hash(self) -> str:
        digest, offset = hashlib.sha256(), 0
        while offset < self._reader.size:
            data = self._reader.read(offset, min(CHUNK_BYTES, self._reader.size - offset))
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    def _begin(self, sha256: str) -> artifact_pb2.BeginUploadResponse:
        request = artifact_pb2.BeginUploadRequest(
            owner=self._owner,
            path=self._path,
            size=self._reader.size,
            sha256=sha256,
            presigned=True,
        )
        patience = Patience()
        while True:
            try:
                begun: artifact_pb2.BeginUploadResponse = self._stub.BeginUpload(request)
            except RunstoneException as error:
                patience.wait(error)
            else:
                return begun

    def _send(self, upload: artifact_pb2.Upload, *, by_urls: bool) -> list[int]:
        """Send all bytes; returns the CRC-32 of each part, none for a stream.

        ``by_urls``: an upload that was taken up goes so, even when no part of it is missing.
        """
        if upload.parts or by_urls:
            return _Parts(self._stub, self._reader, upload, self._progress).send()
        _Stream(self._stub, self._reader, upload, self._progress).send()
        return []

    def _commit(self, upload_id: str, sha256: str, crc32s: list[int]) -> artifact_pb2.Artifact:
        # With a digest the server reads the bytes back anyway.
        request = artifact_pb2.CommitUploadRequest(
            upload_id=upload_id, sha256=sha256, part_crc32s=[] if sha256 else crc32s
        )
        patience = Patience()
        while True:
            try:
                committed: artifact_pb2.Artifact = self._stub.CommitUpload(request).artifact
            except ChunkDamaged:
                raise
            except RunstoneException as error:
                patience.wait(error)
            else:
                return committed

    def _abort(self, upload_id: str) -> None:
        try:
            self._stub.AbortUpload(artifact_pb2.AbortUploadRequest(upload_id=upload_id), timeout=5)
        except Exception:  # noqa: S110
            # The first error is the one to be told; garbage collection takes what is left.
            pass


class _Stream:
    """By gRPC stream, taken up where it broke."""

    def __init__(
        self, stub: Any, reader: Reader, upload: artifact_pb2.Upload, progress: Progress
    ) -> None:
        self._stub = stub
        self._reader = reader
        self._upload_id = upload.upload_id
        self._offset = upload.offset
        self._shown = 0
        self._progress = progress
        self._failure: Exception | None = None

    def send(self) -> None:
        patience = Patience()
        while self._offset < self._reader.size:
            self._failure = None
            try:
                response = self._stub.UploadChunks(self._chunks(self._offset))
                upload = response.upload
            except RunstoneException as error:
                if self._failure is not None:
                    # gRPC says only that the requests ended early; this is why.
                    raise self._failure from None
                upload = self._look(error, patience)
            if upload.offset > self._offset:
                patience.progressed()
            self._offset = upload.offset

    def _look(self, error: RunstoneException, patience: Patience) -> artifact_pb2.Upload:
        """Wait a moment, then ask where the upload stands."""
        while True:
            patience.wait(error)
            request = artifact_pb2.GetUploadRequest(upload_id=self._upload_id)
            try:
                upload: artifact_pb2.Upload = self._stub.GetUpload(request).upload
            except RunstoneException as again:
                error = again
            else:
                return upload

    def _chunks(self, offset: int) -> Iterator[UploadChunk]:
        upload_id = self._upload_id
        try:
            while offset < self._reader.size:
                data = self._reader.read(offset, min(CHUNK_BYTES, self._reader.size - offset))
                yield UploadChunk(upload_id, offset, data)
                offset += len(data)
                upload_id = ""
                self._progress.advance(offset - self._shown)
                self._shown = offset
        except Exception as error:
            self._failure = error
            raise


class _Parts:
    """By presigned URLs, several at once."""

    def __init__(
        self, stub: Any, reader: Reader, upload: artifact_pb2.Upload, progress: Progress
    ) -> None:
        self._stub = stub
        self._reader = reader
        self._upload_id = upload.upload_id
        self._missing = list(upload.parts)
        self._crc32s: dict[int, int] = {}
        self._progress = progress

    def send(self) -> list[int]:
        patience = Patience()
        pool = HttpPool()
        try:
            with ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="part") as workers:
                while self._missing:
                    before = len(self._missing)
                    failures = [
                        failed
                        for failed in workers.map(lambda part: self._put(pool, part), self._missing)
                        if failed is not None
                    ]
                    if not failures:
                        break
                    if len(failures) < before:
                        patience.progressed()
                    self._look(failures[0], patience)
        finally:
            pool.close()
        return [self._crc32s[number] for number in sorted(self._crc32s)]

    def _put(self, pool: HttpPool, part: artifact_pb2.UploadPart) -> RunstoneException | None:
        body = _PartBody(self._reader, part.offset, part.size, self._progress)
        try:
            pool.put(part.url, body, part.size, dict(part.headers))
        except Unavailable as error:
            self._progress.advance(-body.sent)
            return error
        self._crc32s[part.part_number] = body.crc32
        return None

    def _look(self, error: RunstoneException, patience: Patience) -> None:
        """Wait a moment, then get fresh URLs of what is missing."""
        while True:
            patience.wait(error)
            request = artifact_pb2.GetUploadRequest(upload_id=self._upload_id)
            try:
                upload = self._stub.GetUpload(request).upload
            except RunstoneException as again:
                error = again
                continue
            # A part may have arrived although its answer did not.
            self._missing = list(upload.parts)
            return


class _PartBody:
    """A range of a file, as http.client reads a body; knows the CRC-32 of what was read."""

    def __init__(self, reader: Reader, offset: int, size: int, progress: Progress) -> None:
        self._reader = reader
        self._offset = offset
        self._left = size
        self._progress = progress
        self.crc32 = 0
        self.sent = 0

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        if not wanted:
            return b""
        data = self._reader.read(self._offset, wanted)
        self.crc32 = crc32(data, self.crc32)
        self._offset += len(data)
        self._left -= len(data)
        self.sent += len(data)
        self._progress.advance(len(data))
        return data

"""Use cases of uploads: begin, send in chunks, look, commit, abort.

One call at a time holds an upload. A hold lasts a few seconds and is renewed while the call works,
so that a service that was killed does not keep the client waiting for long.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from isal.isal_zlib import crc32

from runstone_artifact.errors import (
    BytesCollected,
    ChunkDamaged,
    DigestMismatch,
    OffsetMismatch,
    PresignUnsupported,
    SizeMismatch,
    UploadBusy,
    UploadNotFound,
)
from runstone_artifact.model import (
    Begun,
    Blob,
    File,
    NewFile,
    Owner,
    Part,
    PartUrl,
    Upload,
)
from runstone_artifact.model_digests import Digests
from runstone_artifact.service_hashing import HashingThread, HashMemory
from runstone_artifact.service_limits import ActiveRuns, TransferSlots
from runstone_artifact.service_parts import PartChecks, cut_by_client, ranges_of
from runstone_artifact.service_soundness import Soundness
from runstone_artifact.store import ArtifactStore, ObjectStore, StagingWriter
from runstone_kit.clock import Clock
from runstone_kit.errors import RunstoneError, invalid_field
from runstone_kit.ids import IdMaker

HOLD_MS = 4_000
"""A killed service's upload can be resumed after this; clients are promised ten seconds."""

RENEW_S = 1.0
"""Two renewals may be lost before a hold ends."""

MAX_UNRELEASED = 10_000
"""Holds that are remembered because the database did not take their release; 100 bytes each."""

NOTE_BYTES = 64 * 2**20
"""Progress is noted this often: what a crash makes the client send again."""

PRESIGN_MIN_BYTES = 16 * 2**20
"""Below one part, the service itself is as fast and needs fewer round trips."""


class Chunk(Protocol):
    """The next bytes of an upload, as they arrive."""

    upload_id: str
    offset: int
    data: bytes | memoryview
    crc32: int


@dataclass(slots=True)
class _Hold:
    """A call's hold on an upload."""

    upload: Upload
    holder: str
    renewed: float

    @property
    def upload_id(self) -> str:
        return self.upload.upload_id


class UploadService:
    """Uploads under way. Thread-safe."""

    def __init__(
        self,
        rows: ArtifactStore,
        objects: ObjectStore,
        soundness: Soundness,
        runs: ActiveRuns,
        slots: TransferSlots,
        clock: Clock,
        ids: IdMaker,
    ) -> None:
        self._rows = rows
        self._objects = objects
        self._soundness = soundness
        self._runs = runs
        self._slots = slots
        self._clock = clock
        self._ids = ids
        self._hashes = HashMemory()
        # By upload, the holder that ended while the database was away.
        self._unreleased: dict[str, str] = {}

    def begin_upload(
        self,
        owner: Owner,
        path: str,
        size: int,
        sha256: str,
        *,
        presigned: bool,
        part_count: int = 0,
    ) -> Begun:
        """Commit at once what is stored already, else make an upload.

        With ``part_count`` the client cuts so many parts, whose sizes nobody knows yet.
        """
        self._runs.require(owner, now_too=False)
        known = self._soundness.sound([sha256]).get(sha256) if sha256 else None
        if known is not None and known.size == size:
            # Collected in between: then it is sent like any other.
            with contextlib.suppress(BytesCollected):
                file = NewFile(path, sha256, size, known.blake3)
                self._runs.require(owner)
                return Begun(
                    artifact=self._rows.commit_files(owner, [file], [], self._clock.now_ms())[0]
                )
        self._rows.check_writable(owner, path)
        if part_count and not self._objects.presigns:
            raise PresignUnsupported
        presigned = bool(part_count) or (
            presigned and self._objects.presigns and size >= PRESIGN_MIN_BYTES
        )
        upload_id, key = self._ids.hex_id(), self._ids.hex_id()
        part_size, multipart_id = self._objects.stage(upload_id, key, size, presigned=presigned)
        upload = Upload(
            upload_id=upload_id,
            owner=owner,
            path=path,
            size=size,
            object_key=key,
            update_ms=self._clock.now_ms(),
            sha256=sha256,
            presigned=presigned,
            part_size=0 if part_count else part_size,
            multipart_id=multipart_id,
            part_count=part_count,
        )
        try:
            self._rows.add_upload(upload)
        except RunstoneError:
            self._objects.discard(upload)
            raise
        return Begun(upload=upload, urls=self._urls(upload, ()))

    def get_upload(self, upload_id: str) -> Begun:
        """Where an upload stands."""
        upload = self._rows.upload(upload_id)
        if upload.artifact is not None:
            return Begun(upload=replace(upload, offset=upload.size))
        sent = self._objects.sent_parts(upload) if upload.presigned else []
        return Begun(upload=upload, urls=self._urls(upload, sent))

    def upload_chunks(self, chunks: Iterable[Chunk], cut_off: Callable[[], object]) -> Upload:
        """Append chunks to an upload until the stream ends; what is durable then stays.

        ``cut_off`` makes ``chunks`` raise; it is called when they are silent for too long.
        """
        with self._slots.take_for(chunks, cut_off) as arriving:
            first = next(arriving, None)
            if first is None:
                raise invalid_field("upload_id", "is required in the first message")
            with self._held(first.upload_id) as hold:
                upload = hold.upload
                if upload.artifact is not None:
                    return replace(upload, offset=upload.size)
                if upload.presigned:
                    raise invalid_field("upload_id", "is an upload that is sent to its URLs")
                return self._receive(hold, first, arriving)

    def commit_upload(
        self,
        upload_id: str,
        sha256: str,
        part_crc32s: Sequence[int],
        part_etags: Sequence[str] = (),
    ) -> File:
        """Check the bytes and make the file."""
        with self._held(upload_id) as hold:
            upload = hold.upload
            if upload.artifact is not None:
                self._compare(upload, sha256, upload.artifact.sha256)
                return upload.artifact
            self._renew(hold)
            self._runs.require(upload.owner, now_too=False)
            if part_crc32s and not upload.presigned:
                raise invalid_field("part_crc32s", "is for uploads by URL: every chunk had its own")
            if sha256 and upload.sha256 and sha256 != upload.sha256:
                self._drop(hold)
                raise DigestMismatch(
                    "CommitUpload", upload.sha256, sha256, upload_id=upload_id, promised=True
                )
            expected = sha256 or upload.sha256
            if bool(part_etags) != bool(upload.part_count):
                raise invalid_field("part_etags", "are for uploads with part_count, and for all")
            if upload.part_count:
                hold.upload = upload = self._cut_by_client(upload, part_etags)
                # Known from here on: a commit that breaks off goes on with it.
                self._note(hold, replace(upload, parts=()))
            elif upload.presigned and not expected and not part_crc32s:
                raise invalid_field("sha256", "or part_crc32s is required for an upload by URL")
            else:
                hold.upload = upload = self._all_sent(upload)
            if expected and upload.found_sha256 and upload.found_sha256 != expected:
                self._refuse(hold, expected, upload.found_sha256)
            self._renew(hold)
            self._objects.complete(upload)
            if not upload.found_sha256:
                found = self._read_back(hold, part_crc32s)
                if expected and found.sha256 != expected:
                    self._refuse(hold, expected, found.sha256)
                upload = _with(upload, found)
                self._note(hold, upload)
            self._runs.require(upload.owner)
            return self._commit(hold, upload)

    def abort_upload(self, upload_id: str) -> None:
        """Give up an upload that is not committed; it may be gone."""
        with contextlib.suppress(UploadNotFound), self._held(upload_id) as hold:
            if hold.upload.artifact is None and not self._drop(hold):
                raise UploadBusy(upload_id)

    # --- Holding ------------------------------------------------------------------------------

    @contextmanager
    def _held(self, upload_id: str) -> Iterator[_Hold]:
        # Under the name of a call that ended but could not say so, nobody has to wait for it.
        holder = self._unreleased.pop(upload_id, "") or self._ids.hex_id()
        try:
            now, begun = self._clock.now_ms(), time.monotonic()
            upload = self._rows.hold_upload(upload_id, holder, now, now + HOLD_MS)
            yield _Hold(upload, holder, begun)
        finally:
            try:
                self._rows.release_upload(upload_id, holder)
            except RunstoneError:
                # It ends by itself; here the next call takes it over.
                if len(self._unreleased) >= MAX_UNRELEASED:
                    self._unreleased.clear()
                self._unreleased[upload_id] = holder

    def _note(self, hold: _Hold, upload: Upload) -> None:
        now, begun = self._clock.now_ms(), time.monotonic()
        self._rows.note_progress(replace(upload, update_ms=now), hold.holder, now + HOLD_MS)
        hold.renewed = begun

    def _renew(self, hold: _Hold) -> None:
        """Before and in long steps. Raises UploadBusy when another call has the upload now."""
        if time.monotonic() - hold.renewed > RENEW_S:
            self._note(hold, replace(hold.upload, parts=()))

    # --- Receiving ----------------------------------------------------------------------------

    def _receive(self, hold: _Hold, first: Chunk, rest: Iterator[Chunk]) -> Upload:
        upload = hold.upload
        if first.offset != upload.offset:
            raise OffsetMismatch(upload.upload_id, upload.offset, first.offset)
        if upload.offset == upload.size:
            # Whole already: a writer would begin anew what was put in one piece.
            self._check(upload, first, upload.offset)
            return replace(upload, parts=())
        writer = self._objects.writer(upload)
        hashing: HashingThread | None = None
        try:
            hashing = self._hashing(upload)
            try:
                received = self._append(hold, writer, hashing, first, rest)
            except BaseException:
                # Whatever ended it, what is here already need not be sent again.
                with contextlib.suppress(RunstoneError):
                    self._secure(hold, writer, hashing)
                raise
            self._secure(hold, writer, hashing)
            return replace(upload, offset=received, parts=())
        finally:
            if hashing is not None:
                hashing.end()
            writer.close()

    def _append(
        self,
        hold: _Hold,
        writer: StagingWriter,
        hashing: HashingThread | None,
        first: Chunk,
        rest: Iterator[Chunk],
    ) -> int:
        upload, noted = hold.upload, hold.upload.offset
        offset = upload.offset
        chunk: Chunk | None = first
        while chunk is not None:
            self._check(upload, chunk, offset)
            writer.write(chunk.data)
            if hashing is not None:
                hashing.update(chunk.data)
            offset += len(chunk.data)
            secured = writer.secured
            if secured - noted >= NOTE_BYTES or time.monotonic() - hold.renewed > RENEW_S:
                noted = secured
                parts = tuple(writer.take_parts())
                self._note(hold, replace(upload, offset=secured, parts=parts))
            chunk = next(rest, None)
        return offset

    @staticmethod
    def _check(upload: Upload, chunk: Chunk, offset: int) -> None:
        if chunk.upload_id not in ("", upload.upload_id):
            raise invalid_field("upload_id", "must be empty or the same in every message")
        if chunk.offset != offset:
            raise OffsetMismatch(upload.upload_id, offset, chunk.offset)
        end = offset + len(chunk.data)
        if end > upload.size:
            raise SizeMismatch(upload.upload_id, upload.size, end)
        if crc32(chunk.data) != chunk.crc32:
            raise ChunkDamaged(upload.upload_id, offset)

    def _hashing(self, upload: Upload) -> HashingThread | None:
        """The hash of what is staged already, to go on with; None when it cannot be known."""
        if upload.offset == 0:
            return HashingThread()
        if (state := self._hashes.take(upload.upload_id, upload.offset)) is not None:
            return HashingThread(state, size=upload.offset)
        staged = self._objects.read_staged(upload)
        return None if staged is None else HashingThread(seed=staged, size=upload.offset)

    def _secure(self, hold: _Hold, writer: StagingWriter, hashing: HashingThread | None) -> None:
        writer.finish()
        upload, offset = hold.upload, writer.secured
        state = None if hashing is None else hashing.end()
        parts = tuple(writer.take_parts())
        upload = replace(upload, offset=offset, parts=parts)
        # What is not durable was hashed too: such a hash is of no use to the next stream.
        if hashing is None or state is None or hashing.size != offset:
            pass
        elif offset == upload.size:
            upload = replace(_with(upload, state), parts=parts)
        else:
            self._hashes.keep(upload.upload_id, offset, state)
        self._note(hold, upload)

    # --- Committing ---------------------------------------------------------------------------

    def _all_sent(self, upload: Upload) -> Upload:
        """The upload with the parts to complete it. Raises SizeMismatch when bytes are missing."""
        if not upload.presigned:
            if upload.offset != upload.size:
                raise SizeMismatch(upload.upload_id, upload.size, upload.offset)
            if upload.size == 0:
                writer = self._objects.writer(upload)
                try:
                    writer.finish()
                finally:
                    writer.close()
            return upload
        try:
            parts = self._objects.sent_parts(upload)
        except UploadNotFound:
            if self._objects.size(upload.object_key) != upload.size:
                raise
            # Completed by a commit that broke off afterwards.
            return upload
        wanted = {number: size for number, _, size in ranges_of(upload)}
        if {part.number: part.size for part in parts} != wanted:
            sent = sum(part.size for part in parts)
            raise SizeMismatch(upload.upload_id, upload.size, sent)
        return replace(upload, parts=tuple(parts))

    def _cut_by_client(self, upload: Upload, etags: Sequence[str]) -> Upload:
        """The upload with the parts that its client sent. Raises InvalidArgument."""
        try:
            parts = self._objects.sent_parts(upload)
        except UploadNotFound:
            if self._objects.size(upload.object_key) != upload.size:
                raise
            # Completed by a commit that broke off afterwards.
            return upload
        return cut_by_client(upload, parts, etags)

    def _read_back(self, hold: _Hold, part_crc32s: Sequence[int]) -> Digests:
        """The digests of the completed object. Raises SizeMismatch, ChunkDamaged."""
        upload = hold.upload
        hashing = HashingThread()
        ranges = ranges_of(upload) if upload.presigned and part_crc32s else []
        checks = PartChecks([size for _, _, size in ranges])
        size = 0
        try:
            for chunk in self._objects.read(upload.object_key, 0, upload.size):
                hashing.update(chunk)
                checks.update(chunk)
                size += len(chunk)
                self._renew(hold)
        except KeyError:
            raise UploadNotFound(upload.upload_id) from None
        finally:
            state = hashing.end()
        if size != upload.size or self._objects.size(upload.object_key) != size:
            self._drop(hold)
            raise SizeMismatch(upload.upload_id, upload.size, size)
        if ranges and checks.found != list(part_crc32s):
            self._drop(hold)
            wrong = [a != b for a, b in zip(checks.found, part_crc32s, strict=False)]
            at = wrong.index(True) if True in wrong else 0
            raise ChunkDamaged(upload.upload_id, ranges[at][1])
        assert state is not None
        return state

    def _commit(self, hold: _Hold, upload: Upload) -> File:
        blob = Blob(upload.found_sha256, upload.size, upload.object_key, blake3=upload.found_blake3)
        # The same bytes may be stored already, and be lost: then these take their place.
        self._soundness.sound([blob.sha256])
        done = self._rows.commit_upload(upload, hold.holder, blob, self._clock.now_ms())
        kept = self._rows.blobs([blob.sha256]).get(blob.sha256)
        if kept is not None and kept.object_key != upload.object_key:
            # The same bytes were stored by somebody else meanwhile; ours are garbage.
            with contextlib.suppress(RunstoneError):
                self._objects.delete(upload.object_key)
        assert done.artifact is not None
        return done.artifact

    @staticmethod
    def _compare(upload: Upload, sha256: str, found: str) -> None:
        if sha256 and sha256 != found:
            raise DigestMismatch("the file", sha256, found, upload_id=upload.upload_id)

    def _refuse(self, hold: _Hold, expected: str, found: str) -> None:
        self._drop(hold)
        raise DigestMismatch("the file", expected, found, upload_id=hold.upload_id)

    def _drop(self, hold: _Hold) -> bool:
        """Row first; bytes that cannot be removed now are garbage for later.

        False when the hold was lost: whoever has it now may have made a file of the bytes.
        """
        if not self._rows.remove_upload(hold.upload_id, hold.holder):
            return False
        with contextlib.suppress(RunstoneError):
            self._objects.discard(hold.upload)
            self._objects.delete(hold.upload.object_key)
        return True

    def _urls(self, upload: Upload, sent: Sequence[Part]) -> tuple[PartUrl, ...]:
        if not upload.presigned or upload.artifact is not None:
            return ()
        there = {part.number: part.size for part in sent}
        if upload.part_count:
            return tuple(
                PartUrl(number, 0, 0, self._objects.part_url(upload, number))
                for number in range(1, upload.part_count + 1)
                if number not in there
            )
        return tuple(
            PartUrl(number, offset, size, self._objects.part_url(upload, number))
            for number, offset, size in ranges_of(upload)
            if there.get(number) != size
        )


def _with(upload: Upload, found: Digests) -> Upload:
    return replace(upload, found_sha256=found.sha256, found_blake3=found.blake3, parts=())

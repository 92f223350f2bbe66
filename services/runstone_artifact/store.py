"""What the service asks of its stores. The docstrings are the contract; the suites in
``tests/contract/artifact`` hold every implementation to them.

Rows (``ArtifactStore``) and bytes (``ObjectStore``) agree on an order that no crash can break: an
object's key is in the rows before its first byte is written, a file's entry is made after its last
byte is durable, and rows are deleted before bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from runstone_artifact.model import (
    Blob,
    File,
    Found,
    NewFile,
    Owner,
    Part,
    StoredObject,
    Totals,
    Upload,
)


class RunDirectory(Protocol):
    """Knows runs and logged models. The tracking service by its RPCs, or in one process with us."""

    def require_active(self, run_id: str) -> None:
        """Return when the run is there and not deleted.

        MUST raise OwnerNotFound, OwnerDeleted or TrackingUnavailable otherwise.
        """
        ...

    def require_active_model(self, model_id: str) -> None:
        """The same of a logged model."""
        ...


class FileRows(Protocol):
    """Owners and their files."""

    def open_owner(self, owner: Owner, now_ms: int) -> None:
        """Open a model version for writes; it may be open already. MUST raise OwnerSealed."""
        ...

    def seal_owner(self, owner: Owner) -> Totals:
        """Make its files final, again if need be. MUST raise OwnerNotFound when never opened."""
        ...

    def check_writable(self, owner: Owner, path: str) -> None:
        """Raise what ``commit_files`` of ``path`` would raise now, and change nothing."""
        ...

    def blobs(self, digests: Iterable[str]) -> dict[str, Blob]:
        """The stored blobs among these digests, damaged ones too."""
        ...

    def plan_objects(self, objects: Sequence[tuple[str, int]], now_ms: int) -> None:
        """Note the keys and sizes of objects that are about to be written."""
        ...

    def drop_planned(self, keys: Sequence[str]) -> None:
        """Forget planned objects that will not be used; one that is stored meanwhile stays."""
        ...

    def commit_files(
        self,
        owner: Owner,
        files: Sequence[NewFile],
        stored: Sequence[Blob],
        now_ms: int,
    ) -> list[File]:
        """Make or replace the files' entries, all or none; ``stored`` are newly written blobs.

        A digest that somebody else stored meanwhile keeps that one's object, but a blob known to be
        damaged lies in the new object from then on, for all files that refer to it. MUST raise
        OwnerNotFound (a model version never opened), OwnerSealed, PathConflict, and
        BytesCollected when a planned object or a blob that is needed was garbage collected, or
        such a blob is damaged. MUST leave no file pointing to a blob that is not stored, whoever
        collects meanwhile.
        """
        ...

    def find(self, owner: Owner, path: str) -> Found | None:
        """What stands at the path; the empty path is the top directory, if any file is there."""
        ...

    def locate(self, owner: Owner, paths: Sequence[str]) -> dict[str, tuple[File, Blob]]:
        """The files among these paths, and where their bytes lie."""
        ...

    def list_tree(self, owner: Owner, path: str, after: str, limit: int) -> list[File]:
        """Files at or below a path, by path, those behind ``after`` only."""
        ...

    def list_children(self, owner: Owner, path: str, after: str, limit: int) -> list[Found]:
        """A directory's own entries, by path, those behind ``after`` only."""
        ...

    def delete_files(self, owner: Owner, path: str) -> int:
        """Delete a file, a directory with all below it, or (empty path) everything and the owner.

        MUST raise OwnerSealed for one path of a sealed owner. Returns the count, which may be 0.
        """
        ...

    def copy_files(
        self,
        source: tuple[Owner, str],
        destination: tuple[Owner, str],
        *,
        seal: bool,
        now_ms: int,
    ) -> Totals:
        """Give the destination, which is opened by it, the source's files; move no bytes.

        MUST raise OwnerSealed (unless it holds exactly these files already), PathConflict,
        and OwnerNotFound for a source that is a model version never opened.
        """
        ...


class UploadRows(Protocol):
    """Uploads under way, each written to by at most one call."""

    def add_upload(self, upload: Upload) -> None:
        """Note an upload before its first byte."""
        ...

    def upload(self, upload_id: str) -> Upload:
        """The upload with its parts. MUST raise UploadNotFound."""
        ...

    def hold_upload(self, upload_id: str, holder: str, now_ms: int, until_ms: int) -> Upload:
        """Take the upload for one call. MUST raise UploadNotFound, and UploadBusy when another
        holder has it and its time is not over. A committed upload needs no hold and gets none.
        """
        ...

    def note_progress(self, upload: Upload, holder: str, until_ms: int) -> None:
        """Store size, offset, found digest, new parts and update time, and hold it longer.

        MUST raise UploadBusy when ``holder`` has lost it, UploadNotFound when it is gone.
        """
        ...

    def release_upload(self, upload_id: str, holder: str) -> None:
        """Let go, if it is still held by ``holder``."""
        ...

    def commit_upload(self, upload: Upload, holder: str, blob: Blob, now_ms: int) -> Upload:
        """``commit_files`` of the upload's one file, and note on the upload that it is done.

        The blob's object becomes known by it. When the digest was stored already, and is not
        damaged, that object is used and ``blob.object_key`` stays unknown: the caller removes it.
        MUST also raise what
        ``note_progress`` raises.
        """
        ...

    def remove_upload(self, upload_id: str, holder: str) -> bool:
        """Forget it, if ``holder`` has it still and it is not committed; tell whether that was so.

        Only whoever is told so MAY remove its bytes.
        """
        ...


class UpkeepRows(Protocol):
    """What garbage collection and scrubbing ask."""

    def installation_id(self) -> str:
        """This database's own id, 32 hex digits, made with its tables."""
        ...

    def count_garbage(self, before_ms: int) -> Totals:
        """Objects made before then that no file refers to, and their bytes."""
        ...

    def take_garbage(self, before_ms: int, limit: int) -> list[tuple[str, int]]:
        """Delete the rows of such objects' blobs; returns keys and sizes of objects to remove.

        The objects stay known until ``forget_objects``. MUST wait for whoever is about to refer to
        one of the blobs, and then leave that one.
        """
        ...

    def forget_objects(self, keys: Sequence[str]) -> None:
        """Delete what is left of objects whose bytes are gone."""
        ...

    def abandoned_uploads(self, before_ms: int, now_ms: int) -> int:
        """How many ``take_abandoned_uploads`` would take in the end."""
        ...

    def take_abandoned_uploads(self, before_ms: int, now_ms: int, limit: int) -> list[Upload]:
        """Delete and return uploads not changed since then that nobody holds.

        Committed ones are forgotten too after a day, but not returned.
        """
        ...

    def known_objects(self, keys: Sequence[str]) -> set[str]:
        """Which of these keys belong to an object or an upload."""
        ...

    def known_uploads(self, upload_ids: Sequence[str]) -> set[str]:
        """Which of these uploads are there."""
        ...

    def blobs_after(self, sha256: str, limit: int) -> list[Blob]:
        """Blobs by digest, those behind this one."""
        ...

    def note_findings(self, findings: Sequence[Blob]) -> None:
        """Store what was found of blobs' bytes: ``damage``, which is cleared when it is empty, and
        ``blake3``, which stays when it is empty.

        MUST leave alone a blob that lies in another object by now.
        """
        ...

    def referrers(self, sha256: str, limit: int) -> list[str]:
        """Files that point to the digest, as ``runs/<run_id>/<path>``."""
        ...


class ArtifactStore(FileRows, UploadRows, UpkeepRows, Protocol):
    """All rows of the service. MUST be safe to call from many threads and processes."""

    def ping(self) -> None:
        """Raise Unavailable when it cannot answer."""
        ...


class StagingWriter(Protocol):
    """Appends to one upload's staged bytes. Not thread-safe."""

    @property
    def secured(self) -> int:
        """Bytes that survive a crash of service and machine."""
        ...

    def take_parts(self) -> list[Part]:
        """Parts that became durable since the last call."""
        ...

    def write(self, data: bytes | memoryview) -> None:
        """Append. The data MUST NOT change afterwards; it may be written later."""
        ...

    def finish(self) -> None:
        """Make durable what can be: everything, when the upload's last byte was written."""
        ...

    def close(self) -> None:
        """Let go of everything; what is not durable may be lost. Never raises."""
        ...


class ObjectStore(Protocol):
    """Keeps bytes under keys that the service makes up. MUST be safe to call from many threads.

    Every method may raise ObjectStoreUnavailable; those that write raise StorageFull and then
    MUST leave nothing behind that a later call could take for the whole object.
    """

    @property
    def presigns(self) -> bool:
        """Whether URLs can be made."""
        ...

    def prepare(self) -> None:
        """Make the place of the objects where it is missing. MUST raise as ``ping`` does."""
        ...

    def ping(self) -> None:
        """Raise when objects cannot be read and written. MUST change nothing: what is asked every
        few seconds would put an empty place where a lost one was, and call that well.
        """
        ...

    def close(self) -> None:
        """Let go of idle connections."""
        ...

    def claim(self, installation_id: str) -> str:
        """Whose the store is: the id in its marker, which is first made with this id when missing.

        The marker is durable on return, is no object, and is never listed.
        """
        ...

    def put(self, key: str, chunks: Sequence[bytes]) -> None:
        """Store an object; durable on return."""
        ...

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """The bytes from ``offset``, in chunks of at most 1 MiB, as many as are there and readable.

        MUST raise KeyError when there is no such object. Closing the iterator frees everything.
        """
        ...

    def size(self, key: str) -> int | None:
        """The object's size, None when there is none."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; it may be gone."""
        ...

    def list_objects(self) -> Iterator[StoredObject]:
        """All objects whose names are keys of ours, in any order; whatever else is there stays."""
        ...

    def stage(self, upload_id: str, key: str, size: int, *, presigned: bool) -> tuple[int, str]:
        """Prepare an upload; returns its part size (0: no parts) and multi-part id ("": none).

        The size of a presigned one may be unknown and 0.
        MUST raise InvalidArgument of ``size`` when a stream would need more memory than a part may.
        """
        ...

    def writer(self, upload: Upload) -> StagingWriter:
        """Go on at ``upload.offset``; whatever was staged behind it is dropped.

        MUST raise UploadBusy while another writer of this store is open on the same machine.
        """
        ...

    def read_staged(self, upload: Upload) -> Iterator[bytes] | None:
        """The durable staged bytes, or None when they cannot be read before ``complete``."""
        ...

    def complete(self, upload: Upload) -> None:
        """Make the object of the staged bytes (``upload.parts``); may be done already.

        MUST raise UploadNotFound when neither staged bytes nor the object are there.
        """
        ...

    def discard(self, upload: Upload) -> None:
        """Remove staged bytes; they may be gone. The object, if completed, stays."""
        ...

    def list_staged(self, before_ms: int) -> Iterator[tuple[str, str]]:
        """(key, name of the staging) of staged uploads not touched since then, in any order.

        Names that are not ours are left out.
        """
        ...

    def discard_staged(self, key: str, name: str) -> None:
        """Remove what ``list_staged`` named; it may be gone."""
        ...

    def sent_parts(self, upload: Upload) -> list[Part]:
        """Parts of a presigned upload that the store holds. MUST raise UploadNotFound."""
        ...

    def part_url(self, upload: Upload, number: int) -> str:
        """Where to PUT a part; good for an hour."""
        ...

    def object_url(self, key: str) -> str:
        """Where to GET an object; good for an hour. MUST raise PresignUnsupported if not."""
        ...

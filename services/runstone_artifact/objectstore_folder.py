"""Objects as files in a folder: ``objects/<two digits>/<key>``, uploads in ``staging/``.

Durable means fsynced, the file and the directory that names it. Keys and upload ids are the
service's own hex digits, so no path is ever made of what a caller sent.
The file ``installation`` says whose the folder is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from runstone_artifact.errors import (
    ObjectStoreUnavailable,
    PresignUnsupported,
    StorageFull,
    UploadBusy,
    UploadNotFound,
)
from runstone_artifact.model import KEY, Part, StoredObject, Upload

READ_BYTES = 2**20
"""What one read asks for; larger chunks gained nothing and cost memory."""

SYNC_BYTES = 32 * 2**20
"""Written bytes after which a sync is begun: the last one, at the end, then has little to do."""

SHARDS = [f"{number:02x}" for number in range(256)]
"""Made at the start, so that a put has one directory to sync and none to make."""

MARKER = "installation"
"""Says whose the folder is."""

_UNREADABLE = {errno.EIO, errno.EISDIR, errno.EBADMSG}

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def _kinds() -> Iterator[None]:
    """What the disk says, as the service's errors."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        raise ObjectStoreUnavailable from error


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    # A disk that is nearly full takes a part and says so only at the next call.
    written = os.write(descriptor, data)
    if written < len(data):
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderObjectStore:
    """``store.ObjectStore`` in a local folder."""

    presigns = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = folder / "objects"
        self._staging = folder / "staging"
        with _kinds():
            self._staging.mkdir(parents=True, exist_ok=True)
            for shard in SHARDS:
                (self._objects / shard).mkdir(parents=True, exist_ok=True)
            for made in (self._objects, folder):
                _sync_directory(made)

    def prepare(self) -> None:
        """See ObjectStore: it was made when it was opened."""

    def ping(self) -> None:
        """See ObjectStore."""
        if not os.access(self._staging, os.W_OK | os.X_OK):
            raise ObjectStoreUnavailable

    def close(self) -> None:
        """See ObjectStore."""

    def claim(self, installation_id: str) -> str:
        """See ObjectStore."""
        with _kinds():
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self._folder / MARKER, flags, 0o640)
            try:
                # Of two that come at once, one writes. What is too short was left by a
                # crash, before anybody was told that the folder is theirs.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                found = os.pread(descriptor, READ_BYTES, 0).decode("ascii", "replace").strip()
                if len(found) >= len(installation_id):
                    return found
                os.ftruncate(descriptor, 0)
                _write_all(descriptor, installation_id.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _sync_directory(self._folder)
        return installation_id

    def put(self, key: str, chunks: Sequence[bytes]) -> None:
        """See ObjectStore."""
        path = self._path(key)
        with _kinds():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            try:
                for chunk in chunks:
                    _write_all(descriptor, chunk)
                os.fdatasync(descriptor)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
            _sync_directory(path.parent)

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """See ObjectStore."""
        with _kinds():
            try:
                descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise KeyError(key) from None
        return _chunks(descriptor, offset, length)

    def size(self, key: str) -> int | None:
        """See ObjectStore."""
        with _kinds():
            try:
                return self._path(key).stat().st_size
            except FileNotFoundError:
                return None

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with _kinds():
            self._path(key).unlink(missing_ok=True)

    def list_objects(self) -> Iterator[StoredObject]:
        """See ObjectStore."""
        with _kinds():
            for shard in SHARDS:
                for entry in os.scandir(self._objects / shard):
                    if not _is_ours(entry):
                        continue
                    with suppress(FileNotFoundError):
                        state = entry.stat()
                        yield StoredObject(entry.name, state.st_size, _modified_ms(state))

    def stage(self, upload_id: str, key: str, size: int, *, presigned: bool) -> tuple[int, str]:
        """See ObjectStore."""
        with _kinds():
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            os.close(os.open(self._staged(upload_id), flags, 0o640))
            _sync_directory(self._staging)
        return 0, ""

    def writer(self, upload: Upload) -> FolderWriter:
        """See ObjectStore."""
        with _kinds():
            try:
                descriptor = os.open(self._staged(upload.upload_id), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                raise UploadNotFound(upload.upload_id) from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_size < upload.offset:
                    raise UploadNotFound(upload.upload_id)
                os.ftruncate(descriptor, upload.offset)
                os.lseek(descriptor, upload.offset, os.SEEK_SET)
            except BlockingIOError:
                os.close(descriptor)
                raise UploadBusy(upload.upload_id) from None
            except BaseException:
                os.close(descriptor)
                raise
        return FolderWriter(descriptor, upload.offset)

    def read_staged(self, upload: Upload) -> Iterator[bytes] | None:
        """See ObjectStore."""
        with _kinds():
            try:
                path = self._staged(upload.upload_id)
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise UploadNotFound(upload.upload_id) from None
        return _chunks(descriptor, 0, upload.offset)

    def complete(self, upload: Upload) -> None:
        """See ObjectStore."""
        path = self._path(upload.object_key)
        with _kinds():
            try:
                self._staged(upload.upload_id).rename(path)
            except FileNotFoundError:
                if not path.exists():
                    raise UploadNotFound(upload.upload_id) from None
            _sync_directory(path.parent)
            _sync_directory(self._staging)

    def discard(self, upload: Upload) -> None:
        """See ObjectStore."""
        self.discard_staged(upload.object_key, upload.upload_id)

    def list_staged(self, before_ms: int) -> Iterator[tuple[str, str]]:
        """See ObjectStore."""
        with _kinds():
            for entry in os.scandir(self._staging):
                if not _is_ours(entry):
                    continue
                with suppress(FileNotFoundError):
                    if _modified_ms(entry.stat()) < before_ms:
                        yield "", entry.name

    def discard_staged(self, key: str, name: str) -> None:
        """See ObjectStore."""
        with _kinds():
            self._staged(name).unlink(missing_ok=True)

    def sent_parts(self, upload: Upload) -> list[Part]:
        """See ObjectStore."""
        raise PresignUnsupported

    def part_url(self, upload: Upload, number: int) -> str:
        """See ObjectStore."""
        raise PresignUnsupported

    def object_url(self, key: str) -> str:
        """See ObjectStore."""
        raise PresignUnsupported

    def _path(self, key: str) -> Path:
        if KEY.fullmatch(key) is None:
            raise ValueError(f"not an object key: {key!r}")
        return self._objects / key[:2] / key

    def _staged(self, upload_id: str) -> Path:
        if KEY.fullmatch(upload_id) is None:
            raise ValueError(f"not an upload id: {upload_id!r}")
        return self._staging / upload_id


class FolderWriter:
    """``store.StagingWriter`` of a file; a thread of its own syncs while more is written."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self._written = offset
        self._begun = offset
        self._secured = offset
        self._failure: BaseException | None = None
        self._wanted = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def secured(self) -> int:
        """See StagingWriter."""
        return self._secured

    def take_parts(self) -> list[Part]:
        """See StagingWriter."""
        return []

    def write(self, data: bytes | memoryview) -> None:
        """See StagingWriter."""
        with _kinds():
            if self._failure is not None:
                raise self._failure
            _write_all(self._descriptor, data)
        self._written += len(data)
        if self._written - self._begun >= SYNC_BYTES:
            self._begun = self._written
            if self._thread is None:
                self._thread = threading.Thread(target=self._sync, name="sync", daemon=True)
                self._thread.start()
            self._wanted.set()

    def finish(self) -> None:
        """See StagingWriter."""
        self._settle()
        with _kinds():
            # The kernel tells an error once: the next sync of the same file would succeed.
            if self._failure is not None:
                raise self._failure
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                self._failure = error
                raise
        self._secured = self._written

    def close(self) -> None:
        """See StagingWriter."""
        self._settle()
        with suppress(OSError):
            os.close(self._descriptor)

    def _settle(self) -> None:
        """End the thread, so that what it found is known."""
        if self._thread is not None:
            self._closing = True
            self._wanted.set()
            self._thread.join()
            self._thread, self._closing = None, False
            self._wanted.clear()

    def _sync(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                return
            written = self._written
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                self._failure = error
                return
            self._secured = max(self._secured, written)


def _chunks(descriptor: int, offset: int, length: int) -> Iterator[bytes]:
    try:
        while length > 0:
            with _kinds():
                try:
                    chunk = os.pread(descriptor, min(READ_BYTES, length), offset)
                except OSError as error:
                    if error.errno not in _UNREADABLE:
                        raise
                    # These bytes are lost; the disk as a whole is not away.
                    return
            if not chunk:
                return
            offset += len(chunk)
            length -= len(chunk)
            yield chunk
    finally:
        os.close(descriptor)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    # Not .nfs0001, lost+found, or what somebody put there: it is not looked at and not removed.
    return KEY.fullmatch(entry.name) is not None and entry.is_file(follow_symlinks=False)


def _modified_ms(state: os.stat_result) -> int:
    # A clock that was set back must not make files of the future immortal.
    return min(state.st_mtime_ns // 1_000_000, time.time_ns() // 1_000_000)

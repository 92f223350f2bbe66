"""A large file from the service: ranges side by side, hashed in order, taken up after a break.

The bytes gather in a file beside the target, named by their digest. A download that failed leaves
it cut to what is whole; the next attempt goes on there. Whatever it holds, only the right digest
gives it its name.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from runstone._transfer.check import DigestCheck, require_whole
from runstone._transfer.http import HttpPool, UrlExpired
from runstone._transfer.patience import Patience
from runstone._transfer.progress import Progress
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import (
    PresignUnsupported,
    RunstoneException,
)

MIB = 2**20

RANGE_BYTES = 32 * MIB
"""What a broken connection loses at most is a megabyte; a range is what one worker takes."""

STREAMS_AT_ONCE = 1
"""HTTP/2 widens its window by itself; two streams only made hashing read half the file back."""

URLS_AT_ONCE = 3
"""From a far store, where a connection is bound by its round trips."""

NEAR_BYTES_PER_SECOND = 100e6
"""From here on the processor is the bound, and one connection is best: it hashes from memory."""

NEAR_RANGE_BYTES = 1024 * MIB
"""Of one request to a near store, which needs some milliseconds to begin."""

READ_BYTES = MIB


class RangedDownload:
    """Fetches large files of one owner; learns once whether there are URLs."""

    def __init__(self, stub: Any, owner: artifact_pb2.Owner, progress: Progress) -> None:
        self._stub = stub
        self._owner = owner
        self._progress = progress
        self._presigns = True

    def fetch(self, file: artifact_pb2.Artifact, target: Path) -> None:
        """Bring a file to ``target``. Raises as ``download`` does."""
        partial, descriptor = _open_partial(target, file.sha256)
        renamed = False
        try:
            begun = min(os.fstat(descriptor).st_size, file.size) // RANGE_BYTES * RANGE_BYTES
            check = self._gather(file, descriptor, begun)
            if begun and not check.matches:
                # What was left from before was not whole.
                self._progress.advance(-file.size)
                os.ftruncate(descriptor, 0)
                check = self._gather(file, descriptor, 0)
            if not check.matches:
                os.ftruncate(descriptor, 0)
                check.require()
            os.ftruncate(descriptor, file.size)
            partial.replace(target)
            renamed = True
        finally:
            if not renamed and os.fstat(descriptor).st_size == 0:
                partial.unlink(missing_ok=True)
            os.close(descriptor)

    def _gather(self, file: artifact_pb2.Artifact, descriptor: int, begun: int) -> DigestCheck:
        """Fetch everything from ``begun`` on; returns the check that took the whole file."""
        source = self._source(file)
        hashing = _InOrder(descriptor, file, begun)
        self._progress.advance(begun)

        def fetch(offset: int, size: int = RANGE_BYTES) -> int:
            end = min(offset + size, file.size)
            self._range(source, file, descriptor, (offset, end), hashing)
            return end

        try:
            near, begun = self._is_near(fetch, begun)
            size = NEAR_RANGE_BYTES if near else RANGE_BYTES
            at_once = 1 if near else source.at_once
            with ThreadPoolExecutor(at_once, thread_name_prefix="range") as workers:
                try:
                    offsets = range(begun, file.size, size)
                    for _ in workers.map(lambda offset: fetch(offset, size), offsets):
                        pass
                except BaseException:
                    # The others see it and end, instead of fetching what nobody will use.
                    hashing.abandon()
                    workers.shutdown(wait=False, cancel_futures=True)
                    raise
            return hashing.check()
        except BaseException:
            hashing.abandon()
            # Only what is whole from the start is of use to the next attempt.
            os.ftruncate(descriptor, hashing.whole())
            raise
        finally:
            source.close()

    @staticmethod
    def _is_near(fetch: Callable[[int], int], begun: int) -> tuple[bool, int]:
        """Fetch the first range; tells by its pace whether the store is near, and where it ends."""
        started = time.monotonic()
        end = fetch(begun)
        return end - begun >= NEAR_BYTES_PER_SECOND * (time.monotonic() - started), end

    def _range(
        self,
        source: _Source,
        file: artifact_pb2.Artifact,
        descriptor: int,
        span: tuple[int, int],
        hashing: _InOrder,
    ) -> None:
        at, end = span
        patience = Patience()
        while at < end and not hashing.stopped.is_set():
            try:
                for data in source.read(at, end - at):
                    if hashing.stopped.is_set():
                        return
                    _write(descriptor, data, at)
                    hashing.wrote(at, data)
                    at += len(data)
                    self._progress.advance(len(data))
                    patience.progressed()
            except RunstoneException as error:
                patience.wait(error)
                if isinstance(error, UrlExpired):
                    source.refresh()

    def _source(self, file: artifact_pb2.Artifact) -> _Source:
        if self._presigns:
            try:
                if (url := _url(self._stub, self._owner, file)) is not None:
                    return _Urls(self._stub, self._owner, file, url)
            except PresignUnsupported:
                self._presigns = False
        return _Streams(self._stub, self._owner, file)


def _url(stub: Any, owner: artifact_pb2.Owner, file: artifact_pb2.Artifact) -> str | None:
    """Where to GET the file; None when it shares an object, or is another one by now."""
    request = artifact_pb2.CreateDownloadUrlsRequest(owner=owner, paths=[file.path])
    made = stub.CreateDownloadUrls(request).urls[0]
    return made.url if made.url and made.artifact.sha256 == file.sha256 else None


class _Source(Protocol):
    """Gives ranges of one file."""

    at_once: int

    def read(self, offset: int, size: int) -> Iterator[bytes | memoryview]: ...

    def refresh(self) -> None:
        """Make what has expired anew."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class _Streams:
    """By gRPC."""

    at_once = STREAMS_AT_ONCE

    def __init__(self, stub: Any, owner: artifact_pb2.Owner, file: artifact_pb2.Artifact) -> None:
        self._stub = stub
        self._owner = owner
        self._file = file

    def read(self, offset: int, size: int) -> Iterator[bytes | memoryview]:
        request = artifact_pb2.DownloadArtifactRequest(
            owner=self._owner,
            path=self._file.path,
            offset=offset,
            length=size,
            sha256=self._file.sha256,
        )
        for chunk in self._stub.DownloadArtifact(request):
            if len(chunk.data):
                require_whole(chunk, self._file.path)
                yield chunk.data

    def refresh(self) -> None:
        """Nothing expires."""

    def close(self) -> None:
        """The channel is the caller's."""


class _Urls:
    """By HTTP from the object store."""

    at_once = URLS_AT_ONCE

    def __init__(
        self, stub: Any, owner: artifact_pb2.Owner, file: artifact_pb2.Artifact, url: str
    ) -> None:
        self._stub = stub
        self._owner = owner
        self._file = file
        self._url = url
        self._pool = HttpPool()

    def read(self, offset: int, size: int) -> Iterator[bytes | memoryview]:
        return self._pool.get(self._url, offset, size)

    def refresh(self) -> None:
        if (url := _url(self._stub, self._owner, self._file)) is not None:
            self._url = url

    def close(self) -> None:
        self._pool.close()


class _InOrder:
    """Hashes a file's bytes in their order while they arrive range by range.

    Whoever wrote bytes hashes what has its turn: its own from memory, those that came early from
    the file. One at a time does; the others go on fetching.
    """

    def __init__(self, descriptor: int, file: artifact_pb2.Artifact, begun: int) -> None:
        self._descriptor = descriptor
        self._size = file.size
        # How far each range is written, by its start.
        self._written = {start: start + RANGE_BYTES for start in range(0, begun, RANGE_BYTES)}
        self._hashed = 0
        self._busy = False
        self._lock = threading.Lock()
        self._check = DigestCheck(file)
        self.stopped = threading.Event()

    def wrote(self, offset: int, data: bytes | memoryview) -> None:
        """These bytes are in the file."""
        with self._lock:
            at, end = offset, offset + len(data)
            while at < end:
                start = at // RANGE_BYTES * RANGE_BYTES
                at = self._written[start] = min(end, start + RANGE_BYTES)
            if self._busy:
                return
            self._busy = True
        if offset == self._hashed:
            self._check.update(data)
            self._hashed += len(data)
        self._catch_up()

    def check(self) -> DigestCheck:
        """The check that took the whole file, once everything is written."""
        self._catch_up()
        return self._check

    def abandon(self) -> None:
        """Have everybody end early who works on the file."""
        self.stopped.set()

    def whole(self) -> int:
        """How many bytes from the start are whole, in ranges."""
        until = 0
        while self._written.get(until, until) == until + RANGE_BYTES:
            until += RANGE_BYTES
        return until

    def _catch_up(self) -> None:
        buffer: memoryview | None = None
        while True:
            with self._lock:
                count = min(self._readable(), READ_BYTES)
                if not count or self.stopped.is_set():
                    self._busy = False
                    return
            if buffer is None:
                buffer = memoryview(bytearray(READ_BYTES))
            got = os.preadv(self._descriptor, [buffer[:count]], self._hashed)
            self._check.update(buffer[:got])
            # What is missing was cut off by somebody else; the digest will tell.
            self._hashed += count

    def _readable(self) -> int:
        """Bytes in the file from where the hash stands, to the end of the range."""
        start = self._hashed // RANGE_BYTES * RANGE_BYTES
        return max(0, min(self._written.get(start, 0), self._size) - self._hashed)


def _open_partial(target: Path, sha256: str) -> tuple[Path, int]:
    """The file that gathers the bytes; another one when a process is at work on the usual one."""
    for name in (f".runstone-{sha256[:32]}.part", f".runstone-{os.urandom(16).hex()}.part"):
        partial = target.with_name(name)
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        # Whoever held it may have renamed it meanwhile.
        if partial.exists() and os.path.samestat(os.fstat(descriptor), partial.stat()):
            return partial, descriptor
        os.close(descriptor)
    raise AssertionError("unreachable: nobody knows the second name")


def _write(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        offset += written
        left = left[written:]

"""A folder to the service: small files many in a call, large ones one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from runstone._transfer.local import LocalFile, Reader, check_local, files_below
from runstone._transfer.present import not_there, recorded
from runstone._transfer.progress import Progress, bar
from runstone._transfer.upload import SMALL_BYTES, upload_file
from runstone.artifact.v1 import artifact_pb2

BATCH_BYTES = 4 * 2**20
BATCH_FILES = 1000
"""The limits of PutArtifacts."""

BATCHES_AT_ONCE = 3
"""Calls under way: one is read here, one hashed there, one committed."""


def upload_tree(
    stub: Any,
    owner: artifact_pb2.Owner,
    folder: Path,
    directory: str = "",
    progress: Progress | None = None,
) -> int:
    """Send all files below a folder to an owner's directory; returns how many.

    Everything is checked before the first file is sent. Raises as ``upload_file`` does; files
    that were committed before a failure stay.
    """
    files = files_below(folder, directory)
    total = sum(file.size for file in files)
    if progress is not None:
        send(stub, owner, files, progress)
        return len(files)
    with bar(f"uploading {folder.name or folder}", total) as shown:
        send(stub, owner, files, shown)
    return len(files)


def upload_missing(stub: Any, owner: artifact_pb2.Owner, source: Path, directory: str = "") -> None:
    """Send a file, or all files below a folder, but for those that are there with the same bytes.

    A call that was interrupted is taken up so. Raises as ``upload_file`` does.
    """
    check_local(source)
    if source.is_dir():
        files = files_below(source, directory)
        there = recorded(stub, owner, directory)
    else:
        path = f"{directory}/{source.name}" if directory else source.name
        files = [LocalFile(source, path, source.stat().st_size)]
        there = recorded(stub, owner, path)
    with bar(f"uploading {source.name or source}", sum(file.size for file in files)) as shown:
        send(stub, owner, list(not_there(files, there, shown)), shown)


def send(
    stub: Any, owner: artifact_pb2.Owner, files: Sequence[LocalFile], progress: Progress
) -> None:
    """Send files that were checked; raises as ``upload_file`` does."""
    small = [file for file in files if file.size <= SMALL_BYTES]
    with ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="batch") as workers:
        under_way: set[Future[None]] = set()
        try:
            for batch in batches(small):
                under_way.add(workers.submit(_put, stub, owner, batch, progress))
                if len(under_way) > BATCHES_AT_ONCE:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for each in done:
                        each.result()
            for each in under_way:
                each.result()
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise
    for file in files:
        if file.size > SMALL_BYTES:
            upload_file(stub, owner, file.source, file.path, progress)


def batches(files: Sequence[LocalFile]) -> Iterator[list[LocalFile]]:
    """The files in groups that fit a call each."""
    batch: list[LocalFile] = []
    size = 0
    for file in files:
        if batch and (size + file.size > BATCH_BYTES or len(batch) == BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


def _put(
    stub: Any, owner: artifact_pb2.Owner, batch: Sequence[LocalFile], progress: Progress
) -> None:
    contents = []
    for file in batch:
        with Reader(file.source) as reader:
            # Of one that grew since the walk only what it had then: more would burst the call.
            content = reader.read(0, file.size)
            reader.check_unchanged()
        contents.append(artifact_pb2.SmallFile(path=file.path, content=content))
    stub.PutArtifacts(artifact_pb2.PutArtifactsRequest(owner=owner, files=contents))
    progress.advance(sum(file.size for file in batch))

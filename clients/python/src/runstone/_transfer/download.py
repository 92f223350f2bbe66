"""Files and trees from the service: to a temporary name, checked, then to their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from runstone._transfer.check import DigestCheck, require_whole
from runstone._transfer.patience import Patience
from runstone._transfer.progress import Progress, bar
from runstone._transfer.ranges import RangedDownload
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import InvalidArgument, LocalPathError, ObjectDamaged, RunstoneException

SMALL_BYTES = 8 * 2**20
"""Up to this a file is one stream, held in memory until it is checked."""

FILES_AT_ONCE = 4
"""Small files of a tree, each a call of its own."""

PAGE = 10_000


def download(
    stub: Any,
    owner: artifact_pb2.Owner,
    path: str,
    folder: Path,
    progress: Progress | None = None,
    *,
    relative_to: str = "",
) -> Path:
    """Fetch a file, or a directory with all below it, keeping its path below ``folder``.

    The empty path is everything. ``relative_to`` is the directory above that is left out of the
    paths there. Returns where it is. What is there already is replaced, file by
    file, each only once its digest is checked.

    Raises:
        ArtifactNotFound: nothing stands at the path.
        ObjectDamaged: the stored bytes are not what they were.
        DigestMismatch: the file was replaced meanwhile.
        LocalPathError: it cannot be written here.
        Unavailable: nothing moved for a minute.
    """
    if relative_to and not f"{path}/".startswith(f"{relative_to}/"):
        raise InvalidArgument(f"{path!r} is not below {relative_to!r}")
    files = list(list_files(stub, owner, path))
    total = sum(file.size for file in files)

    def place(of: str) -> Path:
        return _below(folder, of[len(relative_to) :].lstrip("/") if relative_to else of)

    target = place(path)
    try:
        if not any(file.path == path for file in files):
            target.mkdir(parents=True, exist_ok=True)
        if progress is not None:
            _fetch_all(stub, owner, files, place, progress)
        else:
            with bar(f"downloading {path.rpartition('/')[2] or 'artifacts'}", total) as shown:
                _fetch_all(stub, owner, files, place, shown)
    except OSError as error:
        raise LocalPathError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def list_files(
    stub: Any, owner: artifact_pb2.Owner, path: str = ""
) -> Iterator[artifact_pb2.Artifact]:
    """Every file at or below a path, page by page. Raises ArtifactNotFound."""
    if path:
        request = artifact_pb2.GetArtifactRequest(owner=owner, path=path)
        artifact = stub.GetArtifact(request).artifact
        if not artifact.is_directory:
            yield artifact
            return
    token = ""
    while True:
        page = stub.ListArtifacts(
            artifact_pb2.ListArtifactsRequest(
                owner=owner, path=path, recursive=True, page_size=PAGE, page_token=token
            )
        )
        yield from page.artifacts
        token = page.next_page_token
        if not token:
            return


def _below(folder: Path, path: str) -> Path:
    """Where a path goes, the empty one to ``folder`` itself.

    The server checks paths, and so do we: it is our disk.
    """
    if not path:
        return folder
    names = path.split("/")
    if any(name in ("", ".", "..") or "\\" in name or "\0" in name for name in names):
        raise InvalidArgument(f"{path!r} is no artifact path")
    return folder.joinpath(*names)


def _fetch_all(
    stub: Any,
    owner: artifact_pb2.Owner,
    files: list[artifact_pb2.Artifact],
    place: Callable[[str], Path],
    progress: Progress,
) -> None:
    for parent in sorted({place(file.path).parent for file in files}):
        parent.mkdir(parents=True, exist_ok=True)
    small = [file for file in files if file.size <= SMALL_BYTES]

    def fetch(file: artifact_pb2.Artifact) -> None:
        _fetch_small(stub, owner, file, place(file.path))
        progress.advance(file.size)

    with ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="fetch") as workers:
        try:
            for _ in workers.map(fetch, small):
                pass
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise
    ranged = RangedDownload(stub, owner, progress)
    for file in files:
        if file.size > SMALL_BYTES:
            ranged.fetch(file, place(file.path))


def _fetch_small(
    stub: Any, owner: artifact_pb2.Owner, file: artifact_pb2.Artifact, target: Path
) -> None:
    data = read_file(stub, owner, file.path, file.sha256)
    partial = target.with_name(f".runstone-{os.urandom(8).hex()}.part")
    try:
        partial.write_bytes(data)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_file(stub: Any, owner: artifact_pb2.Owner, path: str, sha256: str = "") -> bytes:
    """A whole file, held in memory and checked; that of the digest, when one is given.

    Raises as ``download`` does; with no digest, a server that is away is not waited for.
    """
    return b"".join(stream_file(stub, owner, path, sha256))


def stream_file(
    stub: Any, owner: artifact_pb2.Owner, path: str, sha256: str = ""
) -> Iterator[bytes | memoryview]:
    """The bytes of a file as they come, taken up where a connection broke.

    Whether they are the committed ones is known behind the last of them. Raises as ``read_file``.
    """
    request = artifact_pb2.DownloadArtifactRequest(owner=owner, path=path, sha256=sha256)
    check: DigestCheck | None = None
    patience = Patience()
    while True:
        try:
            for chunk in stub.DownloadArtifact(request):
                if check is None:
                    check = DigestCheck(chunk.artifact)
                    request.sha256 = chunk.artifact.sha256
                require_whole(chunk, path)
                check.update(chunk.data)
                request.offset += len(chunk.data)
                patience.progressed()
                yield chunk.data
            break
        except RunstoneException as error:
            if not request.sha256:
                raise
            patience.wait(error)
    if check is None:
        raise ObjectDamaged(f"the server sent nothing of {path}")
    check.require()

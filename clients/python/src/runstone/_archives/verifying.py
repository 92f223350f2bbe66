"""Stored files compared: with what was recorded of them, with a folder, or with an archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from runstone._archives.reading import BLOCK_BYTES, looked_through, members
from runstone._transfer import stream_file
from runstone._transfer.check import DigestCheck
from runstone._transfer.local import LocalFile, check_local, files_below
from runstone._transfer.present import is_same
from runstone._transfer.progress import Progress, bar
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import DataLoss, NotFound

DAMAGED = "damaged"
DIFFERENT = "different"
ONLY_STORED = "only stored"
ONLY_LOCAL = "only local"


@dataclass
class Verified:
    """What was found: files and bytes compared, and the problem of each path that has one."""

    checked: int = 0
    size: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    def note(self, path: str, size: int, problem: str = "") -> None:
        """A file was compared."""
        self.checked += 1
        self.size += size
        if problem:
            self.problems[path] = problem


Files = dict[str, artifact_pb2.Artifact]


def verify_stored(stub: Any, owner: artifact_pb2.Owner, files: Files) -> Verified:
    """Read the stored bytes of files and compare them with their recorded digests."""
    verified = Verified()
    with bar("verifying", sum(file.size for file in files.values())) as progress:
        for path, file in files.items():
            problem = ""
            try:
                for block in stream_file(stub, owner, path, file.sha256):
                    progress.advance(len(block))
            except (DataLoss, NotFound) as error:
                problem = f"{DAMAGED}: {error.message}"
            verified.note(path, file.size, problem)
    return verified


def verify_local(files: Files, local: Path, below: str) -> Verified:
    """Compare recorded digests with a folder's files, or those of an archive.

    ``below`` is the directory that the folder stands for. Raises LocalPathError.
    """
    with bar("verifying", sum(file.size for file in files.values())) as progress:
        if not local.is_dir() and not (local.is_file() and below in files):
            return _with_archive(files, local, below, progress)
        check_local(local)
        if local.is_dir():
            found = {each.path: each for each in files_below(local, below)}
        else:
            found = {below: LocalFile(local, below, local.stat().st_size)}
        verified = _missing(files, set(found))
        for path, source in found.items():
            if path in files:
                same = is_same(source, files[path])
                verified.note(path, source.size, "" if same else DIFFERENT)
                progress.advance(files[path].size)
    return verified


def _with_archive(files: Files, archive: Path, below: str, progress: Progress) -> Verified:
    prefix = f"{below}/" if below else ""
    found = {f"{prefix}{each.path}" for each in looked_through(archive)}
    verified = _missing(files, found)
    for member, content in members(archive):
        path = f"{prefix}{member.path}"
        if path not in files:
            continue
        check = DigestCheck(files[path])
        for block in _blocks(content):
            check.update(block)
        same = member.size == files[path].size and check.matches
        verified.note(path, member.size, "" if same else DIFFERENT)
        progress.advance(files[path].size)
    return verified


def _missing(files: Files, local: set[str]) -> Verified:
    verified = Verified()
    for path in sorted(files.keys() ^ local):
        verified.note(path, 0, ONLY_LOCAL if path in local else ONLY_STORED)
    return verified


def _blocks(content: IO[bytes]) -> Iterator[bytes]:
    while block := content.read(BLOCK_BYTES):
        yield block

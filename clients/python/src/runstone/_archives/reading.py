"""Archives of anybody: looked through whole before anything of them is used.

Refused: names that lead elsewhere (absolute, "..", backslashes), links, devices and sparse files,
a name twice or both as a file and a folder, entries with passwords, more than the archive can
honestly hold, and what is cut short or damaged.
"""

from __future__ import annotations

import gzip
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn, cast

from isal import igzip, isal_zlib

from runstone import _zips
from runstone._transfer.local import MAX_NAME_BYTES, MAX_PATH_BYTES
from runstone.exceptions import LocalPathError, LocalPathMissing

MAX_EXPANSION = 100
"""Times its own size that an archive may hold: logs shrink to a twentieth, bombs much further."""

FREE_BYTES = 100_000_000
"""So much any archive may hold, however well it is packed."""

MAX_FILES = 1_000_000
"""What stands below one run; each takes some hundred bytes of memory here."""

MAX_HEADER_BYTES = 2**20
"""Of one entry's long name and attributes, which are read into memory."""

ZIP_HEADER_BYTES = 30
"""Before the data of each entry of a zip, its name left out."""

BLOCK_BYTES = 2**20

ZIP_BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")
GZIP_BEGINNING = b"\x1f\x8b"
TAR_MARK = slice(257, 262)

_ISAL_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]
"""A class, whatever its stub says."""

DAMAGED: tuple[type[Exception], ...] = (
    *_zips.DAMAGED,
    tarfile.TarError,
    _ISAL_ERROR,
    gzip.BadGzipFile,
)
"""What the readers raise for bytes that are no archive of theirs."""

_BAD = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive. ``path`` is an artifact's, ``size`` in bytes."""

    path: str
    size: int


def looked_through(archive: Path, max_bytes: int | None = None) -> list[Member]:
    """All files of an archive, once all of it was read and nothing in it is to be refused.

    Args:
        archive: A tar.gz, tar or zip.
        max_bytes: What it may hold unpacked; else 100 times its size, and 100 MB beyond.

    Raises:
        LocalPathMissing: there is no such file.
        LocalPathError: it is refused; the message says why.
    """
    found: list[Member] = []
    for member, content in members(archive, max_bytes):
        found.append(member)
        while content.read(BLOCK_BYTES):
            pass
    files = {member.path for member in found}
    if len(files) < len(found):
        seen: set[str] = set()
        twice = next(each.path for each in found if each.path in seen or seen.add(each.path))  # type: ignore[func-returns-value]
        _refuse(archive, f"{twice!r} stands in it twice")
    for member in found:
        for parent in PurePosixPath(member.path).parents:
            if str(parent) in files:
                _refuse(archive, f"{str(parent)!r} is both a file and a folder in it")
    return found


def members(archive: Path, max_bytes: int | None = None) -> Iterator[tuple[Member, IO[bytes]]]:
    """The files of an archive in its order, each to be read before the next is asked for.

    Raises as ``looked_through`` does, which is to be called first: what is wrong with an entry is
    told when it comes.
    """
    try:
        with archive.open("rb") as file:
            size = archive.stat().st_size
            allowed = size * MAX_EXPANSION + FREE_BYTES if max_bytes is None else max_bytes
            beginning = file.read(512)
            file.seek(0)
            if beginning.startswith(ZIP_BEGINNINGS):
                entries = _zipped(file, archive, allowed)
            elif beginning.startswith(GZIP_BEGINNING) or beginning[TAR_MARK] == b"ustar":
                entries = _tarred(file, archive, allowed, beginning)
            else:
                _refuse(archive, "it is neither a tar.gz, a tar nor a zip")
            for count, entry in enumerate(entries, start=1):
                if count > MAX_FILES:
                    _refuse(archive, f"it holds more than {MAX_FILES:,} files")
                yield entry
    except LocalPathError:
        raise
    except FileNotFoundError:
        raise LocalPathMissing(f"there is no file {archive}") from None
    except DAMAGED as error:
        _refuse(archive, f"it is damaged ({' '.join(str(error).split()) or 'cut short'})")
    except OSError as error:
        raise LocalPathError(f"{archive} cannot be read: {error.strerror or error}") from None


def _refuse(archive: Path, why: str) -> NoReturn:
    raise LocalPathError(f"the archive {archive} is refused: {why}")


def artifact_path(name: str) -> str | None:
    """The path that an entry's name is, None when it is none. A leading "./" is left out."""
    while name.startswith("./"):
        name = name[2:]
    if _BAD.search(name) or len(name.encode()) > MAX_PATH_BYTES:
        return None
    parts = name.split("/")
    if any(part in ("", ".", "..") or len(part.encode()) > MAX_NAME_BYTES for part in parts):
        return None
    return name


def _path_of(archive: Path, name: str) -> str:
    path = artifact_path(name)
    if path is None:
        _refuse(archive, f"the name {name!r:.200} in it is no path of an artifact")
    return path


class _Budget:
    """What may still be unpacked."""

    def __init__(self, archive: Path, allowed: int) -> None:
        self._archive = archive
        self._allowed = self._left = allowed

    def take(self, size: int) -> None:
        """So much was unpacked."""
        self.require(size)
        self._left -= size

    def require(self, size: int) -> None:
        """Refuse the archive unless so much more may be unpacked."""
        if size > self._left:
            _refuse(
                self._archive,
                f"it unpacks to more than {self._allowed:,} bytes, which no honest archive of its"
                " size does (--max-unpacked-bytes allows more)",
            )


def _zipped(file: IO[bytes], archive: Path, allowed: int) -> Iterator[tuple[Member, IO[bytes]]]:
    budget = _Budget(archive, allowed)
    with zipfile.ZipFile(file) as opened:
        entries = opened.infolist()
        budget.take(sum(each.file_size for each in entries))
        _refuse_overlaps(entries, archive)
        for entry in entries:
            mode = entry.external_attr >> 16
            if entry.compress_type not in _zips.METHODS:
                why = "is packed by a method other than deflate"
                _refuse(archive, f"{entry.filename!r:.200} in it {why}")
            if entry.is_dir():
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                _refuse(archive, f"{entry.filename!r:.200} in it is a link or a device")
            if entry.flag_bits & 1:
                _refuse(archive, f"{entry.filename!r:.200} in it needs a password")
            member = Member(_path_of(archive, entry.filename), entry.file_size)
            with opened.open(entry) as content:
                yield member, content


def _refuse_overlaps(entries: Iterable[zipfile.ZipInfo], archive: Path) -> None:
    ordered = sorted(entries, key=lambda each: each.header_offset)
    for one, other in pairwise(ordered):
        if one.header_offset + ZIP_HEADER_BYTES + one.compress_size > other.header_offset:
            _refuse(archive, f"{one.filename!r:.200} and {other.filename!r:.200} share bytes")


class _Header(tarfile.TarInfo):
    """An entry whose long name and attributes are refused when they would fill the memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in (*EXTENDED, tarfile.GNUTYPE_SPARSE) and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError("an entry with endless attributes")
        found: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return found


EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def _tarred(
    file: IO[bytes], archive: Path, allowed: int, beginning: bytes
) -> Iterator[tuple[Member, IO[bytes]]]:
    budget = _Budget(archive, allowed)
    with _unpacked(file, beginning) as unpacked:
        counted = _Counted(unpacked, budget)
        with tarfile.open(fileobj=cast("IO[bytes]", counted), mode="r|", tarinfo=_Header) as opened:
            for entry in opened:
                forget_headers(opened)
                if entry.isdir():
                    continue
                if not entry.isreg() or entry.issparse():
                    _refuse(archive, f"{entry.name!r:.200} in it is a link or a device")
                budget.require(entry.size)
                member = Member(_path_of(archive, entry.name), entry.size)
                content = opened.extractfile(entry)
                assert content is not None, "a regular file can be read"
                yield member, content
            # Readers stop at the mark of the end. Behind it stands gzip's own digest, and nothing
            # else: what another reader might find there is not what was looked through.
            assert opened.fileobj is not None, "it was read from"
            while rest := opened.fileobj.read(BLOCK_BYTES):
                if rest.strip(b"\0"):
                    _refuse(archive, "something stands in it behind its end")


def forget_headers(archive: tarfile.TarFile) -> None:
    """Let go of the headers of all entries so far, which tarfile keeps and nobody asks for."""
    kept: list[tarfile.TarInfo] = vars(archive)["members"]
    kept.clear()


@contextmanager
def _unpacked(file: IO[bytes], beginning: bytes) -> Iterator[IO[bytes]]:
    if not beginning.startswith(GZIP_BEGINNING):
        yield file
        return
    with igzip.IGzipFile(fileobj=file, mode="rb") as unpacked:  # type: ignore[no-untyped-call]
        yield cast("IO[bytes]", unpacked)


class _Counted:
    """A file whose bytes count against a budget, headers and padding too."""

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
        self._file = file
        self._budget = budget

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, BLOCK_BYTES))
        self._budget.take(len(data))
        return data

"""Archives from stored files: streamed, and the same bytes whenever the files are the same.

Nothing in them tells when or by whom they were made: entries stand in the order of their paths, at
the beginning of 1980 (zip knows nothing earlier) or 1970, with mode 0644 and no owner.
"""

from __future__ import annotations

import contextlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, Literal, Protocol

from isal import igzip

from runstone._archives.reading import forget_headers

Kind = Literal["tar.gz", "zip"]
KINDS: tuple[Kind, ...] = ("tar.gz", "zip")

MODE = 0o644
FIRST_DAY = (1980, 1, 1, 0, 0, 0)

GZIP_LEVEL = 1
ZIP_LEVEL = 1
"""Weights hardly shrink, whatever time is spent; texts do at once."""

ZIP64_BYTES = 2**31
"""From here on an entry's header is written in its long form."""

Blocks = Iterable[bytes | memoryview]


class Writer(Protocol):
    """Takes files in the order of their paths."""

    def add(self, path: str, size: int, blocks: Blocks) -> None:
        """The next file; the blocks hold ``size`` bytes."""
        ...


@contextlib.contextmanager
def opened(target: IO[bytes], kind: Kind) -> Iterator[Writer]:
    """An archive written to a file that need not be seekable, whole at the end of the ``with``."""
    if kind == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as zipped:
            yield _Zip(zipped)
        return
    packed = igzip.IGzipFile(  # type: ignore[no-untyped-call]
        filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=target, mtime=0
    )
    with (
        packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tarred,
    ):
        yield _Tar(tarred)


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, path: str, size: int, blocks: Blocks) -> None:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = size, MODE
        self._archive.addfile(entry, _Reading(blocks))
        forget_headers(self._archive)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add(self, path: str, size: int, blocks: Blocks) -> None:
        entry = zipfile.ZipInfo(path, FIRST_DAY)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 3  # Unix, on whatever machine it is made
        entry.external_attr = (stat.S_IFREG | MODE) << 16
        with self._archive.open(entry, "w", force_zip64=size >= ZIP64_BYTES) as writing:
            for block in blocks:
                writing.write(block)


class _Reading(io.RawIOBase):
    """Blocks as a file that can be read."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts: list[memoryview] = []
        while size:
            if not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = memoryview(block)
            taken = self._rest if size < 0 else self._rest[:size]
            self._rest = self._rest[len(taken) :]
            parts.append(taken)
            size -= len(taken) if size > 0 else 0
        return b"".join(parts)

"""Files of runs and model versions, and the care of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file or directory. ``file_size`` in bytes, None for a directory; the digests in hex.

    ``blake3`` is None where the server does not know it yet.
    """

    path: str
    is_dir: bool
    file_size: int | None = None
    sha256: str | None = None
    creation_time: int | None = None
    blake3: str | None = None


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A range of a file to be sent by HTTP PUT. ``offset`` and ``size`` in bytes."""

    part_number: int
    offset: int
    size: int
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload under way: bytes are safe up to ``offset``, or ``parts`` are still to be sent."""

    upload_id: str
    offset: int
    size: int
    parts: list[UploadPart] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DownloadUrl:
    """Where a file can be read by HTTP GET for an hour."""

    file: FileInfo
    url: str


@dataclass(frozen=True, slots=True)
class FileTotals:
    """How many files, and the bytes that they have together."""

    count: int
    size: int


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """Objects that nothing referred to, their bytes, uploads left behind; call again while more."""

    objects: int
    size: int
    uploads: int
    more: bool


@dataclass(frozen=True, slots=True)
class DamagedObject:
    """A stored object that is not what it was, and up to 10 of the artifacts that refer to it."""

    sha256: str
    problem: str
    artifacts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """Objects and bytes read, what is damaged, and the ``token`` to go on with (None: all seen)."""

    checked: int
    size: int
    damaged: list[DamagedObject]
    token: str | None

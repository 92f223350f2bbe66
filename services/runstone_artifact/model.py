"""What the artifact service speaks of. Sizes are bytes, times are Unix milliseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

KEY = re.compile(r"[0-9a-f]{32}")
"""An object's key, and an upload's id: hex digits that the service made up."""


MAX_SIZE = 5 * 2**40
"""What S3 takes as one object."""

OTHER_BYTES = "sha256 is "
"""How ``Blob.damage`` begins when the bytes are others."""


class OwnerKind(Enum):
    """Whose files they are; the value is what the database holds."""

    RUN = "run"
    MODEL_VERSION = "model_version"
    LOGGED_MODEL = "logged_model"


_SHOWN = {
    OwnerKind.RUN: "runs",
    OwnerKind.MODEL_VERSION: "versions",
    OwnerKind.LOGGED_MODEL: "models",
}


@dataclass(frozen=True, slots=True)
class Owner:
    """A run, a logged model or a model version, by its id."""

    kind: OwnerKind
    id: str

    @property
    def is_tracked(self) -> bool:
        """Whether the tracking service knows it: it takes files while it is active there.

        A model version takes them from when it is opened until it is sealed.
        """
        return self.kind is not OwnerKind.MODEL_VERSION

    def __str__(self) -> str:
        return f"{_SHOWN[self.kind]}/{self.id}"


@dataclass(frozen=True, slots=True)
class File:
    """A committed file of an owner; ``blake3`` is empty where it is not known yet."""

    path: str
    sha256: str
    size: int
    create_ms: int
    blake3: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory: it exists because files stand below it."""

    path: str


Found = File | Directory
"""What may stand at a path."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes by their digest, and where they lie: ``size`` bytes of an object from ``offset``.

    ``whole`` says that the object holds nothing else, so that it may be given out by URL.
    ``damage`` is what was found wrong with the bytes, empty when nothing was; ``blake3`` is empty
    where it is not known yet.
    """

    sha256: str
    size: int
    object_key: str
    offset: int = 0
    whole: bool = True
    damage: str = ""
    blake3: str = ""

    @property
    def has_other_bytes(self) -> bool:
        """Whether the bytes were read and were others. What is missing or short shows by itself."""
        return self.damage.startswith(OTHER_BYTES)

    def misfit(self, object_size: int | None) -> str:
        """What is wrong when its object has this size, or (None) is not there."""
        if object_size is None:
            return "missing"
        found = object_size if self.whole else min(object_size - self.offset, self.size)
        return "" if found == self.size else f"size {max(found, 0)} instead of {self.size}"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be committed: its bytes are stored under the digest already."""

    path: str
    sha256: str
    size: int
    blake3: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A small file as sent, with the digests that were computed from its bytes."""

    path: str
    data: bytes
    sha256: str
    blake3: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the object store lists it."""

    key: str
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multi-part upload that the object store holds."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class PartUrl:
    """A part still to be sent, and where to."""

    number: int
    offset: int
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload under way.

    ``sha256`` is the digest the client promised, ``found_sha256`` and ``found_blake3`` are computed
    from the bytes; each is empty when unknown. ``offset`` bytes are durable. ``part_size`` and
    ``multipart_id`` belong to the object store (0 and "" when it has no parts). ``part_count`` is
    set where the client cuts the parts: then the size is known at commit only. ``artifact`` is set
    once committed.
    """

    upload_id: str
    owner: Owner
    path: str
    size: int
    object_key: str
    update_ms: int
    sha256: str = ""
    presigned: bool = False
    part_size: int = 0
    multipart_id: str = ""
    part_count: int = 0
    offset: int = 0
    found_sha256: str = ""
    found_blake3: str = ""
    parts: tuple[Part, ...] = ()
    artifact: File | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """Answer of a begun upload: an upload to go on with, or the file committed already."""

    upload: Upload | None = None
    artifact: File | None = None
    urls: tuple[PartUrl, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """How many files or objects, and their bytes together."""

    count: int = 0
    size: int = 0

    def plus(self, count: int, size: int) -> Totals:
        """The sum."""
        return Totals(self.count + count, self.size + size)


@dataclass(frozen=True, slots=True)
class Collected:
    """What garbage collection removed, or would remove."""

    objects: Totals
    uploads: int
    more: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """A stored blob that is not what it was, and at most ten files that refer to it."""

    sha256: str
    problem: str
    artifacts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a scrub saw; ``next_page_token`` is empty when it saw everything."""

    checked: Totals
    damaged: list[Damage] = field(default_factory=list)
    next_page_token: str = ""

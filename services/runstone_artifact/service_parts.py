"""Parts of uploads by URL: which ranges they are, and whether they are what the client sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isal.isal_zlib import crc32

from runstone_artifact.model import MAX_SIZE, Part, Upload
from runstone_kit.errors import invalid_field

MIN_CLIENT_PART = 5 * 2**20
"""What S3 wants of every part but the last."""


def cut_by_client(upload: Upload, sent: Sequence[Part], etags: Sequence[str]) -> Upload:
    """The upload with these parts and its size. Raises InvalidArgument.

    Args:
        upload: One whose client cuts the parts.
        sent: What the store holds.
        etags: What the store answered to the client for every part.
    """
    parts = {part.number: part for part in sent}
    if len(etags) != upload.part_count:
        raise invalid_field("part_etags", f"must be {upload.part_count}, not {len(etags)}")
    for number, etag in enumerate(etags, start=1):
        part = parts.get(number)
        if part is None or part.etag != etag.strip('"'):
            raise invalid_field("part_etags", f"do not name part {number} as the store has it")
        if part.size < MIN_CLIENT_PART and number < upload.part_count:
            raise invalid_field(
                "part_etags",
                f"name part {number} of {part.size} bytes; all but the last need {MIN_CLIENT_PART}",
            )
    size = sum(part.size for part in parts.values())
    if size > MAX_SIZE:
        raise invalid_field("part_etags", f"name {size} bytes; at most {MAX_SIZE} are taken")
    return replace(upload, size=size, parts=tuple(parts[number] for number in sorted(parts)))


class PartChecks:
    """CRC-32 of each of consecutive ranges."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._left = list(sizes)
        self.found: list[int] = [0] if sizes else []

    def update(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest and self.found:
            at = len(self.found) - 1
            taken = rest[: self._left[at]]
            self.found[at] = crc32(taken, self.found[at])
            self._left[at] -= len(taken)
            rest = rest[len(taken) :]
            if self._left[at] == 0:
                if at + 1 == len(self._left):
                    return
                self.found.append(0)


def ranges_of(upload: Upload) -> list[tuple[int, int, int]]:
    """(number, offset, size) of an upload's parts."""
    return [
        (index + 1, offset, min(upload.part_size, upload.size - offset))
        for index, offset in enumerate(range(0, upload.size, upload.part_size))
    ]

"""Journal files: ``NNNNNNNN.journal``, frame after frame, little-endian.

    marker u16 | type u8 | zero u8 | length u32 | crc32 u32 | payload of that length

The checksum is over the first eight bytes and the payload. A reader that finds damage goes on at
the next place where marker, zero byte, length and checksum agree.

    RUN     run u32 | rank i32 (-1: none) | run id, UTF-8
    KEYS    key set u32 | keys, UTF-8, each ended by a tab
    POINTS  run u32 | key set u32 | step i64 | timestamp i64, unix ms | a double for each key

Numbers of runs and key sets are those of one file: it says what each means before it uses it, twice
over, and says it again every megabyte: damage to one copy costs nothing, and to both no more than
that. A number never changes its meaning within a file. Types from 16 on are kept for what is no
point (JSON payloads); a reader passes over a type that it does not know.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

VERSION = 1
"""In meta.json. A reader refuses a journal of a later one."""

MARKER = 0x5AC3
"""Begins a frame; as bytes it is in no UTF-8 text, so never in a key or a run id."""

RUN = 1
KEYS = 2
POINTS = 3

FIRST_OTHER = 16
"""Types from here on hold JSON and are no points."""

HEADER = struct.Struct("<HBBII")
"""marker, type, zero, length of the payload, checksum"""

KIND_OFFSET = 2
CHECKED = 8
"""Bytes of the header that the checksum covers."""

RUN_HEAD = struct.Struct("<Ii")
KEYS_HEAD = struct.Struct("<I")
POINTS_HEAD = struct.Struct("<IIqq")
"""run, key set, step, timestamp; the values follow"""

MAX_PAYLOAD = 2**23
"""A length beyond it is damage: 10,000 keys of the longest take a third of it."""

FILE_BYTES = 2**24
"""A file that has reached this is followed by the next."""

NO_RANK = -1

_MARK = struct.pack("<H", MARKER)
_NAME = re.compile(r"(\d{8,})\.journal")


def file_path(folder: Path, number: int) -> Path:
    """The journal file with a number."""
    return folder / f"{number:08d}.journal"


def file_numbers(folder: Path) -> list[int]:
    """The numbers of a journal's files, oldest first. They begin with 1 and have no gaps, except
    that the first ones are deleted when they are delivered.
    """
    matches = (_NAME.fullmatch(each.name) for each in folder.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def seed(kind: int, length: int) -> tuple[bytes, int]:
    """The first eight bytes of a frame, and their checksum, from which the payload's goes on."""
    head = HEADER.pack(MARKER, kind, 0, length, 0)[:CHECKED]
    return head, zlib.crc32(head)


def frame(kind: int, payload: bytes) -> bytes:
    """A whole frame."""
    head, begun = seed(kind, len(payload))
    return head + struct.pack("<I", zlib.crc32(payload, begun)) + payload


def run_frame(number: int, run_id: str, rank: int = NO_RANK) -> bytes:
    """Says which run and rank a number of this file means."""
    return frame(RUN, RUN_HEAD.pack(number, rank) + run_id.encode())


def keys_frame(number: int, keys: tuple[str, ...]) -> bytes:
    """Says which keys, and in which order, a number of this file means."""
    return frame(KEYS, KEYS_HEAD.pack(number) + "".join(f"{key}\t" for key in keys).encode())


def points_frame(
    run: int, key_set: int, step: int, timestamp_ms: int, values: list[float] | tuple[float, ...]
) -> bytes:
    """One point of each key of a set."""
    head = POINTS_HEAD.pack(run, key_set, step, timestamp_ms)
    return frame(POINTS, head + struct.pack(f"<{len(values)}d", *values))


def read_run(payload: bytes) -> tuple[int, str, int]:
    """Number, run id and rank of a RUN frame. Raises ValueError."""
    if len(payload) <= RUN_HEAD.size:
        raise ValueError("a RUN frame without a run id")
    number, rank = RUN_HEAD.unpack_from(payload)
    return number, payload[RUN_HEAD.size :].decode(), rank


def read_keys(payload: bytes) -> tuple[int, tuple[str, ...]]:
    """Number and keys of a KEYS frame. Raises ValueError."""
    if len(payload) <= KEYS_HEAD.size or not payload.endswith(b"\t"):
        raise ValueError("a KEYS frame without keys")
    (number,) = KEYS_HEAD.unpack_from(payload)
    return number, tuple(payload[KEYS_HEAD.size : -1].decode().split("\t"))


def frame_end(data: bytes, start: int) -> int | None:
    """Where the frame that begins at ``start`` ends; None when no whole good frame begins there."""
    if len(data) - start < HEADER.size:
        return None
    marker, kind, zero, length, checksum = HEADER.unpack_from(data, start)
    if marker != MARKER or zero or not kind or length > MAX_PAYLOAD:
        return None
    body = start + HEADER.size
    end = body + length
    if end > len(data):
        return None
    view = memoryview(data)
    begun = zlib.crc32(view[start : start + CHECKED])
    return end if zlib.crc32(view[body:end], begun) == checksum else None


def is_begun(data: bytes) -> bool:
    """Whether this is the beginning of a frame that was not written to its end."""
    if len(data) < HEADER.size:
        return data.startswith(_MARK) or _MARK.startswith(data)
    marker, kind, zero, length, checksum = HEADER.unpack_from(data)
    if marker != MARKER or zero or not kind or length > MAX_PAYLOAD:
        return False
    missing: int = HEADER.size + length - len(data)
    # A whole frame whose length is damaged looks the same, but for its checksum.
    _, begun = seed(kind, len(data) - HEADER.size)
    return missing > 0 and zlib.crc32(data[HEADER.size :], begun) != checksum


def next_frame(data: bytes, start: int) -> int | None:
    """Where the first good frame at or after ``start`` begins; None when there is none."""
    place = data.find(_MARK, start)
    while place >= 0:
        if frame_end(data, place) is not None:
            return place
        place = data.find(_MARK, place + 1)
    return None

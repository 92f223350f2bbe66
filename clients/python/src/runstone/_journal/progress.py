"""What the sender tells the owner, and what the owner keeps of points that were dropped.

Two small files of a fixed size, written in place by one process and read by another: ``progress``
by the sender, ``dropped`` by the owner. Each write is one pwrite of the whole, with a checksum; who
reads half of one reads again. They are made whole with the folder, so that they can be written
when the disk is full.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

PROGRESS = "progress"
DROPPED = "dropped"

ERROR_BYTES = 512
"""Of the last error's text; longer ones are cut."""

_ATTEMPTS = 100
"""A write takes microseconds; whoever reads torn bytes this often reads a damaged file."""

_PROGRESS = struct.Struct(f"<8s IQ IQ QQQ Q q q I H{ERROR_BYTES}s")
_DROPPED = struct.Struct("<8s Q q q")
_CHECK = struct.Struct("<I")
_MAGIC = b"RSPROG01"
_MAGIC_DROPPED = b"RSDROP01"


class Position(NamedTuple):
    """A place in a journal: before it, everything."""

    file: int = 0
    offset: int = 0


START = Position()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sender is.

    Args:
        delivered: Up to here everything is on the server, refused, or put aside as damaged.
        synced: Up to here everything is on this machine's disk.
        points_delivered: Points that the server has taken. A sender that was killed may count
            those of its last batch twice; the server has them once.
        points_rejected: Points that the server refused for good; they are in ``rejected/``.
        batches_rejected: In how many batches.
        bytes_damaged: Bytes of the journal that could not be read; they are in ``rejected/``.
        updated_ms: When the sender wrote this; Unix milliseconds, 0 before it did.
        error_ms: When the last error happened.
        pid: Of the sender; 0 before there was one.
        error: Why nothing is delivered at the moment, or what was rejected last; empty when all is
            well.
    """

    delivered: Position = START
    synced: Position = START
    points_delivered: int = 0
    points_rejected: int = 0
    batches_rejected: int = 0
    bytes_damaged: int = 0
    updated_ms: int = 0
    error_ms: int = 0
    pid: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The receipt: how many points found no room, and when the first and the last were logged."""

    points: int = 0
    first_ms: int = 0
    last_ms: int = 0


def create(folder: Path) -> None:
    """Make both files in a new folder, with their blocks on disk."""
    for name, data in ((PROGRESS, _encoded(Progress())), (DROPPED, _receipt(Dropped()))):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


def read(folder: Path) -> Progress:
    """How far the sender of a folder is; nothing done when there is no such file."""
    try:
        reader = ProgressReader(folder)
    except FileNotFoundError:
        return Progress()
    try:
        return reader.read()
    finally:
        reader.close()


class ProgressReader:
    """The owner's view of ``progress``: one pread for each look."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / PROGRESS, os.O_RDONLY | os.O_CLOEXEC)
        self._last = Progress()

    def read(self) -> Progress:
        """How far the sender is now; what was read last when the file is damaged."""
        for _ in range(_ATTEMPTS):
            data = os.pread(self._descriptor, _PROGRESS.size + _CHECK.size, 0)
            found = _decoded(data)
            if found is not None:
                self._last = found
                break
        return self._last

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


class ProgressWriter:
    """The sender's side. Goes on from what a sender before has written; writes at every call."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / PROGRESS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        data = os.pread(self._descriptor, _PROGRESS.size + _CHECK.size, 0)
        self.now = replace(_decoded(data) or Progress(), pid=os.getpid())
        self._write()

    def at(self, file: int, offset: int) -> None:
        """Everything before this place is done: taken by the server, refused, or damaged."""
        self.now = replace(self.now, delivered=Position(file, offset))
        self._write()

    def synced(self, file: int, offset: int) -> None:
        """Everything before this place is on disk."""
        self.now = replace(self.now, synced=Position(file, offset))
        self._write()

    def delivered(self, points: int) -> None:
        """The server has taken so many more."""
        self.now = replace(self.now, points_delivered=self.now.points_delivered + points)
        self._write()

    def rejected(self, points: int, message: str) -> None:
        """The server refuses these for good."""
        self.now = replace(
            self.now,
            points_rejected=self.now.points_rejected + points,
            batches_rejected=self.now.batches_rejected + 1,
        )
        self.error(message)

    def damaged(self, size: int) -> None:
        """So many bytes more could not be read."""
        self.now = replace(self.now, bytes_damaged=self.now.bytes_damaged + size)
        self._write()

    def error(self, message: str) -> None:
        """Why nothing is delivered, or what was refused; an empty text says that all is well."""
        when = int(time.time() * 1000) if message else self.now.error_ms
        self.now = replace(self.now, error=message, error_ms=when)
        self._write()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _write(self) -> None:
        self.now = replace(self.now, updated_ms=int(time.time() * 1000))
        os.pwrite(self._descriptor, _encoded(self.now), 0)


class Receipt:
    """The owner's side of ``dropped``: counts each point that found no room."""

    def __init__(self, folder: Path) -> None:
        # Open from the beginning: there may be no descriptor left when it is needed.
        self._descriptor = os.open(folder / DROPPED, os.O_WRONLY | os.O_CLOEXEC)
        self.now = Dropped()

    def add(self, points: int, timestamp_ms: int) -> None:
        """So many points of this time were not kept."""
        before = self.now if self.now.points else Dropped(0, timestamp_ms, timestamp_ms)
        self.now = Dropped(
            before.points + points,
            min(before.first_ms, timestamp_ms),
            max(before.last_ms, timestamp_ms),
        )
        os.pwrite(self._descriptor, _receipt(self.now), 0)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def dropped(folder: Path) -> Dropped:
    """The receipt in a folder; none dropped when there is no such file."""
    size = _DROPPED.size + _CHECK.size
    for _ in range(_ATTEMPTS):
        try:
            data = (folder / DROPPED).read_bytes()
        except FileNotFoundError:
            break
        if len(data) >= size and _sealed(data, _DROPPED.size):
            magic, points, first, last = _DROPPED.unpack_from(data)
            if magic == _MAGIC_DROPPED:
                return Dropped(points, first, last)
    return Dropped()


def _encoded(now: Progress) -> bytes:
    text = now.error.encode()[:ERROR_BYTES]
    data = _PROGRESS.pack(
        _MAGIC,
        *now.delivered,
        *now.synced,
        now.points_delivered,
        now.points_rejected,
        now.batches_rejected,
        now.bytes_damaged,
        now.updated_ms,
        now.error_ms,
        now.pid,
        len(text),
        text,
    )
    return data + _CHECK.pack(zlib.crc32(data))


def _decoded(data: bytes) -> Progress | None:
    if len(data) < _PROGRESS.size + _CHECK.size or not _sealed(data, _PROGRESS.size):
        return None
    magic, file, offset, synced_file, synced_offset, *rest = _PROGRESS.unpack_from(data)
    if magic != _MAGIC:
        return None
    points, rejected, batches, damage, updated, failed, pid, length, text = rest
    return Progress(
        Position(file, offset),
        Position(synced_file, synced_offset),
        points,
        rejected,
        batches,
        damage,
        updated,
        failed,
        pid,
        text[:length].decode("utf-8", "replace"),
    )


def _receipt(now: Dropped) -> bytes:
    data = _DROPPED.pack(_MAGIC_DROPPED, now.points, now.first_ms, now.last_ms)
    return data + _CHECK.pack(zlib.crc32(data))


def _sealed(data: bytes, size: int) -> bool:
    (checksum,) = _CHECK.unpack_from(data, size)
    return zlib.crc32(data[:size]) == int(checksum)

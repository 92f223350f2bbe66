"""Read on in a journal that is still being written."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from runstone._journal import format as frames
from runstone._sender.batch import Batch, Columns, row_bytes

READ_BYTES = 2**19
"""Of the file at a time: a sender's memory holds this, and the columns made of it."""

BEHIND_BYTES = 2**18
"""With more than this unread there is no waiting for company."""


class Tail:
    """The place in a journal up to which its points were taken.

    Files that were taken are deleted, unless they are to be kept.

    What is neither a frame nor the beginning of one is damage as soon as a frame follows, or
    nothing more can follow. It is put into ``damage`` and left out of the batch.
    """

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        self.folder = folder
        self._keep = keep
        self.file = 0
        self.offset = 0
        self.final = False
        """Nothing more will be written to the last file."""
        self.damage: list[tuple[int, bytes]] = []
        self._descriptor = -1
        self._runs: dict[int, tuple[str, int]] = {}
        self._keys: dict[int, tuple[str, ...]] = {}
        # Of the batch that is being filled; the numbers are those of this file.
        self._columns: dict[tuple[int, int], Columns] = {}
        self._batch: Batch | None = None

    def numbers(self) -> list[int]:
        """The journal's files, oldest first."""
        return frames.file_numbers(self.folder)

    def open(self, file: int, offset: int) -> bool:
        """Go to a place; a file that was delivered and deleted is followed by the next one."""
        later = [number for number in self.numbers() if number >= file]
        for number in self.numbers():
            if number < file and not self._keep:
                # Delivered; the sender before was killed before it could delete it.
                frames.file_path(self.folder, number).unlink(missing_ok=True)
        self.close()
        if not later:
            self.file, self.offset = file, offset
            return False
        self._descriptor = os.open(
            frames.file_path(self.folder, later[0]), os.O_RDONLY | os.O_CLOEXEC
        )
        self.file, self.offset = later[0], 0
        self._runs, self._keys = {}, {}
        self._batch, self._columns = None, {}
        if later[0] == file and offset:
            # What runs and keys mean is said before the place.
            self.take(Batch(), until=offset)
            self.damage.clear()
        return True

    @property
    def is_open(self) -> bool:
        """Whether there is a file to read."""
        return self._descriptor >= 0

    def has_next(self) -> bool:
        """Whether a later file was begun: this one is not written to any more."""
        return any(number > self.file for number in self.numbers())

    def advance(self) -> None:
        """Everything of this file was delivered: delete it and go to the next."""
        done = self.file
        if not self.open(done + 1, 0):
            self.file, self.offset = done + 1, 0
        if not self._keep:
            frames.file_path(self.folder, done).unlink(missing_ok=True)

    def unread(self) -> int:
        """Bytes of this file that were not taken yet."""
        return os.fstat(self._descriptor).st_size - self.offset if self.is_open else 0

    def checksum(self, start: int, end: int) -> int:
        """Of a range of this file as it is now."""
        found = 0
        while start < end and (
            data := os.pread(self._descriptor, min(READ_BYTES, end - start), start)
        ):
            found = zlib.crc32(data, found)
            start += len(data)
        return found

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def take(self, batch: Batch, *, most: int | None = None, until: int | None = None) -> None:
        """Put the frames from here on into a batch, until it is ``most`` big or the place comes."""
        ended = self.final or self.has_next() or until is not None
        while self.is_open and (until is None or self.offset < until):
            if most is not None and batch.request_bytes >= most:
                return
            room = READ_BYTES if until is None else min(READ_BYTES, until - self.offset)
            data = os.pread(self._descriptor, room, self.offset)
            if len(data) < READ_BYTES:
                used = self._read(data, batch, most, whole=ended)
            else:
                used = self._read(data, batch, most, whole=False)
                if not used:
                    # A frame longer than what is read at a time, or none within all of it.
                    end = os.fstat(self._descriptor).st_size if until is None else until
                    data = os.pread(self._descriptor, end - self.offset, self.offset)
                    used = self._read(data, batch, most, whole=ended)
            if not used:
                return
            self.offset += used

    def _read(self, data: bytes, batch: Batch, most: int | None, *, whole: bool) -> int:
        """How many bytes were used. ``whole``: nothing follows that could complete a frame."""
        view = memoryview(data)
        place = 0
        while place < len(data):
            if most is not None and batch.request_bytes >= most:
                break
            end = frames.frame_end(data, place)
            if end is None:
                following = frames.next_frame(data, place + 1)
                if following is None and not whole:
                    break
                end = len(data) if following is None else following
                if following is not None or not self._is_torn(data[place:]):
                    self._put_aside(place, data[place:end])
            elif not self._frame(data[place + frames.KIND_OFFSET], view, place, end, batch):
                self._put_aside(place, data[place:end])
            place = end
        return place

    def _frame(self, kind: int, view: memoryview, start: int, end: int, batch: Batch) -> bool:
        """Use a frame; False when it says what no writer says."""
        payload = view[start + frames.HEADER.size : end]
        if kind == frames.POINTS:
            return self._points(payload, batch)
        try:
            if kind == frames.RUN:
                number, run_id, rank = frames.read_run(bytes(payload))
                self._runs[number] = (run_id, rank)
            elif kind == frames.KEYS:
                number, keys = frames.read_keys(bytes(payload))
                self._keys[number] = keys
        except ValueError:
            return False
        return True

    def _points(self, payload: memoryview, batch: Batch) -> bool:
        if len(payload) < frames.POINTS_HEAD.size:
            return False
        run, keys, step, timestamp_ms = frames.POINTS_HEAD.unpack_from(payload)
        place = (run, keys)
        if batch is not self._batch:
            self._batch, self._columns = batch, {}
        columns = self._columns.get(place)
        if columns is None:
            # Said in a part of the file that is damaged.
            if run not in self._runs or keys not in self._keys:
                return False
            columns = batch.columns(*self._runs[run], self._keys[keys])
            self._columns[place] = columns
        if len(payload) != frames.POINTS_HEAD.size + 8 * len(columns.keys):
            return False
        columns.add(step, timestamp_ms, payload[frames.POINTS_HEAD.size :])
        batch.request_bytes += row_bytes(columns.keys)
        return True

    def _is_torn(self, data: bytes) -> bool:
        """Whether the owner was killed as it wrote this: its call has not returned."""
        return self.final and not self.has_next() and frames.is_begun(data)

    def _put_aside(self, place: int, data: bytes) -> None:
        # What was made ready and not written is no damage.
        if data.strip(b"\0"):
            self.damage.append((self.offset + place, data))

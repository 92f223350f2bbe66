"""Read a journal, around what is damaged."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runstone._journal import format as frames
from runstone._journal.progress import START, Position

READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Points:
    """What one ``log_metrics`` wrote: a value for each key."""

    run_id: str
    rank: int | None
    keys: tuple[str, ...]
    step: int
    timestamp_ms: int
    values: array[float]


@dataclass(frozen=True, slots=True)
class Other:
    """A frame that holds no points: its type, and its payload as it is."""

    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame, or points whose run or keys are not known because of such bytes."""

    file: int
    start: int
    end: int


@dataclass(slots=True)
class Stretch:
    """What was read, and where to go on."""

    position: Position
    records: list[Points | Other] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)


class Reader:
    """Reads the journal in a folder; keeps what runs and key sets mean in the file it is in.

    Args:
        folder: The journal's.
        final: Nothing more will be written: what looks unfinished at the end is damage.
    """

    def __init__(self, folder: Path, *, final: bool = False) -> None:
        self.folder = folder
        self.final = final
        self._at = START
        self._runs: dict[int, tuple[str, int]] = {}
        self._keys: dict[int, tuple[str, ...]] = {}

    def read(self, position: Position = START, max_bytes: int = READ_BYTES) -> Stretch:
        """The records from a position on, of one file at most.

        Args:
            position: ``START``, or what a stretch ended with.
            max_bytes: About how much to read; one frame is read however long.

        Returns:
            The records, the damage that was passed over, and where to go on: the same position,
            and nothing else, when there is no more yet.
        """
        numbers = [each for each in frames.file_numbers(self.folder) if each >= position.file]
        if not numbers:
            return Stretch(position)
        start = position if numbers[0] == position.file else Position(numbers[0])
        # Listed before reading: a file that has a successor is not written to any more.
        ended = self.final or len(numbers) > 1
        data = self._data(start, max_bytes)
        if self._at != start:
            self._prepare(start)
        found = Stretch(start)
        used = self._parse(data, found, ended and len(data) < max_bytes)
        if not used and len(data) >= max_bytes:
            data = self._data(start, 2 * frames.MAX_PAYLOAD)
            used = self._parse(data, found, ended)
        found.position = Position(start.file, start.offset + used)
        if not used and len(numbers) > 1:
            found.position = Position(numbers[1])
            self._runs, self._keys = {}, {}
        self._at = found.position
        return found

    def __iter__(self) -> Iterator[Stretch]:
        """Stretch after stretch from the beginning, until there is no more."""
        position = START
        while True:
            found = self.read(position)
            if found.position == position:
                return
            yield found
            position = found.position

    def _data(self, position: Position, size: int) -> bytes:
        descriptor = os.open(
            frames.file_path(self.folder, position.file), os.O_RDONLY | os.O_CLOEXEC
        )
        try:
            return os.pread(descriptor, size, position.offset)
        finally:
            os.close(descriptor)

    def _prepare(self, position: Position) -> None:
        """Learn what was declared before a position."""
        self._runs, self._keys = {}, {}
        if position.offset:
            data = self._data(Position(position.file), position.offset)
            self._parse(data, Stretch(position), True)

    def _parse(self, data: bytes, found: Stretch, ended: bool) -> int:
        """How many bytes were used; ``ended``: nothing follows that could complete a frame."""
        file, offset = found.position
        place = 0
        while place < len(data):
            end = frames.frame_end(data, place)
            if end is not None:
                if not self._record(data, place, end, found):
                    found.damage.append(Damage(file, offset + place, offset + end))
                place = end
                continue
            following = frames.next_frame(data, place + 1)
            if following is None and not ended:
                break
            end = len(data) if following is None else following
            found.damage.append(Damage(file, offset + place, offset + end))
            place = end
        return place

    def _record(self, data: bytes, start: int, end: int, found: Stretch) -> bool:
        """Take one frame; False when it means nothing."""
        kind = data[start + frames.KIND_OFFSET]
        payload = data[start + frames.HEADER.size : end]
        try:
            if kind == frames.POINTS:
                found.records.append(self._points(payload))
            elif kind == frames.RUN:
                number, run_id, rank = frames.read_run(payload)
                self._runs[number] = run_id, rank
            elif kind == frames.KEYS:
                number, keys = frames.read_keys(payload)
                self._keys[number] = keys
            else:
                found.records.append(Other(kind, payload))
        except (ValueError, KeyError):
            return False
        return True

    def _points(self, payload: bytes) -> Points:
        """Raises KeyError for a run or key set that was not declared, ValueError for nonsense."""
        if len(payload) < frames.POINTS_HEAD.size:
            raise ValueError("a POINTS frame without its head")
        run, key_set, step, timestamp_ms = frames.POINTS_HEAD.unpack_from(payload)
        run_id, rank = self._runs[run]
        keys = self._keys[key_set]
        values = array("d", payload[frames.POINTS_HEAD.size :])
        if len(values) != len(keys):
            raise ValueError("a POINTS frame with another number of values than of keys")
        return Points(
            run_id, None if rank == frames.NO_RANK else rank, keys, step, timestamp_ms, values
        )

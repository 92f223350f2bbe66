"""Points at rest: chunks, and the segments that are to become some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from runstone_tracking.model_metrics import NO_RANK, RANK_MARK

Place = tuple[int, int, int]
"""Step, timestamp and bits of the value as int64: where a point stands in its series."""


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """Where a chunk of a run is, and what its points span.

    ``name`` is its series' (see ``series_name``) and ``number`` tells it from that one's others;
    ``first`` and ``last`` are the places of its first and its last point, and the chunks of a
    series are disjoint by them.
    """

    name: str
    number: int
    count: int
    first: Place
    last: Place
    min_timestamp_ms: int
    max_timestamp_ms: int

    @property
    def rank(self) -> int:
        """The series' rank, or NO_RANK."""
        rank = self.name.partition(RANK_MARK)[2]
        return int(rank) if rank else NO_RANK


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk ready to be stored: ``points`` and one of ``levels`` each as the codec made them.

    ``levels`` is empty for a chunk that is read whole as fast.
    """

    ref: ChunkRef
    points: bytes
    levels: tuple[bytes, ...] = ()


SegmentPlace: TypeAlias = tuple[str, int]
"""Writer and sequence."""

FIRST_SEGMENT: SegmentPlace = ("", 0)
"""Before every segment."""


@dataclass(frozen=True, slots=True)
class WaitingSegment:
    """A segment that is not folded yet."""

    writer_id: str
    sequence: int
    points: int

    @property
    def place(self) -> SegmentPlace:
        """Where it stands among a run's segments."""
        return self.writer_id, self.sequence


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment as it is stored."""

    writer_id: str
    sequence: int
    header: bytes
    payload: bytes

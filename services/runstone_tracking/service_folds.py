"""One fold: segments of a run become chunks of its series, in one transaction.

    waiting segments -> points by series -> which chunks they are merged with -> chunks and levels

Everything is read and made first and written in one short transaction, which changes nothing if
anything it was made of is not there any more. So a crash at any line leaves the run as it was, and
two folds of the same run cost work and nothing else.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from runstone_tracking import chunk, pyramid, segment
from runstone_tracking.chunk_merge import Merge, plan
from runstone_tracking.model_chunks import (
    FIRST_SEGMENT,
    ChunkRef,
    NewChunk,
    SegmentPlace,
    StoredSegment,
    WaitingSegment,
)
from runstone_tracking.model_metrics import Columns
from runstone_tracking.segment_history import concatenate
from runstone_tracking.segment_planes import SegmentCorrupt
from runstone_tracking.store import Transactions

MAX_SEGMENTS = 4_000
"""Of one fold. A run of a thousand ranks has as many in four seconds."""

MAX_POINTS = 524_288
"""The same in points: about 60 MB with everything that is made of them."""

LEVELS_FROM = 1_024
"""Points of a chunk worth a pyramid: a smaller one is decoded in a tenth of a millisecond."""

READ_CHUNKS = 64
"""Chunks read at a time, of a quarter to half a megabyte each when they are full."""

Identity = tuple[str, str, int]

_log = logging.getLogger(__name__)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Folded:
    """What a fold did.

    ``segments`` and ``points`` are what came in; ``written`` are the points of the chunks that it
    made and ``size`` their bytes. ``more`` says that segments were left behind ``last``, the last
    one that it looked at.
    """

    segments: int = 0
    points: int = 0
    written: int = 0
    size: int = 0
    more: bool = False
    last: SegmentPlace = FIRST_SEGMENT


class Folds:
    """Folds segments of runs. For one thread."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        max_segments: int = MAX_SEGMENTS,
        max_points: int = MAX_POINTS,
        chunk_points: int = chunk.MAX_POINTS,
    ) -> None:
        self._transactions = transactions
        self._max_segments = max_segments
        self._max_points = max_points
        self._chunk_points = chunk_points
        self._damaged: set[Identity] = set()

    def fold(
        self,
        run_id: str,
        holder: str,
        keep: Callable[[], None] = _nothing,
        after: SegmentPlace = FIRST_SEGMENT,
    ) -> Folded:
        """Fold the first segments of a run behind ``after``, as many as are worth one transaction.

        ``holder`` has claimed the run, and ``keep``, called again and again, keeps it so. A damaged
        segment stays where it is, and is told once. Raises ChangedMeanwhile.
        """
        waiting = self._transactions.read(
            lambda session: session.chunks.waiting(
                run_id, self._max_segments + 1 + len(self._damaged), after
            )
        )
        whole = [each for each in waiting if _identity(run_id, each) not in self._damaged]
        taken = self._first(whole)
        if not taken:
            return Folded()
        last = taken[-1].place
        stored = self._transactions.read(
            lambda session: session.chunks.read_segments(run_id, taken)
        )
        series, damaged = self._decoded(run_id, stored)
        taken = [each for each in taken if _identity(run_id, each) not in damaged]
        old, new = self._merged(run_id, series, keep)
        self._transactions.write(
            lambda session: session.chunks.replace(run_id, taken, old, new, holder)
        )
        return Folded(
            len(taken),
            sum(each.points for each in taken),
            sum(each.ref.count for each in new),
            sum(len(each.points) + sum(map(len, each.levels)) for each in new),
            more=whole[-1].place > last,
            last=last,
        )

    def _first(self, waiting: Sequence[WaitingSegment]) -> list[WaitingSegment]:
        taken: list[WaitingSegment] = []
        points = 0
        for each in waiting[: self._max_segments]:
            points += each.points
            if taken and points > self._max_points:
                break
            taken.append(each)
        return taken

    def _decoded(
        self, run_id: str, stored: Iterable[StoredSegment]
    ) -> tuple[dict[str, list[Columns]], set[Identity]]:
        """The points by series, and the segments that could not be read."""
        series: dict[str, list[Columns]] = defaultdict(list)
        damaged: set[Identity] = set()
        for each in stored:
            try:
                found = segment.decode(each)
            except SegmentCorrupt as error:
                identity = (run_id, each.writer_id, each.sequence)
                _log.error("segment %s stays as it is: %s", identity, error)
                damaged.add(identity)
                continue
            for name, points in found:
                series[name].append(points)
        self._damaged |= damaged
        return series, damaged

    def _merged(
        self, run_id: str, series: dict[str, list[Columns]], keep: Callable[[], None]
    ) -> tuple[list[ChunkRef], list[NewChunk]]:
        """The chunks to be replaced, and those to be written."""
        chunks: dict[str, list[ChunkRef]] = defaultdict(list)
        names = sorted(series)
        for ref in self._transactions.read(lambda session: session.chunks.find(run_id, names)):
            chunks[ref.name].append(ref)
        old: list[ChunkRef] = []
        new: list[NewChunk] = []
        merges: list[tuple[str, Columns, Merge]] = []
        for name in names:
            points = chunk.in_order(concatenate(series.pop(name)))
            of_series = sorted(chunks[name], key=lambda ref: ref.first)
            planned = plan(of_series, points, self._chunk_points)
            merges += ((name, points, merge) for merge in planned)
        for (name, points, merge), before in self._read(run_id, merges):
            keep()
            fresh = _slice(points, merge.start, merge.end)
            merged = chunk.in_order(concatenate([*before, fresh])) if before else fresh
            first = max((ref.number for ref in chunks[name]), default=0) + 1
            made = list(_chunks(name, first, merged, self._chunk_points))
            # So that the next merge of the series counts on.
            chunks[name] += (each.ref for each in made)
            old += merge.chunks
            new += made
        return old, new

    def _read(
        self, run_id: str, merges: Sequence[tuple[str, Columns, Merge]]
    ) -> Iterator[tuple[tuple[str, Columns, Merge], list[Columns]]]:
        """Each merge with the points of its chunks; some chunks are read at a time."""
        at = 0
        while at < len(merges):
            end, refs = at, list[ChunkRef]()
            while end < len(merges) and (
                end == at or len(refs) + len(merges[end][2].chunks) <= READ_CHUNKS
            ):
                refs += merges[end][2].chunks
                end += 1
            data = self._stored(run_id, refs)
            for each in merges[at:end]:
                yield each, [chunk.decode(next(data)) for _ in each[2].chunks]
            at = end

    def _stored(self, run_id: str, refs: Sequence[ChunkRef]) -> Iterator[bytes]:
        if not refs:
            return iter(())
        return iter(self._transactions.read(lambda session: session.chunks.read(run_id, refs)))


def _identity(run_id: str, each: WaitingSegment) -> Identity:
    return run_id, each.writer_id, each.sequence


def _chunks(name: str, number: int, points: Columns, full: int) -> Iterator[NewChunk]:
    """The chunks of points that are in order, numbered from ``number`` on."""
    for place, part in enumerate(chunk.parts(points, full)):
        made = chunk.encode(part)
        levels: tuple[bytes, ...] = ()
        if made.count >= LEVELS_FROM:
            nodes = pyramid.levels(part)
            levels = tuple(pyramid.encode_level(level, each) for level, each in enumerate(nodes))
        ref = ChunkRef(
            name,
            number + place,
            made.count,
            made.first,
            made.last,
            made.min_timestamp_ms,
            made.max_timestamp_ms,
        )
        yield NewChunk(ref, made.payload, levels)


def _slice(points: Columns, start: int, end: int) -> Columns:
    part = slice(start, end)
    return Columns(points.steps[part], points.timestamps_ms[part], points.values[part])

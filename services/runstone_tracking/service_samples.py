"""Samples of series for charts: what its pixels cost, whatever the length.

    pieces of each series -> the range -> of each piece the finest that is worth reading: its points
    (short series, the edges of a range, what is not folded yet) or a level of its pyramid
      -> nodes, each with the number of its bucket -> folded by bucket

A node goes whole into the bucket of its first point. So a bucket tells exactly which points it
holds, and none is ever outside its min and max.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from runstone_kit.validation import INT64_MAX, INT64_MIN
from runstone_tracking import chunk, pyramid, segment
from runstone_tracking.model_chunks import ChunkRef
from runstone_tracking.model_metrics import NO_RANK, Block, Columns, Int64s
from runstone_tracking.model_samples import Axis, Sampled, SampleQuery
from runstone_tracking.pyramid import Nodes
from runstone_tracking.segment_history import concatenate
from runstone_tracking.service_pieces import by_frame, read_ahead, read_pieces
from runstone_tracking.store import Session, Transactions
from runstone_tracking.store_chunks import ChangedMeanwhile

EXACT_POINTS = 131_072
"""Series of at most so many points in the range are divided exactly, as the contract says."""

SERIES = 16
"""Of ranks that are put together, their buckets are held at a time."""

NODES = 16
"""Nodes read for a bucket, at most: the finest level that has no more is read."""

Range = tuple[int, int]

_PLACES = ("first_step", "last_step", "min_timestamp_ms", "max_timestamp_ms")


@dataclass(slots=True)
class Series:
    """The pieces of one series, of one state; ``since`` is added to the axis' numbers."""

    run_id: str
    key: str
    rank: int
    since: int
    chunks: list[ChunkRef] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether it is divided exactly, whatever the range: a fold changes no bucket then, and a
        new point those alone that it is in."""
        points = sum(block.count for block in self.blocks) + sum(ref.count for ref in self.chunks)
        return points <= EXACT_POINTS


class Sampler:
    """Samples series. Thread-safe."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def sample(self, query: SampleQuery) -> Iterator[Sampled]:
        """Runs and keys in the order asked for, ranks ascending. Raises RunNotFound at once."""
        series = [
            each
            for run_id in query.run_ids
            for key in query.keys
            for each in self.find(run_id, key, query)
        ]
        return self.sample_of(series, query)

    def sample_of(
        self, series: Sequence[Series], query: SampleQuery, part: Range | None = None
    ) -> Iterator[Sampled]:
        """The sample of series that ``find`` gave for the same axis.

        ``part`` of the range, whole buckets of it: only these, and the series are exact.
        """
        asked = _range(series, query)
        if asked is None:
            return
        for of_key in _by_key(series) if query.across_ranks else ([each] for each in series):
            nodes, numbers = self._together(of_key, asked, query, part)
            if len(nodes):
                first = of_key[0]
                rank = NO_RANK if query.across_ranks else first.rank
                yield Sampled(first.run_id, first.key, rank, nodes, numbers)

    def _together(
        self, series: Sequence[Series], asked: Range, query: SampleQuery, part: Range | None
    ) -> tuple[Nodes, Int64s]:
        """A node for each bucket that holds a point of any of the series, in order."""
        parts: list[tuple[Nodes, Int64s]] = []
        for each in series:
            parts.append(_by_bucket(*self._nodes(each, asked, query, part)))
            if len(parts) == SERIES:
                parts = [_by_bucket(*_joined(parts))]
        return _by_bucket(*_joined(parts))

    def find(self, run_id: str, key: str, query: SampleQuery) -> list[Series]:
        """The series of a key that are asked for, by rank. Raises RunNotFound."""

        def work(session: Session) -> tuple[int, list[Block], list[ChunkRef]]:
            blocks = session.metrics.find_blocks(run_id, key)
            chunks = session.chunks.find_key(run_id, key, None)
            if query.axis is Axis.RELATIVE_TIME:
                return session.runs.start_time(run_id), blocks, chunks
            if not blocks and not chunks:
                session.runs.start_time(run_id)  # for a run that is not there
            return 0, blocks, chunks

        since, blocks, chunks = self._transactions.read(work, bounded=True)
        found: dict[int, Series] = {}
        wanted = frozenset(query.ranks)
        ranks = {block.rank for block in blocks} | {ref.rank for ref in chunks}
        for rank in sorted(ranks):
            if not wanted or rank in wanted:
                found[rank] = Series(run_id, key, rank, since)
        for block in blocks:
            if block.rank in found:
                found[block.rank].blocks.append(block)
        for each in sorted(chunks, key=lambda ref: ref.first):
            if each.rank in found:
                found[each.rank].chunks.append(each)
        return list(found.values())

    def _nodes(
        self, series: Series, asked: Range, query: SampleQuery, part: Range | None
    ) -> tuple[Nodes, Int64s]:
        """The nodes of a series in the range, and the bucket of each."""
        while True:
            try:
                if part is not None:
                    return self._read_part(series, asked, query, part)
                return self._read(series, asked, query)
            except ChangedMeanwhile:
                again = self.find(series.run_id, series.key, query)
                series = next((each for each in again if each.rank == series.rank), series)

    def _read(self, series: Series, asked: Range, query: SampleQuery) -> tuple[Nodes, Int64s]:
        axis = query.axis
        start, end = (_int64(each + series.since) for each in asked)
        chunks = [each for each in series.chunks if _meets(_chunk_span(each, axis), start, end)]
        blocks = [each for each in series.blocks if _meets(_block_span(each, axis), start, end)]
        inside = [each for each in chunks if _is_within(_chunk_span(each, axis), start, end)]
        count = sum(ref.count for ref in inside) + sum(
            block.count for block in blocks if _is_within(_block_span(block, axis), start, end)
        )
        coarse: list[ChunkRef] = []
        level = 0
        if count > EXACT_POINTS:
            chosen = pyramid.choose_level(count, NODES * query.buckets)
            level = len(pyramid.SIZES) - 1 if chosen is None else chosen
            coarse = inside
        levels = self._levels(series.run_id, coarse, level)
        fine = [each for each in chunks if levels.get(each) is None]
        points = _within(self._points(series.run_id, fine, blocks), axis, start, end)
        buckets = _Buckets(axis, start, end, query.buckets)
        nodes = pyramid.decode_level(level, [data for data in levels.values() if data is not None])
        return _joined([buckets.of_nodes(nodes), buckets.of_points(points)])

    def _read_part(
        self, series: Series, asked: Range, query: SampleQuery, part: Range
    ) -> tuple[Nodes, Int64s]:
        axis = query.axis
        first, last = (_int64(each + series.since) for each in part)
        chunks = [each for each in series.chunks if _meets(_chunk_span(each, axis), first, last)]
        blocks = [each for each in series.blocks if _meets(_block_span(each, axis), first, last)]
        points = _within(self._points(series.run_id, chunks, blocks), axis, first, last)
        start, end = (_int64(each + series.since) for each in asked)
        return _Buckets(axis, start, end, query.buckets).of_points(points)

    def _levels(
        self, run_id: str, chunks: Sequence[ChunkRef], level: int
    ) -> dict[ChunkRef, bytes | None]:
        if not chunks:
            return {}
        stored = self._transactions.read(
            lambda session: session.chunks.read_level(run_id, chunks, level), bounded=True
        )
        return dict(zip(chunks, stored, strict=True))

    def _points(
        self, run_id: str, chunks: Sequence[ChunkRef], blocks: Sequence[Block]
    ) -> Columns | None:
        parts: list[Columns] = []
        ordered, at = by_frame(blocks), 0
        while chunks or at < len(ordered):
            end = read_ahead(ordered, at)
            some = ordered[at:end]
            of_chunks, of_blocks = self._transactions.read(
                partial(read_pieces, run_id, chunks, some), bounded=True
            )
            parts += map(chunk.decode, of_chunks)
            parts += (
                Columns(points.steps, points.timestamps_ms, points.values)
                for points in segment.decode_blocks(some, of_blocks)
            )
            chunks, at = (), end
        return chunk.in_order(concatenate(parts)) if parts else None


class _Buckets:
    """Which bucket a step or a time is in."""

    def __init__(self, axis: Axis, start: int, end: int, count: int) -> None:
        self._axis = axis
        self._start = np.array(start, np.int64).view(np.uint64)
        self._span = end - start + 1
        self._count = count

    def of_nodes(self, nodes: Nodes) -> tuple[Nodes, Int64s]:
        """The nodes, and the bucket of each one's first point."""
        given: Any = nodes
        name = "first_step" if self._axis is Axis.STEP else "min_timestamp_ms"
        return nodes, self._numbers(np.ascontiguousarray(given[name]))

    def of_points(self, points: Columns | None) -> tuple[Nodes, Int64s]:
        """A node for each bucket that holds one of the points, which are ``in_order``."""
        if points is None or not len(points):
            return pyramid.NO_NODES, np.empty(0, np.int64)
        numbers = self._numbers(points.steps if self._axis is Axis.STEP else points.timestamps_ms)
        if (numbers[1:] < numbers[:-1]).any():
            order = np.argsort(numbers, kind="stable")
            numbers = numbers[order]
            points = Columns(points.steps[order], points.timestamps_ms[order], points.values[order])
        starts = _starts(numbers)
        return pyramid.nodes_of(points, starts), numbers[starts]

    def _numbers(self, places: Int64s) -> Int64s:
        above = places.view(np.uint64) - self._start
        if self._span * self._count <= INT64_MAX:
            return above.astype(np.int64) * self._count // self._span
        # A range of years in steps of its own: a border may be off by the rounding of a double.
        share = above.astype(np.float64) * (self._count / self._span)
        return np.minimum(share.astype(np.int64), self._count - 1)


def span_of(series: Iterable[Series], axis: Axis) -> Range | None:
    """The first and the last number of the axis; None when nothing is there."""
    spans = []
    for each in series:
        spans += [_shifted(_chunk_span(ref, axis), each.since) for ref in each.chunks]
        spans += [_shifted(_block_span(block, axis), each.since) for block in each.blocks]
    if not spans:
        return None
    return min(span[0] for span in spans), max(span[1] for span in spans)


def _range(series: Iterable[Series], query: SampleQuery) -> Range | None:
    span = span_of(series, query.axis)
    if span is None:
        return None
    start = span[0] if query.start is None else query.start
    end = span[1] if query.end is None else query.end
    return (start, end) if start <= end else None


def _int64(number: int) -> int:
    return min(max(number, INT64_MIN), INT64_MAX)


def _shifted(span: Range, since: int) -> Range:
    return span[0] - since, span[1] - since


def _chunk_span(ref: ChunkRef, axis: Axis) -> Range:
    if axis is Axis.STEP:
        return ref.first[0], ref.last[0]
    return ref.min_timestamp_ms, ref.max_timestamp_ms


def _block_span(block: Block, axis: Axis) -> Range:
    if axis is Axis.STEP:
        return segment.step_range(block)
    return block.min_timestamp_ms, block.max_timestamp_ms


def _meets(span: Range, start: int, end: int) -> bool:
    return span[0] <= end and span[1] >= start


def _is_within(span: Range, start: int, end: int) -> bool:
    return start <= span[0] and span[1] <= end


def _within(points: Columns | None, axis: Axis, start: int, end: int) -> Columns | None:
    if points is None:
        return None
    places = points.steps if axis is Axis.STEP else points.timestamps_ms
    inside = (places >= start) & (places <= end)
    if inside.all():
        return points
    return Columns(points.steps[inside], points.timestamps_ms[inside], points.values[inside])


def _by_key(series: Iterable[Series]) -> Iterable[list[Series]]:
    found: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for each in series:
        found[each.run_id, each.key].append(each)
    return found.values()


def _starts(numbers: Int64s) -> Int64s:
    """Where runs of the same number begin."""
    changes = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
    return np.concatenate([np.zeros(1, np.int64), changes])


def _rises(column: Int64s) -> bool:
    return bool((column[1:] >= column[:-1]).all())


def _joined(parts: Sequence[tuple[Nodes, Int64s]]) -> tuple[Nodes, Int64s]:
    parts = [each for each in parts if len(each[0])] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    nodes = np.concatenate([each[0] for each in parts])
    return nodes, np.concatenate([each[1] for each in parts])


def _by_bucket(nodes: Nodes, numbers: Int64s) -> tuple[Nodes, Int64s]:
    """A node for each bucket that holds one, in order, and the bucket's number."""
    if not len(nodes):
        return nodes, numbers
    given: Any = nodes
    if _rises(numbers) and all(_rises(given[name]) for name in _PLACES):
        starts = _starts(numbers)
        return pyramid.fold(nodes, starts), numbers[starts]
    order = np.lexsort((given["min_timestamp_ms"], given["first_step"], numbers))
    numbers = numbers[order]
    starts = _starts(numbers)
    found: Any = pyramid.fold(nodes[order], starts)
    # Nodes of one bucket may overlap, as those of two ranks do: the one that begins last is not
    # always the one that ends last.
    rest = given[order]
    by_end: Any = rest[np.lexsort((rest["max_timestamp_ms"], rest["last_step"], numbers))]
    ends = np.append(starts[1:], len(nodes)) - 1
    for name in ("last", "last_step"):
        found[name] = by_end[name][ends]
    return found, numbers[starts]

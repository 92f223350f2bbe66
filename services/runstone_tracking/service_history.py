"""The history of one metric, read from chunks and from segments that are not folded yet.

    pieces (blocks of segments, chunks) of one state, by their first timestamp
      -> read some -> points before the first timestamp of all pieces to come -> in order

No transaction stays open between two reads. When a fold takes a piece away meanwhile, the pieces
are looked up anew, and reading goes on behind the time up to which all points were given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from runstone_kit.validation import INT64_MAX
from runstone_tracking import chunk, segment
from runstone_tracking.errors import MetricNotFound
from runstone_tracking.model_chunks import ChunkRef
from runstone_tracking.model_metrics import NO_RANK, Block, Columns, HistoryPlace
from runstone_tracking.segment_history import (
    NO_POINTS,
    behind,
    concatenate,
    cut,
    ordered,
    split,
)
from runstone_tracking.service_pieces import Piece, by_frame, read_ahead, read_pieces
from runstone_tracking.store import Session, Transactions
from runstone_tracking.store_chunks import ChangedMeanwhile

MAX_HELD = 4_194_304
"""Points held at a time, of 24 bytes each: the first chunks of a thousand ranks have 65 million."""


class HistoryReader:
    """Reads histories. Thread-safe."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def read(
        self, run_id: str, key: str, rank: int | None, after: HistoryPlace | None = None
    ) -> Iterator[Columns]:
        """See MetricService.history. Raises RunNotFound and MetricNotFound at once."""
        return self._read(run_id, key, rank, after, self._pieces(run_id, key, rank))

    def _pieces(self, run_id: str, key: str, rank: int | None) -> list[Piece]:
        """All pieces of one state, by their first timestamp. Raises RunNotFound, MetricNotFound."""

        def work(session: Session) -> list[Piece]:
            found: list[Piece] = [
                *session.metrics.find_blocks(run_id, key, rank),
                *session.chunks.find_key(run_id, key, rank),
            ]
            if not found:
                session.runs.start_time(run_id)  # for a run that is not there
                raise MetricNotFound(run_id, key)
            return found

        found = self._transactions.read(work, bounded=True)
        return sorted(found, key=lambda piece: piece.min_timestamp_ms)

    def _read(
        self,
        run_id: str,
        key: str,
        rank: int | None,
        after: HistoryPlace | None,
        pieces: list[Piece],
    ) -> Iterator[Columns]:
        given = None if after is None else after.timestamp_ms
        """All points before this time were given, or are not wanted."""
        while True:
            try:
                for complete, before in self._complete(run_id, pieces, given):
                    points = ordered(complete)
                    yield from cut(points if after is None else behind(points, after))
                    if before is not None:
                        # A piece that is looked up anew may begin earlier than what was given.
                        given = before if given is None else max(given, before)
                return
            except ChangedMeanwhile:
                pieces = self._pieces(run_id, key, rank)

    def _complete(
        self, run_id: str, pieces: Sequence[Piece], given: int | None
    ) -> Iterator[tuple[Columns, int | None]]:
        """Points of which no piece to come has earlier ones, and the time they all are before.

        In a series logged in order that is nearly all that was read, so little is held. Of many
        ranks a piece each is open at any time; when they are too much to hold, only the first of
        their points are kept, and the pieces are read again for the others.
        """
        until: int | None = None
        while True:
            given = given if until is None else until
            if given is not None:
                pieces = [piece for piece in pieces if piece.max_timestamp_ms >= given]
            until = None
            held: list[Columns] = [NO_POINTS]
            earliest, at = INT64_MAX, 0
            while at < len(pieces) and (until is None or pieces[at].min_timestamp_ms < until):
                end = read_ahead(pieces, at)
                earliest = min(earliest, pieces[at].min_timestamp_ms)
                held.append(
                    _between(concatenate(self._points(run_id, pieces[at:end])), given, until)
                )
                at = end
                if sum(map(len, held)) > MAX_HELD:
                    whole = concatenate(held)
                    until = _middle(whole)
                    held = [split(whole, until)[0]]
                before = pieces[at].min_timestamp_ms if at < len(pieces) else None
                if before is not None and earliest < before and (until is None or before < until):
                    complete, rest = split(concatenate(held), before)
                    held, earliest = [rest], before
                    yield complete, before
            yield concatenate(held), until
            if until is None:
                return

    def _points(self, run_id: str, pieces: Sequence[Piece]) -> list[Columns]:
        blocks = by_frame(piece for piece in pieces if isinstance(piece, Block))
        chunks = [piece for piece in pieces if isinstance(piece, ChunkRef)]

        of_chunks, of_blocks = self._transactions.read(
            partial(read_pieces, run_id, chunks, blocks), bounded=True
        )
        return [
            *segment.decode_blocks(blocks, of_blocks),
            *(
                _ranked(chunk.decode(data), each.rank)
                for each, data in zip(chunks, of_chunks, strict=True)
            ),
        ]


def _ranked(points: Columns, rank: int) -> Columns:
    if rank == NO_RANK:
        return points
    ranks = np.full(len(points), rank, np.int32)
    return Columns(points.steps, points.timestamps_ms, points.values, ranks)


def _between(points: Columns, given: int | None, until: int | None) -> Columns:
    """The points from ``given`` on and before ``until``."""
    if given is not None:
        points = split(points, given)[1]
    return points if until is None else split(points, until)[0]


def _middle(points: Columns) -> int:
    """A time with about half of the points before it; behind the first time in any case."""
    times = points.timestamps_ms
    middle = int(np.partition(times, len(times) // 2)[len(times) // 2])
    return max(middle, int(times.min()) + 1)

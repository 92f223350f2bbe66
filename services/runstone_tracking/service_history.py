"""The history of one metric, read from chunks and from segments that are not folded yet.

    pieces (blocks of segments, chunks) of one state, by their first timestamp
      -> read some -> points before the first timestamp of all pieces to come -> in order

No transaction stays open between two reads. When a fold takes a piece away meanwhile, the pieces
are looked up anew, and reading goes on behind the time up to which all points were given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from runstone_tracking import chunk, segment
from runstone_tracking.errors import MetricNotFound
from runstone_tracking.model_chunks import ChunkRef
from runstone_tracking.model_metrics import NO_RANK, Block, Columns
from runstone_tracking.segment_history import NO_POINTS, concatenate, cut, ordered, split
from runstone_tracking.store import Session, Transactions
from runstone_tracking.store_chunks import ChangedMeanwhile

READ_POINTS = 262_144
"""Points read from the store at a time: some megabytes, and few round trips for a long series."""

READ_PIECES = 1_000
"""The same for a series of tiny pieces."""

MAX_HELD = 2_097_152
"""Points held at a time, of 24 bytes each: the first chunks of a thousand ranks have 65 million."""

Piece: TypeAlias = Block | ChunkRef


class HistoryReader:
    """Reads histories. Thread-safe."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def read(self, run_id: str, key: str, rank: int | None) -> Iterator[Columns]:
        """See MetricService.history. Raises RunNotFound and MetricNotFound at once."""
        return self._read(run_id, key, rank, self._pieces(run_id, key, rank))

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
        self, run_id: str, key: str, rank: int | None, pieces: list[Piece]
    ) -> Iterator[Columns]:
        given: int | None = None
        """All points before this time were given."""
        while True:
            try:
                for complete, before in self._complete(run_id, pieces, given):
                    yield from cut(ordered(complete))
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
            held = NO_POINTS
            at = 0
            while at < len(pieces) and (until is None or pieces[at].min_timestamp_ms < until):
                end = _read_ahead(pieces, at)
                read = concatenate(self._points(run_id, pieces[at:end]))
                if given is not None:
                    read = split(read, given)[1]
                if until is not None:
                    read = split(read, until)[0]
                held = concatenate([held, read])
                at = end
                if len(held) > MAX_HELD:
                    until = _middle(held)
                    held = split(held, until)[0]
                before = pieces[at].min_timestamp_ms if at < len(pieces) else None
                if before is not None and (until is None or before < until):
                    complete, held = split(held, before)
                    yield complete, before
            yield held, until
            if until is None:
                return

    def _points(self, run_id: str, pieces: Sequence[Piece]) -> list[Columns]:
        blocks = [piece for piece in pieces if isinstance(piece, Block)]
        chunks = [piece for piece in pieces if isinstance(piece, ChunkRef)]

        def work(session: Session) -> tuple[list[bytes], list[bytes]]:
            return (
                session.metrics.read_frames(run_id, blocks) if blocks else [],
                session.chunks.read(run_id, chunks) if chunks else [],
            )

        of_blocks, of_chunks = self._transactions.read(work, bounded=True)
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


def _middle(points: Columns) -> int:
    """A time with about half of the points before it; behind the first time in any case."""
    times = points.timestamps_ms
    middle = int(np.partition(times, len(times) // 2)[len(times) // 2])
    return max(middle, int(times.min()) + 1)


def _read_ahead(pieces: Sequence[Piece], at: int) -> int:
    """The end of the pieces to be read at once; one at least."""
    points = pieces[at].count
    end = at + 1
    while end < min(len(pieces), at + READ_PIECES) and points + pieces[end].count <= READ_POINTS:
        points += pieces[end].count
        end += 1
    return end

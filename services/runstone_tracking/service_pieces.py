"""Where points of a series lie, and how many of these places are read at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from runstone_tracking.model_chunks import ChunkRef
from runstone_tracking.model_metrics import Block
from runstone_tracking.store import Session

READ_POINTS = 262_144
"""Points read from the store at a time: some megabytes, and few round trips for a long series."""

READ_PIECES = 1_000
"""The same for a series of tiny pieces."""

READ_BYTES = 16 * 1024 * 1024
"""The same for blocks in frames that hold mostly other series."""

Piece: TypeAlias = Block | ChunkRef


def read_ahead(pieces: Sequence[Piece], at: int) -> int:
    """The end of the pieces from ``at`` that are to be read at once; one at least."""
    points = size = 0
    frames: set[tuple[str, int, int]] = set()
    for end in range(at, min(len(pieces), at + READ_PIECES)):
        piece = pieces[end]
        points += piece.count
        if isinstance(piece, Block) and (frame := _frame(piece)) not in frames:
            frames.add(frame)
            size += piece.length
        if end > at and (points > READ_POINTS or size > READ_BYTES):
            return end
    return min(len(pieces), at + READ_PIECES)


def by_frame(blocks: Iterable[Block]) -> list[Block]:
    """The blocks, those of a frame beside each other, so that it is opened once."""
    return sorted(blocks, key=_frame)


def read_pieces(
    run_id: str, chunks: Sequence[ChunkRef], blocks: Sequence[Block], session: Session
) -> tuple[list[bytes], list[bytes]]:
    """What is stored of chunks and of blocks. Raises ChangedMeanwhile."""
    return (
        session.chunks.read(run_id, chunks) if chunks else [],
        session.metrics.read_frames(run_id, blocks) if blocks else [],
    )


def _frame(block: Block) -> tuple[str, int, int]:
    return block.writer_id, block.sequence, block.offset

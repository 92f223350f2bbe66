"""What compaction and its readers ask of a store, within one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runstone_tracking.model_chunks import (
    FIRST_SEGMENT,
    ChunkRef,
    NewChunk,
    SegmentPlace,
    StoredSegment,
    WaitingSegment,
)


class ChangedMeanwhile(Exception):
    """What was found is not there any more: it was folded, or the run was purged. Look again."""


class ChunkStore(Protocol):
    """Chunks of metrics, and the segments that wait to become some."""

    def runs_waiting(self, after: str, limit: int) -> list[str]:
        """At most ``limit`` runs above ``after`` that have segments, in the order of their ids."""
        ...

    def waiting(
        self, run_id: str, limit: int, after: SegmentPlace = FIRST_SEGMENT
    ) -> list[WaitingSegment]:
        """At most ``limit`` segments of a run behind ``after``, by writer and sequence."""
        ...

    def claim(self, run_id: str, holder: str, now_ms: int, until_ms: int) -> bool:
        """Have a run to oneself, or for longer; False while another holder has it.

        False too when the run is gone.
        """
        ...

    def release(self, run_id: str, holder: str) -> None:
        """Give a run back."""
        ...

    def read_segments(self, run_id: str, segments: Sequence[WaitingSegment]) -> list[StoredSegment]:
        """Segments in the order given. MUST raise ChangedMeanwhile when one is gone."""
        ...

    def find(self, run_id: str, names: Sequence[str]) -> list[ChunkRef]:
        """All chunks of the series with these names, in no order."""
        ...

    def find_key(self, run_id: str, key: str, rank: int | None) -> list[ChunkRef]:
        """All chunks of a key, or of one rank of it, in no order."""
        ...

    def read(self, run_id: str, chunks: Sequence[ChunkRef]) -> list[bytes]:
        """The points of chunks in the order given. MUST raise ChangedMeanwhile when one is gone."""
        ...

    def read_level(self, run_id: str, chunks: Sequence[ChunkRef], level: int) -> list[bytes | None]:
        """A level of the pyramid of chunks in the order given; None where a chunk has none.

        MUST raise ChangedMeanwhile when one is gone.
        """
        ...

    def replace(
        self,
        run_id: str,
        segments: Sequence[WaitingSegment],
        old: Sequence[ChunkRef],
        new: Sequence[NewChunk],
        holder: str,
    ) -> None:
        """Put new chunks into the place of segments and old chunks.

        MUST raise ChangedMeanwhile, and change nothing, when one of these is gone, a new chunk's
        number is taken, or the run is not the holder's any more.
        """
        ...

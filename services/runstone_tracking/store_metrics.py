"""What the metric use cases ask of a store, within one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from runstone_tracking.errors import RunDeleted, RunNotFound, SequenceGap, SequenceReused
from runstone_tracking.model import MetricSummary
from runstone_tracking.model_metrics import Block, NewSegment, RunProgress

Appended: TypeAlias = bool | RunNotFound | RunDeleted | SequenceReused | SequenceGap
"""True: written. False: it was there already. An error: this one segment was refused."""


class MetricStore(Protocol):
    """Segments and summaries of metrics."""

    def append(self, segments: Sequence[NewSegment]) -> list[Appended]:
        """Write the segments and fold their summaries into those of their runs.

        Each has its own outcome, in the order given; a refused one MUST leave nothing behind.
        A writer's segments are applied in the order of their numbers, without a gap. One whose
        number was applied MUST write nothing; while it is stored, another digest is refused.
        MUST raise TooManyMetrics, and then nothing is written, if a run would have more than
        100,000 keys. Segments of one call may repeat an identity. Concurrent calls MUST NOT
        deadlock, whatever runs and keys they share.
        """
        ...

    def summaries(self, run_ids: Sequence[str]) -> Mapping[str, tuple[MetricSummary, ...]]:
        """The summaries of each run that has any, ordered by key."""
        ...

    def list_keys(self, run_id: str, after: str | None, limit: int) -> list[MetricSummary]:
        """At most ``limit`` summaries with a key above ``after``, ordered by code point.

        MUST raise RunNotFound.
        """
        ...

    def progress(self, run_ids: Sequence[str], keys: Sequence[str]) -> dict[str, RunProgress]:
        """How far each run is, all of one state.

        Costs a look at an index for each run and each pair. MUST raise RunNotFound.
        """
        ...

    def find_blocks(self, run_id: str, key: str, rank: int | None = None) -> list[Block]:
        """Every block of a key, or of one rank of it, that is in a segment; in no order.

        Only within a read. None for a run that is not there.
        """
        ...

    def read_frames(self, run_id: str, blocks: Sequence[Block]) -> list[bytes]:
        """The frame of each block that ``find_blocks`` gave, in the order given.

        Of blocks in one frame it MUST be the same object: it is opened once then. MUST raise
        ``store_chunks.ChangedMeanwhile`` when one is gone: its segment was folded, or the run
        purged.
        """
        ...

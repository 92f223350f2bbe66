"""Use cases of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runstone_kit.paging import Page, cut_page, decode_token, query_hash, resolve_page_size
from runstone_tracking import segment
from runstone_tracking.model import MetricSummary
from runstone_tracking.model_metrics import Block, Columns, MetricBatch, NewSegment
from runstone_tracking.segment_history import NO_POINTS, concatenate, cut, ordered, split
from runstone_tracking.service_appends import GroupedAppends
from runstone_tracking.store import Transactions
from runstone_tracking.store_metrics import Appended

DEFAULT_PAGE = 1_000
MAX_PAGE = 10_000
"""Metric keys on a page, as the contract says."""

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""What a gRPC client accepts by default, as for searches."""

SUMMARY_BYTES = 128
"""At most, of one summary's message without its key."""

READ_POINTS = 262_144
"""Points read from the store at a time: some megabytes, and few round trips for a long series."""

READ_BLOCKS = 1_000
"""The same for a series of tiny blocks."""

make_segment = segment.encode


class MetricService:
    """Appends points and reads them back."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._appends = GroupedAppends(self._write)

    def append(self, run_id: str, writer_id: str, sequence: int, batch: MetricBatch) -> bool:
        """Commit a batch; False when it had been applied before and nothing was written.

        Raises RunNotFound, RunDeleted, SequenceReused, SequenceGap.
        """
        outcome = self._appends.append(make_segment(run_id, writer_id, sequence, batch))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def history(self, run_id: str, key: str, rank: int | None = None) -> Iterator[Columns]:
        """Every point of a key, or of one rank, in pieces by (timestamp, step, value, rank).

        A duplicate comes once. What was committed when this is called is read, without holding a
        connection in between. Raises RunNotFound, MetricNotFound; the iterator raises RunNotFound
        when the run is purged while it is read.
        """
        blocks = self._transactions.read(
            lambda session: session.metrics.find_blocks(run_id, key, rank), bounded=True
        )
        return self._read(run_id, sorted(blocks, key=lambda block: block.min_timestamp_ms))

    def list_keys(self, run_id: str, page_size: int, page_token: str) -> Page[MetricSummary]:
        """A run's metrics by key; a page ends at MAX_PAGE_BYTES.

        Raises RunNotFound, InvalidArgument for page size and token.
        """
        size = resolve_page_size(page_size, default=DEFAULT_PAGE, maximum=MAX_PAGE)
        query = query_hash("ListMetricKeys", run_id)
        key = decode_token(page_token, query, [(str,)])
        after = str(key[0]) if key else None
        found = self._transactions.read(
            lambda session: session.metrics.list_keys(run_id, after, size + 1)
        )
        size = min(size, _fitting(found))
        return cut_page(found, size, query, lambda metric: [metric.key])

    def _write(self, segments: Sequence[NewSegment]) -> list[Appended]:
        return self._transactions.write(lambda session: session.metrics.append(segments))

    def _read(self, run_id: str, blocks: Sequence[Block]) -> Iterator[Columns]:
        """The blocks, ordered by their first timestamp, merged.

        Points before the first timestamp of all blocks to come are complete; in a series logged
        in order that is nearly all that was read, so little is held.
        """
        held = NO_POINTS
        at = 0
        while at < len(blocks):
            end = _read_ahead(blocks, at)
            held = concatenate([held, *self._decode(run_id, blocks[at:end])])
            at = end
            complete = held
            if at < len(blocks):
                complete, held = split(held, blocks[at].min_timestamp_ms)
            yield from cut(ordered(complete))

    def _decode(self, run_id: str, blocks: Sequence[Block]) -> list[Columns]:
        data = self._transactions.read(
            lambda session: session.metrics.read_blocks(run_id, blocks), bounded=True
        )
        return [
            segment.decode_block(block, stored) for block, stored in zip(blocks, data, strict=True)
        ]


def _fitting(metrics: Sequence[MetricSummary]) -> int:
    """How many of the first metrics fit on one page."""
    budget = MAX_PAGE_BYTES
    for place, metric in enumerate(metrics):
        budget -= SUMMARY_BYTES + len(metric.key.encode())
        if budget < 0:
            return place
    return len(metrics)


def _read_ahead(blocks: Sequence[Block], at: int) -> int:
    """The end of the blocks to be read at once; one at least."""
    points = blocks[at].count
    end = at + 1
    while end < min(len(blocks), at + READ_BLOCKS) and points + blocks[end].count <= READ_POINTS:
        points += blocks[end].count
        end += 1
    return end

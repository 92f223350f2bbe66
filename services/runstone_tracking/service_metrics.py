"""Use cases of metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from runstone_kit.paging import Page, cut_page, decode_token, query_hash, resolve_page_size
from runstone_tracking import segment_encode
from runstone_tracking.model import MetricSummary
from runstone_tracking.model_metrics import Append, Columns, HistoryPlace, NewSegment
from runstone_tracking.model_samples import Sampled, SampleQuery, Update
from runstone_tracking.service_appends import Batch, GroupedAppends
from runstone_tracking.service_history import HistoryReader
from runstone_tracking.service_samples import Sampler
from runstone_tracking.service_watch import Watches
from runstone_tracking.store import Transactions

ALONE_POINTS = 4_096
"""A batch of so many points is encoded by its own call: numpy and zstd work on all cores then, and
what a group saves is little beside them."""

DEFAULT_PAGE = 1_000
MAX_PAGE = 10_000
"""Metric keys on a page, as the contract says."""

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""What a gRPC client accepts by default, as for searches."""

SUMMARY_BYTES = 128
"""At most, of one summary's message without its key."""


class MetricService:
    """Appends points and reads them back."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._appends = GroupedAppends(_segments, transactions.append)
        self._reader = HistoryReader(transactions)
        self._sampler = Sampler(transactions)
        self._watches = Watches(transactions, self._sampler)

    def append(self, append: Append) -> bool:
        """Commit a batch; False when it had been applied before and nothing was written.

        Raises RunNotFound, RunDeleted, SequenceReused, SequenceGap, TooManyMetrics.
        """
        outcome = self._appends.append(_batch(append))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def append_all(self, appends: Sequence[Append]) -> list[bool | BaseException]:
        """What becomes of each batch: what ``append`` of it alone returns, or raises."""
        return self._appends.append_all([_batch(each) for each in appends]) if appends else []

    def history(
        self, run_id: str, key: str, rank: int | None = None, after: HistoryPlace | None = None
    ) -> Iterator[Columns]:
        """Every point of a key, or of one rank, in pieces by (timestamp, step, value, rank).

        With ``after`` only those behind it. A duplicate comes once. What was committed when this is
        called is read, without holding a connection in between. Raises RunNotFound, MetricNotFound;
        the iterator raises RunNotFound when the run is purged while it is read.
        """
        return self._reader.read(run_id, key, rank, after)

    def sample(self, query: SampleQuery) -> Iterator[Sampled]:
        """What charts show of series; see ``service_samples``. Raises RunNotFound."""
        return self._sampler.sample(query)

    def watch(self, query: SampleQuery, gone: threading.Event) -> Iterator[Update]:
        """What a live page shows, and what changes of it; see ``service_watch``.

        Ends when every run is over, or ``gone`` is set. Raises RunNotFound, ServerStopping.
        """
        return self._watches.watch(query, gone)

    def stop_watches(self) -> None:
        """End every watch: the server is about to stop."""
        self._watches.stop()

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


def _batch(append: Append) -> Batch:
    if len(append.batch.points) < ALONE_POINTS:
        return append
    [encoded] = segment_encode.encode_all([append])
    return encoded


def _segments(batches: Sequence[Batch]) -> list[NewSegment]:
    """The segments of a group: the small batches are encoded together."""
    small = iter(segment_encode.encode_all([each for each in batches if isinstance(each, Append)]))
    return [each if isinstance(each, NewSegment) else next(small) for each in batches]


def _fitting(metrics: Sequence[MetricSummary]) -> int:
    """How many of the first metrics fit on one page."""
    budget = MAX_PAGE_BYTES
    for place, metric in enumerate(metrics):
        budget -= SUMMARY_BYTES + len(metric.key.encode())
        if budget < 0:
            return place
    return len(metrics)

"""Live pages: what a chart shows, and then what changes of it.

    counts of points by run and key, looked at twice a second -> the pairs that have more than were
    sent -> sampled anew -> compared, bucket by bucket, with what was sent

Counts rise with every batch, by whichever process it is committed, and a fold does not touch them.
What is sent is told by comparison, so nothing depends on where a point is at rest: late points,
folds and points that are read before their count can neither lose nor repeat anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from runstone_tracking.errors import ServerStopping
from runstone_tracking.model_metrics import Int64s, Records, RunProgress
from runstone_tracking.model_samples import Grid, Sampled, SampleQuery, Update
from runstone_tracking.service_grid import grid_of
from runstone_tracking.service_samples import Range, Sampler, Series, span_of
from runstone_tracking.store import Transactions

POLL_S = 0.5
"""Between two looks: points are seen within a second, for two small queries a second."""

REST = 4
"""What changes takes all watchers of a process at most a fifth of a core to sample; with more they
look less often, and what came meanwhile is sent together."""

LONGEST_REST_S = 10.0
"""Whatever a look cost: its page shall stay a live one."""

SIGN_OF_LIFE_S = 1.0
"""A client that is gone is noticed, and a fork of a client's process waits for a message."""

HELD_BUCKETS = 262_144
"""Told apart for a watcher, of 16 bytes each: 4 MiB. The series beyond are sent whole when they
change."""

SETTLE_S = 10.0
"""A long series has other buckets when its last points are folded, which no count tells: until they
are it is looked at now and then."""

Pair: TypeAlias = tuple[str, str]
"""Run and key."""


class Watches:
    """The watchers of a process. Thread-safe."""

    def __init__(self, transactions: Transactions, sampler: Sampler) -> None:
        self._transactions = transactions
        self._sampler = sampler
        self._lock = threading.Lock()
        self._awake: set[threading.Event] = set()
        self._stopping = False

    def stop(self) -> None:
        """End all watches, and refuse new ones: the server is about to stop."""
        with self._lock:
            self._stopping = True
            for each in self._awake:
                each.set()

    def watch(self, query: SampleQuery, gone: threading.Event) -> Iterator[Update]:
        """The current sample, and what changes of it, until every run is over or ``gone`` is set.

        ``gone`` tells that nobody listens. Raises RunNotFound, ServerStopping.
        """
        with self._noted(gone):
            page = _Page(query, self._sampler)
            told = time.monotonic()
            opening = True
            while True:
                progress = self._transactions.read(
                    lambda session: session.metrics.progress(query.run_ids, query.keys),
                    bounded=True,
                )
                said = False
                # Of this thread alone: waiting for a connection, a core or a reader is no work.
                began = time.thread_time()
                for update in page.round(progress):
                    yield update
                    if self._is_over(gone):
                        return
                    said = True
                over = all(each.over for each in progress.values())
                if said or over or time.monotonic() - told >= SIGN_OF_LIFE_S:
                    yield Update(complete=True)
                    told = time.monotonic()
                if over:
                    return
                # What a page costs when it is opened is the price of a sample, paid once.
                rest = 0.0 if opening else REST * (time.thread_time() - began) * len(self._awake)
                opening = False
                gone.wait(max(POLL_S, min(rest, LONGEST_REST_S)))
                if self._is_over(gone):
                    return

    @contextmanager
    def _noted(self, gone: threading.Event) -> Iterator[None]:
        with self._lock:
            if self._stopping:
                raise ServerStopping
            self._awake.add(gone)
        try:
            yield
        finally:
            with self._lock:
                self._awake.discard(gone)

    def _is_over(self, gone: threading.Event) -> bool:
        if self._stopping:
            raise ServerStopping
        return gone.is_set()


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """The buckets of a series that were sent: their numbers, and a digest of each."""

    numbers: Int64s
    digests: NDArray[np.uint64]


@dataclass(slots=True)
class _Seen:
    """A pair as it was last looked at; ``unsettled_since`` when a fold may still change it."""

    count: int
    span: Range | None
    unsettled_since: float | None


class _Page:
    """What one watcher was sent."""

    def __init__(self, query: SampleQuery, sampler: Sampler) -> None:
        self._query = query
        self._sampler = sampler
        self._pairs = [(run_id, key) for run_id in query.run_ids for key in query.keys]
        self._seen: dict[Pair, _Seen] = {}
        self._grid: Grid | None = None
        self._begun = False
        self._told: dict[tuple[str, str, int], _Told] = {}
        self._held = 0

    def round(self, progress: dict[str, RunProgress]) -> Iterator[Update]:
        """What is to be sent so that the page shows all that ``progress`` counts, if not more."""
        found: dict[Pair, list[Series]] = {}
        for pair in self._pairs:
            run_id, key = pair
            count = progress[run_id].counts.get(key, 0)
            if self._is_due(pair, count):
                found[pair] = self._look(pair, count)
        grid = grid_of(self._query, self._span())
        if grid != self._grid or not self._begun:
            self._begun = True
            self._grid = grid
            self._told.clear()
            self._held = 0
            yield Update(reset=True, grid=grid)
            for pair, seen in self._seen.items():
                if pair not in found and seen.span is not None:
                    found[pair] = self._look(pair, seen.count)
        if grid is None:
            return
        asked = replace(self._query, start=grid.start, end=grid.end, buckets=grid.buckets)
        for pair in self._pairs:
            for sampled in self._sampler.sample_of(found.pop(pair, ()), asked):
                update = self._change(sampled)
                if update is not None:
                    yield update

    def _is_due(self, pair: Pair, count: int) -> bool:
        seen = self._seen.get(pair)
        if seen is None or seen.count != count:
            return True
        since = seen.unsettled_since
        return since is not None and time.monotonic() - since >= SETTLE_S

    def _look(self, pair: Pair, count: int) -> list[Series]:
        """Where the points of a pair are. Those beyond ``count`` make it due again."""
        series = self._sampler.find(*pair, self._query) if count else []
        unsettled = any(each.may_settle for each in series)
        self._seen[pair] = _Seen(
            count,
            span_of(series, self._query.axis),
            time.monotonic() if unsettled else None,
        )
        return series

    def _span(self) -> Range | None:
        spans = [seen.span for seen in self._seen.values() if seen.span is not None]
        if not spans:
            return None
        return min(first for first, _ in spans), max(last for _, last in spans)

    def _change(self, sampled: Sampled) -> Update | None:
        """What of a series differs from what was sent; None for nothing."""
        name = (sampled.run_id, sampled.key, sampled.rank)
        digests = _digests(sampled.nodes)
        before = self._told.pop(name, None)
        if before is not None:
            self._held -= len(before.numbers)
        if self._held + len(digests) <= HELD_BUCKETS:
            self._told[name] = _Told(sampled.numbers, digests)
            self._held += len(digests)
        if before is None or not np.isin(before.numbers, sampled.numbers).all():
            return Update(changed=sampled, whole=True)
        old = np.zeros(len(digests), np.uint64)
        new = np.ones(len(digests), bool)
        at = np.searchsorted(sampled.numbers, before.numbers)
        old[at], new[at] = before.digests, False
        differs = new | (old != digests)
        if not differs.any():
            return None
        return Update(
            changed=replace(sampled, nodes=sampled.nodes[differs], numbers=sampled.numbers[differs])
        )


_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def _digests(nodes: Records) -> NDArray[np.uint64]:
    """64 bits of each record: others if one field is another, and but for a chance of 2**-64 if
    several are."""
    words = np.ascontiguousarray(nodes).view(np.uint64).reshape(len(nodes), -1)
    found = np.zeros(len(nodes), np.uint64)
    for column in words.T:
        found = (found ^ column) * _FACTOR
        found ^= found >> _SHIFT
    return found

"""Live pages: what a chart shows, and then what changes of it.

    counts of points by run and key, looked at twice a second -> the pairs that have more than were
    sent -> sampled anew, where pieces of them are new -> compared, bucket by bucket, with what was
    sent

Counts rise with every batch, by whichever process it is committed, and a fold does not touch them.
What is sent is told by comparison, and a piece is new also when a fold has made it, so nothing
depends on where a point is at rest: late points, folds and points that are read before their count
can neither lose nor repeat anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from runstone_tracking.errors import ServerStopping
from runstone_tracking.model_metrics import NO_RANK, Int64s, Records, RunProgress
from runstone_tracking.model_samples import Grid, Sampled, SampleQuery, Update
from runstone_tracking.service_grid import Part, grid_of, part_of
from runstone_tracking.service_samples import Range, Sampler, Series, span_of
from runstone_tracking.store import Transactions

POLL_S = 0.5
"""Between two looks: points are seen within a second, for two small queries a second."""

SHARE = 0.2
"""Of a core, for all watchers of a process to sample what changes; with more to do they look less
often, and what came meanwhile is sent together."""

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

NOWHERE = (1, 0)
"""The range of no point."""

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
        self._paid_at = 0.0

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
                rest = self._rest(time.thread_time() - began) if said and not opening else 0.0
                opening = False
                gone.wait(max(POLL_S, rest))
                if self._is_over(gone):
                    return

    def _rest(self, busy: float) -> float:
        """How long to wait after some work: until all that was done is paid for by rest.

        A watcher with little to do waits little, whatever others do.
        """
        now = time.monotonic()
        price = busy / SHARE
        with self._lock:
            self._paid_at = max(self._paid_at, now) + price
            rest = min(self._paid_at - now, price * len(self._awake))
        return min(rest, LONGEST_REST_S)

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


class _Pieces:
    """The pieces of exact series, told from those that come later."""

    def __init__(self, series: Sequence[Series]) -> None:
        self._chunks = frozenset(ref for each in series for ref in each.chunks)
        self._written: dict[str, int] = {}
        for each in series:
            for block in each.blocks:
                before = self._written.get(block.writer_id, 0)
                self._written[block.writer_id] = max(before, block.sequence)

    def new(self, series: Sequence[Series]) -> list[Series]:
        """The series with those pieces alone that were not there; a writer's come in order."""
        return [
            replace(
                each,
                chunks=[ref for ref in each.chunks if ref not in self._chunks],
                blocks=[
                    block
                    for block in each.blocks
                    if block.sequence > self._written.get(block.writer_id, 0)
                ],
            )
            for each in series
        ]


@dataclass(slots=True)
class _Seen:
    """A pair as it was last looked at.

    ``pieces`` if it was exact; ``unsettled_since`` if not, and a fold may still change it.
    """

    count: int
    span: Range | None
    pieces: _Pieces | None
    unsettled_since: float | None


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the points of a pair are, and where those that are new; None for anywhere."""

    series: list[Series]
    new: Range | None


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
        found: dict[Pair, _Found] = {}
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
        for pair in self._pairs:
            if pair in found:
                yield from self._changes(found.pop(pair), grid)

    def _changes(self, found: _Found, grid: Grid) -> Iterator[Update]:
        """What of a pair differs from what was sent."""
        part = None
        if found.new is not None and all(name in self._told for name in self._names(found.series)):
            part = part_of(grid, found.new)
            if found.new == NOWHERE or (part is not None and part.last < part.first):
                return
        asked = replace(self._query, start=grid.start, end=grid.end, buckets=grid.buckets)
        places = None if part is None else part.places
        for sampled in self._sampler.sample_of(found.series, asked, places):
            update = self._change(sampled, part)
            if update is not None:
                yield update

    def _names(self, series: Sequence[Series]) -> Iterator[tuple[str, str, int]]:
        for each in series:
            yield each.run_id, each.key, NO_RANK if self._query.across_ranks else each.rank

    def _is_due(self, pair: Pair, count: int) -> bool:
        seen = self._seen.get(pair)
        if seen is None or seen.count != count:
            return True
        since = seen.unsettled_since
        return since is not None and time.monotonic() - since >= SETTLE_S

    def _look(self, pair: Pair, count: int) -> _Found:
        """Where the points of a pair are. Those beyond ``count`` make it due again."""
        axis = self._query.axis
        series = self._sampler.find(*pair, self._query) if count else []
        exact = all(each.is_exact for each in series)
        settled = all(each.is_exact or not each.blocks for each in series)
        before = self._seen.get(pair)
        new = None
        if exact and before is not None and before.pieces is not None:
            new = span_of(before.pieces.new(series), axis) or NOWHERE
        self._seen[pair] = _Seen(
            count,
            span_of(series, axis),
            _Pieces(series) if exact else None,
            None if settled else time.monotonic(),
        )
        return _Found(series, new)

    def _span(self) -> Range | None:
        spans = [seen.span for seen in self._seen.values() if seen.span is not None]
        if not spans:
            return None
        return min(first for first, _ in spans), max(last for _, last in spans)

    def _change(self, sampled: Sampled, part: Part | None) -> Update | None:
        """What of a series, or of a part of its buckets, differs from what was sent."""
        name = (sampled.run_id, sampled.key, sampled.rank)
        digests = _digests(sampled.nodes)
        before = self._told.pop(name, None)
        if before is None:
            self._hold(name, _Told(sampled.numbers, digests))
            return Update(changed=sampled, whole=True)
        self._held -= len(before.numbers)
        low, high = 0, len(before.numbers)
        if part is not None:
            low, high = np.searchsorted(before.numbers, [part.first, part.last + 1]).tolist()
        sent = before.numbers[low:high]
        numbers = (before.numbers[:low], sampled.numbers, before.numbers[high:])
        known = (before.digests[:low], digests, before.digests[high:])
        self._hold(name, _Told(np.concatenate(numbers), np.concatenate(known)))
        if not np.isin(sent, sampled.numbers).all():
            return Update(changed=sampled, whole=True)
        old = np.zeros(len(digests), np.uint64)
        new = np.ones(len(digests), bool)
        at = np.searchsorted(sampled.numbers, sent)
        old[at], new[at] = before.digests[low:high], False
        differs = new | (old != digests)
        if not differs.any():
            return None
        return Update(
            changed=replace(sampled, nodes=sampled.nodes[differs], numbers=sampled.numbers[differs])
        )

    def _hold(self, name: tuple[str, str, int], told: _Told) -> None:
        if self._held + len(told.numbers) <= HELD_BUCKETS:
            self._told[name] = told
            self._held += len(told.numbers)


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

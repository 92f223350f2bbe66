"""Live pages as tests keep them: what a watcher was told, beside what SampleMetrics answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from runstone_tracking.model_samples import Axis, Grid, Sampled, SampleQuery, Update
from runstone_tracking.service_metrics import MetricService

Chart = dict[tuple[str, str, int], dict[int, bytes]]
"""By run, key and rank: the record of each bucket that holds a point."""


def asking(*run_ids: str, **how: Any) -> SampleQuery:
    """A query for key "k" in 10 buckets of steps, unless it is said otherwise."""
    asked: dict[str, Any] = {
        "keys": ("k",), "ranks": (), "buckets": 10, "axis": Axis.STEP, "start": None, "end": None,
        "across_ranks": False,
    } | how  # fmt: skip
    return SampleQuery(run_ids, **asked)


class Page:
    """A watcher that replays what it is told."""

    def __init__(self, metrics: MetricService, query: SampleQuery) -> None:
        self.metrics, self.query = metrics, query
        self.gone = threading.Event()
        self.updates: Iterator[Update] = metrics.watch(query, self.gone)
        self.chart: Chart = {}
        self.grid: Grid | None = None
        self.resets = 0

    def turn(self) -> list[Update]:
        """One round."""
        told = []
        for update in self.updates:
            told.append(update)
            self.take(update)
            if update.complete:
                break
        return told

    def take(self, update: Update) -> None:
        """Do as the contract says."""
        if update.reset:
            self.chart, self.grid, self.resets = {}, update.grid, self.resets + 1
        changed = update.changed
        if changed is not None:
            name = (changed.run_id, changed.key, changed.rank)
            assert name in self.chart or update.whole
            if update.whole:
                self.chart[name] = {}
            self.chart[name] |= buckets(changed)

    def expected(self) -> Chart:
        """What SampleMetrics answers for the same buckets."""
        if self.grid is None:
            return {}
        grid = self.grid
        asked = replace(self.query, start=grid.start, end=grid.end, buckets=grid.buckets)
        return {
            (each.run_id, each.key, each.rank): buckets(each) for each in self.metrics.sample(asked)
        }


def buckets(sampled: Sampled) -> dict[int, bytes]:
    """The records of a series by the number of their bucket."""
    records = [node.tobytes() for node in sampled.nodes]
    return dict(zip(sampled.numbers.tolist(), records, strict=True))

"""Live charts: a sample of metrics, and then what changes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, Self

from runstone._client._base import ClientBase
from runstone._client._metrics import chart
from runstone._convert import tracking as convert
from runstone._entities.tracking import SampledSeries
from runstone._entities.watching import MetricUpdate, SeriesUpdate
from runstone.exceptions import Cancelled, DeadlineExceeded
from runstone.tracking.v1 import metric_pb2

Name = tuple[str, str, int]
"""Run, key, and rank or -1."""

Rows = dict[int, tuple[Any, ...]]
"""Buckets by number, each an entry of every column."""


class WatchCalls(ClientBase):
    """Calls that go on."""

    def watch_metrics(
        self,
        run_ids: str | Sequence[str],
        keys: str | Sequence[str],
        buckets: int = 1000,
        *,
        axis: str = "step",
        start: int | None = None,
        end: int | None = None,
        ranks: Sequence[int] = (),
        across_ranks: bool = False,
    ) -> MetricWatch:
        """What a chart shows of metrics, and then what changes of it, soon after it is committed.

        The arguments are those of ``sample_metrics``; keys need not have points yet. Without
        ``start`` or ``end`` the range grows with the points: buckets double their width when those
        asked for do not hold it any more.

        Returns:
            An iterator of ``MetricUpdate``: at first the whole chart, then what is new; it waits
            in between. Its ``sample()`` is the chart as told so far. It ends when every run has
            ended, and goes on by itself when a server is restarted. Leave it early with ``close()``
            (from any thread) or as a context manager.

        Raises:
            InvalidField, RunNotFound: the first from the call or the first update, the second also
                when a run is purged meanwhile.

        Example:
            >>> import runstone
            >>> client = runstone.Client()
            >>> run_id = client.create_run("0").info.run_id
            >>> client.log_metric(run_id, "loss", 0.5, step=3)
            >>> with client.watch_metrics(run_id, "loss", buckets=4) as watch:
            ...     for update in watch:
            ...         print(update.reset, update.start, update.end, update.series[0].buckets)
            ...         client.set_terminated(run_id)
            True 3 6 [0]
        """
        self._settle()
        request = metric_pb2.WatchMetricsRequest(
            **chart(run_ids, keys, buckets, axis, start, end, ranks, across_ranks)
        )
        return MetricWatch(lambda: self._tracking.WatchMetrics(request), buckets)


class MetricWatch(Iterator[MetricUpdate]):
    """The updates of a chart as they come; one thread at a time."""

    def __init__(self, call: Callable[[], Any], buckets: int) -> None:
        self._call = call
        self._closed = threading.Event()
        self._grid = metric_pb2.SampleGrid(buckets=buckets)
        self._has_range = False
        self._chart: dict[Name, Rows] = {}
        self._parts: list[metric_pb2.WatchMetricsResponse] = []
        self._heard = False
        self._stream = self._open()

    def sample(self) -> list[SampledSeries]:
        """The chart: what ``sample_metrics`` would answer for its range and buckets."""
        return [_series(*name, rows) for name, rows in self._chart.items()]

    def close(self) -> None:
        """Tell the server that nobody reads on; the iterator ends."""
        self._closed.set()
        self._stream.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __next__(self) -> MetricUpdate:
        while True:
            parts = self._round()
            if any(each.reset or each.HasField("series") for each in parts):
                return self._told(parts)

    def _open(self) -> Any:
        self._parts = []
        self._heard = False
        stream = self._call()
        # Each call begins with a reset, whatever came of the one before.
        stream.restart = self._parts.clear
        return stream

    def _round(self) -> list[metric_pb2.WatchMetricsResponse]:
        """All messages up to one that is complete."""
        while not self._closed.is_set():
            try:
                message = next(self._stream)
            except DeadlineExceeded:
                # A call has an hour. One in which nothing came would bring nothing again.
                if not self._heard:
                    raise
                self._stream = self._open()
                continue
            except Cancelled:
                if not self._closed.is_set():
                    raise
                break
            self._heard = True
            self._parts.append(message)
            if message.complete:
                parts = list(self._parts)
                self._parts.clear()
                return parts
        # It may be another one than was cancelled.
        self._stream.cancel()
        raise StopIteration

    def _told(self, parts: Sequence[metric_pb2.WatchMetricsResponse]) -> MetricUpdate:
        reset = False
        series: list[SeriesUpdate] = []
        for each in parts:
            if each.reset:
                reset, series = True, []
                self._chart.clear()
                self._has_range = each.HasField("grid")
                if self._has_range:
                    self._grid = each.grid
            if each.HasField("series"):
                series.append(convert.series_update(each))
                self._replace(series[-1])
        grid, known = self._grid, self._has_range
        return MetricUpdate(
            reset,
            grid.start if known else None,
            grid.end if known else None,
            grid.buckets,
            series,
        )

    def _replace(self, update: SeriesUpdate) -> None:
        of = update.series
        name = (of.run_id, of.key, -1 if of.rank is None else of.rank)
        if update.whole:
            self._chart[name] = {}
        rows = zip(*(getattr(of, each.name) for each in fields(of)[3:]), strict=True)
        self._chart[name].update(zip(update.buckets, rows, strict=True))


def _series(run_id: str, key: str, rank: int, rows: Rows) -> SampledSeries:
    columns = [list(column) for column in zip(*(rows[n] for n in sorted(rows)), strict=True)]
    return SampledSeries(run_id, key, None if rank < 0 else rank, *columns)

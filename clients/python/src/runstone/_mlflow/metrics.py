"""What a run logs: points through this process's journal, parameters and tags by call.

A point is in the journal when its call returns, and a sender delivers it, as with
``runstone.log_metrics``. What reads through this process waits for that (``Client``), and so does
the end of a run (``tracking``).
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from mlflow import entities as theirs
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.async_logging.async_logging_queue import AsyncLoggingQueue
from mlflow.utils.async_logging.run_operations import RunOperations

from runstone import _fork, _values
from runstone._entities.tracking import LifecycleStage, Metric, Param, RunTag
from runstone._journal import outlet, rules
from runstone._mlflow import entities
from runstone._mlflow.places import PluginClient
from runstone._mlflow.recent import Recent
from runstone.exceptions import RunDeleted, RunNotFound

MOST_KNOWN = 100_000
"""Runs that are remembered to be there; a service that logs to more of them looks again."""

_log = logging.getLogger("runstone")

Row = tuple[int, int, dict[str, float]]
"""Step, Unix milliseconds, and the values of the metrics that have one there."""


class MetricsMixin:
    """The part of a tracking store that writes what runs log, and reads points."""

    client: PluginClient
    _async_logging_queue: AsyncLoggingQueue

    def _begin(self) -> None:
        self._known: set[str] = set()
        self._recent = Recent()
        self._told = False
        _stores.add(self)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Any] = (),
        params: Sequence[Any] = (),
        tags: Sequence[Any] = (),
    ) -> None:
        """Set parameters and tags, all or none, then append the points.

        Points are checked first, so that nothing is logged of a batch with a bad one. Those that
        say something about a logged model too are few, and sent with the call.
        """
        of_models = [each for each in metrics or () if each.model_id]
        rows = list(_rows(each for each in metrics or () if not each.model_id))
        if params or tags or of_models:
            self.client.log_batch(
                run_id,
                [entities.our_metric(each) for each in of_models],
                [Param(each.key, each.value) for each in params or ()],
                [RunTag(each.key, each.value) for each in tags or ()],
            )
            self._remember(run_id)
        if rows:
            self._require_active(run_id)
            self._append(run_id, rows)

    def log_batch_async(
        self, run_id: str, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]
    ) -> RunOperations:
        """As ``log_batch``; parameters and tags are sent by another thread.

        The points are in the journal on return all the same: in a queue in memory they would be
        lost with the process. ``wait()`` returns when all is on the server.
        """
        futures: list[Any] = []
        if metrics:
            self.log_batch(run_id, metrics)
            futures.append(_Delivered(self.client.tracking_uri))
        if params or tags:
            queued = super().log_batch_async(run_id, [], params, tags)  # type: ignore[misc]
            futures += queued._operation_futures  # noqa: SLF001 - as their own code combines them
        return RunOperations(futures)

    def flush_async_logging(self) -> None:
        """Return when all that was logged is on the server."""
        super().flush_async_logging()  # type: ignore[misc]
        outlet.flush_visibly(self.client.tracking_uri)

    def get_run(self, run_id: str) -> theirs.Run:
        """A run with what this process logged to it, delivered or not."""
        # Before the call: what is delivered meanwhile is in the answer, and harmless twice.
        outlets = outlet.outlets(self.client.tracking_uri)
        delivered = min((each.journal.delivered for each in outlets), default=0)
        return entities.run(
            self.client.get_run_as_stored(run_id),
            lambda stored: self._recent.over(run_id, stored, delivered),
        )

    def get_metric_history(
        self,
        run_id: str,
        metric_key: str,
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """Every point of a metric, in one page, ordered by (timestamp, step, value).

        None of a run that is not there: that is what MLflow's server answers.
        """
        del max_results, page_token
        found: list[Metric] = []
        with suppress(RunNotFound):
            found = self.client.get_metric_history(run_id, metric_key)
        return PagedList(entities.metrics(metric_key, found), None)

    def _append(self, run_id: str, rows: list[Row]) -> None:
        try:
            out = outlet.outlet(self.client.tracking_uri, self.client.user)
            while rows:
                step, timestamp_ms, values = rows[0]
                out.log(run_id, values, step, timestamp_ms)
                self._recent.add(run_id, step, timestamp_ms, values, out.journal.size)
                del rows[0]
        except OSError as error:
            if not self._told:
                self._told = True
                _log.warning(
                    "the journal cannot be used (%s); from now on each call waits until the server"
                    " has its metrics. RUNSTONE_JOURNAL_DIR names a folder for journals.",
                    error,
                )
            points = [
                Metric(key, value, timestamp_ms, step)
                for step, timestamp_ms, values in rows
                for key, value in values.items()
            ]
            self.client.append_metrics(run_id, points, rank=rules.rank())

    def _require_active(self, run_id: str) -> None:
        """Once for each run: when its points are delivered nobody is there to be told."""
        if run_id in self._known:
            return
        # Without a change it only looks.
        if self.client.update_run(run_id).lifecycle_stage == LifecycleStage.DELETED:
            raise RunDeleted(
                f"The run {run_id} must be in the 'active' state. Current state is deleted.",
                metadata={"run_id": run_id},
            )
        self._remember(run_id)

    def _remember(self, run_id: str) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known.add(run_id)

    def _forget(self, run_id: str) -> None:
        self._known.discard(run_id)
        self._recent.forget(run_id)


_stores: weakref.WeakSet[MetricsMixin] = weakref.WeakSet()


@_fork.in_child
def _renew_queues() -> None:
    """The threads of MLflow's queue stay with the parent; whoever waited for one would hang."""
    for store in _stores:
        store._recent.renew()  # noqa: SLF001
        store._async_logging_queue = AsyncLoggingQueue(logging_func=store.log_batch)  # noqa: SLF001


class _Delivered:
    """The future of points in the journal, as far as RunOperations looks at one."""

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri

    def result(self) -> None:
        """Wait for delivery, for as long as something is delivered once a minute."""
        outlet.flush_visibly(self._tracking_uri)


def _rows(metrics: Iterable[Any]) -> Iterator[Row]:
    """Points that follow each other at one step and time, together. Raises InvalidField."""
    step = timestamp_ms = 0
    values: dict[str, float] = {}
    for each in metrics:
        rules.check_keys((each.key,))
        value = _values.metric_value(each.key, each.value)
        at = _values.whole_number("step", 0 if each.step is None else each.step)
        when = rules.timestamp_ms(each.timestamp)
        if values and (at != step or when != timestamp_ms or each.key in values):
            yield step, timestamp_ms, values
            values = {}
        step, timestamp_ms = at, when
        values[each.key] = value
    if values:
        yield step, timestamp_ms, values

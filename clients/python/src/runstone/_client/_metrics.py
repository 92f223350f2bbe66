"""Metric points: written in numbered batches, read as series."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any

from runstone import _values
from runstone._client._base import ClientBase
from runstone._convert import tracking as convert
from runstone._convert.logged import model_metric
from runstone._entities.columns import NO_RANK, MetricColumns
from runstone._entities.paging import PagedList
from runstone._entities.tracking import Metric, MetricSummary, Param, RunTag, SampledSeries
from runstone._values import MAX_PARAM_VALUE, MAX_TAG_VALUE
from runstone._writer import writers
from runstone.exceptions import InvalidField, MetricNotFound
from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2, run_pb2


def series_of(metrics: Iterable[Metric], rank: int | None = None) -> list[metric_pb2.Series]:
    """Points gathered by key and rank; ``rank`` is for those that have none."""
    found: dict[tuple[str, int | None], metric_pb2.Series] = {}
    for each in metrics:
        of_rank = rank if each.rank is None else each.rank
        series = found.get((each.key, of_rank))
        if series is None:
            series = found[each.key, of_rank] = metric_pb2.Series(key=each.key, rank=of_rank)
        series.steps.append(_values.whole_number("step", each.step))
        series.timestamps_ms.append(_values.timestamp_ms(each.timestamp))
        series.values.append(_values.metric_value(each.key, each.value))
    return list(found.values())


class MetricCalls(ClientBase):
    """Calls about metrics, and batches of everything that a run logs."""

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: Any,
        timestamp: int | None = None,
        step: int | None = None,
        *,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        model_id: str | None = None,
    ) -> None:
        """Append one point; it is committed on return. ``timestamp`` in Unix milliseconds.

        With a ``model_id`` it becomes a metric of that logged model too, measured on the data set
        named; without one the data set is not kept.

        Raises:
            InvalidField: the value is not a number (a bool is none), or the key breaks the rules.
            RunNotFound, RunDeleted, LoggedModelNotFound, LoggedModelDeleted
        """
        if model_id:
            when, place = _values.timestamp_ms(timestamp), 0 if step is None else step
            point = Metric(key, value, when, place, None, model_id, dataset_name, dataset_digest)
            self.log_batch(run_id, [point])
            return
        self.append_metrics(
            run_id,
            [
                metric_pb2.Series(
                    key=key,
                    steps=[0 if step is None else _values.whole_number("step", step)],
                    timestamps_ms=[_values.timestamp_ms(timestamp)],
                    values=[_values.metric_value(key, value)],
                )
            ],
        )

    def append_metrics(
        self,
        run_id: str,
        series: Iterable[metric_pb2.Series] | Iterable[Metric] | Mapping[str, Sequence[Any]],
        *,
        rank: int | None = None,
        writer_id: str | None = None,
        sequence: int | None = None,
    ) -> bool:
        """Append points of many series at once: all are committed on return, or none.

        Args:
            run_id: An active run.
            series: Messages, points (``Metric``), or a dict of key to columns
                ``(steps, timestamps_ms, values)`` of equal length. At most 4 MiB.
            rank: Which process of a distributed job measured the points; messages keep their own.
            writer_id: Names the writer within the run; this process when absent.
            sequence: The writer's number of this batch: 1, 2, 3 …, to be kept when it is sent
                again; given by this process when absent.

        Returns:
            Whether the batch had been applied before; nothing was written then.

        Raises:
            SequenceReused: the number was used for a batch with other content.
            SequenceGap: the writer's batches before this one are missing.
            InvalidField, RunNotFound, RunDeleted
        """
        if (writer_id is None) != (sequence is None):
            raise _values.invalid("sequence", "must be given together with writer_id")
        messages = messages_of(series, rank)
        request = metric_pb2.AppendMetricsRequest(run_id=run_id, series=messages)
        with _by_key(messages):
            if writer_id is not None and sequence is not None:
                request.writer_id, request.sequence = writer_id, sequence
                return self._tracking.AppendMetrics(request).duplicate
            with writers.batch(run_id) as (request.writer_id, request.sequence):
                return self._tracking.AppendMetrics(request).duplicate

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] | Mapping[str, Any] = (),
        tags: Sequence[RunTag] | Mapping[str, Any] = (),
    ) -> None:
        """Set parameters and tags and append points, all in one transaction: everything or nothing.

        Points with a ``model_id`` become metrics of that logged model too, at most 1000.

        Raises:
            ParamImmutable: a parameter has another value.
            InvalidField, RunNotFound, RunDeleted, LoggedModelNotFound, LoggedModelDeleted
        """
        points = list(metrics)
        request = run_pb2.LogBatchRequest(
            run_id=run_id,
            params=_values.texts("param", params, MAX_PARAM_VALUE),
            tags=_values.texts("tag", tags, MAX_TAG_VALUE),
            series=series_of(points),
            model_metrics=[model_metric(each) for each in points if each.model_id],
        )
        if request.series:
            with (
                _by_key(request.series),
                writers.batch(run_id) as (request.writer_id, request.sequence),
            ):
                self._tracking.LogBatch(request)
        elif request.params or request.tags:
            self._tracking.LogBatch(request)

    def get_metric_history(self, run_id: str, key: str, rank: int | None = None) -> list[Metric]:
        """Every point of a metric, ordered by (timestamp, step, value, rank).

        Args:
            run_id: A run, deleted or not.
            key: The metric's key.
            rank: Only the points of this rank; those of all ranks when absent.

        Returns:
            The points, each with its ``rank`` (None without one); empty when there is none.

        Raises:
            RunNotFound
        """
        found = self.get_metric_columns(run_id, key, rank)
        ranks = (None if each == NO_RANK else each for each in found.ranks)
        return list(
            map(
                Metric,
                repeat(key),
                found.values,
                found.timestamps,
                found.steps,
                ranks if found.ranks else repeat(None),
            )
        )

    def get_metric_columns(self, run_id: str, key: str, rank: int | None = None) -> MetricColumns:
        """Every point of a metric as columns: 24 bytes a point (32 with ranks) and no object.

        Args:
            run_id: A run, deleted or not.
            key: The metric's key.
            rank: Only the points of this rank; those of all ranks when absent.

        Returns:
            The columns, by (timestamp, step, value, rank); of length 0 when there is no point.
            ``to_numpy()`` and ``to_pandas()`` have them as arrays and as a DataFrame.

        Raises:
            RunNotFound
        """
        self._settle()
        request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key=key, rank=rank)
        found = MetricColumns(key, array("q"), array("q"), array("d"), array("q"))
        try:
            stream: Any = self._tracking.GetMetricHistory(request)
            # A server that is restarted in the middle sends everything again.
            stream.restart = lambda: _clear(found)
            for page in stream:
                _extend(found, page)
        except MetricNotFound:
            _clear(found)
        return found

    def sample_metrics(
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
    ) -> list[SampledSeries]:
        """What a chart shows of metrics: cheap however long they are, and no spike is lost.

        Args:
            run_ids: One run or several.
            keys: One metric or several; a run that lacks one has no series for it.
            buckets: How many divide the range, at most 4096. Those that hold no point are left out.
            axis: What they divide: ``step``, ``relative_time`` (milliseconds since the start of the
                run) or ``wall_time`` (Unix milliseconds).
            start: The first step or millisecond of the range; that of all series when absent.
            end: The last one, which is in it.
            ranks: Only series of these ranks; all, and those without one, when empty.
            across_ranks: One series for each run and metric: its ranks together, bucket by bucket.

        Returns:
            The series, by run, key and rank.

        Raises:
            InvalidField, RunNotFound
        """
        self._settle()
        request = metric_pb2.SampleMetricsRequest(
            **chart(run_ids, keys, buckets, axis, start, end, ranks, across_ranks)
        )
        found: list[SampledSeries] = []
        stream: Any = self._tracking.SampleMetrics(request)
        stream.restart = found.clear
        found.extend(map(convert.sampled_series, stream))
        return found

    def list_metric_keys(
        self, run_id: str, max_results: int = 1000, page_token: str | None = None
    ) -> PagedList[MetricSummary]:
        """One page of a run's metrics in short, ordered by key. Raises RunNotFound."""
        self._settle()
        response = self._tracking.ListMetricKeys(
            metric_pb2.ListMetricKeysRequest(
                run_id=run_id, page_size=max_results, page_token=page_token or ""
            )
        )
        return PagedList(map(convert.metric_summary, response.metrics), response.next_page_token)


def _extend(columns: MetricColumns, page: Any) -> None:
    """Append a view of GetMetricHistoryResponse."""
    before = len(columns)
    columns.steps.extend(columnar.unpack_int64(columnar.joined(page.steps)))
    columns.timestamps.extend(columnar.unpack_int64(columnar.joined(page.timestamps_ms)))
    columns.values.extend(columnar.unpack_double(columnar.joined(page.values)))
    if page.ranks and not columns.ranks:
        columns.ranks.extend(array("q", [NO_RANK]) * before)
    if page.ranks:
        columns.ranks.extend(array("q", page.ranks))
    elif columns.ranks:
        columns.ranks.extend(array("q", [NO_RANK]) * (len(columns) - before))


def _clear(columns: MetricColumns) -> None:
    for column in (columns.steps, columns.timestamps, columns.values, columns.ranks):
        del column[:]


def chart(
    run_ids: str | Sequence[str],
    keys: str | Sequence[str],
    buckets: int,
    axis: str,
    start: int | None,
    end: int | None,
    ranks: Sequence[int],
    across_ranks: bool,
) -> dict[str, Any]:
    """The fields that say which chart is meant, of a sample's request and of a watch's."""
    return {
        "run_ids": [run_ids] if isinstance(run_ids, str) else run_ids,
        "keys": [keys] if isinstance(keys, str) else keys,
        "buckets": _values.whole_number("buckets", buckets),
        "axis": _axis(axis),
        "start": None if start is None else _values.whole_number("start", start),
        "end": None if end is None else _values.whole_number("end", end),
        "ranks": [_values.whole_number("ranks", rank) for rank in ranks],
        "across_ranks": across_ranks,
    }


def _axis(name: str) -> metric_pb2.SampleAxis.ValueType:
    """What buckets divide, by name. Raises InvalidField."""
    known = {
        "step": metric_pb2.SAMPLE_AXIS_STEP,
        "relative_time": metric_pb2.SAMPLE_AXIS_RELATIVE_TIME,
        "wall_time": metric_pb2.SAMPLE_AXIS_WALL_TIME,
    }
    if name not in known:
        raise _values.invalid("axis", f"must be one of {', '.join(known)}, not {name!r:.80}")
    return known[name]


@contextmanager
def _by_key(series: Sequence[metric_pb2.Series]) -> Iterator[None]:
    """Have what is wrong with a series told of its key, not of its place in the message."""

    def named(place: re.Match[str]) -> str:
        number = int(place[1])
        return f"metrics[{series[number].key!r:.300}]" if number < len(series) else place[0]

    try:
        yield
    except InvalidField as error:
        error.message = re.sub(r"\bseries\[(\d+)\]", named, error.message)
        error.args = (error.message,)
        raise


def messages_of(
    series: Iterable[metric_pb2.Series] | Iterable[Metric] | Mapping[str, Sequence[Any]],
    rank: int | None,
) -> list[metric_pb2.Series]:
    """What ``append_metrics`` takes, as messages."""
    if isinstance(series, Mapping):
        return [_message(key, columns, rank) for key, columns in series.items()]
    messages: list[metric_pb2.Series] = []
    points: list[Metric] = []
    for each in series:
        if isinstance(each, Metric):
            if each.model_id:
                raise _values.invalid(
                    f"metrics[{each.key!r}].model_id", "is kept by log_batch and log_metric only"
                )
            points.append(each)
        else:
            messages.append(each)
    return messages + series_of(points, rank)


_COLUMNS = {
    "steps": "must be whole numbers that fit 64 bits",
    "timestamps_ms": "must be whole numbers that fit 64 bits",
    "values": "must be real numbers",
}
"""Those of a series in the order in which they are given, and what each must be."""


def _message(key: str, columns: Sequence[Any], rank: int | None) -> metric_pb2.Series:
    """The message of a series. Raises InvalidField for what no message can hold."""
    message = metric_pb2.Series(key=key, rank=rank)
    try:
        named = list(zip(_COLUMNS, columns, strict=True))
    except (TypeError, ValueError):
        raise _values.invalid(
            f"metrics[{key!r}]", "must be three columns: steps, timestamps_ms, values"
        ) from None
    for name, column in named:
        try:
            getattr(message, name).extend(column)
        except (TypeError, ValueError):
            raise _values.invalid(f"metrics[{key!r}].{name}", _COLUMNS[name]) from None
    return message

"""Traces and their spans."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from mlflow import entities as theirs
from mlflow.store.tracking import SEARCH_TRACES_DEFAULT_MAX_RESULTS

from runstone._mlflow import spans as convert
from runstone._mlflow.paging import filled
from runstone._mlflow.places import PluginClient
from runstone.exceptions import InvalidArgument, RunstoneException

_log = logging.getLogger("runstone")


class TracesMixin:
    """The part of a tracking store that knows traces."""

    client: PluginClient

    def start_trace(self, trace_info: theirs.TraceInfo) -> theirs.TraceInfo:
        """Note a trace; MLflow's client does so when it has ended."""
        return convert.info(self.client.create_trace(convert.our_info(trace_info)))

    def log_spans(
        self, location: str, spans: Sequence[theirs.Span], tracking_uri: str | None = None
    ) -> list[theirs.Span]:
        """Store spans in the experiment ``location``.

        MLflow's client tells nobody when that fails, so it is told here.
        """
        del tracking_uri
        try:
            self.client.log_spans(location, [convert.our_span(each) for each in spans])
        except RunstoneException as error:
            _log.warning("%d spans are lost: %s", len(spans), error)
            raise
        return list(spans)

    def get_trace_info(self, trace_id: str) -> theirs.TraceInfo:
        """A trace without its spans."""
        return convert.info(self.client.get_trace(trace_id, include_spans=False).info)

    def get_trace(self, trace_id: str, *, allow_partial: bool = False) -> theirs.Trace:
        """A trace with the spans that are there."""
        del allow_partial
        return convert.trace(self.client.get_trace(trace_id))

    def batch_get_traces(
        self,
        trace_ids: Sequence[str],
        location: str | None = None,
        experiment_ids: Sequence[str] | None = None,
    ) -> list[theirs.Trace]:
        """Those of these traces that are there."""
        del location
        found = self.client.batch_get_traces(trace_ids)
        return [convert.trace(each) for each in found if _within(each, experiment_ids)]

    def batch_get_trace_infos(
        self,
        trace_ids: Sequence[str],
        location: str | None = None,
        experiment_ids: Sequence[str] | None = None,
    ) -> list[theirs.TraceInfo]:
        """Those of these traces that are there, without spans."""
        del location
        found = self.client.batch_get_traces(trace_ids, include_spans=False)
        return [convert.info(each.info) for each in found if _within(each, experiment_ids)]

    def search_traces(
        self,
        experiment_ids: Sequence[str] | None = None,
        filter_string: str | None = None,
        max_results: int = SEARCH_TRACES_DEFAULT_MAX_RESULTS,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        model_id: str | None = None,
        locations: Sequence[str] | None = None,
    ) -> tuple[list[theirs.TraceInfo], str | None]:
        """The traces that match, without spans."""
        where = locations or experiment_ids
        if not where:
            raise InvalidArgument("locations must name at least one experiment")
        if model_id:
            of_model = f"metadata.`mlflow.modelId` = '{model_id}'"
            filter_string = f"{filter_string} AND {of_model}" if filter_string else of_model
        found = filled(
            lambda size, token: self.client.search_traces(
                where, filter_string, size, order_by, token, include_spans=False
            ),
            lambda each: convert.info(each.info),
            max_results,
            page_token,
        )
        return list(found), found.token

    def _delete_traces(
        self,
        experiment_id: str,
        max_timestamp_millis: int | None = None,
        max_traces: int | None = None,
        trace_ids: Sequence[str] | None = None,
    ) -> int:
        return self.client.delete_traces(experiment_id, max_timestamp_millis, max_traces, trace_ids)

    def set_trace_tag(self, trace_id: str, key: str, value: str) -> None:
        """Set a tag of a trace."""
        self.client.set_trace_tag(trace_id, key, value)

    def delete_trace_tag(self, trace_id: str, key: str) -> None:
        """Delete a tag of a trace."""
        self.client.delete_trace_tag(trace_id, key)

    def link_traces_to_run(self, trace_ids: Sequence[str], run_id: str) -> None:
        """Have a search for a run find traces."""
        self.client.link_traces_to_run(trace_ids, run_id)


def _within(trace: Any, experiment_ids: Sequence[str] | None) -> bool:
    return not experiment_ids or trace.info.experiment_id in experiment_ids

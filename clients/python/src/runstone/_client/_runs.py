"""Runs, and what is logged to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from runstone import _values
from runstone._client._base import ClientBase
from runstone._client._experiments import view
from runstone._connection import new_id
from runstone._convert import runcolumns, times
from runstone._convert import tracking as convert
from runstone._entities.logged import DatasetSummary
from runstone._entities.paging import PagedList
from runstone._entities.runcolumns import RunColumns
from runstone._entities.tracking import (
    DatasetInput,
    LoggedModelInput,
    LoggedModelOutput,
    PurgedRuns,
    Run,
    RunInfo,
    RunStatus,
    ViewType,
)
from runstone._values import MAX_PARAM_VALUE, MAX_TAG_VALUE, invalid
from runstone.tracking.v1 import logged_model_pb2, run_columns_pb2, run_pb2

PARENT_RUN_ID = "mlflow.parentRunId"
USER = "mlflow.user"


def status_value(status: str | int) -> run_pb2.RunStatus.ValueType:
    """The message's value of a status by name or number. Raises InvalidField."""
    try:
        name = RunStatus.to_string(status) if isinstance(status, int) else status.upper()
        return run_pb2.RunStatus.ValueType(RunStatus.from_string(name))
    except ValueError as error:
        raise invalid("status", str(error)) from None


def _search(
    experiment_ids: Sequence[str] | str,
    filter_string: str,
    run_view_type: int,
    max_results: int,
    order_by: Sequence[str] | None,
    page_token: str | None,
) -> run_pb2.SearchRunsRequest:
    ids = [experiment_ids] if isinstance(experiment_ids, str | int) else experiment_ids
    return run_pb2.SearchRunsRequest(
        experiment_ids=[str(each) for each in ids],
        filter=filter_string or "",
        order_by=list(order_by or ()),
        view_type=view(run_view_type),
        page_size=max_results or 0,
        page_token=page_token or "",
    )


class RunCalls(ClientBase):
    """Calls about runs."""

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        *,
        request_id: str | None = None,
    ) -> Run:
        """Create a run, RUNNING; a name is made up if absent. ``start_time`` in Unix milliseconds.

        Raises:
            ExperimentNotFound, ExperimentDeleted
        """
        texts = _values.texts("tag", tags, MAX_TAG_VALUE)
        request = run_pb2.CreateRunRequest(
            experiment_id=str(experiment_id),
            name=run_name or "",
            user_id=texts.get(USER, ""),
            tags=texts,
            request_id=request_id or new_id(),
        )
        if start_time is not None:
            request.start_time.CopyFrom(times.to_timestamp(start_time))
        return convert.run(self._tracking.CreateRun(request).run)

    def get_run(self, run_id: str) -> Run:
        """The run with all it holds but metric history, deleted or not. Raises RunNotFound."""
        self._settle()
        return convert.run(self._tracking.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run)

    def get_parent_run(self, run_id: str) -> Run | None:
        """The run that this one is nested in; None when it is not nested."""
        parent = self.get_run(run_id).data.tags.get(PARENT_RUN_ID)
        return self.get_run(parent) if parent else None

    def update_run(
        self,
        run_id: str,
        status: str | int | None = None,
        name: str | None = None,
        *,
        end_time: int | None = None,
    ) -> RunInfo:
        """Change status, name or end time (Unix milliseconds) of an active run.

        A status that is not an end unsets the end time.

        Raises:
            RunNotFound, RunDeleted
        """
        run = run_pb2.Run(run_id=run_id)
        paths = []
        if name is not None:
            run.name = name
            paths.append("name")
        if status is not None:
            run.status = status_value(status)
            paths.append("status")
        if end_time is not None:
            run.end_time.CopyFrom(times.to_timestamp(end_time))
        if end_time is not None or (status is not None and not RunStatus.is_terminated(run.status)):
            paths.append("end_time")
        if not paths:
            return self.get_run(run_id).info
        response = self._tracking.UpdateRun(
            run_pb2.UpdateRunRequest(run=run, update_mask=FieldMask(paths=paths))
        )
        return convert.run_info(response.run)

    def set_terminated(
        self, run_id: str, status: str | None = None, end_time: int | None = None
    ) -> None:
        """End a run: FINISHED and now, unless said otherwise. ``end_time`` in Unix milliseconds.

        Raises:
            RunNotFound, RunDeleted
        """
        end = _values.now_ms() if end_time is None else end_time
        self.update_run(run_id, status or "FINISHED", end_time=end)

    def delete_run(self, run_id: str) -> None:
        """Delete a run; ``restore_run`` brings it back until it is purged. Raises RunNotFound."""
        self._settle()  # a deleted run takes no points
        self._tracking.DeleteRun(run_pb2.DeleteRunRequest(run_id=run_id))

    def restore_run(self, run_id: str) -> None:
        """Restore a deleted run of an active experiment.

        Raises:
            RunNotFound, ExperimentDeleted
        """
        self._tracking.RestoreRun(run_pb2.RestoreRunRequest(run_id=run_id))

    def purge_runs(
        self,
        run_ids: Sequence[str] = (),
        *,
        deleted_before: int | None = None,
        dry_run: bool = False,
    ) -> PurgedRuns:
        """Remove deleted runs for good: those named, else all, 1000 a call.

        ``deleted_before`` is in Unix milliseconds.

        Raises:
            RunNotFound, RunNotDeleted
        """
        request = run_pb2.PurgeRunsRequest(run_ids=list(run_ids), dry_run=dry_run)
        if deleted_before is not None:
            request.deleted_before.CopyFrom(times.to_timestamp(deleted_before))
        response = self._tracking.PurgeRuns(request)
        return PurgedRuns(list(response.run_ids), response.more)

    def search_runs(
        self,
        experiment_ids: Sequence[str] | str,
        filter_string: str = "",
        run_view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Run]:
        """One page of the runs that match; ``token`` of the result leads to the next.

        Metrics mean their latest value. A page ends early at 4 MiB.

        Raises:
            FilterInvalid: ``filter_string`` or ``order_by`` cannot be read.
            PageTokenInvalid, PageTokenOfOtherQuery
        """
        self._settle()
        response = self._tracking.SearchRuns(
            _search(experiment_ids, filter_string, run_view_type, max_results, order_by, page_token)
        )
        return PagedList(map(convert.run, response.runs), response.next_page_token)

    def search_run_columns(
        self,
        experiment_ids: Sequence[str] | str,
        filter_string: str = "",
        run_view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> RunColumns:
        """The runs of ``search_runs`` as columns: a table of 20,000 in a fraction of the time.

        At most 50,000; ``token`` of the result leads to the next ones.

        Raises:
            FilterInvalid: ``filter_string`` or ``order_by`` cannot be read.
            PageTokenInvalid, PageTokenOfOtherQuery
        """
        self._settle()
        search = _search(
            experiment_ids, filter_string, run_view_type, max_results, order_by, page_token
        )
        found = RunColumns()
        request = run_columns_pb2.SearchRunColumnsRequest(search=search, values_only=True)
        stream: Any = self._tracking.SearchRunColumns(request)
        # A server that is restarted in the middle sends everything again.
        stream.restart = lambda: runcolumns.clear(found)
        for message in stream:
            runcolumns.extend(found, message)
        runcolumns.complete(found)
        return found

    def log_param(self, run_id: str, key: str, value: Any) -> Any:
        """Set a parameter; the same value again is fine. Returns ``value``.

        Raises:
            ParamImmutable: it has another value.
            RunNotFound, RunDeleted
        """
        params = _values.texts("param", {key: value}, MAX_PARAM_VALUE)
        self._tracking.LogBatch(run_pb2.LogBatchRequest(run_id=run_id, params=params))
        return value

    def set_tag(self, run_id: str, key: str, value: Any) -> None:
        """Set a tag. Raises RunNotFound, RunDeleted."""
        tags = _values.texts("tag", {key: value}, MAX_TAG_VALUE)
        self._tracking.LogBatch(run_pb2.LogBatchRequest(run_id=run_id, tags=tags))

    def delete_run_tags(self, run_id: str, keys: Sequence[str]) -> None:
        """Delete tags of an active run, all or, when one is not set, none.

        Raises:
            RunNotFound, RunDeleted, TagNotFound
        """
        self._tracking.DeleteRunTags(run_pb2.DeleteRunTagsRequest(run_id=run_id, keys=list(keys)))

    def delete_tag(self, run_id: str, key: str) -> None:
        """Delete one tag of an active run."""
        self.delete_run_tags(run_id, [key])

    def log_inputs(
        self,
        run_id: str,
        datasets: Iterable[DatasetInput] | None = None,
        models: Iterable[LoggedModelInput] | None = None,
    ) -> None:
        """Note data sets and logged models that a run reads; repeating one is fine.

        Raises:
            RunNotFound, RunDeleted, LoggedModelNotFound
        """
        inputs = [
            run_pb2.DatasetInput(
                dataset=convert.dataset_message(each.dataset),
                tags={tag.key: str(tag.value) for tag in each.tags},
            )
            for each in datasets or ()
        ]
        read = [logged_model_pb2.ModelInput(model_id=each.model_id) for each in models or ()]
        self._tracking.LogInputs(
            run_pb2.LogInputsRequest(run_id=run_id, inputs=inputs, models=read)
        )

    def log_outputs(self, run_id: str, models: Iterable[LoggedModelOutput]) -> None:
        """Note logged models that a run made; of one that is repeated the step is set anew.

        Raises:
            RunNotFound, RunDeleted, LoggedModelNotFound
        """
        made = [
            logged_model_pb2.ModelOutput(model_id=each.model_id, step=each.step) for each in models
        ]
        self._tracking.LogOutputs(run_pb2.LogOutputsRequest(run_id=run_id, models=made))

    def search_datasets(self, experiment_ids: Sequence[str] | str) -> list[DatasetSummary]:
        """Data sets that runs of the experiments read, by name, digest and context; 1000 at most.

        Example:
            >>> import runstone
            >>> from runstone.entities import Dataset, DatasetInput
            >>> client = runstone.Client()
            >>> experiment = client.create_experiment("what was read")
            >>> run = client.create_run(experiment)
            >>> iris = Dataset("iris", "1a2b", "local", "iris.csv")
            >>> client.log_inputs(run.info.run_id, [DatasetInput(iris)])
            >>> [(each.name, each.digest) for each in client.search_datasets(experiment)]
            [('iris', '1a2b')]
        """
        ids = [experiment_ids] if isinstance(experiment_ids, str | int) else experiment_ids
        request = run_pb2.SearchDatasetsRequest(experiment_ids=[str(each) for each in ids])
        return [
            DatasetSummary(each.experiment_id, each.name, each.digest, each.context or None)
            for each in self._tracking.SearchDatasets(request).summaries
        ]

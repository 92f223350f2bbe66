"""Experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from runstone import _values
from runstone._client._base import ClientBase
from runstone._connection import new_id
from runstone._convert import times
from runstone._convert import tracking as convert
from runstone._entities.paging import PagedList
from runstone._entities.tracking import Experiment, PurgedExperiments, ViewType
from runstone._values import MAX_EXPERIMENT_TAG_VALUE
from runstone.exceptions import NotFound
from runstone.tracking.v1 import experiment_pb2, run_pb2


def view(number: int) -> experiment_pb2.ViewType.ValueType:
    """The message's value of a ViewType."""
    return experiment_pb2.ViewType.ValueType(number)


class ExperimentCalls(ClientBase):
    """Calls about experiments."""

    def create_experiment(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: Mapping[str, Any] | None = None,
        *,
        request_id: str | None = None,
    ) -> str:
        """Create an experiment and return its id.

        The server chooses where files are stored: ``artifact_location`` is ignored, with a warning.

        Raises:
            ExperimentNameTaken: an active or deleted experiment has this name.
        """
        if artifact_location:
            _values.warn("artifact_location is ignored: the server chooses where files are stored")
        response = self._tracking.CreateExperiment(
            experiment_pb2.CreateExperimentRequest(
                name=name,
                tags=_values.texts("tag", tags, MAX_EXPERIMENT_TAG_VALUE),
                request_id=request_id or new_id(),
            )
        )
        return response.experiment.experiment_id

    def get_experiment(self, experiment_id: str) -> Experiment:
        """The experiment with this id, deleted or not. Raises ExperimentNotFound."""
        request = experiment_pb2.GetExperimentRequest(experiment_id=str(experiment_id))
        return convert.experiment(self._tracking.GetExperiment(request).experiment)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """The experiment with this name, deleted or not; None when there is none."""
        try:
            request = experiment_pb2.GetExperimentRequest(name=name)
            return convert.experiment(self._tracking.GetExperiment(request).experiment)
        except NotFound:
            # Or there are no data at all yet.
            return None

    def update_experiment(self, experiment_id: str, name: str) -> Experiment:
        """Rename an active experiment.

        Raises:
            ExperimentNotFound, ExperimentNameTaken, ExperimentDeleted, DefaultExperimentFixed
        """
        response = self._tracking.UpdateExperiment(
            experiment_pb2.UpdateExperimentRequest(
                experiment=experiment_pb2.Experiment(experiment_id=str(experiment_id), name=name),
                update_mask=FieldMask(paths=["name"]),
            )
        )
        return convert.experiment(response.experiment)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Rename an active experiment; see ``update_experiment``."""
        self.update_experiment(experiment_id, new_name)

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment and its runs; ``restore_experiment`` brings them back.

        Raises:
            ExperimentNotFound, DefaultExperimentFixed
        """
        self._tracking.DeleteExperiment(
            experiment_pb2.DeleteExperimentRequest(experiment_id=str(experiment_id))
        )

    def restore_experiment(self, experiment_id: str) -> None:
        """Restore a deleted experiment and the runs that were deleted with it.

        Raises:
            ExperimentNotFound
        """
        self._tracking.RestoreExperiment(
            experiment_pb2.RestoreExperimentRequest(experiment_id=str(experiment_id))
        )

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        """One page of the experiments that match; ``token`` of the result leads to the next.

        Raises:
            FilterInvalid: ``filter_string`` or ``order_by`` cannot be read.
            PageTokenInvalid, PageTokenOfOtherQuery
        """
        response = self._tracking.SearchExperiments(
            experiment_pb2.SearchExperimentsRequest(
                filter=filter_string or "",
                order_by=list(order_by or ()),
                view_type=view(view_type),
                page_size=max_results or 0,
                page_token=page_token or "",
            )
        )
        return PagedList(map(convert.experiment, response.experiments), response.next_page_token)

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of an active experiment, all or none.

        Raises:
            ExperimentNotFound, ExperimentDeleted
        """
        self._tracking.SetExperimentTags(
            experiment_pb2.SetExperimentTagsRequest(
                experiment_id=str(experiment_id),
                tags=_values.texts("tag", tags, MAX_EXPERIMENT_TAG_VALUE),
            )
        )

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set one tag of an active experiment."""
        self.set_experiment_tags(experiment_id, {key: value})

    def delete_experiment_tags(self, experiment_id: str, keys: Sequence[str]) -> None:
        """Delete tags of an active experiment, all or, when one is not set, none.

        Raises:
            ExperimentNotFound, ExperimentDeleted, TagNotFound
        """
        self._tracking.DeleteExperimentTags(
            experiment_pb2.DeleteExperimentTagsRequest(
                experiment_id=str(experiment_id), keys=list(keys)
            )
        )

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Delete one tag of an active experiment."""
        self.delete_experiment_tags(experiment_id, [key])

    def purge_experiments(
        self, *, deleted_before: int | None = None, dry_run: bool = False
    ) -> PurgedExperiments:
        """Remove deleted experiments that hold no runs for good; their names are free again.

        ``deleted_before`` is in Unix milliseconds.
        """
        request = run_pb2.PurgeExperimentsRequest(dry_run=dry_run)
        if deleted_before is not None:
            request.deleted_before.CopyFrom(times.to_timestamp(deleted_before))
        response = self._tracking.PurgeExperiments(request)
        return PurgedExperiments(list(response.experiment_ids), response.more)

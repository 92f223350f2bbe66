"""The tracking store: experiments and runs by gRPC."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlflow import entities as theirs
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS, MLFLOW_USER

from runstone._entities.tracking import RunStatus
from runstone._journal import outlet
from runstone._mlflow import entities, places
from runstone._mlflow.errors import speaks_mlflow
from runstone._mlflow.metrics import MetricsMixin
from runstone._mlflow.models import ModelsMixin
from runstone._mlflow.paging import filled
from runstone._mlflow.traces import TracesMixin
from runstone.exceptions import InvalidArgument

UNKNOWN_USER = "unknown"
"""What MLflow's client says when nobody told it who is at work."""


@speaks_mlflow
class TrackingStore(MetricsMixin, ModelsMixin, TracesMixin, AbstractStore):
    """Experiments, runs and what they log, of the server of a tracking URI.

    Args:
        store_uri: ``runstone://host:port`` or ``runstones://host:port``.
        artifact_uri: Not used: the server chooses where files are.
    """

    def __init__(self, store_uri: str, artifact_uri: str | None = None) -> None:
        super().__init__()
        self.store_uri = store_uri
        self.artifact_uri = artifact_uri
        self.client = places.client(store_uri)
        self._begin()

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.store_uri, self.artifact_uri))

    # --- experiments --------------------------------------------------------------------------

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Sequence[Any] | None = None
    ) -> str:
        """Create an experiment and return its id; the location is ignored, with a warning."""
        return self.client.create_experiment(name, artifact_location, entities.texts(tags))

    def get_experiment(self, experiment_id: str) -> theirs.Experiment:
        """An experiment, deleted or not."""
        return entities.experiment(self.client.get_experiment(experiment_id))

    def get_experiment_by_name(self, experiment_name: str) -> theirs.Experiment | None:
        """An experiment, deleted or not; None when there is none."""
        found = self.client.get_experiment_by_name(experiment_name)
        return None if found is None else entities.experiment(found)

    def search_experiments(
        self,
        view_type: int = theirs.ViewType.ACTIVE_ONLY,
        max_results: int = SEARCH_MAX_RESULTS_DEFAULT,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """The experiments that match."""
        return filled(
            lambda size, token: self.client.search_experiments(
                view_type, size, filter_string, order_by, token
            ),
            entities.experiment,
            max_results,
            page_token,
        )

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment with its runs."""
        self.client.delete_experiment(experiment_id)

    def restore_experiment(self, experiment_id: str) -> None:
        """Restore an experiment and the runs that were deleted with it."""
        self.client.restore_experiment(experiment_id)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Rename an experiment."""
        self.client.rename_experiment(experiment_id, new_name)

    def set_experiment_tag(self, experiment_id: str, tag: Any) -> None:
        """Set a tag of an experiment."""
        self.client.set_experiment_tag(experiment_id, tag.key, tag.value)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Delete a tag of an experiment."""
        self.client.delete_experiment_tag(experiment_id, key)

    # --- runs ---------------------------------------------------------------------------------

    def create_run(
        self,
        experiment_id: str,
        user_id: str | None,
        start_time: int | None,
        tags: Sequence[Any] | None,
        run_name: str | None,
    ) -> theirs.Run:
        """Create a run, RUNNING."""
        texts = entities.texts(tags)
        if user_id and user_id != UNKNOWN_USER:
            texts.setdefault(MLFLOW_USER, user_id)
        made = self.client.create_run(experiment_id, start_time, texts, run_name)
        self._remember(made.info.run_id)
        return entities.run(made)

    def update_run_info(
        self, run_id: str, run_status: int | None, end_time: int | None, run_name: str | None
    ) -> theirs.RunInfo:
        """Change a run's status, end time or name.

        A run that ends waits for its points, as long as something is delivered once a minute.
        """
        if run_status is not None and RunStatus.is_terminated(run_status):
            outlet.flush_visibly(self.client.tracking_uri)
        return entities.run_info(
            self.client.update_run(run_id, run_status, run_name or None, end_time=end_time)
        )

    def delete_run(self, run_id: str) -> None:
        """Delete a run; its points are delivered first."""
        self._forget(run_id)
        self.client.delete_run(run_id)

    def restore_run(self, run_id: str) -> None:
        """Restore a run."""
        self.client.restore_run(run_id)

    def _search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int,
        order_by: Sequence[str] | None,
        page_token: str | None,
    ) -> tuple[list[theirs.Run], str | None]:
        found = filled(
            lambda size, token: self.client.search_runs(
                experiment_ids, filter_string or "", run_view_type, size, order_by, token
            ),
            entities.run,
            max_results,
            page_token,
        )
        return list(found), found.token

    def set_tag(self, run_id: str, tag: Any) -> None:
        """Set a tag of a run."""
        self.client.set_tag(run_id, tag.key, tag.value)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Delete a tag of a run."""
        self.client.delete_tag(run_id, key)

    def record_logged_model(self, run_id: str, mlflow_model: Any) -> None:
        """Add a model to the list that the run's tag of MLflow 1 and 2 holds."""
        tags = self.client.get_run(run_id).data.tags
        models = _models(tags.get(MLFLOW_LOGGED_MODELS, "[]"))
        models.append(mlflow_model.get_tags_dict())
        self.client.set_tag(run_id, MLFLOW_LOGGED_MODELS, json.dumps(models))


def _models(text: str) -> list[Any]:
    """The models that a run's tag lists. Raises InvalidArgument for another text, which would be
    lost by one more."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise InvalidArgument(
            f"the run's tag {MLFLOW_LOGGED_MODELS!r} must be a JSON list of models; delete the tag"
        )
    return found

"""Logged models, and the runs that read and made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlflow import entities as theirs
from mlflow.store.entities.paged_list import PagedList

from runstone._entities.tracking import LifecycleStage
from runstone._mlflow import entities
from runstone._mlflow.paging import filled
from runstone._mlflow.places import PluginClient
from runstone.exceptions import LoggedModelNotFound

SEARCH_RESULTS = 100
"""Logged models that a search gives when nobody says how many."""


class ModelsMixin:
    """The part of a tracking store that knows logged models."""

    client: PluginClient

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Sequence[Any] | None = None,
        params: Sequence[Any] | None = None,
        model_type: str | None = None,
    ) -> theirs.LoggedModel:
        """Create a logged model, PENDING."""
        return entities.logged_model(
            self.client.create_logged_model(
                experiment_id,
                name,
                source_run_id,
                entities.texts(tags),
                entities.texts(params),
                model_type,
            )
        )

    def get_logged_model(self, model_id: str, allow_deleted: bool = False) -> theirs.LoggedModel:
        """A logged model; a deleted one only when that is wanted."""
        found = self.client.get_logged_model(model_id)
        if found.lifecycle_stage == LifecycleStage.DELETED and not allow_deleted:
            raise LoggedModelNotFound(
                f"Logged model with ID {model_id!r} not found: it is deleted",
                metadata={"model_id": model_id},
            )
        return entities.logged_model(found)

    def finalize_logged_model(self, model_id: str, status: Any) -> theirs.LoggedModel:
        """Say how the making of a model ended."""
        return entities.logged_model(self.client.finalize_logged_model(model_id, status))

    def delete_logged_model(self, model_id: str) -> None:
        """Delete a logged model."""
        self.client.delete_logged_model(model_id)

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[dict[str, Any]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[dict[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """The logged models that match."""
        return filled(
            lambda size, token: self.client.search_logged_models(
                experiment_ids, filter_string, datasets, size, order_by, token
            ),
            entities.logged_model,
            SEARCH_RESULTS if max_results is None else max_results,
            page_token,
        )

    def set_logged_model_tags(self, model_id: str, tags: Sequence[Any]) -> None:
        """Set tags of a logged model."""
        self.client.set_logged_model_tags(model_id, entities.texts(tags))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Delete a tag of a logged model."""
        self.client.delete_logged_model_tag(model_id, key)

    def log_logged_model_params(self, model_id: str, params: Sequence[Any]) -> None:
        """Add parameters to a logged model."""
        self.client.log_logged_model_params(model_id, entities.texts(params))

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[theirs.DatasetInput] | None = None,
        models: Sequence[theirs.LoggedModelInput] | None = None,
    ) -> None:
        """Note data sets and logged models that a run reads."""
        if datasets or models:
            self.client.log_inputs(
                run_id,
                [entities.our_dataset_input(each) for each in datasets or ()],
                [entities.our_model_input(each) for each in models or ()],
            )

    def log_outputs(self, run_id: str, models: Sequence[theirs.LoggedModelOutput]) -> None:
        """Note logged models that a run made."""
        if models:
            self.client.log_outputs(run_id, [entities.our_model_output(each) for each in models])

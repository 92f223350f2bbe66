"""The model registry store by gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlflow.entities import model_registry as registered
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.prompt.registry_utils import has_prompt_tag
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore

from runstone._mlflow import entities, places
from runstone._mlflow.errors import NotSupported, speaks_mlflow
from runstone._mlflow.paging import filled

IS_PROMPT = f"`{IS_PROMPT_TAG_KEY}` = 'true'"
NO_PROMPTS = f"tag.`{IS_PROMPT_TAG_KEY}` != 'true'"
"""What MLflow's client adds to a search for models. Ours compare what is there: a model without the
tag does not match ``!=``."""


@speaks_mlflow
class RegistryStore(AbstractStore):
    """Registered models, their versions, stages, aliases and tags.

    Args:
        store_uri: ``runstone://host:port`` or ``runstones://host:port``.
        tracking_uri: Not used: the registry itself knows where runs are.
    """

    def __init__(self, store_uri: str, tracking_uri: str | None = None) -> None:
        super().__init__(store_uri=store_uri, tracking_uri=tracking_uri)
        self.store_uri = store_uri
        self.tracking_uri = tracking_uri
        self.client = places.client(store_uri)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.store_uri, self.tracking_uri))

    # --- models -------------------------------------------------------------------------------

    def create_registered_model(
        self,
        name: str,
        tags: Sequence[Any] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> registered.RegisteredModel:
        """Create a model without versions."""
        _refuse_jobs(deployment_job_id)
        return entities.registered_model(
            self.client.create_registered_model(name, entities.texts(tags), description)
        )

    def update_registered_model(
        self, name: str, description: str | None, deployment_job_id: str | None = None
    ) -> registered.RegisteredModel:
        """Change a model's description."""
        _refuse_jobs(deployment_job_id)
        return entities.registered_model(self.client.update_registered_model(name, description))

    def rename_registered_model(self, name: str, new_name: str) -> registered.RegisteredModel:
        """Rename a model."""
        return entities.registered_model(self.client.rename_registered_model(name, new_name))

    def delete_registered_model(self, name: str) -> None:
        """Delete a model and its versions for good."""
        self.client.delete_registered_model(name)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """The models that match."""
        return filled(
            lambda size, token: self.client.search_registered_models(
                _models_only(filter_string), size, order_by, token
            ),
            entities.registered_model,
            100 if max_results is None else max_results,
            page_token,
        )

    def get_registered_model(self, name: str) -> registered.RegisteredModel:
        """A model with the newest version of each stage."""
        return entities.registered_model(self.client.get_registered_model(name))

    def get_latest_versions(
        self, name: str, stages: Sequence[str] | None = None
    ) -> list[registered.ModelVersion]:
        """The newest version of each stage, or of those named."""
        found = self.client.get_latest_versions(name, stages or None)
        return [entities.model_version(each) for each in found]

    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        """Set a tag of a model."""
        self.client.set_registered_model_tag(name, tag.key, tag.value)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Delete a tag of a model."""
        self.client.delete_registered_model_tag(name, key)

    # --- versions -----------------------------------------------------------------------------

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> registered.ModelVersion:
        """Create the next version of a model; it is READY on return.

        ``source`` is what runstone.Client takes, or an artifact URI of a run or logged model. The
        server keeps these by itself; the link to a run and a local copy are not needed.
        """
        del run_link, local_model_path, model_id
        if has_prompt_tag(list(tags or ())):
            # MLflow keeps the text in a tag.
            return entities.model_version(
                self.client.create_version_without_files(
                    name, source, entities.texts(tags), description
                )
            )
        return entities.model_version(
            self.client.create_model_version(
                name, places.source(source), run_id, entities.texts(tags), None, description
            )
        )

    def update_model_version(
        self, name: str, version: str, description: str | None
    ) -> registered.ModelVersion:
        """Change a version's description."""
        return entities.model_version(self.client.update_model_version(name, version, description))

    def transition_model_version_stage(
        self, name: str, version: str, stage: str, archive_existing_versions: bool
    ) -> registered.ModelVersion:
        """Move a version to a stage."""
        return entities.model_version(
            self.client.transition_model_version_stage(
                name, version, stage, archive_existing_versions
            )
        )

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version for good."""
        self.client.delete_model_version(name, version)

    def get_model_version(self, name: str, version: str) -> registered.ModelVersion:
        """A version by its number."""
        return entities.model_version(self.client.get_model_version(name, version))

    def get_model_version_by_alias(self, name: str, alias: str) -> registered.ModelVersion:
        """The version that an alias points at."""
        return entities.model_version(self.client.get_model_version_by_alias(name, alias))

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        """Where the version's files are: its own, or those that it names elsewhere."""
        return self.client.files_of_version(name, version)

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """The versions that match."""
        return filled(
            lambda size, token: self.client.search_model_versions(
                _models_only(filter_string), size, order_by, token
            ),
            entities.model_version,
            10_000 if max_results is None else max_results,
            page_token,
        )

    def set_model_version_tag(self, name: str, version: str, tag: Any) -> None:
        """Set a tag of a version."""
        self.client.set_model_version_tag(name, version, tag.key, tag.value)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag of a version."""
        self.client.delete_model_version_tag(name, version, key)

    # --- aliases ------------------------------------------------------------------------------

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self.client.set_registered_model_alias(name, alias, version)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Delete an alias."""
        self.client.delete_registered_model_alias(name, alias)


def _models_only(filter_string: str | None) -> str:
    """The filter, without prompts unless it asks for them."""
    models = f"NOT tags.{IS_PROMPT}"
    if not filter_string:
        return models
    if IS_PROMPT_TAG_KEY in filter_string:
        return filter_string.replace(NO_PROMPTS, models)
    return f"({filter_string}) AND {models}"


def _refuse_jobs(deployment_job_id: str | None) -> None:
    if deployment_job_id:
        raise NotSupported("deployment_job_id")

"""Registered models and aliases."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from runstone import _values
from runstone._client._base import ClientBase
from runstone._connection import new_id
from runstone._convert import registry as convert
from runstone._entities.paging import PagedList
from runstone._entities.registry import ModelVersion, RegisteredModel
from runstone.registry.v1 import model_pb2

UNLIMITED = 2**31
"""Registry values are never cut: too long a one is an error of the server."""


STAGE_RULES = "runstone.rules."
"""The tag of a stage's rules, before the stage's name."""


class ModelCalls(ClientBase):
    """Calls about registered models."""

    def create_registered_model(
        self,
        name: str,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        *,
        request_id: str | None = None,
    ) -> RegisteredModel:
        """Create a model without versions. Raises ModelNameTaken."""
        response = self._registry.CreateRegisteredModel(
            model_pb2.CreateRegisteredModelRequest(
                name=name,
                description=description or "",
                tags=_values.texts("tag", tags, UNLIMITED),
                request_id=request_id or new_id(),
            )
        )
        return convert.registered_model(response.registered_model)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """A model with the newest version of each stage. Raises ModelNotFound."""
        request = model_pb2.GetRegisteredModelRequest(name=name)
        return convert.registered_model(self._registry.GetRegisteredModel(request).registered_model)

    def update_registered_model(
        self, name: str, description: str | None = None, *, etag: str | None = None
    ) -> RegisteredModel:
        """Change a model's description.

        Raises:
            ModelNotFound
            EtagMismatch: ``etag`` was given and the model changed since.
        """
        model = model_pb2.RegisteredModel(name=name, description=description or "", etag=etag or "")
        response = self._registry.UpdateRegisteredModel(
            model_pb2.UpdateRegisteredModelRequest(
                registered_model=model, update_mask=FieldMask(paths=["description"])
            )
        )
        return convert.registered_model(response.registered_model)

    def rename_registered_model(
        self, name: str, new_name: str, *, etag: str | None = None
    ) -> RegisteredModel:
        """Rename a model with its versions; the old name is free at once.

        Raises:
            ModelNotFound, ModelNameTaken, EtagMismatch
        """
        response = self._registry.RenameRegisteredModel(
            model_pb2.RenameRegisteredModelRequest(name=name, new_name=new_name, etag=etag or "")
        )
        return convert.registered_model(response.registered_model)

    def delete_registered_model(self, name: str, *, etag: str | None = None) -> None:
        """Delete a model, its versions and their files for good.

        Raises:
            ModelInUse: it has versions in Staging or Production; archive them first.
            ModelNotFound, EtagMismatch
        """
        self._registry.DeleteRegisteredModel(
            model_pb2.DeleteRegisteredModelRequest(name=name, etag=etag or "")
        )

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        """One page of the models that match; ``token`` of the result leads to the next.

        Raises:
            FilterInvalid, PageTokenInvalid, PageTokenOfOtherQuery
        """
        response = self._registry.SearchRegisteredModels(
            model_pb2.SearchRegisteredModelsRequest(
                filter=filter_string or "",
                order_by=list(order_by or ()),
                page_size=max_results or 0,
                page_token=page_token or "",
            )
        )
        return PagedList(
            map(convert.registered_model, response.registered_models), response.next_page_token
        )

    def get_latest_versions(
        self, name: str, stages: Sequence[str] | None = None
    ) -> list[ModelVersion]:
        """The newest version of each stage that has one, or of the stages named.

        Raises:
            ModelNotFound
        """
        found = self.get_registered_model(name).latest_versions
        if stages is None:
            return found
        wanted = {convert.stage(stage) for stage in stages}
        return [each for each in found if convert.stage(each.current_stage) in wanted]

    def set_registered_model_tags(self, name: str, tags: Mapping[str, Any]) -> RegisteredModel:
        """Set tags of a model, all or none. Raises ModelNotFound."""
        response = self._registry.SetRegisteredModelTags(
            model_pb2.SetRegisteredModelTagsRequest(
                name=name, tags=_values.texts("tag", tags, UNLIMITED)
            )
        )
        return convert.registered_model(response.registered_model)

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        """Set one tag of a model."""
        self.set_registered_model_tags(name, {key: value})

    def delete_registered_model_tags(self, name: str, keys: Sequence[str]) -> RegisteredModel:
        """Delete tags of a model, all or, when one is not set, none.

        Raises:
            ModelNotFound, TagNotFound
        """
        response = self._registry.DeleteRegisteredModelTags(
            model_pb2.DeleteRegisteredModelTagsRequest(name=name, keys=list(keys))
        )
        return convert.registered_model(response.registered_model)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Delete one tag of a model."""
        self.delete_registered_model_tags(name, [key])

    def set_stage_rules(self, name: str, stage: str, rules: Sequence[str]) -> None:
        """Say what a version must show before it moves to a stage; the service holds it to that.

        ``evaluate`` with the URI of a version notes what the version shows. The rules are a tag of
        the model, ``runstone.rules.<stage>``, and what a version shows is its tag
        ``runstone.evaluation``.

        Args:
            name: The model.
            stage: None, Staging, Production or Archived.
            rules: ``"signature"``, ``"accuracy_score >= 0.9"``, ``"accuracy_score > @champion"``,
                ``"max_error <= @champion - 0.5"`` …: the model has a signature, a metric has a
                value, or is better than that of the version that an alias points to; with ``>=``,
                ``<=``, ``>``, ``<``. Where nothing has the alias yet there is nothing to beat. At
                most 50; none takes the rules away.

        Raises:
            InvalidField: a rule cannot be read.
            ModelNotFound

        Example:
            >>> import runstone
            >>> client = runstone.Client()
            >>> _ = client.create_registered_model("fraud")
            >>> client.set_stage_rules("fraud", "Production", ["roc_auc >= 0.8", "signature"])
            >>> run = client.create_run("0").info.run_id
            >>> client.log_text(run, "weights", "model/weights.txt")
            >>> version = client.create_model_version("fraud", f"runs:/{run}/model").version
            >>> client.transition_model_version_stage("fraud", version, "Production")
            Traceback (most recent call last):
            runstone.exceptions.StageRulesBroken: version 1 of 'fraud' may not move to Prod...
        """
        key = f"{STAGE_RULES}{convert.stage_title(stage)}"
        texts = [rules] if isinstance(rules, str) else list(rules)
        if texts:
            self.set_registered_model_tags(name, {key: "\n".join(map(str, texts))})
        elif key in self.get_registered_model(name).tags:
            self.delete_registered_model_tags(name, [key])

    def get_stage_rules(self, name: str, stage: str) -> list[str]:
        """What a version must show before it moves to a stage. Raises ModelNotFound."""
        key = f"{STAGE_RULES}{convert.stage_title(stage)}"
        text = str(self.get_registered_model(name).tags.get(key, ""))
        return [line.strip() for line in re.split(r"[;\n]", text) if line.strip()]

    def set_model_alias(
        self, name: str, alias: str, version: int | str, *, etag: str | None = None
    ) -> RegisteredModel:
        """Point an alias at a version.

        Raises:
            ModelNotFound, VersionNotFound
            EtagMismatch: ``etag`` was given and the model changed since.
        """
        response = self._registry.SetModelAlias(
            model_pb2.SetModelAliasRequest(
                name=name, alias=alias, version=convert.version_number(version), etag=etag or ""
            )
        )
        return convert.registered_model(response.registered_model)

    def set_registered_model_alias(self, name: str, alias: str, version: int | str) -> None:
        """Point an alias at a version; see ``set_model_alias``."""
        self.set_model_alias(name, alias, version)

    def delete_model_alias(
        self, name: str, alias: str, *, etag: str | None = None
    ) -> RegisteredModel:
        """Delete an alias.

        Raises:
            ModelNotFound, AliasNotFound, EtagMismatch
        """
        response = self._registry.DeleteModelAlias(
            model_pb2.DeleteModelAliasRequest(name=name, alias=alias, etag=etag or "")
        )
        return convert.registered_model(response.registered_model)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Delete an alias; see ``delete_model_alias``."""
        self.delete_model_alias(name, alias)

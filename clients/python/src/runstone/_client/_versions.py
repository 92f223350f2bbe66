"""Model versions: where they come from, and their stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from runstone import _values
from runstone._client._logged import LoggedModelCalls
from runstone._client._models import UNLIMITED, ModelCalls
from runstone._connection import new_id
from runstone._convert import registry as convert
from runstone._entities.paging import PagedList
from runstone._entities.registry import STAGES, ModelVersion
from runstone._modeluri import (
    LoggedModelUri,
    ModelUri,
    RunUri,
    local_path,
    parse_artifact_uri,
)
from runstone.exceptions import InvalidUri, ModelNameTaken, SourceNotFound
from runstone.registry.v1 import governance_pb2, model_pb2, model_version_pb2


class VersionCalls(LoggedModelCalls, ModelCalls):
    """Calls about model versions."""

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        await_creation_for: int | None = None,
        *,
        request_id: str | None = None,
    ) -> ModelVersion:
        """Create the next version of a model; it is READY on return and keeps its files for good.

        Args:
            name: The registered model.
            source: ``runs:/<run_id>/<path>`` (or the name of a model that the run logged), a path
                among the files of ``run_id``, a logged model
                (``models:/m-…``), another version (``models:/name/3``), or a local file or folder,
                which is uploaded.
            run_id: The run whose files ``source`` is a path of.
            tags: Tags of the version.
            run_link: Not kept; the run is.
            description: What it is.
            await_creation_for: Not needed; the version is ready at once.
            request_id: Makes a repeated call return the first one's result.

        Raises:
            ModelNotFound, SourceRunNotFound, SourceLoggedModelNotFound, SourceNotFound
            LocalPathError: there is no such local file.
        """
        del run_link, await_creation_for
        request = model_version_pb2.CreateModelVersionRequest(
            name=name,
            description=description or "",
            tags=_values.texts("tag", tags, UNLIMITED),
            request_id=request_id or new_id(),
        )
        found = parse_artifact_uri(source)
        if isinstance(found, RunUri):
            return self._from_run(request, found)
        if isinstance(found, LoggedModelUri):
            request.logged_model.model_id = found.model_id
            request.logged_model.path = found.path
            return self._create(request)
        if isinstance(found, ModelUri):
            return self._copy(request, self.resolve_model_uri(source), found.path)
        local = local_path(source)
        if run_id and not local.exists():
            request.run.run_id, request.run.path = run_id, source.strip("/")
            return self._create(request)
        return self._upload(request, local)

    def _from_run(
        self, request: model_version_pb2.CreateModelVersionRequest, source: RunUri
    ) -> ModelVersion:
        request.run.run_id, request.run.path = source.run_id, source.path
        try:
            return self._create(request)
        except SourceNotFound:
            logged = self.logged_model_of(source.run_id, source.path)
            if logged is None:
                raise
            request.logged_model.model_id = logged.model_id
            return self._create(request)

    def _create(self, request: model_version_pb2.CreateModelVersionRequest) -> ModelVersion:
        return convert.model_version(self._registry.CreateModelVersion(request).model_version)

    def _copy(
        self,
        request: model_version_pb2.CreateModelVersionRequest,
        origin: ModelVersion,
        path: str,
    ) -> ModelVersion:
        request.upload.origin = f"models:/{origin.name}/{origin.version}"
        created = self._create(request)
        return self._filled(
            created,
            lambda: self.copy_artifacts(
                source_model_version_id=origin.model_version_id,
                source_path=path,
                model_version_id=created.model_version_id,
            ),
        )

    def _upload(
        self, request: model_version_pb2.CreateModelVersionRequest, local: Path
    ) -> ModelVersion:
        self.check_local(local)
        request.upload.origin = local.absolute().as_uri()
        created = self._create(request)
        return self._filled(
            created,
            lambda: self.upload(local, model_version_id=created.model_version_id),
        )

    def _filled(self, created: ModelVersion, fill: Any) -> ModelVersion:
        if created.status != "PENDING":
            return created  # a repeated request: the files are there already
        try:
            fill()
        except BaseException as error:
            try:
                self.finalize_model_version(
                    created.name, created.version, failure=f"{type(error).__name__}: {error}"[:2048]
                )
            except Exception as second:
                error.add_note(f"the version could not be marked as failed: {second}")
            raise
        return self.finalize_model_version(created.name, created.version)

    def finalize_model_version(
        self, name: str, version: int | str, *, failure: str = ""
    ) -> ModelVersion:
        """Seal the files that were uploaded to a PENDING version, which is READY then.

        With ``failure``, give the upload up: the version is FAILED for that reason.

        Raises:
            VersionNotReady: no file was uploaded.
            ModelNotFound, VersionNotFound
        """
        response = self._registry.FinalizeModelVersion(
            model_version_pb2.FinalizeModelVersionRequest(
                name=name, version=convert.version_number(version), failure=failure
            )
        )
        return convert.model_version(response.model_version)

    def copy_model_version(self, src_model_version: ModelVersion, dst_name: str) -> ModelVersion:
        """Copy a version to another model, which is created when missing.

        Raises:
            VersionNotFound
        """
        try:
            self.create_registered_model(dst_name)
        except ModelNameTaken:
            pass
        return self.create_model_version(
            dst_name,
            f"models:/{src_model_version.name}/{src_model_version.version}",
            tags=src_model_version.tags,
            description=src_model_version.description,
        )

    def get_model_version(
        self,
        name: str,
        version: int | str | None = None,
        *,
        alias: str | None = None,
        stage: str | None = None,
        latest: bool = False,
    ) -> ModelVersion:
        """A version by number, alias or stage (the newest in it), or the newest of all.

        Raises:
            ModelNotFound, VersionNotFound, AliasNotFound
        """
        request = model_version_pb2.GetModelVersionRequest(name=name)
        if version is not None:
            request.version = convert.version_number(version)
        elif alias is not None:
            request.alias = alias
        elif stage is not None:
            request.stage = convert.stage(stage)
        elif latest:
            request.latest = True
        return convert.model_version(self._registry.GetModelVersion(request).model_version)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points at. Raises ModelNotFound, AliasNotFound."""
        return self.get_model_version(name, alias=alias)

    def get_model_version_download_uri(self, name: str, version: int | str) -> str:
        """A URI that ``download_artifacts`` takes. Raises ModelNotFound, VersionNotFound."""
        found = self.get_model_version(name, version)
        return f"models:/{found.name}/{found.version}"

    def get_model_version_stages(self, name: str, version: int | str) -> list[str]:
        """The stages that there are."""
        return list(STAGES)

    def update_model_version(
        self,
        name: str,
        version: int | str,
        description: str | None = None,
        *,
        etag: str | None = None,
    ) -> ModelVersion:
        """Change a version's description.

        Raises:
            ModelNotFound, VersionNotFound
            EtagMismatch: ``etag`` was given and the version changed since.
        """
        message = model_pb2.ModelVersion(
            name=name,
            version=convert.version_number(version),
            description=description or "",
            etag=etag or "",
        )
        response = self._registry.UpdateModelVersion(
            model_version_pb2.UpdateModelVersionRequest(
                model_version=message, update_mask=FieldMask(paths=["description"])
            )
        )
        return convert.model_version(response.model_version)

    def delete_model_version(
        self, name: str, version: int | str, *, etag: str | None = None
    ) -> None:
        """Delete a version, its aliases and its files for good.

        Raises:
            ModelInUse: it is in Staging or Production; archive it first.
            ModelNotFound, VersionNotFound, EtagMismatch
        """
        self._registry.DeleteModelVersion(
            model_version_pb2.DeleteModelVersionRequest(
                name=name, version=convert.version_number(version), etag=etag or ""
            )
        )

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        """One page of the versions that match; ``token`` of the result leads to the next.

        Raises:
            FilterInvalid, PageTokenInvalid, PageTokenOfOtherQuery
        """
        response = self._registry.SearchModelVersions(
            model_version_pb2.SearchModelVersionsRequest(
                filter=filter_string or "",
                order_by=list(order_by or ()),
                page_size=max_results or 0,
                page_token=page_token or "",
            )
        )
        return PagedList(
            map(convert.model_version, response.model_versions), response.next_page_token
        )

    def set_model_version_tags(
        self, name: str, version: int | str, tags: Mapping[str, Any]
    ) -> ModelVersion:
        """Set tags of a version, all or none. Raises ModelNotFound, VersionNotFound."""
        response = self._registry.SetModelVersionTags(
            model_version_pb2.SetModelVersionTagsRequest(
                name=name,
                version=convert.version_number(version),
                tags=_values.texts("tag", tags, UNLIMITED),
            )
        )
        return convert.model_version(response.model_version)

    def set_model_version_tag(
        self,
        name: str,
        version: int | str | None = None,
        key: str | None = None,
        value: Any = None,
        stage: str | None = None,
    ) -> None:
        """Set one tag of a version by number, or of the newest in a stage."""
        self.set_model_version_tags(
            name, self._version_of(name, version, stage), {key or "": value}
        )

    def delete_model_version_tags(
        self, name: str, version: int | str, keys: Sequence[str]
    ) -> ModelVersion:
        """Delete tags of a version, all or, when one is not set, none.

        Raises:
            ModelNotFound, VersionNotFound, TagNotFound
        """
        response = self._registry.DeleteModelVersionTags(
            model_version_pb2.DeleteModelVersionTagsRequest(
                name=name, version=convert.version_number(version), keys=list(keys)
            )
        )
        return convert.model_version(response.model_version)

    def delete_model_version_tag(
        self,
        name: str,
        version: int | str | None = None,
        key: str | None = None,
        stage: str | None = None,
    ) -> None:
        """Delete one tag of a version by number, or of the newest in a stage."""
        self.delete_model_version_tags(name, self._version_of(name, version, stage), [key or ""])

    def _version_of(self, name: str, version: int | str | None, stage: str | None) -> int | str:
        if (version is None) == (stage is None):
            raise _values.invalid("version", "must be given, or else stage")
        return self.get_model_version(name, stage=stage).version if version is None else version

    def transition_model_version_stage(
        self,
        name: str,
        version: int | str,
        stage: str,
        archive_existing_versions: bool = False,
        *,
        comment: str = "",
        etag: str | None = None,
    ) -> ModelVersion:
        """Move a READY version to None, Staging, Production or Archived.

        ``archive_existing_versions`` moves those that are in the stage to Archived in the same
        step. ``comment`` is kept in the audit.

        Raises:
            StageRulesBroken: the version does not show what ``set_stage_rules`` asks.
            VersionNotReady, ModelNotFound, VersionNotFound
            EtagMismatch: ``etag`` was given and the version changed since.
        """
        response = self._registry.TransitionModelVersionStage(
            governance_pb2.TransitionModelVersionStageRequest(
                name=name,
                version=convert.version_number(version),
                stage=convert.stage(stage),
                archive_existing_versions=archive_existing_versions,
                comment=comment,
                etag=etag or "",
            )
        )
        return convert.model_version(response.model_version)

    def resolve_model_uri(self, uri: str) -> ModelVersion:
        """The version that ``models:/name/3``, ``/Production``, ``/latest`` or ``@alias`` names.

        Raises:
            InvalidUri: it is no such URI.
            ModelNotFound, VersionNotFound, AliasNotFound
        """
        found = parse_artifact_uri(uri)
        if not isinstance(found, ModelUri):
            raise InvalidUri(f"{uri!r} must be models:/<name>/<version> or models:/<name>@<alias>")
        return self._version_at(found)

    def _version_at(self, uri: ModelUri) -> ModelVersion:
        if uri.alias:
            return self.get_model_version(uri.name, alias=uri.alias)
        if uri.selector.isascii() and uri.selector.isdigit():
            return self.get_model_version(uri.name, uri.selector)
        if uri.selector.lower() == "latest":
            return self.get_model_version(uri.name, latest=True)
        if not convert.is_stage(uri.selector):
            raise InvalidUri(
                f"{uri.selector!r} is no version number, no stage and not 'latest';"
                f" an alias is written models:/{uri.name}@{uri.selector}"
            )
        return self.get_model_version(uri.name, stage=uri.selector)

    def owner_of_uri(self, uri: str) -> tuple[dict[str, str], str] | None:
        """Whose file a ``runs:`` or ``models:`` URI names, as keyword argument, and its path.

        None for any other text.

        Raises:
            InvalidUri, ModelNotFound, VersionNotFound, AliasNotFound
        """
        found = parse_artifact_uri(uri)
        if isinstance(found, RunUri):
            return {"run_id": found.run_id}, found.path
        if isinstance(found, LoggedModelUri):
            return {"logged_model_id": found.model_id}, found.path
        if isinstance(found, ModelUri):
            return {"model_version_id": self._version_at(found).model_version_id}, found.path
        return None

"""Model versions: MLflow's calls as ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from runstone.registry.v1 import governance_pb2 as governance
from runstone.registry.v1 import model_pb2 as models
from runstone.registry.v1 import model_version_pb2 as messages
from runstone.tracking.v1 import run_pb2
from runstone.tracking.v1.logged_model_pb2 import LoggedModel
from runstone_gateway import prompts, render_logged, sources
from runstone_gateway import render_registry as render
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError, refused
from runstone_gateway.fields import wrong
from runstone_gateway.pages import collect
from runstone_gateway.render_tracking import artifact_uri
from runstone_gateway.routes_logged import find, note_version
from runstone_gateway.routes_registry import stage_number, unless, version_by_alias
from runstone_kit.peers import failure

MAX_RESULTS = 200_000
"""Versions of one answer, as MLflow has it."""


async def create(
    call: Call,
    name: str,
    source: str,
    run_id: str | None = None,
    tags: dict[str, str] | None = None,
    run_link: str = "",
    description: str = "",
    model_id: str | None = None,
) -> Any:
    """POST model-versions/create."""
    request = messages.CreateModelVersionRequest(
        name=name,
        tags=tags,
        description=description,
        run_link=run_link,
        logged_model_id=model_id or "",
        origin=source,
    )
    if prompts.is_prompt(tags or {}):
        if source not in prompts.SOURCES:
            raise refused(
                f"Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder."
            )
        request.external.CopyFrom(messages.ExternalSource(uri=source, run_id=run_id or ""))
    else:
        await _set_source(call, request, source, run_id, model_id)
    try:
        made = await call.ask(call.registry.CreateModelVersion, request)
    except grpc.aio.AioRpcError as error:
        reason = failure(error).reason
        if reason == "SOURCE_LOGGED_MODEL_NOT_FOUND":
            raise _unfetched(source) from None
        if reason != "SOURCE_NOT_FOUND":
            raise
        # MLflow does not look: the files may come later, and are found where the source says.
        request.external.CopyFrom(messages.ExternalSource(uri=source, run_id=run_id or ""))
        made = await call.ask(call.registry.CreateModelVersion, request)
    version = made.model_version
    if version.logged_model_id and not prompts.is_prompt(tags or {}):
        await note_version(call, version.logged_model_id, version.name, version.version)
    return {"model_version": render.model_version(version)}


def _unfetched(source: str) -> GatewayError:
    return refused(f"Unable to fetch model from model URI source location '{source}'.")


async def _set_source(
    call: Call,
    request: messages.CreateModelVersionRequest,
    text: str,
    run_id: str | None,
    model_id: str | None,
) -> None:
    source = sources.read(text, run_id or "", model_id or "")
    if source.scheme == "models":
        await _set_model_source(call, request, source, run_id, model_id)
    elif source.scheme == "runs":
        owner, *names = source.names
        if model_id or owner != run_id:
            sources.refuse_owner(text, "model_id" if model_id else "run_id")
        request.run.CopyFrom(messages.RunSource(run_id=owner, path="/".join(names)))
    elif source.scheme == "mlflow-artifacts":
        if model_id:
            root = await _model_root(call, source, model_id)
        else:
            root = await _run_root(call, source, run_id or "")
        if not root or source.names[: len(root)] != root:
            sources.refuse_owner(text, "model_id" if model_id else "run_id")
        path = "/".join(source.names[len(root) :])
        if model_id:
            request.logged_model.CopyFrom(messages.LoggedModelSource(model_id=model_id, path=path))
        else:
            request.run.CopyFrom(messages.RunSource(run_id=run_id or "", path=path))
    else:
        request.external.CopyFrom(messages.ExternalSource(uri=text, run_id=run_id or ""))


async def _run_root(call: Call, source: sources.Source, run_id: str) -> list[str]:
    """The names of the path below which a run's files are, for a source that says it is there."""
    if run_id not in source.names[:2]:
        return []
    try:
        found = await call.ask(call.tracking.GetRun, run_pb2.GetRunRequest(run_id=run_id))
    except grpc.aio.AioRpcError as error:
        if failure(error).reason in ("RUN_NOT_FOUND", "INVALID_FIELD"):
            return []
        raise
    return artifact_uri(found.run).partition(":/")[2].split("/")


async def _model_root(call: Call, source: sources.Source, model_id: str) -> list[str]:
    """The same of a logged model that is there."""
    found = await _logged(call, model_id) if model_id in source.names[:3] else None
    if found is None:
        return []
    return render_logged.artifact_uri(found).partition(":/")[2].split("/")


async def _logged(call: Call, model_id: str) -> LoggedModel | None:
    try:
        return await find(call, model_id)
    except GatewayError:
        return None
    except grpc.aio.AioRpcError as error:
        if failure(error).reason in ("LOGGED_MODEL_NOT_FOUND", "INVALID_FIELD"):
            return None
        raise


async def _set_model_source(
    call: Call,
    request: messages.CreateModelVersionRequest,
    source: sources.Source,
    run_id: str | None,
    model_id: str | None,
) -> None:
    uri = sources.model_uri(source)
    if uri.model_id:
        if uri.model_id != model_id:
            sources.refuse_owner(source.text, "model_id")
        # The registry takes files of deleted ones, too; MLflow does not.
        if await _logged(call, uri.model_id) is None:
            raise _unfetched(source.text)
        request.logged_model.CopyFrom(messages.LoggedModelSource(model_id=uri.model_id))
        return
    found = await _find(call, uri)
    if prompts.is_prompt(found.tags):
        raise refused(
            f"Invalid model version source: '{source.text}'. Prompt versions cannot be used as "
            "model version sources."
        )
    if (run_id is not None and run_id != found.run_id) or (
        model_id is not None and model_id != found.logged_model_id
    ):
        raise refused(
            f"Invalid model version source: '{source.text}'. The run_id and model_id request "
            "parameters must match the referenced model version."
        )
    request.origin = f"models:/{found.name}/{found.version}"
    copied = messages.VersionSource(name=found.name, version=found.version)
    request.version.CopyFrom(copied)


async def _find(call: Call, uri: sources.ModelUri) -> models.ModelVersion:
    if uri.alias:
        return await version_by_alias(call, uri.name, uri.alias)
    if uri.number:
        return await _get(call, uri.name, uri.number)
    request = messages.GetModelVersionRequest(name=uri.name)
    if uri.stage:
        request.stage = stage_number(uri.stage)
    else:
        request.latest = True
    found: models.ModelVersion = (
        await call.ask(call.registry.GetModelVersion, request)
    ).model_version
    return found


async def get(call: Call, name: str, version: int) -> Any:
    """GET model-versions/get."""
    return {"model_version": render.model_version(await _get(call, name, version))}


async def _get(call: Call, name: str, version: int) -> models.ModelVersion:
    request = messages.GetModelVersionRequest(name=name, version=version)
    found = await call.ask(call.registry.GetModelVersion, request)
    model_version: models.ModelVersion = found.model_version
    return model_version


async def update(call: Call, name: str, version: int, description: str = "") -> Any:
    """PATCH model-versions/update."""
    request = messages.UpdateModelVersionRequest(
        model_version=models.ModelVersion(name=name, version=version, description=description),
        update_mask=FieldMask(paths=["description"]),
    )
    changed = await call.ask(call.registry.UpdateModelVersion, request)
    return {"model_version": render.model_version(changed.model_version)}


async def transition_stage(
    call: Call, name: str, version: int, stage: str, archive_existing_versions: bool = False
) -> Any:
    """POST model-versions/transition-stage."""
    number = stage_number(stage)
    if archive_existing_versions and number not in (
        models.STAGE_STAGING,
        models.STAGE_PRODUCTION,
    ):
        raise refused(
            "Model version transition cannot archive existing model versions "
            f"because '{stage}' is not an Active stage. "
            "Valid stages are ['Staging', 'Production']"
        )
    request = governance.TransitionModelVersionStageRequest(
        name=name,
        version=version,
        stage=number,
        archive_existing_versions=archive_existing_versions,
    )
    moved = await call.ask(call.registry.TransitionModelVersionStage, request)
    return {"model_version": render.model_version(moved.model_version)}


async def delete(call: Call, name: str, version: int) -> Any:
    """DELETE model-versions/delete. MLflow deletes versions in Production, too."""
    request = messages.DeleteModelVersionRequest(name=name, version=version, force=True)
    await call.ask(call.registry.DeleteModelVersion, request)
    return {}


async def search(
    call: Call,
    filter: str = "",
    max_results: int = MAX_RESULTS,
    order_by: Sequence[str] = (),
    page_token: str = "",
) -> Any:
    """GET model-versions/search."""
    if not 1 <= max_results <= MAX_RESULTS:
        raise wrong(max_results, "max_results", f"a number of versions from 1 to {MAX_RESULTS}")
    request = messages.SearchModelVersionsRequest(
        filter=prompts.without_prompts(filter), order_by=order_by, page_token=page_token
    )
    return await collect(
        call,
        call.registry.SearchModelVersions,
        request,
        "model_versions",
        render.model_version,
        max_results,
    )


async def get_download_uri(call: Call, name: str, version: int) -> Any:
    """GET model-versions/get-download-uri."""
    return {"artifact_uri": render.download_uri(await _get(call, name, version))}


async def set_tag(call: Call, name: str, version: int, key: str, value: str = "") -> Any:
    """POST model-versions/set-tag."""
    request = messages.SetModelVersionTagsRequest(name=name, version=version, tags={key: value})
    await call.ask(call.registry.SetModelVersionTags, request)
    return {}


async def delete_tag(call: Call, name: str, version: int, key: str) -> Any:
    """DELETE model-versions/delete-tag."""
    request = messages.DeleteModelVersionTagsRequest(name=name, version=version, keys=[key])
    await unless("TAG_NOT_FOUND", call, call.registry.DeleteModelVersionTags, request)
    return {}

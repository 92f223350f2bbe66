"""Logged models: MLflow's calls as ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import orjson
import structlog

from runstone.artifact.v1.artifact_pb2 import Owner
from runstone.tracking.v1 import experiment_pb2
from runstone.tracking.v1 import logged_model_pb2 as messages
from runstone_gateway import render_logged as render
from runstone_gateway.call import Call
from runstone_gateway.download import download
from runstone_gateway.errors import GatewayError, not_found
from runstone_gateway.fields import wrong
from runstone_gateway.pages import collect
from runstone_gateway.places import Place, require_text
from runstone_gateway.routes_files import list_below

VERSIONS_TAG = "mlflow.modelVersions"

MAX_VERSIONS_CHARACTERS = 7000
"""Of VERSIONS_TAG, the oldest versions go first. MLflow's clients add one of their own, and a tag
has room for 8000."""

_log = structlog.get_logger("runstone_gateway")

DEFAULT_RESULTS = 100
MAX_RESULTS = 50_000
"""Models of one answer; MLflow has no limit, its searches of runs have this one."""


async def create(
    call: Call,
    experiment_id: str,
    name: str = "",
    model_type: str = "",
    source_run_id: str = "",
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> Any:
    """POST logged-models."""
    request = messages.CreateLoggedModelRequest(
        experiment_id=experiment_id,
        name=name,
        model_type=model_type,
        source_run_id=source_run_id,
        params=params,
        tags=tags,
    )
    made = await call.ask(call.tracking.CreateLoggedModel, request)
    return {"model": render.logged_model(made.model)}


async def get(call: Call, model_id: str, allow_deleted: bool = False) -> Any:
    """GET logged-models/{model_id}."""
    found = await find(call, model_id, allow_deleted=allow_deleted)
    return {"model": render.logged_model(found)}


async def find(call: Call, model_id: str, *, allow_deleted: bool = False) -> messages.LoggedModel:
    """A logged model. Raises GatewayError for a deleted one, unless it may be."""
    request = messages.GetLoggedModelRequest(model_id=model_id)
    found: messages.LoggedModel = (await call.ask(call.tracking.GetLoggedModel, request)).model
    if found.lifecycle_stage == experiment_pb2.LIFECYCLE_STAGE_DELETED and not allow_deleted:
        raise not_found(f"Logged model with ID '{model_id}' not found.")
    return found


async def finalize(call: Call, model_id: str, status: str) -> Any:
    """PATCH logged-models/{model_id}."""
    request = messages.FinalizeLoggedModelRequest(model_id=model_id, status=render.STATUS[status])
    changed = await call.ask(call.tracking.FinalizeLoggedModel, request)
    return {"model": render.logged_model(changed.model)}


async def delete(call: Call, model_id: str) -> Any:
    """DELETE logged-models/{model_id}."""
    request = messages.DeleteLoggedModelRequest(model_id=model_id)
    await call.ask(call.tracking.DeleteLoggedModel, request)
    return {}


async def set_tags(call: Call, model_id: str, tags: dict[str, str] | None = None) -> Any:
    """PATCH logged-models/{model_id}/tags."""
    if not tags:
        await find(call, model_id)
        return {}
    request = messages.SetLoggedModelTagsRequest(model_id=model_id, tags=tags)
    await call.ask(call.tracking.SetLoggedModelTags, request)
    return {}


async def delete_tag(call: Call, model_id: str, tag_key: str) -> Any:
    """DELETE logged-models/{model_id}/tags/{tag_key}."""
    request = messages.DeleteLoggedModelTagsRequest(model_id=model_id, keys=[tag_key])
    await call.ask(call.tracking.DeleteLoggedModelTags, request)
    return {}


async def log_params(call: Call, model_id: str, params: dict[str, str] | None = None) -> Any:
    """POST logged-models/{model_id}/params."""
    if not params:
        await find(call, model_id)
        return {}
    request = messages.LogLoggedModelParamsRequest(model_id=model_id, params=params)
    await call.ask(call.tracking.LogLoggedModelParams, request)
    return {}


async def search(
    call: Call,
    experiment_ids: Sequence[str],
    filter: str = "",
    datasets: Sequence[dict[str, str]] = (),
    max_results: int = DEFAULT_RESULTS,
    order_by: Sequence[dict[str, Any]] = (),
    page_token: str = "",
) -> Any:
    """POST logged-models/search."""
    if not 0 <= max_results <= MAX_RESULTS:
        raise wrong(max_results, "max_results", f"a number of models from 1 to {MAX_RESULTS}")
    if not experiment_ids:
        return {}
    request = messages.SearchLoggedModelsRequest(
        experiment_ids=experiment_ids,
        filter=filter,
        datasets=[_dataset(each) for each in datasets],
        order_by=[_order(each) for each in order_by],
        page_token=page_token,
    )
    return await collect(
        call,
        call.tracking.SearchLoggedModels,
        request,
        "models",
        render.logged_model,
        # MLflow takes a zero for its default.
        max_results or DEFAULT_RESULTS,
    )


async def list_files(
    call: Call, model_id: str, artifact_directory_path: str = "", page_token: str = ""
) -> Any:
    """GET logged-models/{model_id}/artifacts/directories."""
    found, place = await _place(call, model_id, artifact_directory_path)
    return await list_below(call, render.artifact_uri(found), place, page_token)


async def get_file(call: Call, model_id: str, artifact_file_path: str) -> Any:
    """GET logged-models/{model_id}/artifacts/files."""
    _, place = await _place(call, model_id, artifact_file_path)
    return await download(call, place)


async def _place(call: Call, model_id: str, path: str) -> tuple[messages.LoggedModel, Place]:
    require_text(call.request, path)
    return await find(call, model_id), Place(Owner(logged_model_id=model_id), path)


async def note_version(call: Call, model_id: str, name: str, version: int) -> None:
    """Name a registered version in the tag where MLflow's pages look for those of a model.

    Whatever hinders it, a model that is gone or a service that is away, the version stands.
    """
    try:
        # Another one at the same time would be lost.
        async with call.remembered.noting.setdefault(model_id, asyncio.Lock()):
            await _note(call, model_id, {"name": name, "version": str(version)})
    except (GatewayError, grpc.aio.AioRpcError, orjson.JSONEncodeError) as error:
        # An error would have MLflow's clients make the version once more.
        _log.warning(
            "version not noted", model_id=model_id, name=name, version=version, why=str(error)
        )


async def _note(call: Call, model_id: str, noted: dict[str, str]) -> None:
    tags = (await find(call, model_id)).tags
    before = _versions(tags.get(VERSIONS_TAG, ""))
    if noted in before:
        return
    listed = [*before, noted]
    while len(told := orjson.dumps(listed).decode()) > MAX_VERSIONS_CHARACTERS and listed[1:]:
        del listed[0]
    await set_tags(call, model_id, {VERSIONS_TAG: told})


def _versions(text: str) -> list[Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return found if isinstance(found, list) else []


def _dataset(given: dict[str, Any]) -> messages.MetricDataset:
    return messages.MetricDataset(
        name=given.get("dataset_name", ""), digest=given.get("dataset_digest", "")
    )


def _order(given: dict[str, Any]) -> messages.LoggedModelOrder:
    order = messages.LoggedModelOrder(
        field_name=given["field_name"], ascending=given.get("ascending", True)
    )
    if given.get("dataset_name") or given.get("dataset_digest"):
        order.dataset.CopyFrom(_dataset(given))
    return order

"""Registered models: MLflow's calls as ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from runstone.registry.v1 import model_pb2 as messages
from runstone.registry.v1 import model_version_pb2 as versions
from runstone_gateway import prompts
from runstone_gateway import render_registry as render
from runstone_gateway.call import Call
from runstone_gateway.errors import not_found, refused
from runstone_gateway.fields import Field, wrong
from runstone_gateway.pages import collect
from runstone_kit.peers import failure

STAGES = {name.lower(): number for number, name in render.STAGES.items()}

MAX_RESULTS = 1000
"""Models of one answer, as MLflow has it."""

LARGEST_VERSION = 2**63 - 1


def _version(value: Any, path: str) -> int:
    digits = value.removeprefix("-") if type(value) is str else ""
    if not (digits.isascii() and digits.isdigit()):
        raise wrong(value, path, "a version's number, as text")
    if value.startswith("-") or len(digits) > 19 or not 0 < int(digits) <= LARGEST_VERSION:
        raise not_found(f"There is no version {value[:40]} of any model.")
    return int(digits)


VERSION = Field(_version).required
"""A version's number, which MLflow's API has as text."""


def stage_number(name: str) -> Any:
    """A stage by its name, in any case. Raises GatewayError."""
    number = STAGES.get(name.lower())
    if number is None:
        known = ", ".join(render.STAGES.values())
        raise refused(f"Invalid Model Version stage: {name}. Value must be one of {known}.")
    return number


async def unless(reason: str, call: Call, method: Any, request: Any) -> None:
    """Ask, and take the refusal with this reason for done: MLflow lets one delete what is not
    there."""
    try:
        await call.ask(method, request)
    except grpc.aio.AioRpcError as error:
        if failure(error).reason != reason:
            raise


async def create(
    call: Call, name: str, tags: dict[str, str] | None = None, description: str = ""
) -> Any:
    """POST registered-models/create."""
    request = messages.CreateRegisteredModelRequest(name=name, description=description, tags=tags)
    made = await call.ask(call.registry.CreateRegisteredModel, request)
    return {"registered_model": render.registered_model(made.registered_model)}


async def get(call: Call, name: str) -> Any:
    """GET registered-models/get."""
    found = await _get(call, name)
    return {"registered_model": render.registered_model(found)}


async def _get(call: Call, name: str) -> messages.RegisteredModel:
    request = messages.GetRegisteredModelRequest(name=name)
    found = await call.ask(call.registry.GetRegisteredModel, request)
    model: messages.RegisteredModel = found.registered_model
    return model


async def update(call: Call, name: str, description: str = "") -> Any:
    """PATCH registered-models/update."""
    request = messages.UpdateRegisteredModelRequest(
        registered_model=messages.RegisteredModel(name=name, description=description),
        update_mask=FieldMask(paths=["description"]),
    )
    changed = await call.ask(call.registry.UpdateRegisteredModel, request)
    return {"registered_model": render.registered_model(changed.registered_model)}


async def rename(call: Call, name: str, new_name: str) -> Any:
    """POST registered-models/rename."""
    if name == new_name:
        return await get(call, name)
    request = messages.RenameRegisteredModelRequest(name=name, new_name=new_name)
    changed = await call.ask(call.registry.RenameRegisteredModel, request)
    return {"registered_model": render.registered_model(changed.registered_model)}


async def delete(call: Call, name: str) -> Any:
    """DELETE registered-models/delete. MLflow deletes models in Production, too."""
    request = messages.DeleteRegisteredModelRequest(name=name, force=True)
    await call.ask(call.registry.DeleteRegisteredModel, request)
    return {}


async def search(
    call: Call,
    filter: str = "",
    max_results: int = 100,
    order_by: Sequence[str] = (),
    page_token: str = "",
) -> Any:
    """GET registered-models/search."""
    if not 1 <= max_results <= MAX_RESULTS:
        raise wrong(max_results, "max_results", f"a number of models from 1 to {MAX_RESULTS}")
    request = messages.SearchRegisteredModelsRequest(
        filter=prompts.without_prompts(filter), order_by=order_by, page_token=page_token
    )
    return await collect(
        call,
        call.registry.SearchRegisteredModels,
        request,
        "registered_models",
        render.registered_model,
        max_results,
    )


async def get_latest_versions(call: Call, name: str, stages: Sequence[str] = ()) -> Any:
    """POST and GET registered-models/get-latest-versions."""
    wanted = {stage_number(each) for each in stages} or set(render.STAGES)
    found = await _get(call, name)
    latest = [each for each in found.latest_versions if each.stage in wanted]
    return {"model_versions": [render.model_version(each) for each in latest]} if latest else {}


async def set_tag(call: Call, name: str, key: str, value: str = "") -> Any:
    """POST registered-models/set-tag."""
    request = messages.SetRegisteredModelTagsRequest(name=name, tags={key: value})
    await call.ask(call.registry.SetRegisteredModelTags, request)
    return {}


async def delete_tag(call: Call, name: str, key: str) -> Any:
    """DELETE registered-models/delete-tag."""
    request = messages.DeleteRegisteredModelTagsRequest(name=name, keys=[key])
    await unless("TAG_NOT_FOUND", call, call.registry.DeleteRegisteredModelTags, request)
    return {}


async def set_alias(call: Call, name: str, alias: str, version: int) -> Any:
    """POST registered-models/alias."""
    request = messages.SetModelAliasRequest(name=name, alias=alias, version=version)
    await call.ask(call.registry.SetModelAlias, request)
    return {}


async def delete_alias(call: Call, name: str, alias: str) -> Any:
    """DELETE registered-models/alias."""
    request = messages.DeleteModelAliasRequest(name=name, alias=alias)
    await unless("ALIAS_NOT_FOUND", call, call.registry.DeleteModelAlias, request)
    return {}


async def get_by_alias(call: Call, name: str, alias: str) -> Any:
    """GET registered-models/alias."""
    return {"model_version": render.model_version(await version_by_alias(call, name, alias))}


async def version_by_alias(call: Call, name: str, alias: str) -> messages.ModelVersion:
    """The version that an alias points to."""
    request = versions.GetModelVersionRequest(name=name, alias=alias)
    try:
        found = await call.ask(call.registry.GetModelVersion, request)
    except grpc.aio.AioRpcError as error:
        if failure(error).reason != "ALIAS_NOT_FOUND":
            raise
        # MLflow's code for it is that of a wrong value.
        raise refused(f"Registered model alias {alias} not found.") from error
    version: messages.ModelVersion = found.model_version
    return version

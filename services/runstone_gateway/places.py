"""Whose files a path of the artifact proxy means.

    <experiment_id>/<run_id>/artifacts/<path>             a run's
    <experiment_id>/models/<model_id>/artifacts/<path>    a logged model's
    model-versions/<model_version_id>/artifacts/<path>    a registered version's, to be read only

What stands behind ``artifacts/`` obeys the artifact service's one grammar, and the service checks
it. A path was decoded once, by the HTTP server, and is never decoded again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from runstone.artifact.v1.artifact_pb2 import Owner
from runstone.registry.v1 import model_version_pb2 as registry
from runstone.tracking.v1 import run_pb2 as tracking
from runstone.tracking.v1.logged_model_pb2 import GetLoggedModelRequest
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError, not_found, refused

VERSIONS = "model-versions"
"""First name of the paths of registered versions; never an experiment's id."""

MAX_REMEMBERED = 10_000
"""Runs and logged models whose experiment is remembered, by process; a hundred bytes each."""

_UNREADABLE = re.compile(r"#|%[0-9A-Fa-f]{2}|\A[A-Za-z]:|\A(?i:file):")
"""MLflow's clients take these in a path for a fragment, an escape, a drive or a URL. They refuse
to list a folder that holds such a file, as its servers refuse to take one."""


_OF_MODEL = re.compile(r"([^/]+)/models/([^/]+)/artifacts(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """A path among an owner's files; the empty one is the top."""

    owner: Owner
    path: str


async def find(call: Call, path: str) -> Place:
    """Where a path of the proxy leads. Raises GatewayError."""
    require_text(call.request, path)
    if (found := _OF_MODEL.fullmatch(path)) is not None:
        return await _find_of_model(call, found)
    home, owner_id, artifacts, below = (*path.split("/", 3), "", "", "", "")[:4]
    if artifacts != "artifacts" or not home or not owner_id:
        raise refused(
            f"Invalid path {path!r}: it must be <experiment_id>/<run_id>/artifacts/<path>, where a"
            " run has its files, or <experiment_id>/models/<model_id>/artifacts/<path>."
        )
    if home == VERSIONS:
        return Place(Owner(model_version_id=owner_id), below)
    if await experiment_of(call, owner_id) != home:
        raise not_found(f"No such artifact: {path!r}. The run is not in experiment {home!r}.")
    return Place(Owner(run_id=owner_id), below)


async def _find_of_model(call: Call, found: re.Match[str]) -> Place:
    home, model_id, below = found.groups("")
    if await experiment_of_model(call, model_id) != home:
        raise not_found(
            f"No such artifact: {found.string!r}. The logged model is not in experiment {home!r}."
        )
    return Place(Owner(logged_model_id=model_id), below)


async def find_to_write(call: Call, path: str) -> Place:
    """``find``, for a file that is to be made. Raises GatewayError."""
    place = await find(call, path)
    require_writable(place)
    return place


def require_writable(place: Place) -> None:
    """Raise GatewayError for what is no place for new files."""
    if place.owner.WhichOneof("owner") == "model_version_id":
        raise refused("The files of a registered model version are final.")
    if _UNREADABLE.search(place.path) is not None:
        raise refused(
            f"Invalid path {place.path!r}: '#', %-escapes, drives and 'file:' are refused, because"
            " MLflow's clients could not read it back."
        )


async def experiment_of(call: Call, run_id: str) -> str:
    """The experiment that a run is in. Raises grpc.aio.AioRpcError when there is no such run."""
    remembered = call.remembered.experiments
    if (known := remembered.get(run_id)) is not None:
        return known
    found = await call.ask(call.tracking.GetRun, tracking.GetRunRequest(run_id=run_id))
    return _remember(call, found.run.run_id, found.run.experiment_id)


async def experiment_of_model(call: Call, model_id: str) -> str:
    """The same of a logged model."""
    if (known := call.remembered.experiments.get(model_id)) is not None:
        return known
    request = GetLoggedModelRequest(model_id=model_id)
    found = (await call.ask(call.tracking.GetLoggedModel, request)).model
    return _remember(call, found.model_id, found.experiment_id)


def _remember(call: Call, owner_id: str, experiment_id: str) -> str:
    remembered = call.remembered.experiments
    if len(remembered) >= MAX_REMEMBERED:
        remembered.clear()
    remembered[owner_id] = experiment_id
    return experiment_id


async def of_run(call: Call, run_id: str, path: str = "") -> Place:
    """A path of a run that must be there."""
    require_text(call.request, path)
    await experiment_of(call, run_id)
    return Place(Owner(run_id=run_id), path)


async def of_version(call: Call, name: str, version: int, path: str) -> Place:
    """A path of a registered version."""
    require_text(call.request, path)
    request = registry.GetModelVersionRequest(name=name, version=version)
    found = await call.ask(call.registry.GetModelVersion, request)
    return Place(Owner(model_version_id=found.model_version.model_version_id), path)


def as_directory(place: Place) -> Place:
    """The same place where its path may end with a slash, as clients write directories."""
    # A lone slash is no way to write the top: what deletes there deletes everything.
    return Place(place.owner, place.path.removesuffix("/") or place.path)


def require_text(request: Request, path: str) -> None:
    """Raise GatewayError for a path of bytes that are not UTF-8: many of them would look alike."""
    if "\ufffd" not in path:
        return
    raw = request.scope.get("raw_path", b"") + b"?" + request.scope.get("query_string", b"")
    try:
        unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise GatewayError("INVALID_PARAMETER_VALUE", "Invalid path: it is not UTF-8.") from None

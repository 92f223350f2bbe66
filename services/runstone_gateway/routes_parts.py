"""Large files past the gateway: parts and files by URLs of the object store itself.

A store that gives no URLs, a folder, is NOT_IMPLEMENTED, as MLflow's local store is; its clients
then come through the proxy.
"""

from __future__ import annotations

import asyncio
import hashlib
import ntpath
from collections.abc import Sequence
from typing import Any

import grpc

from runstone.artifact.v1 import artifact_pb2 as messages
from runstone_gateway import places
from runstone_gateway.call import Call
from runstone_gateway.errors import GatewayError, not_found, refused
from runstone_gateway.fields import wrong
from runstone_gateway.places import Place
from runstone_gateway.upload import COMMIT_S
from runstone_kit.peers import failure

MAX_PARTS = 10_000
"""What S3 takes."""

BUSY_S = 90.0
"""MLflow's clients repeat a call that took 120 s. The first one may still read the parts back."""

BUSY_PAUSE_S = 0.5

# MLflow's clients know these sentences.
NO_UPLOAD = "Multipart upload is not supported for the current artifact repository"
NO_DOWNLOAD = "Multipart download is not supported for the current artifact repository"

_NOWHERE = "0" * 32
"""An id that no run has."""


async def presigns(call: Call) -> bool:
    """Whether clients can be given URLs of the object store; False while nobody can tell."""
    if not call.settings.presigned:
        return False
    remembered = call.remembered
    if remembered.presigns is None:
        nothing = messages.CreateDownloadUrlsRequest(
            owner=messages.Owner(run_id=_NOWHERE), paths=["nothing"]
        )
        try:
            await call.ask(call.artifact.CreateDownloadUrls, nothing)
        except grpc.aio.AioRpcError as error:
            reason = failure(error).reason
            if reason not in ("PRESIGN_UNSUPPORTED", "ARTIFACT_NOT_FOUND"):
                return False
            remembered.presigns = reason == "ARTIFACT_NOT_FOUND"
    return bool(remembered.presigns)


async def create(call: Call, artifact_path: str, path: str, num_parts: int = 1) -> Any:
    """POST mpu/create/{directory}: ``path`` is the file on the client's machine."""
    place = await _file(call, artifact_path, path)
    places.require_writable(place)
    if not 1 <= num_parts <= MAX_PARTS:
        raise wrong(num_parts, "num_parts", f"a number of parts from 1 to {MAX_PARTS}")
    if not await presigns(call):
        raise GatewayError("NOT_IMPLEMENTED", NO_UPLOAD)
    request = messages.BeginUploadRequest(owner=place.owner, path=place.path, part_count=num_parts)
    begun = (await call.ask(call.artifact.BeginUpload, request)).upload
    credentials = [
        {"url": part.url, "part_number": part.part_number, "headers": dict(part.headers)}
        for part in begun.parts
    ]
    return {"upload_id": f"{begun.upload_id}.{_mark(place)}", "credentials": credentials}


async def complete(
    call: Call, artifact_path: str, path: str, parts: Sequence[dict[str, Any]], upload_id: str = ""
) -> Any:
    """POST mpu/complete/{directory}."""
    upload = await _upload(call, artifact_path, path, upload_id)
    etags = {part["part_number"]: part.get("etag", "") for part in parts}
    if sorted(etags) != list(range(1, len(parts) + 1)):
        raise refused("The numbers of 'parts' must be 1, 2, 3 and so on, each once.")
    request = messages.CommitUploadRequest(
        upload_id=upload, part_etags=[etags[number] for number in sorted(etags)]
    )
    loop = asyncio.get_running_loop()
    until = loop.time() + BUSY_S
    while True:
        try:
            await call.ask(call.artifact.CommitUpload, request, seconds=COMMIT_S)
        except grpc.aio.AioRpcError as error:
            if failure(error).reason != "UPLOAD_BUSY":
                raise
            if loop.time() > until:
                message = "The parts are still being read back; ask again."
                raise GatewayError("TEMPORARILY_UNAVAILABLE", message) from None
            await asyncio.sleep(BUSY_PAUSE_S)
        else:
            return {}


async def abort(call: Call, artifact_path: str, path: str, upload_id: str = "") -> Any:
    """POST mpu/abort/{directory}: the upload may be gone."""
    upload = await _upload(call, artifact_path, path, upload_id)
    request = messages.AbortUploadRequest(upload_id=upload)
    await call.ask(call.artifact.AbortUpload, request)
    return {}


async def presigned(call: Call, artifact_path: str) -> Any:
    """GET presigned/{path}: where a file can be read."""
    place = await places.find(call, artifact_path)
    if not await presigns(call):
        raise GatewayError("NOT_IMPLEMENTED", NO_DOWNLOAD)
    request = messages.CreateDownloadUrlsRequest(owner=place.owner, paths=[place.path])
    found = (await call.ask(call.artifact.CreateDownloadUrls, request)).urls[0]
    if not found.url:
        # It shares an object with others. Without a size, MLflow's clients ask the proxy for it.
        return {"url": "", "headers": {}}
    return {"url": found.url, "headers": {}, "file_size": found.artifact.size}


async def upload_url(
    call: Call, path: str, run_id: str = "", model_id: str = "", expiration: int = 0
) -> Any:
    """POST artifacts/presigned-upload-url: refused, as MLflow refuses it for a proxy's files."""
    if bool(run_id) == bool(model_id):
        raise refused("Exactly one of run_id and model_id must be provided.")
    if run_id:
        await places.of_run(call, run_id, path)
    raise _proxied("upload")


async def download_url(call: Call, run_id: str, path: str, expiration: int = 0) -> Any:
    """POST artifacts/presigned-download-url: refused, as MLflow refuses it for a proxy's files."""
    await places.of_run(call, run_id, path)
    raise _proxied("download")


def _proxied(what: str) -> GatewayError:
    return refused(
        f"Presigned {what} is not supported for proxied artifact storage (artifact URI scheme:"
        " mlflow-artifacts). This endpoint requires a direct cloud storage artifact URI."
    )


async def _file(call: Call, directory: str, local: str) -> Place:
    """Where a client's file goes: its name, on whatever system, in a directory of the proxy."""
    place = places.as_directory(await places.find(call, directory))
    name = ntpath.basename(local)
    return Place(place.owner, f"{place.path}/{name}" if place.path else name)


async def _upload(call: Call, directory: str, local: str, given: str) -> str:
    """The service's id of an upload that was begun for this very file."""
    place = await _file(call, directory, local)
    upload_id, _, mark = given.partition(".")
    if mark != _mark(place):
        if not await presigns(call):
            raise GatewayError("NOT_IMPLEMENTED", NO_UPLOAD)
        raise not_found(f"There is no upload {given!r} for {place.path!r}.")
    return upload_id


def _mark(place: Place) -> str:
    """Ties an upload's id to its file: the id alone would complete another one's."""
    told = place.owner.SerializeToString(deterministic=True) + b"\0" + place.path.encode()
    return hashlib.sha256(told).hexdigest()[:32]

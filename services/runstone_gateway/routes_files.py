"""Files of runs, logged models and registered versions, as MLflow's artifact proxy has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import orjson

from runstone.artifact.v1 import artifact_pb2 as messages
from runstone_gateway import places
from runstone_gateway.body import declared_size
from runstone_gateway.call import Call
from runstone_gateway.download import download
from runstone_gateway.errors import refused
from runstone_gateway.places import Place
from runstone_gateway.streaming import Streamed, aside
from runstone_gateway.upload import upload
from runstone_kit.peers import failure

MAX_POSTED_BYTES = 10 * 2**20
"""Of upload-artifact, as MLflow has it; a PUT takes files of any size."""

MAX_ANSWER_BYTES = 64 * 2**20
"""Of artifacts/list; a larger directory goes on with a token."""

PLAIN_FILES = 500
"""Are written in the event loop: a millisecond."""

PAGE_FILES = 10_000
"""What one page of the service holds at most."""


async def list_of_run(call: Call, run_id: str, path: str = "", page_token: str = "") -> Any:
    """GET artifacts/list: a directory of a run."""
    place = await places.of_run(call, run_id, path)
    experiment_id = await places.experiment_of(call, run_id)
    root = f"mlflow-artifacts:/{experiment_id}/{place.owner.run_id}/artifacts"
    return await list_below(call, root, place, page_token)


async def list_below(call: Call, root: str, place: Place, page_token: str) -> bytes:
    """A directory of an owner whose files are at ``root``, with paths from there."""
    place = places.as_directory(place)
    pieces: list[bytes] = []
    size = 0
    while True:
        page = await _page(call, place, page_token)
        pieces.append(await _files(page, place, within=""))
        size += len(pieces[-1])
        page_token = page.next_page_token
        if not page_token or size > MAX_ANSWER_BYTES:
            break
    files = b",".join(piece for piece in pieces if piece)
    token = b',"next_page_token":' + orjson.dumps(page_token) if page_token else b""
    listed = b',"files":[' + files + b"]" if files else b""
    return b'{"root_uri":' + orjson.dumps(root) + listed + token + b"}"


async def list_directory(call: Call, path: str = "") -> Any:
    """GET artifacts?path=: a directory, all of it: MLflow's clients know no pages here."""
    place = places.as_directory(await places.find(call, path))
    # Before the answer begins, so that an error is told as one.
    first = await _page(call, place, "")
    return Streamed(_listing(call, place, first))


async def _listing(call: Call, place: Place, page: Any) -> AsyncGenerator[bytes]:
    between = b'{"files":['
    while True:
        within = place.path + "/" if place.path else ""
        if files := await _files(page, place, within=within):
            yield between + files
            between = b","
        if not page.next_page_token:
            break
        page = await _page(call, place, page.next_page_token)
    yield b"{}" if between != b"," else b"]}"


async def _page(call: Call, place: Place, page_token: str) -> Any:
    request = messages.ListArtifactsRequest(
        owner=place.owner, path=place.path, page_size=PAGE_FILES, page_token=page_token
    )
    return await call.ask(call.artifact.ListArtifacts, request)


async def _files(page: Any, place: Place, *, within: str) -> bytes:
    large = len(page.artifacts) > PLAIN_FILES
    return await aside(large, _written, page, place, within=within)


def _written(page: Any, place: Place, *, within: str) -> bytes:
    """A page's entries as JSON with commas between them, by their paths behind ``within``.

    The service lists a file as itself; to MLflow's clients that would be a directory that holds it.
    """
    files = []
    for found in page.artifacts:
        if found.path == place.path:
            continue
        file = {"path": found.path.removeprefix(within), "is_dir": found.is_directory}
        if not found.is_directory:
            file["file_size"] = found.size
        files.append(file)
    return orjson.dumps(files)[1:-1]


async def get(call: Call, artifact_path: str) -> Any:
    """GET and HEAD artifacts/{path}."""
    return await download(call, await places.find(call, artifact_path))


async def put(call: Call, artifact_path: str) -> Any:
    """PUT artifacts/{path}: a file that stands there is replaced."""
    await upload(call, await places.find_to_write(call, artifact_path))
    return {}


async def delete(call: Call, artifact_path: str) -> Any:
    """DELETE artifacts/{path}: a file, or a directory with all below it, which may be gone."""
    place = places.as_directory(await places.find(call, artifact_path))
    if place.owner.WhichOneof("owner") == "model_version_id":
        raise refused("The files of a registered model version are final.")
    request = messages.DeleteArtifactsRequest(owner=place.owner, path=place.path)
    try:
        await call.ask(call.artifact.DeleteArtifacts, request)
    except grpc.aio.AioRpcError as error:
        if failure(error).reason != "ARTIFACT_NOT_FOUND":
            raise
    return {}


async def get_of_run(call: Call, run_id: str, path: str) -> Any:
    """GET /get-artifact."""
    return await download(call, await places.of_run(call, run_id, path))


async def get_of_version(call: Call, name: str, version: int, path: str) -> Any:
    """GET /model-versions/get-artifact."""
    return await download(call, await places.of_version(call, name, version, path))


async def post_of_run(call: Call, run_uuid: str, path: str) -> Any:
    """POST upload-artifact, for small files of MLflow's web page."""
    if (declared_size(call.request) or 0) > MAX_POSTED_BYTES:
        raise refused("Artifact size is too large. Max size is 10MB.")
    place = await places.of_run(call, run_uuid, path)
    places.require_writable(place)
    await upload(call, place, least=1)
    return {}

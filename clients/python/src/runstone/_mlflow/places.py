"""Where things are, in MLflow's terms.

runstone-artifacts:/runs/<run_id>[/<path>]                    files of a run
runstone-artifacts:/models/<model_id>[/<path>]                files of a logged model
runstone-artifacts:/model-versions/<model_version_id>[/<path>]   files of a model version

Such a URI holds no address: it means the server of the tracking URI, as MLflow's own
``mlflow-artifacts:/…`` does, so that what is kept of it outlives a move of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from runstone import _values
from runstone._client import Client
from runstone._client._models import UNLIMITED
from runstone._connection import new_id
from runstone._convert import tracking as convert
from runstone._convert.registry import version_number
from runstone._entities.registry import ModelVersion
from runstone._entities.tracking import Run
from runstone.exceptions import InvalidUri
from runstone.registry.v1 import model_version_pb2
from runstone.tracking.v1 import run_pb2

SCHEME = "runstone-artifacts"
SCHEMES = ("runstone", "runstones")
"""Of tracking URIs."""

RUNS = "runs"
MODEL_VERSIONS = "model-versions"
LOGGED_MODELS = "models"
EXPERIMENTS = "experiments"

_OWNERS = {RUNS: "run_id", MODEL_VERSIONS: "model_version_id", LOGGED_MODELS: "logged_model_id"}


@dataclass(frozen=True, slots=True)
class Place:
    """An owner of files by the name of the client's argument, and a path among its files."""

    owner: str
    owner_id: str
    path: str

    @property
    def of(self) -> dict[str, Any]:
        """The owner as keyword arguments; ``run_id`` always, since some methods require it."""
        return {"run_id": None} | {self.owner: self.owner_id}


def uri(kind: str, owner_id: str) -> str:
    """The URI of all files of an owner."""
    return f"{SCHEME}:/{kind}/{owner_id}"


def parse(artifact_uri: str) -> Place:
    """What a URI of ours names.

    Raises:
        InvalidUri: it is none, or nothing has files there.
    """
    scheme, _, rest = artifact_uri.partition(":")
    kind, _, below = rest.removeprefix("/").partition("/")
    owner_id, _, path = below.partition("/")
    if scheme != SCHEME or not rest.startswith("/") or kind not in _OWNERS or not owner_id:
        raise InvalidUri(
            f"{artifact_uri!r} names no files: use {uri(RUNS, '<run_id>')}/<path>,"
            f" {uri(LOGGED_MODELS, '<model_id>')}/<path> or"
            f" {uri(MODEL_VERSIONS, '<model_version_id>')}/<path>"
        )
    return Place(_OWNERS[kind], owner_id, path.strip("/"))


def source(given: str) -> str:
    """A model version's source as our client takes it: ``runs:/…`` or ``models:/m-…``."""
    if not given.startswith(f"{SCHEME}:"):
        return given
    place = parse(given)
    if place.owner == "model_version_id":
        raise InvalidUri(f"{given!r} is no source of a model version: use models:/<name>/<version>")
    scheme = "runs" if place.owner == "run_id" else "models"
    return f"{scheme}:/{place.owner_id}/{place.path}".rstrip("/")


class PluginClient(Client):
    """The client, and what only MLflow's stores need of it."""

    def get_run_as_stored(self, run_id: str) -> Run:
        """As ``get_run``, without what is on its way to the server. Raises RunNotFound."""
        return convert.run(self._tracking.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run)

    def create_version_without_files(
        self, name: str, source: str, tags: Mapping[str, Any], description: str | None
    ) -> ModelVersion:
        """A version that only says where it comes from, as a prompt's. Raises ModelNotFound."""
        return self._create(
            model_version_pb2.CreateModelVersionRequest(
                name=name,
                external=model_version_pb2.ExternalSource(uri=source),
                description=description or "",
                tags=_values.texts("tag", tags, UNLIMITED),
                request_id=new_id(),
            )
        )

    def files_of_version(self, name: str, version: str) -> str:
        """The URI of a version's files: here, unless its source is elsewhere.

        Raises ModelNotFound, VersionNotFound.
        """
        number = version_number(version)
        request = model_version_pb2.GetModelVersionRequest(name=name, version=number)
        found = self._registry.GetModelVersion(request).model_version
        return found.external_uri or uri(MODEL_VERSIONS, found.model_version_id)


@lru_cache(maxsize=100)
def client(tracking_uri: str) -> PluginClient:
    """The client of a tracking URI, shared by the stores and repositories of a process."""
    return PluginClient(tracking_uri, tracking_uri)


def client_for_artifacts(tracking_uri: str | None) -> PluginClient:
    """The client of the server that an artifact URI means.

    Raises:
        InvalidUri: the tracking URI is another kind of server's.
    """
    if not tracking_uri:
        import mlflow

        tracking_uri = mlflow.get_tracking_uri()
    if tracking_uri.partition(":")[0].lower() not in SCHEMES:
        raise InvalidUri(
            f"artifact URIs {SCHEME}:/… are of a Runstone server; the tracking URI must be"
            f" runstone://host:port, not {tracking_uri!r}"
        )
    return client(tracking_uri)

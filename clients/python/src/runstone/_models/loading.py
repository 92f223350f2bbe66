"""From a model's URI to a local folder, and whose model it is.

runs:/<run_id>/<path>     a model among the run's files, else the logged model of that name
models:/m-…               a logged model
models:/<name>/<version, stage, latest>, models:/<name>@<alias>     a version of a registered model
file:<path>, <path>       a folder of this machine
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._fluent import _state
from runstone._models import paths, trust
from runstone._models.model import MLMODEL, Model, read
from runstone._modeluri import LoggedModelUri, ModelUri, RunUri, local_path, parse_artifact_uri
from runstone.exceptions import ArtifactNotFound, ModelFormatError, NotFound

if TYPE_CHECKING:
    from runstone._client import Client

IMPORTED = "runstone.importedRunId"
"""Tag of a run that `runstone import mlflow` brought."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's files are: of whom, on the server, or in a local folder.

    ``own`` says whether the caller made it, as far as nobody else could have said so.
    """

    owner: dict[str, str]
    path: str
    local: Path | None
    own: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A model in a local folder: its description, checked, and whose it is.

    ``temporary`` says that the folder was made for this call.
    """

    folder: Path
    model: Model
    own: bool
    temporary: bool = False

    def discard(self) -> None:
        """Remove the folder, if it was made for this; for a model that is not to be used."""
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


def resolve(model_uri: str | os.PathLike[str], client: Client | None = None) -> Source:
    """Where the files of a model are.

    Raises:
        InvalidUri, ModelNotFound, VersionNotFound, AliasNotFound, LoggedModelNotFound, RunNotFound
    """
    uri = os.fspath(model_uri)
    named = parse_artifact_uri(uri)
    if named is None:
        folder = local_path(uri)
        return Source({}, "", folder, trust.is_own_folder(folder))
    client = client or _state.client()
    if isinstance(named, RunUri):
        return _of_run(client, named)
    if isinstance(named, LoggedModelUri):
        model = client.get_logged_model(named.model_id)
        own = trust.is_own(named.model_id) or _is_own_run(client, model.source_run_id)
        return Source({"logged_model_id": named.model_id}, named.path, None, own)
    return _of_version(client, uri, named)


def _of_run(client: Client, named: RunUri) -> Source:
    try:
        client.get_artifact(named.run_id, f"{named.path}/{MLMODEL}".lstrip("/"))
    except NotFound:
        model = client.logged_model_of(named.run_id, named.path)
        if model is not None:
            own = trust.is_own(model.model_id) or _is_own_run(client, named.run_id)
            return Source({"logged_model_id": model.model_id}, "", None, own)
    # One's own run may hold anybody's files: log_artifacts takes what was downloaded, too.
    return Source({"run_id": named.run_id}, named.path, None, own=False)


def _of_version(client: Client, uri: str, named: ModelUri) -> Source:
    version = client.resolve_model_uri(uri)
    owner = {"model_version_id": version.model_version_id}
    own = trust.is_own(version.model_version_id)
    if version.model_id and not own:
        own = trust.is_own(version.model_id) or _is_own_run(client, version.run_id)
    return Source(owner, named.path, None, own)


def _is_own_run(client: Client, run_id: str | None) -> bool:
    """Whether the run is of this user, in an embedded suite: its folder is closed to others.

    One that was imported has the user's name of elsewhere.
    """
    if not run_id or not client.tracking_uri.startswith("file:"):
        return False
    try:
        run = client.get_run(run_id)
    except NotFound:
        return False
    return run.info.user_id == client.user and IMPORTED not in run.data.tags


def fetch(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    client: Client | None = None,
) -> Found:
    """The model at a URI, with all its files, on this machine.

    Args:
        model_uri: See the module.
        dst_path: Where to put the files; a temporary folder when absent. Local ones stay in place.
        client: Of another server than that of the fluent API.

    Raises:
        ModelFormatError: it is no model, or a link in it leads outside.
        ArtifactNotFound, and what ``resolve`` raises.
    """
    source = resolve(model_uri, client)
    folder = source.local
    if folder is None:
        folder = _download(source, source.path, dst_path, client)
    elif not folder.is_dir():
        raise ModelFormatError(f"{folder} is no folder with a model")
    temporary = source.local is None and dst_path is None
    try:
        paths.refuse_links_outside(folder)
        return Found(folder, read(folder), source.own, temporary)
    except BaseException:
        if temporary:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def put_on_path(folder: Path, configuration: Mapping[str, Any]) -> None:
    """Make a model's own Python files importable, for good: it may import them at any time."""
    if not configuration.get("code"):
        return
    found = str(paths.inside(folder, configuration["code"], "code"))
    if found not in sys.path:
        sys.path.insert(0, found)


def described(model_uri: str) -> Model:
    """What the MLmodel file of the model at a URI says; it is fetched alone.

    Raises:
        As ``fetch``.
    """
    with tempfile.TemporaryDirectory(prefix="runstone-model-") as place:
        return read(fetched_description(resolve(model_uri), model_uri, target=place))


def fetched_description(
    source: Source,
    model_uri: str,
    client: Client | None = None,
    target: str | os.PathLike[str] | None = None,
) -> Path:
    """The same of what was resolved; into ``target``, a temporary folder when absent."""
    if source.local is not None:
        return source.local
    path = f"{source.path}/{MLMODEL}".lstrip("/")
    try:
        return _download(source, path, target, client)
    except ArtifactNotFound as error:
        raise ModelFormatError(f"{model_uri} is no model: there is no {MLMODEL} in it") from error


def _download(
    source: Source,
    path: str,
    target: str | os.PathLike[str] | None,
    client: Client | None = None,
) -> Path:
    owner = {"run_id": None, **source.owner}
    where = Path(target) if target is not None else Path(tempfile.mkdtemp(prefix="runstone-model-"))
    client = client or _state.client()
    return Path(client.download_artifacts(path=path, dst_path=where, **owner))  # type: ignore[arg-type]

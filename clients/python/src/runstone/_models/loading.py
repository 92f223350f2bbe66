"""From a model's URI to a local folder.

runs:/<run_id>/<path>     a model among the run's files, else the logged model of that name
models:/m-…               a logged model
models:/<name>/<version, stage, latest>, models:/<name>@<alias>     a version of a registered model
file:<path>, <path>       a folder of this machine
"""

from __future__ import annotations

import atexit
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
from runstone._modeluri import LoggedModelUri, RunUri, local_path, parse_artifact_uri
from runstone.exceptions import ArtifactNotFound, ModelFormatError, NotFound

if TYPE_CHECKING:
    from runstone._client import Client


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's files are: of whom, on the server, or in a local folder."""

    owner: dict[str, str]
    path: str
    local: Path | None


@dataclass(frozen=True, slots=True)
class Found:
    """A model in a local folder: its description, checked, and whether it is one's own.

    ``scratch`` is the folder around it that was made for this call.
    """

    folder: Path
    model: Model
    scratch: Path | None = None

    def is_own(self, unsafe: str | None, allow_pickle: bool | None) -> bool:
        """Whether it is one's own, where that decides if it may run code; else False.

        It is found out of all its files, which are not read for nothing.
        """
        return unsafe is not None and allow_pickle is None and trust.is_own(self.folder)

    def discard(self) -> None:
        """Remove what was made for this call; for a model that is not to be used."""
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


def resolve(model_uri: str | os.PathLike[str], client: Client | None = None) -> Source:
    """Where the files of a model are.

    Raises:
        InvalidUri, ModelNotFound, VersionNotFound, AliasNotFound, LoggedModelNotFound, RunNotFound
    """
    uri = os.fspath(model_uri)
    named = parse_artifact_uri(uri)
    if named is None:
        return Source({}, "", local_path(uri))
    client = client or _state.client()
    if isinstance(named, RunUri):
        return _of_run(client, named)
    if isinstance(named, LoggedModelUri):
        client.get_logged_model(named.model_id)
        return Source({"logged_model_id": named.model_id}, named.path, None)
    version = client.resolve_model_uri(uri)
    return Source({"model_version_id": version.model_version_id}, named.path, None)


def _of_run(client: Client, named: RunUri) -> Source:
    try:
        client.get_artifact(named.run_id, f"{named.path}/{MLMODEL}".lstrip("/"))
    except NotFound:
        model = client.logged_model_of(named.run_id, named.path)
        if model is not None:
            return Source({"logged_model_id": model.model_id}, "", None)
    return Source({"run_id": named.run_id}, named.path, None)


def fetch(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    client: Client | None = None,
    *,
    kept: bool = False,
) -> Found:
    """The model at a URI, with all its files, on this machine.

    Args:
        model_uri: See the module.
        dst_path: Where to put the files; a temporary folder when absent. Local ones stay in place.
        client: Of another server than that of the fluent API.
        kept: The temporary folder stays when this process ends: somebody is told its path.

    Raises:
        ModelFormatError: it is no model, or a link in it leads outside.
        ArtifactNotFound, and what ``resolve`` raises.
    """
    source = resolve(model_uri, client)
    if source.local is not None:
        if not source.local.is_dir():
            raise ModelFormatError(f"{source.local} is no folder with a model")
        return _checked(source.local)
    if dst_path is not None:
        return _checked(_download(source, source.path, dst_path, client))
    scratch = Path(tempfile.mkdtemp(prefix="runstone-model-"))
    if not kept:
        # Until then: a library may read the files of a loaded model at any time.
        atexit.register(_remove, scratch, os.getpid())
    try:
        return _checked(_download(source, source.path, scratch, client), scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _remove(scratch: Path, pid: int) -> None:
    if os.getpid() != pid:
        # A forked process ends before the one that loaded.
        return
    if "multiprocessing" in sys.modules:
        # Python waits for these too, but after this; they may have been given the model.
        for child in sys.modules["multiprocessing"].active_children():
            if not child.daemon:
                child.join()
    shutil.rmtree(scratch, ignore_errors=True)


def _checked(folder: Path, scratch: Path | None = None) -> Found:
    paths.refuse_links_outside(folder)
    return Found(folder, read(folder), scratch)


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
        return read(fetched_description(resolve(model_uri), model_uri, place))


def fetched_description(
    source: Source,
    model_uri: str,
    target: str | os.PathLike[str],
    client: Client | None = None,
) -> Path:
    """The same of what was resolved; one that is not on this machine is put into ``target``."""
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
    target: str | os.PathLike[str],
    client: Client | None = None,
) -> Path:
    owner = {"run_id": None, **source.owner}
    client = client or _state.client()
    return Path(client.download_artifacts(path=path, dst_path=target, **owner))  # type: ignore[arg-type]

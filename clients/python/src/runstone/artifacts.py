"""Files of runs, logged models and model versions, by URI.

runs:/<run_id>/<path>                         a file or directory of a run
models:/<model_id>/<path>                      a file or directory of a logged model
models:/<name>/<version, stage, latest>/<path>
models:/<name>@<alias>/<path>                 a file or directory of a model version
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from runstone._arguments import checked
from runstone._fluent import _state
from runstone.exceptions import ArtifactNotFound, InvalidArgument, InvalidUri, OfflineMode

if TYPE_CHECKING:
    from runstone._client import Client
    from runstone._entities.artifacts import FileInfo

T = TypeVar("T")

__all__ = ["download_artifacts", "list_artifacts", "load_dict", "load_image", "load_text"]


def _client(tracking_uri: str | None) -> Client:
    if tracking_uri is None:
        return _state.client()
    from runstone._client import Client

    return Client(tracking_uri)


def _named(
    client: Client, artifact_uri: str | None, run_id: str | None, artifact_path: str | None
) -> tuple[dict[str, str], str]:
    if (artifact_uri is None) == (run_id is None):
        raise InvalidArgument("give artifact_uri or run_id, one of them")
    if run_id is not None:
        return {"run_id": run_id}, (artifact_path or "").strip("/")
    if artifact_path:
        raise InvalidArgument("artifact_path goes with run_id; artifact_uri holds the path itself")
    found = client.owner_of_uri(artifact_uri or "")
    if found is None:
        raise InvalidUri(f"{artifact_uri!r} must begin with runs:/ or models:/")
    return found


def _found(client: Client, read: Callable[..., T], owner: dict[str, str], path: str) -> T:
    """What is read of a file; of a logged model of the run where the run has none at that path."""
    try:
        return read(path, **{"run_id": None, **owner})
    except ArtifactNotFound:
        model_id = _logged_model(client, owner, path)
        if model_id is None:
            raise
        return read(path.partition("/")[2], run_id=None, logged_model_id=model_id)


def _logged_model(client: Client, owner: dict[str, str], path: str) -> str | None:
    """The logged model of the run that a path names first; None when there is none."""
    name, run_id = path.partition("/")[0], owner.get("run_id")
    try:
        model = client.logged_model_of(run_id, name) if run_id and name else None
    except OfflineMode:
        return None  # models are logged where there is a server
    return model.model_id if model else None


@checked
def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
) -> str:
    """Fetch a file or a tree; returns where it is on this machine.

    Args:
        artifact_uri: What to fetch; or
        run_id: of which run, with
        artifact_path: the path among its files, all of them when absent; or the name of a logged
            model that the run made, and a path in that.
        dst_path: The folder to put it in, created when missing; a temporary one when absent. The
            artifact's path is kept below it.
        tracking_uri: Another server than that of the fluent API.

    Raises:
        ArtifactNotFound: nothing stands at the path.
        RunNotFound: that is because there is no such run.
        ModelNotFound, VersionNotFound, AliasNotFound
        InvalidUri: it is of neither form.

    Example:
        >>> import pathlib, runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_text("hello", "docs/hello.txt")
        >>> local = runstone.artifacts.download_artifacts(f"runs:/{run.info.run_id}/docs")
        >>> (pathlib.Path(local) / "hello.txt").read_text()
        'hello'
    """
    client = _client(tracking_uri)
    owner, path = _named(client, artifact_uri, run_id, artifact_path)

    def fetched(path: str, **owner: Any) -> str:
        return client.download_artifacts(path=path, dst_path=dst_path, **owner)

    return _found(client, fetched, owner, path)


@checked
def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """What stands in a directory of a run or model version, ordered by path.

    Args:
        artifact_uri: Which directory; or
        run_id: of which run, with
        artifact_path: the directory among its files, the top when absent.
        tracking_uri: Another server than that of the fluent API.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_text("a", "x/a.txt")
        ...     runstone.log_text("bb", "b.txt")
        >>> files = runstone.artifacts.list_artifacts(run_id=run.info.run_id)
        >>> [(f.path, f.is_dir, f.file_size) for f in files]
        [('b.txt', False, 2), ('x', True, None)]
    """
    client = _client(tracking_uri)
    owner, path = _named(client, artifact_uri, run_id, artifact_path)
    found = client.list_artifacts(path=path, **owner)  # type: ignore[arg-type]
    model_id = None if found else _logged_model(client, owner, path)
    if model_id is not None:
        return client.list_artifacts(path=path.partition("/")[2], logged_model_id=model_id)
    return found


def _read(artifact_uri: str) -> tuple[bytes, str]:
    client = _state.client()
    owner, path = _named(client, artifact_uri, None, None)
    if not path:
        raise InvalidUri(f"{artifact_uri!r} names no file")

    def content(path: str, **owner: Any) -> bytes:
        return client.read_bytes(path=path, **owner)

    return _found(client, content, owner, path), path


@checked
def load_text(artifact_uri: str) -> str:
    """A file as text, read as UTF-8.

    Raises:
        ArtifactNotFound, InvalidUri
        InvalidArgument: it is no UTF-8.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_text("3 layers", "notes.txt")
        >>> runstone.artifacts.load_text(f"runs:/{run.info.run_id}/notes.txt")
        '3 layers'
    """
    content, path = _read(artifact_uri)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path} is no text in UTF-8: {error}") from error


@checked
def load_dict(artifact_uri: str) -> Any:
    """A file as the dict or list it holds, of YAML or JSON.

    Raises:
        ArtifactNotFound, InvalidUri
        InvalidArgument: it cannot be read.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_dict({"layers": 3}, "config.yaml")
        >>> runstone.artifacts.load_dict(f"runs:/{run.info.run_id}/config.yaml")
        {'layers': 3}
    """
    from runstone import _media

    content, path = _read(artifact_uri)
    return _media.read_dict(content, path)


@checked
def load_image(artifact_uri: str) -> Any:
    """A file as a PIL image.

    Raises:
        ArtifactNotFound, InvalidUri
        InvalidArgument: it is no image, or pillow is not installed.

    Example:
        >>> import numpy, runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_image(numpy.zeros((4, 8)), "black.png")
        >>> runstone.artifacts.load_image(f"runs:/{run.info.run_id}/black.png").size
        (8, 4)
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise InvalidArgument("load_image needs pillow: pip install pillow") from error
    import io

    content, path = _read(artifact_uri)
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except UnidentifiedImageError as error:
        raise InvalidArgument(f"{path} is no image") from error
    return image

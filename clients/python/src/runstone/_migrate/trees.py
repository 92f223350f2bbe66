"""Files below a place, wherever it is: a folder, a tracking server, S3."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from runstone._migrate.model import FilesOutOfReach, SourceFile, SourceUnreadable, Tree
from runstone._migrate.rest import Rest, RestError, quoted

PROXY = "mlflow-artifacts"
"""The scheme of files that a tracking server keeps for its clients."""

PROXY_PATH = "/api/2.0/mlflow-artifacts/artifacts"

S3_ENDPOINTS = ("MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")

AWAY = frozenset({errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN})
"""What a file system says whose disk or server has gone, and with it all of its files."""

ABOVE_RUN = 3
"""Folders from a run's files up to what holds all experiments: root/experiment/run/artifacts."""


class LocalTree:
    """A folder of this machine, or a single file. One that is missing holds nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> list[SourceFile]:
        """See Tree."""
        try:
            if not self._root.exists():
                return []
            if self._root.is_file():
                return [SourceFile(self._root.name, self._root.stat().st_size)]
            return sorted(self._walk(), key=lambda each: each.path)
        except OSError as error:
            raise _unread(error) from None

    def _walk(self) -> Iterator[SourceFile]:
        """The files below the root, links followed.

        What is out of reach, a link to nothing, a folder that may not be read, a link to a folder
        that it stands in, is given as a file: who copies it is told why it cannot be.
        """
        waiting: list[tuple[Path, frozenset[tuple[int, int]]]] = [(self._root, frozenset())]
        while waiting:
            path, above = waiting.pop()
            inside = path.relative_to(self._root).as_posix()
            try:
                found = path.stat()
                here = found.st_dev, found.st_ino
                if stat.S_ISREG(found.st_mode):
                    yield SourceFile(inside, found.st_size)
                elif stat.S_ISDIR(found.st_mode) and here in above:
                    yield SourceFile(inside, 0)
                elif stat.S_ISDIR(found.st_mode):
                    waiting += ((each, above | {here}) for each in path.iterdir())
            except OSError as error:
                if path == self._root or error.errno in AWAY:
                    raise
                yield SourceFile(inside, 0)

    def local(self, path: str) -> Path | None:
        """See Tree."""
        return self._root if self._root.is_file() else self._root / path

    def fetch(self, path: str, target: Path) -> None:
        """See Tree."""
        source = self.local(path)
        assert source is not None
        shutil.copyfile(source, target)


def _unread(error: OSError) -> FilesOutOfReach:
    found = FilesOutOfReach(f"{error.filename}: {error.strerror}")
    found.away = error.errno in AWAY
    return found


def _out_of_reach(error: RestError) -> FilesOutOfReach:
    """What a server says of files. One that is away has no other files either: the import ends,
    and goes on when it is back, in place of telling of each file that it is lost."""
    found = FilesOutOfReach(error.message)
    found.away = error.away
    return found


class ServerTree:
    """Files that a tracking server lists and gives.

    Args:
        entries: Lists one directory ("" is the top): path below the tree, whether it is a
            directory, and the size in bytes.
        address: The path of the URL that a file is read from.
    """

    def __init__(
        self,
        rest: Rest,
        entries: Callable[[str], Iterator[tuple[str, bool, int]]],
        address: Callable[[str], str],
    ) -> None:
        self._rest = rest
        self._entries = entries
        self._address = address

    def files(self) -> list[SourceFile]:
        """See Tree."""
        waiting, found = [""], []
        known = {""}
        try:
            while waiting:
                for path, is_dir, size in self._entries(waiting.pop()):
                    if not is_dir:
                        found.append(SourceFile(path, size))
                    elif path not in known:
                        # Some servers list a directory in itself.
                        known.add(path)
                        waiting.append(path)
        except RestError as error:
            raise _out_of_reach(error) from None
        return sorted(found, key=lambda each: each.path)

    def local(self, path: str) -> Path | None:
        """See Tree. A server is not believed that a file of this machine is its own."""
        return None

    def fetch(self, path: str, target: Path) -> None:
        """See Tree."""
        try:
            self._rest.fetch(self._address(path), target)
        except RestError as error:
            raise _out_of_reach(error) from None


def proxied(rest: Rest, root: str) -> ServerTree:
    """What a server keeps below a path of its store."""
    root = root.strip("/")

    def entries(directory: str) -> Iterator[tuple[str, bool, int]]:
        path = f"{root}/{directory}".rstrip("/")
        found = rest.json("GET", f"{PROXY_PATH}?{urlencode({'path': path})}")
        for each in found.get("files", ()):
            name = f"{directory}/{each['path']}" if directory else each["path"]
            yield name, bool(each.get("is_dir")), int(each.get("file_size", 0))

    return ServerTree(rest, entries, lambda path: f"{PROXY_PATH}/{quoted(f'{root}/{path}')}")


def of_run(rest: Rest, run_id: str, artifact_uri: str) -> ServerTree:
    """The files of a run, wherever its server keeps them."""

    def entries(directory: str) -> Iterator[tuple[str, bool, int]]:
        given = {"run_id": run_id, "path": directory}
        for each in rest.pages("GET", "artifacts/list", "files", given):
            yield each["path"], bool(each.get("is_dir")), int(each.get("file_size", 0))

    place = proxy_path(artifact_uri)

    def address(path: str) -> str:
        if place is not None:
            return f"{PROXY_PATH}/{quoted(f'{place}/{path}')}"
        return f"/get-artifact?{urlencode({'path': path, 'run_uuid': run_id})}"

    return ServerTree(rest, entries, address)


def of_logged_model(rest: Rest, model_id: str, artifact_uri: str) -> ServerTree:
    """The files of a logged model, wherever its server keeps them."""
    place = proxy_path(artifact_uri)
    if place is not None:
        return proxied(rest, place)

    def entries(directory: str) -> Iterator[tuple[str, bool, int]]:
        call = f"logged-models/{model_id}/artifacts/directories"
        for each in rest.get(call, artifact_directory_path=directory).get("files", ()):
            yield each["path"], bool(each.get("is_dir")), int(each.get("file_size", 0))

    def address(path: str) -> str:
        call = f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files"
        return f"{call}?{urlencode({'artifact_file_path': path})}"

    return ServerTree(rest, entries, address)


class S3Tree:
    """Files below a prefix of a bucket, read with the `minio` package."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def files(self) -> list[SourceFile]:
        """See Tree."""
        with _s3_failures(self._bucket):
            listed = self._client.list_objects(self._bucket, prefix=self._prefix, recursive=True)
            found = [
                SourceFile(each.object_name[len(self._prefix) :], each.size)
                for each in listed
                if not each.is_dir and not each.object_name.endswith("/")
            ]
        return sorted(found, key=lambda each: each.path)

    def local(self, path: str) -> Path | None:
        """See Tree."""
        return None

    def fetch(self, path: str, target: Path) -> None:
        """See Tree."""
        with _s3_failures(self._bucket):
            self._client.fget_object(self._bucket, self._prefix + path, str(target))


@contextmanager
def _s3_failures(bucket: str) -> Iterator[None]:
    """What the package raises, as what we do: it has no one root of exceptions."""
    try:
        yield
    except Exception as error:
        raise FilesOutOfReach(f"the bucket {bucket}: {error}") from None


class SubTree:
    """What stands below a path of another tree; a single file, when it is one."""

    def __init__(self, tree: Tree, path: str) -> None:
        self._tree = tree
        self._path = path.strip("/")
        self._single = False

    def files(self) -> list[SourceFile]:
        """See Tree."""
        if not self._path:
            return self._tree.files()
        all_files = self._tree.files()
        below = self._path + "/"
        found = [
            SourceFile(each.path[len(below) :], each.size)
            for each in all_files
            if each.path.startswith(below)
        ]
        self._single = not found and any(each.path == self._path for each in all_files)
        if self._single:
            name = PurePosixPath(self._path).name
            return [SourceFile(name, each.size) for each in all_files if each.path == self._path]
        return found

    def _whole(self, path: str) -> str:
        if self._single:
            return self._path
        return f"{self._path}/{path}" if self._path else path

    def local(self, path: str) -> Path | None:
        """See Tree."""
        return self._tree.local(self._whole(path))

    def fetch(self, path: str, target: Path) -> None:
        """See Tree."""
        self._tree.fetch(self._whole(path), target)


class Places:
    """Trees by URI.

    Args:
        artifacts: Where files of the scheme mlflow-artifacts are: the destination that the tracking
            server was given. None when that server itself is asked.
        rest: The server.
    """

    def __init__(self, artifacts: str | None = None, rest: Rest | None = None) -> None:
        self._artifacts = artifacts
        self._rest = rest
        self._s3: Any = None

    def tree(self, uri: str) -> Tree:
        """What stands below a URI. Raises FilesOutOfReach."""
        place = proxy_path(uri)
        if place is not None:
            if self._rest is not None:
                return proxied(self._rest, place)
            if self._artifacts is None:
                raise FilesOutOfReach(
                    f"files at {PROXY}: are where the tracking server keeps them: say where with"
                    " --artifacts (its --artifacts-destination), or import from its URL"
                )
            return self.tree(f"{self._artifacts.rstrip('/')}/{place}")
        folder = local_path(uri)
        if folder is not None and self._rest is None:
            return self._folder(folder)
        if folder is not None:
            # A server could name any file of this machine.
            raise FilesOutOfReach(
                f"{uri} is a folder of the tracking server, which does not give its files: import"
                " from its database"
            )
        parts = urlsplit(uri)
        if parts.scheme == "s3":
            return S3Tree(self._client(), parts.netloc, unquote(parts.path))
        raise FilesOutOfReach(
            f"files at {parts.scheme}: are read through a tracking server: import from its URL"
        )

    def _folder(self, folder: Path) -> Tree:
        try:
            there = folder.exists()
        except OSError as error:
            raise _unread(error) from None
        if not there:
            above = folder.parents[min(ABOVE_RUN, len(folder.parents)) - 1]
            if not above.exists():
                raise FilesOutOfReach(
                    f"there is no folder {above} on this machine: import where it is"
                )
        return LocalTree(folder)

    def _client(self) -> Any:
        if self._s3 is None:
            self._s3 = _minio()
        return self._s3


def _minio() -> Any:
    try:
        import minio
        from minio.credentials import providers
    except ImportError:
        raise FilesOutOfReach(
            "files at s3: are read with the package minio: pip install 'runstone[import]', or"
            " import from the tracking server's URL"
        ) from None
    said = next((os.environ[name] for name in S3_ENDPOINTS if os.environ.get(name)), "")
    parts = urlsplit(said or "https://s3.amazonaws.com")
    known = [providers.EnvAWSProvider(), providers.AWSConfigProvider()]
    return minio.Minio(
        endpoint=parts.netloc,
        secure=parts.scheme == "https",
        region=os.environ.get("AWS_DEFAULT_REGION"),
        # Asking the machine's role takes long where there is none.
        credentials=providers.ChainedProvider(
            known if said else [*known, providers.IamAwsProvider()]
        ),
    )


def proxy_path(uri: str) -> str | None:
    """The path in a server's store that a URI of its proxy names; None for other URIs."""
    parts = urlsplit(uri)
    if parts.scheme == PROXY:
        return unquote(parts.path).strip("/")
    if parts.scheme in ("http", "https") and PROXY_PATH in parts.path:
        return unquote(parts.path.partition(PROXY_PATH)[2]).strip("/")
    return None


def local_path(uri: str) -> Path | None:
    """The path of this machine that a URI names; None for other URIs."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if parts.scheme == "" and uri:
        return Path(uri)
    return None


def checked_folder(text: str) -> Path:
    """A folder that must be there. Raises SourceUnreadable."""
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise SourceUnreadable(f"there is no folder {folder}")
    return folder.absolute()

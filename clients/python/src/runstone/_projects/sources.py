"""Where a project comes from: the grammar of its URI, and its files on this machine.

PATH, file:///PATH                        a folder; with a version, that version of its repository
https://HOST/REPO, ssh://HOST/REPO        a git repository; git+https:// and git+ssh://, too
USER@HOST:REPO                            the same by ssh
git+file:///PATH                          one of this machine, where it is allowed
PATH.zip, https://HOST/PATH.zip           an archive
...#FOLDER                                a folder within

Nothing that is fetched is run here, and what would run something by being fetched is refused.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from runstone import _settings
from runstone._projects import git
from runstone._projects.launch import Source
from runstone.exceptions import ProjectInvalid

_HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_SCP_LIKE = re.compile(rf"[A-Za-z0-9._-]+@{_HOST}:(?![/:])[^\s-][^\s]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(:|//|/)?")
_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")


@dataclass(frozen=True, slots=True)
class Place:
    """What a URI says: ``kind`` is folder, git or zip; ``where`` a path, or what git is given."""

    kind: str
    where: str
    subdirectory: str = ""
    local: bool = False


def parse(uri: str) -> Place:
    """Read a project's URI. Nothing is opened but what it may name on this machine.

    Raises:
        ProjectInvalid: it is none of the above; the message says what may be meant.
    """
    if not uri.strip() or any(ord(char) < 0x20 or ord(char) == 0x7F for char in uri):
        raise ProjectInvalid("the project's URI is empty, or has control characters in it")
    whole, _, subdirectory = uri.partition("#")
    if uri.startswith("-"):
        raise ProjectInvalid(f"{uri!r:.100} begins with '-'; a folder of that name is ./{uri:.100}")
    _check_subdirectory(subdirectory)
    if _HELPER.match(whole):
        raise ProjectInvalid(
            f"{whole!r:.100} would have git run a program; a repository is named by https:// or"
            " ssh://"
        )
    scheme = _SCHEME.match(whole)
    if scheme is None or (scheme[2] is None and Path(whole).exists()):
        if _SCP_LIKE.fullmatch(whole) and not Path(whole).exists():
            return Place("git", whole, subdirectory)
        return _on_this_machine(uri, whole, subdirectory)
    return _by_scheme(uri, whole, scheme[1].lower(), subdirectory)


def _by_scheme(uri: str, whole: str, scheme: str, subdirectory: str) -> Place:
    if _SCP_LIKE.fullmatch(whole):
        return Place("git", whole, subdirectory)
    if scheme == "file":
        return _on_this_machine(uri, _path_of(whole), subdirectory)
    if scheme == "git+file":
        if os.environ.get(_settings.ALLOW_FILE_REPOSITORIES, "").lower() not in {"1", "true"}:
            raise ProjectInvalid(
                f"{uri!r:.200}: repositories of this machine are read with"
                f" {_settings.ALLOW_FILE_REPOSITORIES}=true only; a folder is run by its path, and"
                " a version of its repository by its path and --version"
            )
        return Place("git", Path(_path_of(whole.removeprefix("git+"))).as_uri(), subdirectory, True)
    parts = urlsplit(whole)
    if scheme in {"http", "https"} and parts.path.endswith(".zip"):
        return Place("zip", whole, subdirectory)
    if scheme not in {"https", "ssh", "git+https", "git+ssh"}:
        raise ProjectInvalid(
            f"{git.without_password(uri)!r:.200}: a project is a folder, an archive PATH.zip, or a"
            f" git repository by https:// or ssh://, not by {scheme}:"
        )
    if not re.fullmatch(_HOST, parts.hostname or "") or not parts.path.strip("/"):
        raise ProjectInvalid(f"{git.without_password(uri)!r:.200} names no host and repository")
    if (parts.username or "").startswith("-"):
        raise ProjectInvalid(f"{uri!r:.200}: a user cannot begin with '-'")
    return Place("git", whole.removeprefix("git+"), subdirectory)


def _path_of(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ProjectInvalid(f"{uri!r:.200}: a folder of this machine is file:///its/path")
    return unquote(parts.path)


def _on_this_machine(uri: str, path: str, subdirectory: str) -> Place:
    if path.endswith(".zip") and Path(path).is_file():
        return Place("zip", path, subdirectory)
    # A folder may have a # in its name; what there is has the right of way.
    if subdirectory and Path(uri).is_dir():
        return Place("folder", uri)
    if not Path(path).is_dir():
        raise ProjectInvalid(
            f"there is no folder {path!r:.200}; a project is a folder, an archive PATH.zip, or a"
            " git repository such as https://example.com/team/project#folder"
        )
    return Place("folder", path, subdirectory)


def _check_subdirectory(subdirectory: str) -> None:
    path = PurePosixPath(subdirectory)
    if subdirectory and (path.is_absolute() or ".." in path.parts or "\\" in subdirectory):
        raise ProjectInvalid(f"#{subdirectory!r:.100} must be a folder within the project")


def fetch(uri: str, version: str | None = None, storage: Path | None = None) -> Source:
    """Bring a project to this machine.

    Args:
        storage: Where what is fetched is put, and stays; else in a temporary folder.

    Raises:
        ProjectInvalid: it cannot be had, is not what it seems, or has no such version.
        LibraryMissing: it needs git, which is not there.
    """
    place = parse(uri)
    if version is not None:
        git.check_version(version)
        if place.kind == "zip":
            raise ProjectInvalid("a version is of a git repository, and an archive has none")
    if storage is not None:
        storage.mkdir(parents=True, exist_ok=True)
    if place.kind == "folder" and version is None:
        return _folder(uri, place)
    scratch = Path(tempfile.mkdtemp(prefix="runstone-project-", dir=storage))
    try:
        if place.kind == "zip":
            return _zip(uri, place, scratch, kept=storage is not None)
        return _checkout(uri, place, version, scratch, kept=storage is not None)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def discard(source: Source) -> None:
    """Remove what was fetched for a source; a folder of the user's stays."""
    if source.scratch is not None:
        shutil.rmtree(source.scratch, ignore_errors=True)


def _folder(uri: str, place: Place) -> Source:
    base = Path(place.where).resolve()
    folder = _within(base, place.subdirectory, uri)
    root = git.root(folder)
    named = _with(str(base), place.subdirectory)
    if root is None:
        return Source(named, "folder", folder, base, place.subdirectory)
    return Source(
        named,
        "folder",
        folder,
        root,
        _relative(folder, root),
        commit=git.commit(root),
        repository=git.remote(root),
    )


def _checkout(uri: str, place: Place, version: str | None, scratch: Path, *, kept: bool) -> Source:
    subdirectory, url, local = place.subdirectory, place.where, place.local
    named, repository = git.without_password(uri), git.without_password(url)
    if place.kind == "folder":
        folder = _within(Path(place.where).resolve(), place.subdirectory, uri)
        found = git.root(folder)
        if found is None:
            raise ProjectInvalid(
                f"version {version!r} is of a git repository, and {folder} is in none"
            )
        subdirectory, url, local = _relative(folder, found), found.as_uri(), True
        named, repository = _with(str(found), subdirectory), git.remote(found) or url
    root = scratch / "checkout"
    root.mkdir()
    branch = git.fetch(url, version, root, local=local)
    check_links(root)
    return Source(
        named,
        "git",
        _within(root, subdirectory, uri),
        root,
        subdirectory,
        version=version,
        branch=branch,
        commit=git.commit(root),
        repository=repository,
        scratch=None if kept else scratch,
    )


def _with(place: str, subdirectory: str) -> str:
    return f"{place}#{subdirectory}" if subdirectory else place


def _zip(uri: str, place: Place, scratch: Path, *, kept: bool) -> Source:
    from runstone._projects import archives

    archive = Path(place.where).absolute()
    # A query may be a signature that lets whoever has it in.
    named = str(archive) if archive.exists() else git.without_password(place.where.split("?")[0])
    if not archive.exists() and _SCHEME.match(place.where):
        archive = scratch / "project.zip"
        archives.download(place.where, archive)
    root = scratch / "checkout"
    root.mkdir()
    digest = archives.unpack(archive, root)
    return Source(
        _with(named, place.subdirectory),
        "zip",
        _within(root, place.subdirectory, uri),
        root,
        place.subdirectory,
        digest=digest,
        scratch=None if kept else scratch,
    )


def _within(root: Path, subdirectory: str, uri: str) -> Path:
    folder = (root / subdirectory).resolve()
    if not folder.is_dir():
        raise ProjectInvalid(f"{git.without_password(uri)!r:.200} has no folder {subdirectory!r}")
    if not folder.is_relative_to(root.resolve()):
        raise ProjectInvalid(f"#{subdirectory} is a link that leads out of the project")
    return folder


def _relative(folder: Path, root: Path) -> str:
    inner = folder.relative_to(root).as_posix()
    return "" if inner == "." else inner


def check_links(root: Path) -> None:
    """Refuse a checkout in which a link leads out of it, or to git's own files."""
    top = root.resolve()
    for folder, folders, files in os.walk(root):
        if Path(folder) == root and ".git" in folders:
            folders.remove(".git")
        for name in [*folders, *files]:
            path = Path(folder) / name
            if not path.is_symlink():
                continue
            try:
                target = path.resolve()
            except (RuntimeError, OSError) as error:
                raise ProjectInvalid(f"{path.relative_to(root)} is a link in a circle") from error
            if not target.is_relative_to(top) or target.is_relative_to(top / ".git"):
                raise ProjectInvalid(
                    f"{path.relative_to(root)} is a link that leads out of the project"
                    f" ({os.readlink(path)!r:.200})"  # noqa: PTH115
                )

"""Archives of projects: every name is looked at before anything is written.

A zip that leads out of its folder, holds links, is encrypted, has a name twice, or becomes far
larger than it is, is refused as a whole.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import stat
import unicodedata
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from runstone import _uri, _zips
from runstone._projects import git
from runstone.exceptions import ProjectInvalid

MAX_ARCHIVE_BYTES = 1 << 30
MAX_BYTES = 4 << 30
MAX_FILES = 50_000
"""Code, with some data beside it; more belongs into artifacts and data sets."""

MAX_RATIO = 200
RATIO_FLOOR = 64 << 20
"""How much larger than the archive its files may be; below the floor it does not matter."""

CHUNK_BYTES = 1 << 20
DOWNLOAD_SECONDS = 60.0
"""Without a byte."""

_UNREADABLE: tuple[type[Exception], ...] = (*_zips.DAMAGED, OSError)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def _raise_full(error: Exception) -> None:
    """Raise an error that is the disk's, and not the archive's, as it is."""
    if isinstance(error, OSError) and error.errno in _FULL:
        raise error


def unpack(archive: Path, target: Path) -> str:
    """Unpack a zip into an empty folder; the SHA-256 of the archive, in hex.

    Raises:
        ProjectInvalid: it is no zip, or one that does more than hold files.
    """
    try:
        size = archive.stat().st_size
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check(archive, members, size)
            written: set[Path] = set()
            for member in members:
                _write(opened, member, target, written)
        return _digest(archive)
    except _UNREADABLE as error:
        _raise_full(error)
        raise ProjectInvalid(
            f"{archive.name} is no zip archive that can be read: {error}"
        ) from error


def _check(archive: Path, members: Sequence[zipfile.ZipInfo], size: int) -> None:
    if len(members) > MAX_FILES:
        raise ProjectInvalid(
            f"{archive.name} has {len(members)} entries; at most {MAX_FILES} may be"
        )
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES or total > max(size * MAX_RATIO, RATIO_FLOOR):
        raise ProjectInvalid(
            f"{archive.name} has {size} bytes and would become {total}: that is no project but a"
            " zip bomb"
        )
    names = set()
    for member in members:
        fault = _fault(member)
        # As a disk would see it that knows no case and one form of an accent.
        name = unicodedata.normalize("NFC", member.filename.rstrip("/")).casefold()
        if not fault and name in names:
            fault = "stands twice"
        if fault:
            raise ProjectInvalid(f"{archive.name}: {member.filename!r:.200} {fault}")
        names.add(name)


def _fault(member: zipfile.ZipInfo) -> str:
    """What is wrong with an entry; empty when nothing is."""
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    if name != member.orig_filename or "\0" in name or "\\" in name:
        return "has a name that can be read in two ways"
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
        return "leads out of the archive"
    if ".git" in (part.lower() for part in path.parts):
        return "belongs to git, which would run what it says"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in _zips.METHODS:
        return "is packed by a method other than deflate"
    return ""


def _write(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, written: set[Path]
) -> None:
    path = target / member.filename
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with opened.open(member) as source, path.open("xb") as file:
        while chunk := source.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise ProjectInvalid(f"{member.filename!r:.200} is larger than the archive says")
            file.write(chunk)
    mode = member.external_attr >> 16
    path.chmod(0o755 if mode & 0o111 else 0o644)
    written.add(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
        _check_url(arguments[-1])
        return super().redirect_request(*arguments)


def _check_url(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (
        parts.scheme == "http" and _uri.is_loopback(parts.hostname or "")
    ):
        raise ProjectInvalid(
            f"{parts.scheme}://{parts.hostname}: an archive comes by https, for whoever sits"
            " between could put anything into it"
        )
    if "@" in parts.netloc:
        raise ProjectInvalid(
            f"{parts.scheme}://{parts.hostname}: the URL of an archive has no user and password;"
            " fetch it yourself, and run the file"
        )


def download(url: str, target: Path) -> None:
    """Fetch an archive by https into a file.

    Raises:
        ProjectInvalid: it cannot be had, or is too large.
    """
    _check_url(url)
    opener = urllib.request.build_opener(_Redirects)
    try:
        with opener.open(url, timeout=DOWNLOAD_SECONDS) as answer, target.open("wb") as file:
            left = MAX_ARCHIVE_BYTES
            while chunk := answer.read(CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise ProjectInvalid(f"the archive is larger than {MAX_ARCHIVE_BYTES} bytes")
                file.write(chunk)
    except (http.client.HTTPException, OSError, ValueError) as error:
        _raise_full(error)
        said = git.without_password(str(error) or type(error).__name__)
        raise ProjectInvalid(f"the archive cannot be fetched: {said}") from error

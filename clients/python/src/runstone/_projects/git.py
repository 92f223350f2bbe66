"""The `git` program, with nothing in it that a repository or a URI could have run.

No hooks, no templates, no submodules, no protocol but https and ssh, no question at the terminal;
what a user has configured for himself (credentials, keys, proxies) stays.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from runstone.exceptions import LibraryMissing, ProjectInvalid

FETCH_SECONDS = 1800.0
"""A large repository over a slow line; one that stands still is ended by git before."""

ASK_SECONDS = 60.0
"""A question about a repository on this machine, on a slow network drive."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{7,63}")
_NOT_IN_VERSION = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock$")

_SAFE = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "submodule.recurse=false"),
    *("-c", "fetch.recurseSubmodules=false"),
    *("-c", "protocol.allow=never"),
    *("-c", "protocol.https.allow=always"),
    *("-c", "protocol.ssh.allow=always"),
    *("-c", "http.lowSpeedLimit=1000"),
    *("-c", "http.lowSpeedTime=60"),
    *("-c", "gc.auto=0"),
    *("-c", "core.quotePath=false"),
    *("-c", "advice.detachedHead=false"),
)

_OF_A_CALLER = re.compile(
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_.*|COMMON_DIR|NAMESPACE|PREFIX"
    r"|TEMPLATE_DIR|EXTERNAL_DIFF|CONFIG_PARAMETERS|CONFIG_COUNT|CONFIG_(KEY|VALUE)_\d+)"
)
"""What a git that started this process, as from a hook, says of its own repository."""


def call(
    folder: Path | None, *arguments: str, local: bool = False, timeout: float = ASK_SECONDS
) -> bytes:
    """What git answers.

    Args:
        folder: Where it works.
        local: Whether it may read another repository of this machine.

    Raises:
        LibraryMissing: there is no git.
        ProjectInvalid: it failed; the message is its own.
    """
    environment = {k: v for k, v in os.environ.items() if not _OF_A_CALLER.fullmatch(k)}
    environment |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file" if local else "https:ssh",
        # Its messages are looked at, and told to people, in one language.
        "LC_ALL": "C",
    }
    allowed = ("-c", "protocol.file.allow=always") if local else ()
    try:
        done = subprocess.run(
            ["git", *(("-C", str(folder)) if folder else ()), *_SAFE, *allowed, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise LibraryMissing("git is not installed, and the project is in a repository") from error
    except subprocess.TimeoutExpired:
        raise ProjectInvalid(f"git {arguments[0]} did not end within {timeout:g} s") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise ProjectInvalid(f"git {arguments[0]} failed: {without_password(said[-800:])}")
    return done.stdout


def said(folder: Path, *arguments: str) -> str | None:
    """One line of an answer; None where git fails or is not there."""
    try:
        return call(folder, *arguments).decode("utf-8", "replace").strip() or None
    except (ProjectInvalid, LibraryMissing):
        return None


def without_password(url: str) -> str:
    """A URL, or a text with one, that may be shown and stored."""
    return re.sub(r"([a-z][a-z0-9+.-]*://)[^/\s]*@", r"\1", url, flags=re.IGNORECASE)


def check_version(version: str) -> None:
    """Refuse what is no name of a branch or tag and no commit. Raises ProjectInvalid."""
    if not version or len(version) > 255 or _NOT_IN_VERSION.search(version):
        raise ProjectInvalid(f"version {version!r:.100} is no branch, tag or commit")


def fetch(url: str, version: str | None, target: Path, *, local: bool) -> str | None:
    """Check a version of a repository out into an empty folder; its branch, when it names one.

    Without a version it is what the remote's HEAD is.

    Args:
        local: Whether ``url`` is a repository of this machine.

    Raises:
        ProjectInvalid: the repository cannot be read, or has no such version.
        LibraryMissing: there is no git.
    """
    if version is not None:
        check_version(version)
    call(target, "init", "--quiet", "--template=")
    branch = None
    if version is None:
        wanted = "HEAD"
    elif _COMMIT.fullmatch(version):
        wanted = version
    else:
        wanted, branch = _reference(url, version, local)
    if wanted and _fetched(target, url, wanted, local=local):
        commit = "FETCH_HEAD"
    elif (version is not None and _SHORT.fullmatch(version)) or wanted == version:
        commit = _among_all(target, url, str(version), local=local)
    else:
        raise ProjectInvalid(f"{without_password(url)} has no branch, tag or commit {version!r}")
    call(target, "checkout", "--quiet", "--detach", "--force", commit, "--", timeout=FETCH_SECONDS)
    if not local:
        call(target, "config", "remote.origin.url", without_password(url))
    return branch


def _reference(url: str, version: str, local: bool) -> tuple[str, str | None]:
    """The full name of a branch, else of a tag, and the branch's name; empty when it is neither."""
    head, tag = f"refs/heads/{version}", f"refs/tags/{version}"
    listed = call(
        None, "ls-remote", "--end-of-options", url, head, tag, local=local, timeout=FETCH_SECONDS
    )
    found = {line.split("\t")[1] for line in listed.decode("utf-8", "replace").splitlines()}
    if head in found:
        return head, version
    return (tag if tag in found else ""), None


def _fetched(target: Path, url: str, wanted: str, *, local: bool) -> bool:
    """Fetch one commit; False when the server gives single commits to nobody."""
    options = ("--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules")
    try:
        call(
            target, "fetch", *options, "--end-of-options", url, wanted,
            local=local, timeout=FETCH_SECONDS,
        )  # fmt: skip
    except ProjectInvalid:
        if _COMMIT.fullmatch(wanted):
            return False
        raise
    return True


def _among_all(target: Path, url: str, version: str, *, local: bool) -> str:
    every = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    call(
        target, "fetch", "--quiet", "--no-recurse-submodules", "--end-of-options", url, *every,
        local=local, timeout=FETCH_SECONDS,
    )  # fmt: skip
    commit = said(
        target, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{version}^{{commit}}"
    )
    if commit is None:
        raise ProjectInvalid(f"{without_password(url)} has no commit {version!r}")
    return commit.splitlines()[-1]


def root(folder: Path) -> Path | None:
    """The repository around a folder that the folder is a part of; None outside of one."""
    found = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
    if found is None or said(found, "rev-parse", "HEAD") is None:
        return None
    if folder != found and said(found, "check-ignore", "--", str(folder)) is not None:
        return None
    return found


def commit(folder: Path) -> str | None:
    """The commit that is checked out."""
    return said(folder, "rev-parse", "HEAD")


def remote(folder: Path) -> str | None:
    """The URL of the first remote, without a password."""
    names = (said(folder, "remote") or "").splitlines()
    url = said(folder, "config", "--get", f"remote.{names[0]}.url") if names else None
    return without_password(url) if url else None


def changes(folder: Path) -> tuple[bytes, list[str]]:
    """What differs from the commit, as a patch for `git apply`, and the files git does not know.

    Raises:
        ProjectInvalid: git cannot tell.
    """
    plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--binary", "--ignore-submodules")
    # Whole ids, so that the same changes are the same bytes in every clone.
    whole = "--full-index"
    patch = call(folder, "diff", *plain, whole, "--src-prefix=a/", "--dst-prefix=b/", "HEAD", "--")
    listed = call(folder, "ls-files", "--others", "--exclude-standard", "--directory", "-z")
    return patch, [each.decode("utf-8", "replace") for each in listed.split(b"\0") if each]

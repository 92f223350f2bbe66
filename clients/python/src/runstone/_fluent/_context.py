"""What is known about the program at work, as tags of its runs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

USER = "mlflow.user"
SOURCE_NAME = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
GIT_COMMIT = "mlflow.source.git.commit"
GIT_BRANCH = "mlflow.source.git.branch"
GIT_URL = "mlflow.source.git.repoURL"
PARENT_RUN_ID = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
NOTE = "mlflow.note.content"

GIT_SECONDS = 5.0
"""A repository on a slow network drive must not hold a run up for longer."""

_PASSWORD = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)
_git: dict[Path, dict[str, str]] = {}


def tags(user: str) -> dict[str, str]:
    """User, source and git state of the program at work."""
    name, kind = source()
    found = {USER: user} if user else {}
    found |= {SOURCE_NAME: name, SOURCE_TYPE: kind}
    return found | git(_start_folder())


def source() -> tuple[str, str]:
    """The program's name and its kind, LOCAL or NOTEBOOK."""
    if "ipykernel" in sys.modules:
        return os.environ.get("JPY_SESSION_NAME") or "notebook", "NOTEBOOK"
    name = sys.argv[0] if sys.argv else ""
    return name if name not in {"", "-c"} else sys.executable, "LOCAL"


def git(folder: Path) -> dict[str, str]:
    """Commit, branch and URL of the repository around a folder; nothing outside of one.

    Asked of git once in a process, and only where there is a repository.
    """
    root = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
    if root is None:
        return {}
    if root not in _git:
        _git[root] = _ask(root)
    return _git[root]


def _start_folder() -> Path:
    program = Path(sys.argv[0]) if sys.argv and sys.argv[0] not in {"", "-c", "-m"} else None
    try:
        return (program.resolve().parent if program and program.exists() else Path.cwd()).absolute()
    except OSError:  # the working folder is gone
        return Path("/")


def _ask(root: Path) -> dict[str, str]:
    head = _run(root, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").splitlines()
    if len(head) != 2:
        return {}
    commit, branch = head
    found = {GIT_COMMIT: commit}
    if branch != "HEAD":
        found[GIT_BRANCH] = branch
    url = _run(root, "config", "--get", "remote.origin.url").strip()
    if url:
        # A token in the URL is nobody's business who can read the run.
        found[GIT_URL] = _PASSWORD.sub(r"\1", url)
    return found


def _run(root: Path, *arguments: str) -> str:
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""

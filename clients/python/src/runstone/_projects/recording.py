"""What a run of a project keeps of how it was run: enough to run it again.

Tags have MLflow's names, params are the parameters, and files of the run hold the rest:

source/project.json       the record, see ``record``
source/diff.patch         what differed from the commit, for `git apply`
source/environment/...    the MLproject file, and those that the environment is made of
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone import _settings
from runstone._fluent import _context
from runstone._projects import envfiles, git
from runstone._projects.launch import Launch, Source
from runstone._projects.mlproject import CondaEnv, DockerEnv, PythonEnv
from runstone._version import __version__
from runstone.exceptions import ProjectInvalid

if TYPE_CHECKING:
    from runstone._client import Client

RECORD = "source/project.json"
PATCH = "source/diff.patch"
ENVIRONMENT = "source/environment"

FORMAT = 1
"""Of the record; a reader refuses a higher one."""

ENTRY_POINT = "mlflow.project.entryPoint"
PROJECT_ENV = "mlflow.project.env"
PROJECT_BACKEND = "mlflow.project.backend"
PROJECT_VERSION = "mlflow.project.version"

MAX_PATCH_BYTES = 10 << 20
"""Code is smaller; a larger patch holds data, and is not kept."""

MAX_UNTRACKED = 500
"""Names of files that git does not know; of more only the number is kept."""

TEMPLATE_KEY = "kube-job-template-path"
"""Of the configuration of Kubernetes: the one that names a file."""

SMALL_BYTES = 2 << 20
"""What one call takes."""

_SECRET = re.compile(r"(?i)pass|token|secret|credential|auth|api.?key|private")


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a run is to keep, known before there is a run: its files by their places in it."""

    tags: Mapping[str, str]
    params: Mapping[str, str]
    files: Mapping[str, bytes]


def collected(
    user: str,
    launch: Launch,
    command: str,
    given: Mapping[str, Any],
    parent_run_id: str | None,
    paths_from: Path,
) -> Kept:
    """Read what is to be recorded of a launch; nothing is made.

    Args:
        launch: With everything but its run, its experiment and its variables.
        command: As the MLproject file has it.
        given: The parameters that were given, without defaults.
        paths_from: The folder that paths among them are seen from.

    Raises:
        ProjectInvalid: a file of the environment cannot be read.
    """
    files = _files(launch)
    changes = _changes(launch.source, files)
    facts = record(launch, command, given, parent_run_id, changes, list(files), paths_from)
    files[RECORD] = (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode()
    return Kept(_tags(user, launch, parent_run_id), dict(launch.parameters), files)


def make(client: Client, experiment_id: str, kept: Kept, run_id: str | None, name: str) -> str:
    """Make the run, or check that the one that is there takes what is kept; that stays as it is.

    Raises:
        What the calls raise.
    """
    if run_id is None:
        return client.create_run(experiment_id, tags=kept.tags, run_name=name).info.run_id
    # Before it is RUNNING again: params that are there with other values are refused.
    client.log_batch(run_id, params=kept.params, tags=kept.tags)
    return run_id


def fill(client: Client, kept: Kept, run_id: str, name: str, *, again: bool) -> None:
    """Put what is kept into its run; one that is used ``again`` becomes RUNNING.

    Raises:
        What the calls raise.
    """
    if again:
        client.update_run(run_id, "RUNNING", name or None)
    elif kept.params:
        client.log_batch(run_id, params=kept.params)
    _put(client, run_id, kept.files)


def _put(client: Client, run_id: str, files: Mapping[str, bytes]) -> None:
    if sum(map(len, files.values())) <= SMALL_BYTES and not _settings.offline():
        client.put_artifacts(run_id, files)
        return
    for path, content in files.items():
        client.put_bytes(run_id, content, path)


def _tags(user: str, launch: Launch, parent_run_id: str | None) -> dict[str, str]:
    source = launch.source
    manager = launch.env_manager
    found = {
        _context.USER: user or None,
        _context.SOURCE_NAME: source_name(source),
        _context.SOURCE_TYPE: "PROJECT",
        _context.GIT_COMMIT: source.commit,
        _context.GIT_URL: source.repository,
        _context.GIT_BRANCH: source.branch,
        _context.PARENT_RUN_ID: parent_run_id,
        ENTRY_POINT: launch.entry_point,
        PROJECT_BACKEND: launch.backend,
        PROJECT_ENV: None if manager == "local" else manager,
        PROJECT_VERSION: source.version,
    }
    return {key: value for key, value in found.items() if value is not None}


def source_name(source: Source) -> str:
    """What MLflow calls a source: its URI; what is in git here is ``file://repository#folder``."""
    if source.kind == "folder":
        if source.commit is None:
            return str(source.folder)
        return f"file://{source.root}" + (f"#{source.subdirectory}" if source.subdirectory else "")
    return f"file://{source.uri}" if source.uri.startswith("/") else source.uri


def _files(launch: Launch) -> dict[str, bytes]:
    """The MLproject file and those of the environment, by their places in the run."""
    folder, environment = launch.project.folder, launch.project.environment
    names = [each.name for each in folder.iterdir() if each.name.lower() == "mlproject"]
    if isinstance(environment, PythonEnv | CondaEnv):
        names.append(environment.path)
        try:
            names += envfiles.named(folder, environment)
        except ProjectInvalid:
            if launch.env_manager in {"virtualenv", "uv"}:
                raise
            # conda understands more than is read here, and this Python needs none of it.
    found = {}
    for name in dict.fromkeys(names):
        content = (folder / name).read_bytes()
        if len(content) <= SMALL_BYTES:
            found[f"{ENVIRONMENT}/{Path(name).as_posix()}"] = content
    return found


def _changes(source: Source, files: dict[str, bytes]) -> dict[str, Any] | None:
    """What differs from the commit; the patch goes among the files. None where nothing does."""
    if source.commit is None or not (source.kind == "folder" or source.changed):
        return None
    try:
        patch, untracked = git.changes(source.root)
    except ProjectInvalid as error:
        return {"patch": None, "left_out": f"git could not tell: {error}", "untracked": []}
    if not patch and not untracked:
        return None
    fits = len(patch) <= MAX_PATCH_BYTES
    if patch and fits:
        files[PATCH] = patch
    return {
        "patch": PATCH if patch and fits else None,
        "left_out": "" if fits else f"larger than {MAX_PATCH_BYTES} bytes",
        "bytes": len(patch),
        "sha256": hashlib.sha256(patch).hexdigest() if patch else None,
        "untracked": untracked[:MAX_UNTRACKED],
        "untracked_count": len(untracked),
    }


def record(
    launch: Launch,
    command: str,
    given: Mapping[str, Any],
    parent_run_id: str | None,
    changes: Mapping[str, Any] | None,
    files: list[str],
    paths_from: Path | None = None,
) -> dict[str, Any]:
    """All that is needed to run it again, as the JSON file has it. No secret is in it."""
    source, environment = launch.source, launch.project.environment
    return {
        "format": FORMAT,
        "runstone": __version__,
        "source": {
            "uri": source.uri,
            "kind": source.kind,
            "version": source.version,
            "branch": source.branch,
            "commit": source.commit,
            "repository": source.repository,
            "root": str(source.root) if source.kind == "folder" else None,
            "subdirectory": source.subdirectory,
            "digest": source.digest,
            "changes": changes,
        },
        "project": launch.project.name,
        "entry_point": launch.entry_point,
        "command": command,
        "argv": list(launch.argv),
        "given": {name: str(value) for name, value in given.items()},
        "parameters": dict(launch.parameters),
        "paths_from": None if paths_from is None else str(paths_from),
        "environment": {
            "manager": launch.env_manager,
            "kind": _kind(environment),
            "image": environment.image if isinstance(environment, DockerEnv) else None,
            "files": [name for name in files if name.startswith(ENVIRONMENT)],
            "python": platform.python_version() if launch.env_manager == "local" else None,
        },
        "backend": launch.backend,
        "backend_config": _without_secrets(_from_anywhere(launch, paths_from)),
        "docker_args": _without_secrets(launch.docker_args),
        "build_image": launch.build_image,
        "parent_run_id": parent_run_id,
    }


def _from_anywhere(launch: Launch, paths_from: Path | None) -> Mapping[str, Any]:
    """The backend's configuration, in which a file is found from every folder."""
    config = launch.backend_config
    template = config.get(TEMPLATE_KEY)
    if paths_from is None or not isinstance(template, str):
        return config
    return {**config, TEMPLATE_KEY: str(paths_from / template)}


def _kind(environment: object) -> str | None:
    kinds = {PythonEnv: "python_env", CondaEnv: "conda_env", DockerEnv: "docker_env"}
    return kinds.get(type(environment))


def _tells_secret(text: str, name: str) -> bool:
    """Whether an option's value is a variable with a secret, or a URL with a password."""
    variable, given, _ = text.partition("=")
    if name in {"e", "env"} and given and _SECRET.search(variable):
        return True
    return git.without_password(text) != text


def _without_secrets(found: Any, name: str = "") -> Any:
    if isinstance(found, Mapping):
        return {str(key): _without_secrets(value, str(key)) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_without_secrets(each, name) for each in found]
    if _SECRET.search(name) or (isinstance(found, str) and _tells_secret(found, name)):
        return "***"
    return found if isinstance(found, str | int | float | bool) or found is None else str(found)

"""A run of a project, run again: the same source with its changes, environment, parameters.

What is not recorded cannot be had back, and is said instead of guessed.
"""

from __future__ import annotations

import json
import logging
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._fluent import _context
from runstone._projects import git, recording, running, sources
from runstone._projects.launch import Source
from runstone._projects.submitted import ProjectRun
from runstone.exceptions import (
    ArtifactNotFound,
    LibraryMissing,
    ProjectInvalid,
)

if TYPE_CHECKING:
    from runstone._client import Client
    from runstone._entities.tracking import Run

log = logging.getLogger("runstone")

TAG = "runstone.reproduces"
"""Of the new run: which one it repeats."""

HIDDEN = "***"
"""Stands in a record for what may have been a secret."""

MAX_RECORD_BYTES = 4 << 20
"""No record of ours is as large; whoever may write to a run may put anything in its place."""

NAMED = 5
"""Files that are named in a warning; more tell nothing more."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run recorded of how it was run; every part was there, and of its type."""

    run_id: str
    experiment_id: str
    name: str
    source: Mapping[str, Any]
    entry_point: str
    given: Mapping[str, str]
    argv: tuple[str, ...]
    paths_from: Path | None
    environment: Mapping[str, Any]
    wishes: Mapping[str, Any]


def recipe(client: Client, run_id: str) -> Recipe:
    """Read what a run recorded.

    Raises:
        RunNotFound
        ProjectInvalid: it was not run as a project, or the record is damaged; the message says
            what is known of it and what is not.
    """
    run = client.get_run(run_id)
    try:
        content = _read(client, run_id, recording.RECORD, MAX_RECORD_BYTES)
    except ArtifactNotFound:
        raise ProjectInvalid(_unrecorded(run), metadata={"run_id": run_id}) from None
    try:
        found = json.loads(content)
        if found["format"] > recording.FORMAT:
            raise ProjectInvalid(
                f"run {run_id} was recorded by Runstone {found.get('runstone')}, which is newer"
                " than this one; reproduce it with that version"
            )
        return Recipe(
            run_id,
            run.info.experiment_id,
            run.data.tags.get(_context.SOURCE_NAME) or str(found["source"]["uri"]),
            _checked_source(found["source"]),
            str(found["entry_point"]),
            {str(name): str(value) for name, value in found["given"].items()},
            tuple(map(str, found.get("argv") or ())),
            Path(found["paths_from"]) if found.get("paths_from") else None,
            dict(found["environment"]),
            {
                "backend": str(found["backend"]),
                "backend_config": dict(found["backend_config"]),
                "docker_args": dict(found["docker_args"]),
                "build_image": bool(found["build_image"]),
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProjectInvalid(
            f"{recording.RECORD} of run {run_id} is damaged: {type(error).__name__}: {error}"
        ) from error


def _read(client: Client, run_id: str, path: str, most: int) -> bytes:
    """A file of a record. Raises ArtifactNotFound; ProjectInvalid: it is too large to be one."""
    size = client.get_artifact(run_id, path).file_size or 0
    if size > most:
        raise ProjectInvalid(
            f"{path} of run {run_id} has {size} bytes, and what `runstone run` puts there has at"
            f" most {most}: it was replaced"
        )
    return client.read_bytes(run_id, path)


def _checked_source(said: Any) -> dict[str, Any]:
    """The source of a record. Raises ValueError, TypeError: a part is of another type."""
    source = dict(said)
    changes = source.get("changes") or {}
    if not isinstance(changes, dict):
        raise ValueError("source.changes must be a mapping")
    if not isinstance(changes.get("untracked") or [], list):
        raise ValueError("source.changes.untracked must be a list")
    if not isinstance(changes.get("untracked_count") or 0, int):
        raise ValueError("source.changes.untracked_count must be a number")
    return source


def _unrecorded(run: Run) -> str:
    """What is known of a run that no record tells how to repeat, and what is not."""
    tags = run.data.tags
    known = [
        f"{said} {tags[key]}"
        for key, said in (
            (_context.SOURCE_NAME, "source"),
            (_context.GIT_COMMIT, "commit"),
            (_context.GIT_URL, "repository"),
            (recording.ENTRY_POINT, "entry point"),
        )
        if tags.get(key)
    ]
    known += [f"{len(run.data.params)} params"] if run.data.params else []
    recorded = f"recorded are {', '.join(known)}" if known else "nothing of its source is recorded"
    if tags.get(_context.SOURCE_TYPE) == "PROJECT":
        # By MLflow's own `mlflow run`.
        missing = "uncommitted changes and environment"
        advice = "`runstone run SOURCE -v COMMIT -e ENTRY` runs that commit"
    else:
        missing = "its command line, working folder, uncommitted changes and environment"
        advice = "run it by `runstone run` the next time, which records these"
    return (
        f"run {run.info.run_id} was not made by `runstone run`: {recorded}; missing are {missing};"
        f" {advice}"
    )


def start(
    client: Client,
    found: Recipe,
    *,
    backend: str | None = None,
    backend_config: Mapping[str, Any] | None = None,
    env_manager: str | None = None,
    run_name: str | None = None,
    output_to_stderr: bool = False,
) -> ProjectRun:
    """Begin the run again, as a new one that names the first by the tag ``runstone.reproduces``.

    Raises:
        ProjectInvalid: the source is gone or is not what it was, or its changes were not kept.
        What beginning a run of a project raises.
    """
    recorded = found.wishes
    config = recorded["backend_config"] if backend_config is None else dict(backend_config)
    if backend is not None and backend != recorded["backend"] and backend_config is None:
        config = {}  # it was the other backend's
    for field, value in (("backend_config", config), ("docker_args", recorded["docker_args"])):
        if _hides(value):
            raise ProjectInvalid(
                f"{field} had a secret in it, which is not recorded"
                + ("; give it anew" if field == "backend_config" else "")
            )
    manager = env_manager or str(found.environment.get("manager") or "") or None
    _warn(found, manager)
    wishes = running.Wishes(
        backend=backend or recorded["backend"],
        backend_config=config,
        env_manager=None if manager == "docker" else manager,
        docker_args=recorded["docker_args"],
        build_image=recorded["build_image"],
        output_to_stderr=output_to_stderr,
        paths_from=found.paths_from,
    )
    return running.start(
        found.name,
        found.entry_point,
        None,
        found.given,
        lambda: found.experiment_id,
        wishes,
        run_name=run_name,
        # With the run itself: a call afterwards may fail when the command is at work already.
        tags={TAG: found.run_id},
        fetch=lambda: rebuilt(client, found),
    )


def _hides(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_hides, value.values()))
    return value == HIDDEN or (isinstance(value, list) and any(map(_hides, value)))


def _warn(found: Recipe, manager: str | None) -> None:
    then = found.environment.get("python")
    if manager == "local" and then and then != platform.python_version():
        log.warning(
            "run %s ran in Python %s, and this is %s; its packages were those of that machine",
            found.run_id,
            then,
            platform.python_version(),
        )
    if found.paths_from is None:
        for name, value in found.given.items():
            # An absolute path that the command got, for one that is none.
            if value and any(word.endswith(f"/{value}") for word in found.argv):
                log.warning(
                    "run %s does not record from where parameter %s was seen: %s is looked for"
                    " from here",
                    found.run_id, name, value,
                )  # fmt: skip
    changes = found.source.get("changes") or {}
    names = [str(each) for each in changes.get("untracked") or ()]
    if names:
        more = int(changes.get("untracked_count") or len(names)) - NAMED
        log.warning(
            "files that git did not know are not recorded: %s%s",
            # A name may have what moves a terminal's cursor in it.
            ", ".join(each if each.isprintable() else repr(each) for each in names[:NAMED]),
            f" and {more} more" if more > 0 else "",
        )


def rebuilt(client: Client, found: Recipe) -> Source:
    """The source as it was, in a folder of its own.

    Raises:
        ProjectInvalid: it cannot be had, or not as it was.
    """
    was = found.source
    changes = was.get("changes") or {}
    if changes.get("left_out"):
        raise ProjectInvalid(
            f"run {found.run_id} had uncommitted changes that were not kept:"
            f" {changes['left_out']}; its commit is {was.get('commit')}"
        )
    source = _fetched(found)
    try:
        if changes.get("patch"):
            _apply(client, found.run_id, source)
        return replace(
            source,
            # As the first run has it, so that the two differ in what differs.
            uri=found.name,
            version=was.get("version"),
            branch=was.get("branch"),
            repository=was.get("repository"),
            changed=bool(changes.get("patch")),
        )
    except BaseException:
        sources.discard(source)
        raise


def _fetched(found: Recipe) -> Source:
    was = found.source
    kind, commit = was.get("kind"), was.get("commit")
    if kind == "zip":
        source = sources.fetch(str(was["uri"]))
        if source.digest != was.get("digest"):
            sources.discard(source)
            raise ProjectInvalid(
                f"{was['uri']} is not the archive that run {found.run_id} used: its SHA-256 was"
                f" {was.get('digest')} and is {source.digest}"
            )
        return source
    if not commit:
        raise ProjectInvalid(
            f"the folder {was.get('uri')} of run {found.run_id} was in no git repository, so what"
            " its files were is not recorded; recorded are its parameters, its entry point"
            f" {found.entry_point!r} and the files of its environment (runstone artifacts list"
            f" {found.run_id} --recursive)"
        )
    tried = []
    for uri in dict.fromkeys(_places(was)):
        try:
            source = sources.fetch(uri, str(commit))
        except LibraryMissing:
            raise
        except ProjectInvalid as error:
            tried.append(f"{uri}: {error.message}")
            continue
        if source.commit == commit:
            return source
        sources.discard(source)
        tried.append(f"{uri}: it has no commit {commit}")
    raise ProjectInvalid(
        f"the source of run {found.run_id}, commit {commit}, is gone: {'; '.join(tried)}"
    )


def _places(was: Mapping[str, Any]) -> list[str]:
    """Where the commit may be: where it came from, and what that was a clone of."""
    inner = str(was.get("subdirectory") or "")
    behind = f"#{inner}" if inner else ""
    places = []
    if was.get("root"):
        places.append(f"{was['root']}{behind}")
    elif was.get("uri"):
        places.append(str(was["uri"]))
    if was.get("repository"):
        places.append(f"{was['repository']}{behind}")
    return places


def _apply(client: Client, run_id: str, source: Source) -> None:
    patch = _read(client, run_id, recording.PATCH, recording.MAX_PATCH_BYTES)
    with tempfile.TemporaryDirectory(prefix="runstone-patch-") as scratch:
        path = Path(scratch) / "diff.patch"
        path.write_bytes(patch)
        # In the index too: what it adds is then a change of the commit, as it was.
        git.call(source.root, "apply", "--index", "--whitespace=nowarn", str(path))
    sources.check_links(source.root)

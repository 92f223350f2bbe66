"""Run projects: code in a folder, a git repository or an archive, as its MLproject file says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstone._arguments import checked
from runstone._projects.backends import Backend, SubmittedRun
from runstone._projects.launch import Launch, Source
from runstone.exceptions import ExecutionException, ProjectInvalid

__all__ = ["Backend", "ExecutionException", "Launch", "Source", "SubmittedRun", "reproduce", "run"]


@checked
def run(
    uri: str | os.PathLike[str],
    entry_point: str = "main",
    version: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    docker_args: Mapping[str, Any] | None = None,
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    backend: str = "local",
    backend_config: Any = None,
    storage_dir: str | os.PathLike[str] | None = None,
    synchronous: bool = True,
    run_id: str | None = None,
    run_name: str | None = None,
    env_manager: str | None = None,
    build_image: bool = False,
    docker_auth: Mapping[str, Any] | None = None,
) -> SubmittedRun:
    """Run an entry point of a project, and record how, so that it can be run again.

    The command finds its run by RUNSTONE_RUN_ID: ``start_run`` in it resumes that run. Called
    within a run, the new one is its child.

    Args:
        uri: A folder; a git repository (``https://``, ``ssh://``, ``git@host:repository``) or a
            ``.zip``, here or by https. ``#folder`` names a project within.
        entry_point: One of the MLproject file, or a ``.py`` or ``.sh`` file of the project.
        version: A branch, tag or commit.
        parameters: Of the entry point; others are handed on as ``--name value``.
        docker_args: Options of ``docker run`` by name; True is a flag.
        experiment_name: Where the run belongs; made when missing. Or
        experiment_id: its id. Else the active experiment.
        backend: ``local``, ``kubernetes``, or one that another distribution brings.
        backend_config: A dict, or the path of a JSON file.
        storage_dir: Where downloads and checkouts are put, and stay; else they are temporary.
        synchronous: Wait for the end. Else this program does so when it ends itself.
        run_id: A run to be used, instead of a new one.
        run_name: The run's name; made up when absent.
        env_manager: ``local`` (this Python), ``virtualenv``, ``uv`` or ``conda``; else what the
            project has a file for.
        build_image: Build an image with the project's files for a project that runs in Docker.
        docker_auth: How to log in to its registry.

    Raises:
        ProjectInvalid: the project, its source or a parameter is wrong; no run was made.
        ExecutionException: the run failed, and is marked so.
        LibraryMissing: git, uv, conda or docker is needed and not installed.

    Example:
        >>> import pathlib, runstone
        >>> _ = pathlib.Path("train.py").write_text('''
        ... import runstone
        ... with runstone.start_run():
        ...     runstone.log_metric("loss", 0.5)
        ... ''')
        >>> _ = pathlib.Path("MLproject").write_text('''
        ... entry_points:
        ...   main:
        ...     parameters: {alpha: {type: float, default: 0.1}}
        ...     command: python train.py --alpha {alpha}
        ... ''')
        >>> submitted = runstone.projects.run(".", parameters={"alpha": 0.2})
        >>> runstone.get_run(submitted.run_id).data.params
        {'alpha': '0.2'}
    """
    from runstone._projects import running

    wishes = running.Wishes(
        backend=backend,
        backend_config=config(backend_config),
        env_manager=env_manager,
        storage=None if storage_dir is None else Path(storage_dir).absolute(),
        docker_args=dict(docker_args or {}),
        build_image=build_image,
        docker_auth=docker_auth,
    )
    begun = running.start(
        os.fspath(uri),
        entry_point,
        version,
        dict(parameters or {}),
        lambda: running.experiment(experiment_name, experiment_id, run_id),
        wishes,
        run_id=run_id,
        run_name=run_name,
    )
    if synchronous:
        begun.wait()
        begun.check()
    else:
        running.follow(begun)
    return begun


@checked
def reproduce(
    run_id: str,
    *,
    backend: str | None = None,
    backend_config: Any = None,
    env_manager: str | None = None,
    run_name: str | None = None,
) -> SubmittedRun:
    """Run again what a run of a project ran, and wait for it; ``Client.diff_runs`` compares them.

    The source is checked out anew at its commit, with the changes that were not committed; entry
    point, parameters, environment and backend are the same. The new run is in the same experiment
    and has the tag ``runstone.reproduces``. It runs the code that the run names: do it with runs
    whose authors you trust.

    Args:
        run_id: The run, made by ``run`` or ``runstone run``.
        backend: Another one than the recorded.
        backend_config: Another configuration than the recorded.
        env_manager: Another one than the recorded.
        run_name: The new run's name; made up when absent.

    Raises:
        RunNotFound
        ProjectInvalid: it was not run as a project, its source is gone, or not all of it was
            recorded; the message says what is there and what is missing.
        ExecutionException: the new run failed, and is marked so.

    Example:
        >>> import pathlib, subprocess, runstone
        >>> _ = pathlib.Path("train.py").write_text("")
        >>> git = ["git", "-c", "user.name=me", "-c", "user.email=me@lab.example"]
        >>> for words in (["init", "-q"], ["add", "train.py"], ["commit", "-qm", "one"]):
        ...     _ = subprocess.run([*git, *words], check=True)
        >>> first = runstone.projects.run(".", "train.py")
        >>> again = runstone.projects.reproduce(first.run_id)
        >>> runstone.Client().diff_runs(first.run_id, again.run_id).same
        True
    """
    from runstone._fluent import _state
    from runstone._projects import reproducing

    client = _state.client()
    begun = reproducing.start(
        client,
        reproducing.recipe(client, run_id),
        backend=backend,
        backend_config=None if backend_config is None else config(backend_config),
        env_manager=env_manager,
        run_name=run_name,
    )
    begun.wait()
    begun.check()
    return begun


def config(given: Any) -> dict[str, Any]:
    """A backend's configuration from a dict, JSON, or the path of a JSON file.

    Raises:
        ProjectInvalid: it is none of these.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else ""
    try:
        found = json.loads(text if text.lstrip()[:1] == "{" else Path(text).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectInvalid(
            f"backend_config must be a dict, JSON or the path of a JSON file: {error}"
        ) from error
    if not isinstance(found, dict):
        raise ProjectInvalid(f"backend_config must hold a JSON object, not {found!r:.60}")
    return found

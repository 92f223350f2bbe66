"""What a backend is given: everything about one run of an entry point, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runstone._projects.mlproject import Project


@dataclass(frozen=True, slots=True)
class Source:
    """Where a project came from, and where it lies now.

    Attributes:
        uri: As it was given, without a password; of this machine an absolute path.
        kind: ``folder``, ``git`` or ``zip``.
        folder: The project's own folder, in which its commands start.
        root: The folder of the whole checkout or archive; of a folder in git, its repository.
        subdirectory: From ``root`` to ``folder``; empty when they are the same.
        version: The branch, tag or commit that was asked for.
        branch: ``version``, where it names a branch.
        commit: The commit that is checked out; None outside of git.
        repository: The remote's URL, without a password; None when there is none.
        digest: SHA-256 of an archive, in hex.
        scratch: A folder that was made for this source and goes with it.
        changed: Whether changes of an earlier run were put onto a checkout.
    """

    uri: str
    kind: str
    folder: Path
    root: Path
    subdirectory: str = ""
    version: str | None = None
    branch: str | None = None
    commit: str | None = None
    repository: str | None = None
    digest: str | None = None
    scratch: Path | None = None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """One run of an entry point, whose run exists already.

    Attributes:
        run_id: Of the run that records it; it is RUNNING.
        experiment_id: The experiment that it belongs to.
        project: What the project says of itself; ``project.environment`` is what it needs.
        source: Where the code came from, and where it lies.
        entry_point: The entry point's name.
        parameters: Every parameter by name, as text: defaults and those that are not declared,
            too; paths as they were given.
        argv: The command's words: no shell parses them, and nothing of an environment is in them.
        environment: Variables that the command finds its run by (``RUNSTONE_RUN_ID`` …), to be put
            over those of the machine.
        unset: Variables of this process that it must not have.
        env_manager: ``local``, ``virtualenv``, ``uv``, ``conda`` or ``docker``.
        backend: The backend's name.
        backend_config: What the backend was told.
        docker_args: Options of ``docker run`` by name; True is a flag.
        build_image: Whether an image with the project is to be built.
        docker_auth: How to log in to a registry; never recorded.
        output_to_stderr: Whether standard output is taken by an answer in JSON.
    """

    run_id: str
    experiment_id: str
    project: Project
    source: Source
    entry_point: str
    parameters: Mapping[str, str]
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    unset: tuple[str, ...] = ()
    env_manager: str = "local"
    backend: str = "local"
    backend_config: Mapping[str, Any] = field(default_factory=dict)
    docker_args: Mapping[str, Any] = field(default_factory=dict)
    build_image: bool = False
    docker_auth: Mapping[str, Any] | None = None
    output_to_stderr: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """How a command is started.

    Attributes:
        argv: All words, those of the environment first.
        variables: To be put over those of this process.
        unset: Those of this process that it must not have.
        stop: A command that ends what signals to the process do not reach, such as a container.
    """

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()

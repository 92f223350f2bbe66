"""What a project's command runs in: this Python, an environment of its own, conda, or a container.

An environment is made of the project's files alone and kept by what they say. The command's words
stay as they are: an environment puts words before them, or variables beside them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from runstone._projects import envfiles
from runstone._projects.launch import Launch, Prepared
from runstone._projects.mlproject import CondaEnv, DockerEnv, Project, PythonEnv
from runstone.exceptions import LibraryMissing, ProjectInvalid

log = logging.getLogger("runstone.projects")

MANAGERS = ("local", "virtualenv", "uv", "conda")

KIND = "project-environments"
"""The folder of them in the cache."""

WHOSE = "the project"

_LOCAL_REQUIREMENT = re.compile(r"(-e\s+|--editable[= ])?(\.|/|file:)")


def manager_of(project: Project, asked: str | None) -> str:
    """What makes the environment: ``asked``, else as the project's files say, as with MLflow.

    Raises:
        ProjectInvalid: there is no such manager, or it cannot read the project's file.
    """
    if asked is not None and asked not in MANAGERS:
        raise ProjectInvalid(f"env_manager must be one of {', '.join(MANAGERS)}, not {asked!r}")
    if isinstance(project.environment, DockerEnv):
        return "docker"
    if asked == "conda" and not isinstance(project.environment, CondaEnv):
        raise ProjectInvalid(
            "env_manager conda needs a project with conda_env; say virtualenv, uv or local"
        )
    if asked is not None:
        return asked
    if isinstance(project.environment, CondaEnv):
        return "conda"
    return "virtualenv" if isinstance(project.environment, PythonEnv) else "local"


def prepare(launch: Launch) -> Prepared:
    """Make the environment of a launch, which may take minutes the first time.

    Raises:
        ProjectInvalid: its files cannot be read.
        FailedPrecondition: it cannot be built.
        LibraryMissing: its manager is not installed.
    """
    if launch.env_manager == "docker":
        from runstone._projects import docker

        return docker.prepare(launch)
    if launch.env_manager == "local":
        return _here(launch)
    if launch.env_manager == "conda":
        return _in_conda(launch)
    python = _made(launch.project, launch.env_manager)
    return Prepared(
        launch.argv,
        {
            **launch.environment,
            "VIRTUAL_ENV": str(python.parents[1]),
            "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
        },
        # What this Python looks at has nothing to do with that one.
        (*launch.unset, "PYTHONHOME", "PYTHONPATH", "CONDA_PREFIX"),
    )


def _here(launch: Launch) -> Prepared:
    variables = dict(launch.environment)
    path = os.environ.get("PATH", os.defpath)
    if not _is_first(path):
        # A virtual environment need not be activated for its programs to be meant.
        path = os.pathsep.join([str(Path(sys.executable).parent), path])
        variables["PATH"] = path
    argv = launch.argv
    if argv[0] in {"python", "python3"} and shutil.which(argv[0], path=path) is None:
        argv = (sys.executable, *argv[1:])
    return Prepared(argv, variables, launch.unset)


def _is_first(path: str) -> bool:
    """Whether this Python is the one that a shell would find."""
    found = shutil.which("python", path=path) or shutil.which("python3", path=path)
    if found is None:
        return sys.prefix == sys.base_prefix
    return Path(found).parent.resolve() == Path(sys.executable).parent.resolve()


def _made(project: Project, manager: str) -> Path:
    """The interpreter of a project's environment of its own."""
    # Not with this module: most projects run in this Python.
    from runstone._environments import building
    from runstone._environments.wheel import OURS, own_wheel

    wanted, lines, constraints = _wishes(project)
    ours = any(OURS.match(line) for line in lines)
    lines = [line for line in lines if not OURS.match(line)]
    made_of = [manager, wanted, *lines, "", *constraints.values(), *_local_parts(project, lines)]
    with tempfile.TemporaryDirectory(prefix="runstone-environment-") as name:
        scratch = Path(name)
        if ours:
            # This one goes in: no index need have it, and it speaks with the server as this does.
            wheel = own_wheel(scratch)
            made_of.append(hashlib.sha256(wheel.read_bytes()).hexdigest())
            lines.append(f"runstone @ {wheel.as_uri()}")
        wishes = scratch / "wishes.txt"
        wishes.write_text("\n".join(lines) + "\n", "utf-8")
        arguments = ["-r", str(wishes)] if lines else []
        for path in constraints:
            arguments += ["-c", path]

        def build(folder: Path) -> None:
            by = building.by_uv if manager == "uv" else building.by_pip
            by(folder, wanted, arguments, WHOSE, project.folder)

        return building.kept(KIND, made_of, build)


def _wishes(project: Project) -> tuple[str, list[str], dict[str, str]]:
    """The Python that is wanted, requirements, and constraints by the path of their file."""
    environment = project.environment
    if isinstance(environment, PythonEnv):
        return envfiles.python_env(project.folder, environment.path)
    if isinstance(environment, CondaEnv):
        return envfiles.conda_env(project.folder, environment.path)
    return envfiles.HERE, [], {}


def _local_parts(project: Project, lines: list[str]) -> list[str]:
    """What a requirement such as ``.`` stands for: the project's files, as they are now."""
    if not any(_LOCAL_REQUIREMENT.match(line) for line in lines):
        return []
    found = [str(project.folder)]
    for folder, folders, files in os.walk(project.folder):
        folders[:] = sorted(each for each in folders if each not in {".git", "__pycache__"})
        for each in sorted(files):
            path = Path(folder) / each
            if path.is_file():
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                found.append(f"{path.relative_to(project.folder)}={content}")
    return found


def _in_conda(launch: Launch) -> Prepared:
    """conda writes the place of an environment into its files, so it is built where it will be.

    A file beside it says that it was finished; one that was not is made anew.
    """
    from runstone._environments import building

    conda = os.environ.get("CONDA_EXE") or shutil.which("conda")
    if conda is None:
        raise LibraryMissing(
            "conda is not installed, and the project has a conda.yaml; --env-manager virtualenv or"
            " uv takes the packages in it from PyPI, --env-manager local those that are here"
        )
    environment = launch.project.environment
    assert isinstance(environment, CondaEnv)
    path = launch.project.folder / environment.path
    try:
        lines, contents = envfiles.pip_of_conda(launch.project.folder, environment.path)
    except ProjectInvalid as error:
        # What conda makes of it is conda's to say.
        log.warning("changes of what %s names are not noticed: %s", environment.path, error)
        lines, contents = [], []
    made_of = ["conda", *_local_parts(launch.project, lines), path.read_text("utf-8"), *contents]
    place = building.cache_folder(KIND) / building.digest(made_of)
    finished = place.with_name(f"{place.name}.finished")
    with building.alone(place):
        if not finished.exists():
            shutil.rmtree(place, ignore_errors=True)
            words = ("env", "create", "--quiet", "-p", str(place), "-f", str(path))
            building.call([conda, *words], WHOSE, launch.project.folder)
            finished.touch()
    return Prepared(
        (conda, "run", "--no-capture-output", "-p", str(place), *launch.argv),
        launch.environment,
        (*launch.unset, "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"),
    )


def check_files(project: Project) -> None:
    """Read the files of the environment, so that a mistake in them is told before a run is made.

    Raises:
        ProjectInvalid
    """
    _wishes(project)

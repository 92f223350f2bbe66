"""The MLproject file: a name, an environment, and entry points with typed parameters.

What stands in it becomes frozen values; whatever is not of the format is refused with the file, the
key, and what would be right. Nothing of the project runs.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from runstone.exceptions import ProjectInvalid

FILE = "MLproject"
PYTHON_ENV = "python_env.yaml"
CONDA_ENV = "conda.yaml"

MAX_BYTES = 1 << 20
"""A file that people write has some kilobytes; more is a mistake, or an attack on the parser."""

TYPES = ("string", "float", "path", "uri", "int", "bool")
"""MLflow's four, and two that its examples have, which are strings there and checked here."""

_SAME = {"str": "string", "integer": "int", "number": "float", "boolean": "bool"}

ENVIRONMENTS = ("python_env", "conda_env", "docker_env")
_PROJECT_KEYS = ("name", "entry_points", *ENVIRONMENTS)
_ENTRY_KEYS = ("parameters", "command", "shell", "steps")
_PARAMETER_KEYS = ("type", "default", "description", "allow_leading_dash")
_DOCKER_KEYS = ("image", "volumes", "environment")

_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,249}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter of an entry point.

    Attributes:
        name: As the command's ``{name}``.
        type: One of ``TYPES``.
        default: As text; None: it must be given.
        allow_leading_dash: Whether a value that begins with ``-`` may stand as a word of its own.
    """

    name: str
    type: str = "string"
    default: str | None = None
    allow_leading_dash: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a chain.

    Attributes:
        name: Unique among the steps of its entry point.
        entry_point: What it runs.
        parameters: Texts in which ``{name}`` stands for a parameter of the chain and
            ``{steps.NAME.run_id}`` for the run of an earlier step.
        needs: Names of the steps that must have succeeded before.
    """

    name: str
    entry_point: str
    parameters: Mapping[str, str]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """Something that a project can do: a command, or steps that are run one after another.

    Attributes:
        shell: Whether bash runs the command; else it is words, which no value can change.
    """

    name: str
    command: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    shell: bool = False
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class PythonEnv:
    """A python_env.yaml; its path within the project."""

    path: str


@dataclass(frozen=True, slots=True)
class CondaEnv:
    """A conda.yaml; its path within the project."""

    path: str


@dataclass(frozen=True, slots=True)
class DockerEnv:
    """An image, what is mounted, and variables: copied from here (a name), or set (a pair)."""

    image: str
    volumes: tuple[str, ...] = ()
    environment: tuple[str | tuple[str, str], ...] = ()


Environment = PythonEnv | CondaEnv | DockerEnv


@dataclass(frozen=True, slots=True)
class Project:
    """What a project's folder says of itself."""

    folder: Path
    name: str | None = None
    environment: Environment | None = None
    entry_points: Mapping[str, EntryPoint] = field(default_factory=dict)

    def entry_point(self, name: str) -> EntryPoint:
        """The entry point of that name; a ``.py`` or ``.sh`` file of the project is one, too.

        Raises:
            ProjectInvalid: it is neither.
        """
        found = self.entry_points.get(name)
        if found is not None:
            return found
        program = {".py": "python", ".sh": "bash"}.get(PurePosixPath(name).suffix)
        if program is not None:
            import shlex

            _inside(self.folder, name, f"entry point {name!r}")
            # A path that begins with "-" would be an option of the interpreter.
            return EntryPoint(
                name, f"{program} {shlex.quote(f'./{name}' if name[0] == '-' else name)}"
            )
        raise ProjectInvalid(
            f"there is no entry point {name!r} in {self.folder}"
            f"{_meant(name, self.entry_points)}; {_listed(self.entry_points)},"
            " and any .py or .sh file of the project is one"
        )


def load(folder: Path) -> Project:
    """The project in a folder. One without an MLproject file has its scripts as entry points.

    Raises:
        ProjectInvalid: the file is not of the format; the message says where and what would be
            right.
    """
    from runstone._projects import mlproject_yaml, steps

    path = _find(folder)
    found = {} if path is None else mlproject_yaml.read(path)
    where = str(path or folder / FILE)
    check_keys(found, _PROJECT_KEYS, where, "")
    name = found.get("name")
    if name is not None and not isinstance(name, str | int | float):
        raise _wrong(where, "name", "must be a text", name)
    project = Project(
        folder,
        None if name is None else str(name),
        _environment(folder, found, where),
        _entry_points(found.get("entry_points"), where),
    )
    steps.check(project, where)
    return project


def _find(folder: Path) -> Path | None:
    """The MLproject file, whatever the case of its letters, as MLflow looks for it."""
    try:
        found = sorted(each for each in folder.iterdir() if each.name.lower() == FILE.lower())
    except OSError as error:
        raise ProjectInvalid(f"the project {folder} cannot be read: {error}") from error
    if len(found) > 1:
        raise ProjectInvalid(
            f"{folder} has {' and '.join(each.name for each in found)}; keep one of them"
        )
    return found[0] if found else None


def _entry_points(found: Any, where: str) -> dict[str, EntryPoint]:
    if found is None:
        return {}
    return {
        str(name): _entry_point(str(name), each, where)
        for name, each in _mapping(found, where, "entry_points").items()
    }


def _entry_point(name: str, found: Any, where: str) -> EntryPoint:
    from runstone._projects import steps

    key = f"entry_points.{name}"
    content = _mapping(found, where, key)
    check_keys(content, _ENTRY_KEYS, where, f"{key}.")
    parameters = {
        str(each): _parameter(str(each), value, where, f"{key}.parameters.{each}")
        for each, value in _mapping(
            content.get("parameters") or {}, where, f"{key}.parameters"
        ).items()
    }
    command, chain = content.get("command"), content.get("steps")
    if (command is None) == (chain is None):
        raise ProjectInvalid(
            f"{where}: {key} must have a command, such as 'python train.py --alpha {{alpha}}',"
            " or steps: one of the two"
        )
    shell = _truth(content.get("shell", False), where, f"{key}.shell")
    if chain is not None:
        if shell:
            raise ProjectInvalid(f"{where}: {key}.shell goes with a command, and this has steps")
        return EntryPoint(name, parameters=parameters, steps=steps.parsed(chain, where, key))
    if not isinstance(command, str) or not command.strip():
        raise _wrong(where, f"{key}.command", "must be a text with a program's name", command)
    from runstone._projects import commands

    commands.check(command, parameters, f"{where}: {key}.command", shell=shell)
    return EntryPoint(name, command, parameters, shell)


def _parameter(name: str, found: Any, where: str, key: str) -> Parameter:
    if not _PARAMETER_NAME.fullmatch(name):
        raise ProjectInvalid(
            f"{where}: {key}: a parameter's name has letters, digits, '_', '.' and '-', and does"
            " not begin with '-'"
        )
    content = {"type": found} if isinstance(found, str) else found
    if found is None:
        content = {}
    content = _mapping(content, where, key)
    check_keys(content, _PARAMETER_KEYS, where, f"{key}.")
    said = content.get("type", "string")
    kind = _SAME.get(str(said).lower(), str(said).lower())
    if kind not in TYPES:
        raise ProjectInvalid(
            f"{where}: {key}.type must be one of {', '.join(TYPES)}, not {said!r}"
            f"{_meant(kind, TYPES)}"
        )
    dash = _truth(content.get("allow_leading_dash", False), where, f"{key}.allow_leading_dash")
    default = content.get("default")
    if default is not None:
        from runstone._projects import parameters

        default = text(default, where, f"{key}.default")
        parameters.check(name, kind, default, f"{where}: {key}.default")
    return Parameter(name, kind, default, dash)


def text(value: Any, where: str, key: str) -> str:
    """A plain value as text, in the form that MLflow gives it. Raises ProjectInvalid."""
    if isinstance(value, str | int | float | bool | dt.date):
        return str(value)
    raise _wrong(where, key, "must be a text, a number or a truth value", value)


def _environment(folder: Path, found: Mapping[str, Any], where: str) -> Environment | None:
    named = [key for key in ENVIRONMENTS if found.get(key) is not None]
    if len(named) > 1:
        raise ProjectInvalid(f"{where}: {' and '.join(named)} exclude each other; keep one of them")
    if not named:
        if (folder / PYTHON_ENV).exists():
            return PythonEnv(PYTHON_ENV)
        return CondaEnv(CONDA_ENV) if (folder / CONDA_ENV).exists() else None
    key, value = named[0], found[named[0]]
    if key == "docker_env":
        return _docker(_mapping(value, where, key), where)
    if not isinstance(value, str) or not value:
        raise _wrong(where, key, "must be the path of a file of the project", value)
    path = _inside(folder, value, f"{where}: {key}")
    return PythonEnv(path) if key == "python_env" else CondaEnv(path)


def _docker(content: Mapping[str, Any], where: str) -> DockerEnv:
    check_keys(content, _DOCKER_KEYS, where, "docker_env.")
    image = content.get("image")
    if not isinstance(image, str) or not image or image.startswith("-") or image.split() != [image]:
        raise _wrong(where, "docker_env.image", "must be an image such as python:3.12-slim", image)
    volumes = content.get("volumes") or []
    if not isinstance(volumes, list) or not all(isinstance(each, str) for each in volumes):
        raise _wrong(where, "docker_env.volumes", 'must be a list such as ["/data:/data"]', volumes)
    environment = content.get("environment") or []
    example = 'must be a list such as [["NEW", "value"], "COPIED_FROM_HERE"]'
    if not isinstance(environment, list):
        raise _wrong(where, "docker_env.environment", example, environment)
    return DockerEnv(
        image,
        tuple(volumes),
        tuple(_variable(each, where, example) for each in environment),
    )


def _variable(found: Any, where: str, example: str) -> str | tuple[str, str]:
    pair = isinstance(found, list) and len(found) == 2
    name = found[0] if pair else found
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        raise _wrong(where, "docker_env.environment", example, found)
    return (name, text(found[1], where, f"docker_env.environment.{name}")) if pair else name


def _inside(folder: Path, path: str, where: str) -> str:
    """A path of the project, as text. Raises ProjectInvalid: it leads out, or is not there."""
    parts = PurePosixPath(path).parts
    if "\0" in path or "\\" in path or PurePosixPath(path).is_absolute() or ".." in parts:
        raise ProjectInvalid(f"{where} must be a path within the project, not {path!r}")
    target = folder / path
    if not target.is_file():
        raise ProjectInvalid(f"{where}: there is no file {path} in {folder}")
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ProjectInvalid(f"{where}: {path} is a link that leads out of the project")
    return path


def _mapping(found: Any, where: str, key: str) -> Mapping[str, Any]:
    if isinstance(found, Mapping):
        return found
    raise _wrong(where, key, "must be a mapping", found)


def _truth(found: Any, where: str, key: str) -> bool:
    if isinstance(found, bool):
        return found
    raise _wrong(where, key, "must be true or false", found)


def check_keys(content: Mapping[str, Any], keys: tuple[str, ...], where: str, prefix: str) -> None:
    """Refuse an unknown key, and name the nearest that is known. Raises ProjectInvalid."""
    for key in content:
        if key not in keys:
            raise ProjectInvalid(
                f"{where}: {prefix}{key} is no key of an MLproject file"
                f"{_meant(str(key), keys)}; here may stand {', '.join(keys)}"
            )


def _wrong(where: str, key: str, wanted: str, found: Any) -> ProjectInvalid:
    said = "nothing" if found is None else f"{found!r:.80}"
    return ProjectInvalid(f"{where}: {key} {wanted}, not {said}")


def _meant(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _listed(entry_points: Mapping[str, Any]) -> str:
    return f"there are {', '.join(entry_points)}" if entry_points else "its MLproject names none"

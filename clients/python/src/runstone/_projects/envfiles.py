"""python_env.yaml and conda.yaml of a project, read as MLflow reads them.

Files that they name (``-r requirements.txt``) are read with them: an environment is kept by what
all of them say.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from runstone._projects import mlproject_yaml
from runstone._projects.mlproject import CondaEnv, PythonEnv
from runstone.exceptions import ProjectInvalid

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that runs this."""

MOST_FILES = 50
"""Requirements files that name one another; more is a circle."""

_KEYS = ("python", "build_dependencies", "dependencies")
_FILE = re.compile(r"(-r|--requirement|-c|--constraint)[= ]?\s*(\S+)\s*")
_CONDA = re.compile(r"\s*([A-Za-z0-9_.\[\]-]+)\s*(?:(==|<=|>=|=|<|>|!=|~=)\s*([^\s=]+)(=\S*)?)?\s*")

Wishes = tuple[str, list[str], dict[str, str]]
"""The Python ("3.11"), requirements, and constraints by the path of their file."""


def python_env(folder: Path, path: str, read: list[str] | None = None) -> Wishes:
    """What a python_env.yaml asks for; ``read`` takes the files that it names.

    Raises:
        ProjectInvalid
    """
    found = mlproject_yaml.read(folder / path)
    for key in found:
        if key not in _KEYS:
            raise ProjectInvalid(f"{path}: {key} is no key of it; there may be {', '.join(_KEYS)}")
    lines: list[str] = []
    for key in _KEYS[1:]:
        listed = found.get(key) or []
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            raise ProjectInvalid(
                f"{path}: {key} must be a list of requirements, not {listed!r:.80}"
            )
        lines += listed
    return _python(found.get("python"), path), *_flat(
        folder, path, lines, [] if read is None else read
    )


def conda_env(folder: Path, path: str, read: list[str] | None = None) -> Wishes:
    """What a conda.yaml asks for, taken from PyPI under the same names, as MLflow does it.

    Raises:
        ProjectInvalid
    """
    listed = mlproject_yaml.read(folder / path).get("dependencies") or []
    if not isinstance(listed, list):
        raise ProjectInvalid(f"{path}: dependencies must be a list, not {listed!r:.80}")
    python, lines = None, list[str]()
    for each in listed:
        if isinstance(each, Mapping) and isinstance(each.get("pip"), list):
            lines += [str(line) for line in each["pip"]]
            continue
        match = _CONDA.fullmatch(each) if isinstance(each, str) else None
        if match is None:
            raise ProjectInvalid(
                f"{path}: a dependency is numpy=2.1 or a mapping {{pip: [...]}}, not {each!r:.80}"
            )
        name, operator, version = match[1], match[2], match[3]
        if name == "python":
            if operator in {"<", ">", "!="}:
                raise ProjectInvalid(f"{path}: python must be pinned, such as python=3.11")
            python = version
        else:
            lines.append(name + {"=": "==", None: ""}.get(operator, operator) + (version or ""))
    return _python(python, path), *_flat(folder, path, lines, [] if read is None else read)


def pip_of_conda(folder: Path, path: str) -> tuple[list[str], list[str]]:
    """What pip is told in a conda.yaml, and the contents of the files that it names there.

    Raises:
        ProjectInvalid
    """
    listed = mlproject_yaml.read(folder / path).get("dependencies") or []
    pips = [each["pip"] for each in listed if isinstance(each, Mapping) and "pip" in each]
    lines = [str(line) for pip in pips if isinstance(pip, list) for line in pip]
    read: list[str] = []
    found, _ = _flat(folder, path, lines, read)
    return found, [_content(folder, name, path) for name in read]


def _python(said: Any, path: str) -> str:
    if said is None:
        return HERE
    number = re.match(r"3\.\d+", said) if isinstance(said, str) else None
    if number is None:
        raise ProjectInvalid(
            f'{path}: python must be a version in quotes, such as "3.11", not {said!r}'
        )
    return number[0]


def _flat(
    folder: Path, path: str, lines: list[str], read: list[str]
) -> tuple[list[str], dict[str, str]]:
    """The lines with those of the files that they name, and the constraints."""
    found: list[str] = []
    constraints: dict[str, str] = {}
    left = [(line, PurePosixPath(path).parent) for line in lines]
    while left:
        line, base = left.pop(0)
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if "\n" in text or "\0" in text:
            raise ProjectInvalid(f"{path}: {text!r:.80} is more than one requirement")
        match = _FILE.fullmatch(text)
        if match is None:
            found.append(text)
            continue
        named_file = base / match[2]
        read.append(str(named_file))
        if len(read) > MOST_FILES:
            raise ProjectInvalid(f"{path} names more than {MOST_FILES} files, or a circle of them")
        content = _content(folder, str(named_file), path)
        if match[1] in {"-c", "--constraint"}:
            constraints[str(folder / named_file)] = content
        else:
            inner = content.replace("\\\n", " ").splitlines()
            left[:0] = [(each, named_file.parent) for each in inner]
    return found, constraints


def named(folder: Path, environment: PythonEnv | CondaEnv) -> list[str]:
    """The files that an environment's file names, and those name. Raises ProjectInvalid."""
    read: list[str] = []
    by = python_env if isinstance(environment, PythonEnv) else conda_env
    by(folder, environment.path, read)
    return read


def _content(folder: Path, name: str, path: str) -> str:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise ProjectInvalid(f"{path} names {name}, which is not in the project")
    try:
        return target.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectInvalid(f"{path} names {name}, which cannot be read: {error}") from error

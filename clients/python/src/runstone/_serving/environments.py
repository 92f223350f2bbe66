"""A clean environment for a model, made from nothing but its own files."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from runstone._environments import building
from runstone._environments.wheel import OURS, own_wheel
from runstone._fluent import _state
from runstone._models import environment, loading
from runstone._serving import NEEDED
from runstone.exceptions import ModelFormatError

log = logging.getLogger("runstone.serving")

MANAGERS = ("uv", "virtualenv")

KIND = "model-environments"
"""The folder of them in the cache."""


def prepare(model_uri: str, manager: str, tracking_uri: str | None = None) -> Path:
    """The interpreter of a model's environment, which is made now if it is not there.

    Raises:
        ModelFormatError: its files do not say what it needs.
        FailedPrecondition: a package cannot be installed, or its Python is not here.
        LibraryMissing: uv is not installed.
        What resolving the URI raises.
    """
    if tracking_uri is not None:
        _state.set_tracking_uri(tracking_uri)
    with tempfile.TemporaryDirectory(prefix="runstone-environment-") as scratch:
        folder = loading.fetch(model_uri, scratch).folder
        return _prepare(folder, manager, Path(scratch))


def command(python: Path) -> list[str]:
    """How to call an environment's interpreter so that nothing of this one gets into it."""
    return ["env", "-u", "PYTHONPATH", "-u", "PYTHONHOME", str(python), "-P"]


def _prepare(model: Path, manager: str, scratch: Path) -> Path:
    lines = requirements(model)
    wanted = python_version(model)
    wheel = own_wheel(scratch)
    made_of = [manager, wanted, *lines, hashlib.sha256(wheel.read_bytes()).hexdigest()]
    constraints = model / environment.CONSTRAINTS
    if constraints.exists():
        made_of.append(constraints.read_text("utf-8"))
    wishes = scratch / "wishes.txt"
    wishes.write_text("\n".join([*lines, f"runstone @ {wheel.as_uri()}", *NEEDED]) + "\n", "utf-8")
    limits = ["-c", str(constraints)] if constraints.exists() else []

    def build(folder: Path) -> None:
        log.info("building the environment of the model with %s: %s", manager, ", ".join(lines))
        by = building.by_uv if manager == "uv" else building.by_pip
        by(folder, wanted, ["-r", str(wishes), *limits], "the model")

    return building.kept(KIND, made_of, build)


def requirements(model: Path) -> list[str]:
    """What a model's requirements.txt asks for, but for Runstone, of which this one goes in.

    Raises:
        ModelFormatError: there is none.
    """
    path = model / environment.REQUIREMENTS
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(
            f"the model does not say what it needs: {path.name} cannot be read: {error}"
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    return [
        line
        for line in lines
        if line and not line.startswith(("#", "-c ")) and not OURS.match(line)
    ]


def python_version(model: Path) -> str:
    """The Python that a model's python_env.yaml asks for: "3.11"; this one's when it does not.

    Raises:
        ModelFormatError: it asks for something else.
    """
    import yaml

    path = model / environment.PYTHON
    if not path.exists():
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        found: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelFormatError(f"{path.name} cannot be read: {error}") from error
    said = found.get("python") if isinstance(found, dict) else None
    number = re.match(r"3\.\d+", str(said))
    if number is None:
        raise ModelFormatError(
            f"python in {path.name} must be a version such as 3.11, not {said!r}"
        )
    return number[0]

"""A clean environment for a model, made from nothing but its own files.

Environments are kept in the user's cache folder by what they are made of, so that the next start
takes no time. One is built beside its place and renamed, so that an interrupted one is never used.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import Any

from runstone._fluent import _state
from runstone._models import environment, loading
from runstone._serving import NEEDED
from runstone._version import __version__
from runstone.exceptions import FailedPrecondition, LibraryMissing, ModelFormatError

log = logging.getLogger("runstone.serving")

MANAGERS = ("uv", "virtualenv")

LAST_LINES = 15
"""Of what an installer said: enough to see which package is at fault."""

_OURS = re.compile(r"runstone(\[[^]]*\])?\s*([=<>!~;@ ]|$)")


def cache_folder() -> Path:
    """Where environments are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "runstone" / "model-environments"


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
    digest = hashlib.sha256("\n".join(made_of).encode()).hexdigest()
    place = cache_folder() / digest[:24]
    python = place / "bin" / "python"
    if python.exists():
        return python
    place.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=place.parent))
    wishes = scratch / "wishes.txt"
    wishes.write_text("\n".join([*lines, f"runstone @ {wheel.as_uri()}", *NEEDED]) + "\n", "utf-8")
    limits = ["-c", str(constraints)] if constraints.exists() else []
    log.info("building the environment of the model with %s: %s", manager, ", ".join(lines))
    try:
        if manager == "uv":
            _by_uv(building, wanted, ["-r", str(wishes), *limits])
        else:
            _by_pip(building, wanted, ["-r", str(wishes), *limits])
        building.rename(place)
    except OSError:
        # Somebody else was quicker.
        if not python.exists():
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return python


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
        if line and not line.startswith(("#", "-c ")) and not _OURS.match(line)
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


def own_wheel(folder: Path) -> Path:
    """A wheel of the Runstone that runs here: no index need have it, and both ends are the same."""
    package = Path(__file__).parents[1]
    path = folder / f"runstone-{__version__}-py3-none-any.whl"
    facts = f"runstone-{__version__}.dist-info"
    found = importlib.metadata.distribution("runstone")
    contents = {
        f"runstone/{file.relative_to(package).as_posix()}": file.read_bytes()
        for file in sorted(package.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    for name in ("METADATA", "entry_points.txt"):
        contents[f"{facts}/{name}"] = (found.read_text(name) or "").encode()
    contents[f"{facts}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: runstone\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in contents.items()]
    contents[f"{facts}/RECORD"] = "\n".join([*record, f"{facts}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in contents.items():
            # Always of one time, so that the same files are the same wheel.
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _by_pip(folder: Path, wanted: str, arguments: list[str]) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if wanted == here:
        venv.create(folder, clear=True, with_pip=False, symlinks=True)
    else:
        other = shutil.which(f"python{wanted}")
        if other is None:
            raise FailedPrecondition(
                f"the model needs Python {wanted}, which is not here (this is {here});"
                " --env-manager uv can fetch it"
            )
        _call([other, "-m", "venv", "--clear", "--without-pip", str(folder)])
    python = str(folder / "bin" / "python")
    _call(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python),
            *("install", "--quiet", "--no-compile", *arguments),
        ]
    )


def _by_uv(folder: Path, wanted: str, arguments: list[str]) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise LibraryMissing("uv is not installed: pip install uv, or say --env-manager virtualenv")
    _call([uv, "venv", "--quiet", "--clear", "--python", wanted, str(folder)])
    python = str(folder / "bin" / "python")
    _call([uv, "pip", "install", "--quiet", "--python", python, *arguments])


def _call(arguments: list[str]) -> None:
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:]
        raise FailedPrecondition("the environment of the model cannot be built: " + "\n".join(said))

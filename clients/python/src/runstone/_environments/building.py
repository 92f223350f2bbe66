"""Environments kept by what they are made of, so that the next use takes no time.

One is built beside its place and renamed, so that an interrupted one is never used and two that
build the same at once do not meet.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runstone.exceptions import FailedPrecondition, LibraryMissing

LAST_LINES = 15
"""Of what an installer said: enough to see which package is at fault."""

MOST_SCRIPT_BYTES = 1 << 20
"""What pip writes into bin/ has some hundreds; larger files there are programs."""

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that runs this."""


def cache_folder(kind: str) -> Path:
    """Where environments of a kind, such as "model-environments", are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "runstone" / kind


def digest(made_of: Iterable[str]) -> str:
    """The name of an environment that is made of these."""
    return hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:24]


def kept(kind: str, made_of: Sequence[str], build: Callable[[Path], None]) -> Path:
    """The interpreter of the environment that is made of these; it is built if it is not there.

    Args:
        build: Makes it in the folder that it is given.

    Raises:
        What ``build`` raises.
    """
    place = cache_folder(kind) / digest(made_of)
    python = place / "bin" / "python"
    if python.exists():
        return python
    place.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=place.parent))
    try:
        build(building)
        _say_place(building, place)
        try:
            building.rename(place)
        except OSError:
            if not python.exists():
                # Nobody was quicker: the Python beneath the one that is there has gone.
                shutil.rmtree(place, ignore_errors=True)
                building.rename(place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return python


def _say_place(building: Path, place: Path) -> None:
    """Have the scripts of an environment name the interpreter where it will be."""
    before, after = str(building).encode(), str(place).encode()
    for path in (building / "bin").iterdir():
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_SCRIPT_BYTES:
            continue
        content = path.read_bytes()
        if before in content:
            path.write_bytes(content.replace(before, after))


def by_pip(
    folder: Path, wanted: str, arguments: Sequence[str], whose: str, cwd: Path | None = None
) -> None:
    """Make an environment with Python ``wanted`` ("3.11"), and have pip install into it.

    Args:
        arguments: Of ``pip install``; none: nothing is installed.
        whose: "the model", for errors.
        cwd: What relative paths among the requirements are seen from.

    Raises:
        FailedPrecondition: that Python is not here, or a package cannot be installed.
    """
    if wanted == HERE:
        venv.create(folder, clear=True, with_pip=False, symlinks=True)
    else:
        other = shutil.which(f"python{wanted}")
        if other is None:
            raise FailedPrecondition(
                f"{whose} needs Python {wanted}, which is not here (this is {HERE});"
                " --env-manager uv can fetch it"
            )
        call([other, "-m", "venv", "--clear", "--without-pip", str(folder)], whose)
    if arguments:
        python = str(folder / "bin" / "python")
        call(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python),
                *("install", "--quiet", "--no-compile", *arguments),
            ],
            whose,
            cwd,
        )


def by_uv(
    folder: Path, wanted: str, arguments: Sequence[str], whose: str, cwd: Path | None = None
) -> None:
    """The same with uv, which fetches a Python that is not here.

    Raises:
        LibraryMissing: there is no uv.
        FailedPrecondition
    """
    uv = shutil.which("uv")
    if uv is None:
        raise LibraryMissing("uv is not installed: pip install uv, or say --env-manager virtualenv")
    call([uv, "venv", "--quiet", "--clear", "--python", wanted, str(folder)], whose)
    if arguments:
        python = str(folder / "bin" / "python")
        call([uv, "pip", "install", "--quiet", "--python", python, *arguments], whose, cwd)


def call(arguments: Sequence[str], whose: str, cwd: Path | None = None) -> None:
    """Run an installer. Raises FailedPrecondition with the last of what it said."""
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=cwd
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:]
        raise FailedPrecondition(f"the environment of {whose} cannot be built: " + "\n".join(said))


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Inside, no other process works on this place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

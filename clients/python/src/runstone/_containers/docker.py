"""The docker command, called by argument lists: build, push, and what an image is by content."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from runstone._values import invalid
from runstone.exceptions import FailedPrecondition, LibraryMissing

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,511}")
"""Wide: what is no name of an image is docker's to say. It is one word and no option."""


STDERR = 2


def checked_image(name: object, field: str) -> str:
    """The name of an image, which cannot be anything else of a command line. Raises InvalidField.

    >>> checked_image("ghcr.io/lab/train:3", "image")
    'ghcr.io/lab/train:3'
    """
    if not isinstance(name, str) or not _REFERENCE.fullmatch(name):
        raise invalid(field, f"must name an image, such as python:3.12-slim, not {name!r}")
    return name


def program(instead: str) -> str:
    """The docker command's path. Raises LibraryMissing, which says what to do instead."""
    found = shutil.which("docker")
    if found is None:
        raise LibraryMissing(f"docker is not installed here; {instead}")
    return found


def call(arguments: Sequence[str], *, stdin: str | None = None) -> None:
    """Have docker do something; what it says is shown, on standard error: it is no answer.

    Raises:
        FailedPrecondition: it failed.
    """
    done = subprocess.run(
        list(arguments),
        check=False,
        text=True,
        stdout=STDERR,
        **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
    )
    if done.returncode != 0:
        raise FailedPrecondition(
            f"docker {arguments[1]} ended with {done.returncode}; see what it said"
        )


def build(
    docker: str, context: Path, tag: str, *, dockerfile: Path | None = None, quiet: bool = False
) -> None:
    """Build an image of a folder. Raises FailedPrecondition."""
    words = [docker, "build", f"--tag={checked_image(tag, 'tag')}"]
    words += [f"--file={dockerfile}"] if dockerfile is not None else []
    words += ["--quiet"] if quiet else []
    # Absolute, so that it begins with no dash.
    call([*words, str(context.absolute())])


def push(docker: str, tag: str) -> str:
    """Push an image; its name by digest, which names these very bytes for ever.

    Raises:
        FailedPrecondition: it failed, or docker does not know the digest.
    """
    call([docker, "push", checked_image(tag, "repository-uri")])
    repository = tag.rpartition(":")[0] if ":" in tag.rpartition("/")[2] else tag
    said = inspect(docker, tag, "{{range .RepoDigests}}{{println .}}{{end}}")
    for line in said.split():
        if line.startswith(f"{repository}@sha256:"):
            return line
    raise FailedPrecondition(f"docker does not say under which digest it pushed {tag}")


def inspect(docker: str, image: str, template: str) -> str:
    """What docker knows of an image here; empty when there is none."""
    done = subprocess.run(
        [docker, "image", "inspect", f"--format={template}", image],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""

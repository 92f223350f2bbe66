"""A program `docker` for PATH: it notes how it was called, and runs what a container would run.

Its folder holds `calls.jsonl`, a line for each call, and `built/`, what each build was made of. A
file `fails` there names the commands that fail.
"""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any, NamedTuple

SCRIPT = """#!{python} -I
import json, os, pathlib, shutil, subprocess, sys
place = pathlib.Path({place!r})
words = sys.argv[1:]
stdin = sys.stdin.read() if "--password-stdin" in words else ""
call = {{"words": words, "environment": dict(os.environ), "stdin": stdin}}
files = [word.partition("=")[2] for word in words if word.startswith("--file=")]
if words[0] == "build" and files:
    dockerfile = pathlib.Path(files[0])
    call["dockerfile"] = dockerfile.read_text()
    call["ignored"] = pathlib.Path(str(dockerfile) + ".dockerignore").read_text().split()
    call["context"] = sorted(os.listdir(words[-1]))
with open(place / "calls.jsonl", "a") as calls:
    calls.write(json.dumps(call) + "\\n")
fails = place / "fails"
if fails.exists() and words[0] in fails.read_text().split():
    sys.exit("docker: no")
if words[:2] == ["image", "inspect"]:
    repository = words[-1].rpartition(":")[0] or words[-1]
    print(repository + "@sha256:" + 64 * "a" if "RepoDigests" in words[2] else "sha256:" + 64 * "b")
if words[0] == "run":
    end = next(i for i, word in enumerate(words[1:], 1) if not word.startswith("-"))
    # Nothing of here is in a container but its programs, and what it is given.
    path = os.pathsep.join([{programs!r}, os.environ["PATH"]])
    variables = {{"PATH": path, "HOME": str(place)}}
    variables["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    volumes = {{}}
    for word in words[1:end]:
        option, _, value = word.partition("=")
        if option == "--env":
            name, given, text = value.partition("=")
            if given or name in os.environ:
                variables[name] = text if given else os.environ[name]
        if option == "--volume":
            here, _, there = value.partition(":")
            volumes[there.partition(":")[0]] = here
    for name, value in variables.items():
        for there, here in volumes.items():
            if value.startswith("file:" + there):
                variables[name] = "file:" + here
    sys.exit(subprocess.run(words[end + 1 :], env=variables).returncode)
"""


class DockerCall(NamedTuple):
    """One call: its words behind `docker`, and what was with them."""

    words: list[str]
    environment: dict[str, str]
    stdin: str
    dockerfile: str = ""
    ignored: list[str] = []  # noqa: RUF012
    context: list[str] = []  # noqa: RUF012


class FakeDocker:
    """The program, in a folder that is to be put on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / "docker"
        program.write_text(
            SCRIPT.format(
                python=sys.executable, place=str(folder), programs=str(Path(sys.executable).parent)
            )
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.program = str(program)

    @property
    def path(self) -> str:
        """PATH with it."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def calls(self) -> list[DockerCall]:
        """The calls so far."""
        noted = self.folder / "calls.jsonl"
        lines: list[dict[str, Any]] = [
            json.loads(line) for line in (noted.read_text().splitlines() if noted.exists() else ())
        ]
        return [DockerCall(**each) for each in lines]

    def fail(self, *commands: str) -> None:
        """Have these fail from now on."""
        (self.folder / "fails").write_text(" ".join(commands))

"""Small projects in git for tests."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import runstone

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")

MLPROJECT = """\
name: small
entry_points:
  main:
    parameters: {alpha: {type: float, default: 0.1}}
    command: python train.py {alpha}
"""

TRAIN = """\
import os, sys
import runstone
with runstone.start_run():
    runstone.log_metric("loss", 1 - float(sys.argv[1]))
    runstone.log_text(f"w={sys.argv[1]}", "weights.txt")
    if os.environ.get("NOISE"):
        runstone.log_metric("noise", float(os.environ["NOISE"]))
"""


def in_git(folder: Path, *arguments: str) -> str:
    """What git answers in a folder."""
    done = subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


def project(folder: Path, files: Mapping[str, str] | None = None) -> str:
    """A repository with one commit, which is returned."""
    folder.mkdir(parents=True)
    in_git(folder, "init", "-q", "-b", "main")
    for name, text in (files or {"MLproject": MLPROJECT, "train.py": TRAIN}).items():
        (folder / name).write_text(text)
    in_git(folder, "add", ".")
    in_git(folder, "commit", "-qm", "one")
    return in_git(folder, "rev-parse", "HEAD")


def statuses(name: str) -> list[str]:
    """Of the runs of this name."""
    text = f"attributes.run_name = '{name}'"
    found = runstone.search_runs(
        filter_string=text, search_all_experiments=True, output_format="list"
    )
    return [run.info.status for run in found]

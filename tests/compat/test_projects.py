"""A project run by MLflow and by us leaves the same params and tags, and gets the same words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.compat import answered
from support.environments import programs
from support.mlflow_environments import FULL
from support.suites import clean_environment, end_suite

SCRIPT = Path(__file__).parent / "scripts" / "projects.py"
SECONDS = 200

MLPROJECT = """
name: both
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.1}
      name: {type: string, default: plain}
      rounds: {type: int, default: 7}
    command: "python show.py {alpha} --name {name}
                --rounds={rounds}"
  paths:
    parameters: {data: path, where: uri}
    command: |
      python show.py \\
        --data {data} --where {where}
  fails: {command: "false"}
"""

INNER = "entry_points: {main: {command: python ../show.py}}"

SHOW = """
import json, pathlib, sys
place = pathlib.Path(__file__).absolute().parent / "shown.json"
place.write_text(json.dumps(sys.argv[1:]))
"""


def ran(python: str, name: str, uri: str, project: Path) -> Any:
    environment = clean_environment(MLFLOW_DISABLE_TELEMETRY="true")
    return answered([python, str(SCRIPT), name, uri], project, environment, SECONDS)


@pytest.mark.whole
@pytest.mark.timeout(2 * SECONDS)
def test_a_project_of_both(tmp_path: Path) -> None:
    programs(FULL)
    project = tmp_path / "project"
    (project / "inner").mkdir(parents=True)
    (project / "MLproject").write_text(MLPROJECT)
    (project / "inner" / "MLproject").write_text(INNER)
    (project / "show.py").write_text(SHOW)
    (project / "data.csv").touch()
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], cwd=project, check=True)
    remote = ["git", "remote", "add", "origin", "https://me:secret@example.org/a.git"]
    subprocess.run(remote, cwd=project, check=True)
    theirs = ran(str(FULL.python), "mlflow", f"sqlite:///{tmp_path}/mlflow.db", project)
    try:
        ours = ran(sys.executable, "runstone", f"file:{tmp_path}/data", project)
    finally:
        end_suite(tmp_path / "data")
    # They store values as they quote them for a shell.
    assert theirs["runs"][1]["params"].pop("name") == "'x y'"
    assert ours["runs"][1]["params"].pop("name") == "x y"
    # A folder within is a place of the repository with us, and a text with them.
    assert theirs["runs"][4]["tags"].pop("mlflow.source.name") == ".#inner"
    assert ours["runs"][4]["tags"].pop("mlflow.source.name") == f"file://{project}#inner"
    for mine, their in zip(ours["runs"], theirs["runs"], strict=True):
        assert mine == their
    assert ours == theirs

"""A project in an environment of its own, of real packages: `make test-serving`, not CI."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import runstone
from support import fluent

pytestmark = pytest.mark.timeout(900)

SHOW = """
import runstone, sys, tabulate
with runstone.start_run():
    runstone.log_dict({"prefix": sys.prefix, "runstone": runstone.__file__}, "seen.json")
"""


def test_it_has_what_its_files_ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.txt").write_text("runstone\ntabulate==0.9.0\n")
    (project / "python_env.yaml").write_text(
        f'python: "3.{sys.version_info.minor}"\ndependencies: [-r requirements.txt]\n'
    )
    (project / "show.py").write_text(SHOW)
    # A console script, which names the interpreter that it was installed for.
    (project / "MLproject").write_text("entry_points: {table: {command: tabulate show.py}}")
    with fluent.embedded(tmp_path) as data, fluent.fresh(project, RUNSTONE_DATA_DIR=str(data)):
        run_id = runstone.run(".", "show.py").run_id
        seen = json.loads(runstone.artifacts.load_text(f"runs:/{run_id}/seen.json"))
        assert seen["prefix"].startswith(str(tmp_path / "cache"))
        assert seen["runstone"].startswith(seen["prefix"])
        assert runstone.run(".", "table").get_status() == "FINISHED"

"""Scripts as MLflow's users write them run here with only their import lines changed.

The scripts are in `fluent_scripts/`. MLflow runs them as they are, and must print the same. For
those that make models this is compared by `make test-compat`; that they run here CI sees too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import fluent
from support.compat import CLIENT_SETTINGS
from support.mlflow_environments import FRAMEWORKS
from support.suites import clean_environment

FOLDER = Path(__file__).parent / "fluent_scripts"
DRIVER = Path(__file__).parent / "scripts" / "run_fluent_scripts.py"
RUN_SECONDS = 400.0

LONG = {
    *("autolog_search", "evaluate_thresholds", "projects_run", "python_models", "registry"),
    "sklearn_models",
}
"""With MLflow they take some seconds each."""

SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
COMPARED = [
    pytest.param(name, marks=pytest.mark.whole) if name in LONG else name for name in SCRIPTS
]
AT_MLFLOW = SCRIPTS if os.environ.get("RUNSTONE_TEST_COMPAT") else sorted(set(SCRIPTS) - LONG)

IMPORTS = (
    (re.compile(r"^import mlflow$", re.MULTILINE), "import runstone as mlflow"),
    (re.compile(r"^import mlflow\.([\w.]+)$", re.MULTILINE), r"import runstone.\1"),
    (re.compile(r"^from mlflow((?:\.\w+)*) import", re.MULTILINE), r"from runstone\1 import"),
)
"""The import lines, and what they become; nothing else of a script changes."""


def changed(text: str) -> str:
    for line, replacement in IMPORTS:
        text = line.sub(replacement, text)
    return text


@pytest.fixture(scope="module")
def frameworks() -> Path:
    """The Python that has MLflow and the versions of libraries that these tests have."""
    return FRAMEWORKS.python


@pytest.fixture(scope="module")
def mlflow_folder(frameworks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What MLflow printed: <name of the script>/output."""
    folder = tmp_path_factory.mktemp("mlflow") / "scripts"
    folder.mkdir()
    path = f"{frameworks.parent}{os.pathsep}{os.environ['PATH']}"
    scripts = [str(FOLDER / f"{name}.py") for name in AT_MLFLOW]
    ended = subprocess.run(
        [str(frameworks), str(DRIVER), str(folder), *scripts],
        cwd=folder,
        env=clean_environment(PATH=path, **CLIENT_SETTINGS),
        check=False,
        timeout=RUN_SECONDS,
    )
    errors = [path.read_text("utf-8") for path in sorted(folder.glob("*/errors"))]
    assert ended.returncode == 0, "\n".join(errors)
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("scripts")) as folder:
        yield folder


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    """What the scripts that have run here printed, by name."""
    return {}


def run(name: str, data_dir: Path, folder: Path) -> str:
    """What a script prints here, with its import lines changed."""
    script = folder / f"{name}.py"
    script.write_text(changed((FOLDER / script.name).read_text("utf-8")), "utf-8")
    ended = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=clean_environment(
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            RUNSTONE_DATA_DIR=str(data_dir),
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_runs_with_its_imports_changed(
    name: str, data_dir: Path, tmp_path: Path, printed: dict[str, str]
) -> None:
    printed[name] = run(name, data_dir, tmp_path)
    assert printed[name]


@pytest.mark.parametrize("name", COMPARED)
def test_prints_what_it_prints_with_mlflow(
    name: str, data_dir: Path, tmp_path: Path, printed: dict[str, str], mlflow_folder: Path
) -> None:
    if name not in printed:  # this test was asked for alone
        printed[name] = run(name, data_dir, tmp_path)
    expected = (mlflow_folder / name / "output").read_text("utf-8")
    assert printed[name].splitlines() == expected.splitlines()

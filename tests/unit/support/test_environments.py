"""Environments of other packages: pinned, installed once, begun anew when one was interrupted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import binaries, environments
from support.environments import LOCKS, Environment, programs
from support.mlflow_environments import ENVIRONMENTS


@pytest.fixture
def installations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have installed, in an empty cache."""
    ran: list[list[str]] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "run_visibly", lambda command, *_: ran.append(command))
    return ran


def test_an_environment_is_installed_once(installations: list[list[str]]) -> None:
    wanted = Environment("some", ("some==1",))
    folder = programs(wanted)
    assert programs(wanted) == folder
    assert [command[-1] for command in installations] == ["some==1"]
    version = [str(wanted.python), "-c", "import sys; print(sys.prefix)"]
    said = subprocess.run(version, capture_output=True, text=True, check=True).stdout
    assert Path(said.strip()) == folder.parent


def test_an_interrupted_installation_is_begun_anew(
    installations: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Environment("some", ("some==1",))

    def fail(*_: object) -> None:
        raise binaries.Unobtainable("no route")

    with monkeypatch.context() as broken:
        broken.setattr(environments, "run_visibly", fail)
        with pytest.raises(binaries.Unobtainable):
            programs(wanted)
    (wanted.folder / "left over").touch()
    programs(wanted)
    assert len(installations) == 1
    assert not (wanted.folder / "left over").exists()


def test_other_requirements_are_another_environment(installations: list[list[str]]) -> None:
    programs(Environment("some", ("some==1",)))
    programs(Environment("some", ("some==2",)))
    assert [command[-1] for command in installations] == ["some==1", "some==2"]


def test_processes_install_one_after_another(tmp_path: Path) -> None:
    program = (
        "from support import environments as e\n"
        "e.run_visibly = lambda *_: print('installed', flush=True)\n"
        "e.programs(e.Environment('some', ('some==1',)))"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(binaries.REPOSITORY / "tests"),
        "XDG_CACHE_HOME": str(tmp_path),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert sorted(process.communicate(timeout=60)[0] for process in started) == ["", "installed\n"]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda each: each.name)
def test_everything_is_pinned(environment: Environment) -> None:
    lines = (LOCKS / environment.lock).read_text("utf-8").splitlines()
    pins = {line for line in lines if not line.startswith("#")}
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin) for pin in pins), pins
    # pip writes names as their projects do, or in small letters; an extra is no part of them.
    asked = {re.sub(r"\[.*?\]", "", each).lower() for each in environment.requirements}
    assert asked <= {pin.lower() for pin in pins}

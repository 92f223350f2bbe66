"""Environments of projects: what they are made of, and what a command is started with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runstone._environments import building
from runstone._projects import envfiles, environments, mlproject
from runstone._projects.launch import Launch, Prepared, Source
from runstone._projects.mlproject import CondaEnv, PythonEnv
from runstone.exceptions import FailedPrecondition, LibraryMissing, ProjectInvalid

HERE = envfiles.HERE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    (tmp_path / "programs").mkdir()
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def launch(folder: Path, manager: str | None = None) -> Launch:
    project = mlproject.load(folder)
    return Launch(
        "r",
        "0",
        project,
        Source(".", "folder", folder, folder),
        "main",
        {},
        ("python", "x; y"),
        {"RUNSTONE_RUN_ID": "r"},
        ("RUNSTONE_EXPERIMENT_NAME",),
        environments.manager_of(project, manager),
    )


class Installer:
    """Stands for pip."""

    def __init__(self) -> None:
        self.wishes: list[str] = []
        self.limits: list[str] = []

    def __call__(
        self, folder: Path, wanted: str, arguments: Sequence[str], whose: str, cwd: Path
    ) -> None:
        given = list(arguments)
        assert (wanted, whose) == (HERE, "the project")
        self.wishes = Path(given[1]).read_text().split("\n")[:-1] if given else []
        self.limits = [each for each in given[2:] if each != "-c"]
        (folder / "bin").mkdir()
        (folder / "bin" / "python").touch()
        (folder / "bin" / "tool").write_text(f"#!{folder}/bin/python\n")


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> Installer:
    made = Installer()
    monkeypatch.setattr(building, "by_pip", made)
    return made


def python_env(folder: Path, text: str, **files: str) -> None:
    (folder / "python_env.yaml").write_text(text)
    for name, content in files.items():
        (folder / f"{name}.txt").write_text(content)


def test_it_is_made_of_the_projects_files(folder: Path, installer: Installer) -> None:
    python_env(
        folder,
        f'python: "{HERE}.4"\nbuild_dependencies: [pip==24]\ndependencies: [-r more.txt, b==2]',
        more="# comment\na==1 \\\n  ; python_version > '3'\n-r last.txt\n-c limits.txt\n",
        last="runstone>=0\n",
        limits="c<3",
    )
    prepared = environments.prepare(launch(folder))
    *asked, own = installer.wishes
    assert asked == ["pip==24", "a==1    ; python_version > '3'", "b==2"]
    assert own.startswith("runstone @ file:///")
    assert installer.limits == [str(folder / "limits.txt")]
    place = Path(prepared.variables["VIRTUAL_ENV"])
    assert prepared == Prepared(
        ("python", "x; y"),
        {
            "RUNSTONE_RUN_ID": "r",
            "VIRTUAL_ENV": str(place),
            "PATH": f"{place / 'bin'}:{folder.parent / 'programs'}",
        },
        ("RUNSTONE_EXPERIMENT_NAME", "PYTHONHOME", "PYTHONPATH", "CONDA_PREFIX"),
    )
    # Built elsewhere, and says where it is.
    assert (place / "bin" / "tool").read_text() == f"#!{place}/bin/python\n"
    installer.wishes = []
    assert environments.prepare(launch(folder)) == prepared
    assert installer.wishes == []
    for name, content in [("last", "d"), ("limits", "c<4")]:
        (folder / f"{name}.txt").write_text(content)
        assert environments.prepare(launch(folder)) != prepared
        prepared = environments.prepare(launch(folder))


def test_a_requirement_that_is_the_project_itself(folder: Path, installer: Installer) -> None:
    python_env(folder, "dependencies: ['.']")
    (folder / "module.py").write_text("one")
    first = environments.prepare(launch(folder))
    assert environments.prepare(launch(folder)) == first
    (folder / "module.py").write_text("two")
    assert environments.prepare(launch(folder)) != first


def test_conda_yaml_without_conda(folder: Path, installer: Installer) -> None:
    (folder / "conda.yaml").write_text(
        f"name: x\nchannels: [y]\ndependencies: [python={HERE}, pip, a=1.2, b>=3=h_0, {{pip: [c]}}]"
    )
    with pytest.raises(LibraryMissing, match=r"conda is not installed.*--env-manager virtualenv"):
        environments.prepare(launch(folder))
    environments.prepare(launch(folder, "virtualenv"))
    assert installer.wishes == ["pip", "a==1.2", "b>=3", "c"]


def test_conda(folder: Path) -> None:
    conda = folder.parent / "programs" / "conda"
    calls = folder.parent / "calls"
    conda.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n[ ! -e {calls}.fail ]\n')
    conda.chmod(0o755)
    (folder / "conda.yaml").write_text("dependencies: [a=1, {pip: [-r r.txt]}]")
    (folder / "r.txt").write_text("six==1.16.0\n")
    Path(f"{calls}.fail").touch()
    with pytest.raises(FailedPrecondition, match="environment of the project cannot be built"):
        environments.prepare(launch(folder))
    Path(f"{calls}.fail").unlink()
    prepared = [environments.prepare(launch(folder)) for _ in range(2)]
    assert prepared[0] == prepared[1]
    words = prepared[0].argv
    assert words[:4] == (str(conda), "run", "--no-capture-output", "-p")
    assert words[5:] == ("python", "x; y")
    create = f"env create --quiet -p {words[4]} -f {folder / 'conda.yaml'}"
    assert calls.read_text().splitlines() == [create, create]
    (folder / "r.txt").write_text("six==1.17.0\n")
    assert environments.prepare(launch(folder)).argv[4] != words[4]
    (folder / "r.txt").unlink()
    assert environments.prepare(launch(folder)).argv[0] == str(conda)


def test_this_python(folder: Path) -> None:
    prepared = environments.prepare(launch(folder))
    if sys.prefix != sys.base_prefix:
        # Its programs are meant, whether somebody activated it or not.
        assert prepared.variables["PATH"].split(":")[0] == str(Path(sys.executable).parent)
        assert prepared.argv == ("python", "x; y")
    else:
        assert prepared.argv == (sys.executable, "x; y")
    assert prepared.unset == ("RUNSTONE_EXPERIMENT_NAME",)


def test_this_python_is_meant_outside_of_a_virtual_environment_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "python"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setenv("PATH", str(other.parent))
    (folder / "MLproject").write_text("entry_points:\n  main:\n    command: python x.py\n")
    prepared = environments.prepare(launch(folder, "local"))
    assert prepared.variables["PATH"].split(":")[0] == str(Path(sys.executable).parent)


def test_an_environment_whose_python_has_gone_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def build(folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin" / "python").touch()

    python = building.kept("x", ["a"], build)
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert building.kept("x", ["a"], build) == python
    assert python.is_file()


def test_condas_environment_is_kept_by_the_files_that_it_names(folder: Path) -> None:
    (folder / "conda.yaml").write_text("dependencies: [conda-forge::numpy, {pip: [-r r.txt, .]}]")
    (folder / "r.txt").write_text("six==1.16.0\n")
    lines, contents = envfiles.pip_of_conda(folder, "conda.yaml")
    assert (lines, contents) == (["six==1.16.0", "."], ["six==1.16.0\n"])


def test_which_manager(folder: Path) -> None:
    project = mlproject.load(folder)
    assert environments.manager_of(project, None) == "local"
    for asked, said in [("conda", "needs a project with conda_env"), ("x", "must be one of")]:
        with pytest.raises(ProjectInvalid, match=said):
            environments.manager_of(project, asked)
    (folder / "conda.yaml").touch()
    assert environments.manager_of(mlproject.load(folder), None) == "conda"
    (folder / "python_env.yaml").touch()
    assert environments.manager_of(mlproject.load(folder), None) == "virtualenv"
    (folder / "MLproject").write_text("docker_env: {image: x}")
    assert environments.manager_of(mlproject.load(folder), "local") == "docker"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("python: 3.10", "must be a version in quotes, such as .3.11., not 3.1"),
        ("python: '2.7'", "must be a version in quotes"),
        ("pyhton: '3.11'", "pyhton is no key of it"),
        ("dependencies: a", "must be a list of requirements"),
        ("dependencies: [{a: b}]", "must be a list of requirements"),
        ('dependencies: ["a\\n--pre"]', "is more than one requirement"),
        ("dependencies: [-r nowhere.txt]", "names nowhere.txt, which cannot be read"),
        ("dependencies: [-r ../out.txt]", "names .*out.txt, which is not in the project"),
        ("dependencies: [-r /etc/passwd]", "is not in the project"),
        ("dependencies: [-r circle.txt]", "names more than 50 files, or a circle"),
    ],
)
def test_a_python_env_that_is_wrong(folder: Path, text: str, said: str) -> None:
    python_env(folder, text, circle="-r circle.txt")
    (folder.parent / "out.txt").touch()
    with pytest.raises(ProjectInvalid, match=said):
        envfiles.python_env(folder, "python_env.yaml")


@pytest.mark.parametrize(
    "text",
    ["dependencies: a", "dependencies: ['a b c']", "dependencies: [python>3]", "dependencies: [1]"],
)
def test_a_conda_yaml_that_is_wrong(folder: Path, text: str) -> None:
    (folder / "conda.yaml").write_text(text)
    with pytest.raises(ProjectInvalid, match=r"conda\.yaml"):
        envfiles.conda_env(folder, "conda.yaml")


def test_the_files_of_an_environment(folder: Path) -> None:
    python_env(folder, "dependencies: [-r a.txt]", a="-c b.txt", b="")
    assert envfiles.named(folder, PythonEnv("python_env.yaml")) == ["a.txt", "b.txt"]
    (folder / "conda.yaml").write_text("dependencies: [{pip: [-r a.txt]}]")
    assert envfiles.named(folder, CondaEnv("conda.yaml")) == ["a.txt", "b.txt"]


def test_an_environment_without_packages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one: Python alone, which needs no index."""
    python_env(folder, f'python: "{HERE}"')
    prepared = environments.prepare(launch(folder))
    python = Path(prepared.variables["VIRTUAL_ENV"]) / "bin" / "python"
    look = "import sys; print(sys.prefix != sys.base_prefix)"
    assert (
        subprocess.run([python, "-Ic", look], capture_output=True, check=True).stdout == b"True\n"
    )

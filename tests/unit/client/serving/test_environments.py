"""What an environment is made of, and that it is made once; installers are noted, not called."""

from pathlib import Path

import pytest

from runstone._environments import building
from runstone._serving import NEEDED, environments
from runstone.exceptions import FailedPrecondition, LibraryMissing, ModelFormatError

REQUIREMENTS = (
    "# comment\nrunstone==0.0.1\nrunstone[serving] >= 1\nrunstone-other==2\nnumpy==2.0.0\n"
)


class Installer:
    """Stands for pip and uv."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.wishes: list[str] = []
        self.error: Exception | None = None

    def __call__(self, folder: Path, wanted: str, arguments: list[str], whose: str) -> None:
        self.calls.append([wanted, *arguments])
        self.wishes = Path(arguments[arguments.index("-r") + 1]).read_text().split("\n")
        if self.error is not None:
            raise self.error
        (folder / "bin").mkdir()
        (folder / "bin" / "python").touch()


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installer:
    made = Installer()
    monkeypatch.setattr(building, "by_pip", made)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    (folder / "python_env.yaml").write_text("python: 3.11.7\n")
    return folder


def prepare(model: Path) -> Path:
    return environments.prepare(str(model), "virtualenv")


def kept() -> list[str]:
    return [each.name for each in building.cache_folder(environments.KIND).iterdir()]


def test_it_is_made_of_the_models_files_and_this_runstone(
    installer: Installer, model: Path
) -> None:
    python = prepare(model)
    assert python.is_file()
    assert installer.calls[0][0] == "3.11"
    *asked, own = installer.wishes[:3]
    assert asked == ["runstone-other==2", "numpy==2.0.0"]
    assert own.startswith("runstone @ file://")
    assert installer.wishes[3:] == [*NEEDED, ""]


def test_the_same_is_made_once_and_another_beside_it(installer: Installer, model: Path) -> None:
    first = prepare(model)
    assert prepare(model) == first
    assert len(installer.calls) == 1
    (model / "requirements.txt").write_text("numpy==2.0.1\n")
    second = prepare(model)
    (model / "constraints.txt").write_text("scipy==1.0\n")
    third = prepare(model)
    assert len({first, second, third}) == 3
    assert installer.calls[2][-2:] == ["-c", str(model / "constraints.txt")]
    assert sorted(kept()) == sorted(each.parents[1].name for each in (first, second, third))


def test_one_that_failed_leaves_nothing(installer: Installer, model: Path) -> None:
    installer.error = FailedPrecondition("no such package")
    with pytest.raises(FailedPrecondition, match="no such package"):
        prepare(model)
    assert kept() == []
    installer.error = None
    assert prepare(model).is_file()


def test_whoever_is_second_takes_that_of_the_first(
    installer: Installer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_twice(folder: Path, wanted: str, arguments: list[str], whose: str) -> None:
        monkeypatch.setattr(building, "by_pip", installer)
        prepare(model)
        installer(folder, wanted, arguments, whose)

    monkeypatch.setattr(building, "by_pip", build_twice)
    assert prepare(model).is_file()
    assert len(kept()) == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "python: three\n", "python: [3]\n", "{", "python: 2.7\n"]
)
def test_a_python_that_cannot_be_read(model: Path, text: str) -> None:
    (model / "python_env.yaml").write_text(text)
    with pytest.raises(ModelFormatError, match=r"python_env\.yaml"):
        environments.python_version(model)


def test_a_model_that_does_not_say_what_it_needs(installer: Installer, model: Path) -> None:
    (model / "requirements.txt").unlink()
    with pytest.raises(ModelFormatError, match=r"requirements\.txt cannot be read"):
        prepare(model)
    assert installer.calls == []


def test_what_an_installer_said_is_told() -> None:
    with pytest.raises(FailedPrecondition, match="cannot be built: no such package"):
        building.call(["sh", "-c", "echo no such package >&2; exit 1"], "the model")


def test_a_python_that_is_not_here(model: Path, tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"needs Python 3\.99, which is not here"):
        building.by_pip(tmp_path, "3.99", [], "the model")


def test_without_uv_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LibraryMissing, match="uv is not installed"):
        building.by_uv(tmp_path, "3.11", [], "the model")

"""Which models are one's own: by their bytes, and by what this machine knows of them alone."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstone import pyfunc
from runstone._models import trust
from runstone.exceptions import UntrustedModel


@pytest.fixture(autouse=True)
def as_another_process() -> None:
    forget()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a model that was logged, as it is downloaded."""
    made = tmp_path / "model"
    (made / "code").mkdir(parents=True)
    (made / "MLmodel").write_text("flavors: {}\n", "utf-8")
    (made / "model.pkl").write_bytes(b"mine")
    (made / "code" / "own.py").write_text("x = 1\n", "utf-8")
    return made


def forget() -> None:
    """What this process made, as another one does not know it."""
    trust._own_folders.clear()
    trust._own_files.clear()


def beside(folder: Path) -> None:
    (folder / "code" / "numpy.py").write_text("evil()\n", "utf-8")


def linked(folder: Path) -> None:
    (folder / "code" / "numpy").symlink_to(folder / "code", target_is_directory=True)


def moved(folder: Path) -> None:
    (folder / "code" / "own.py").rename(folder / "own.py")


def described(folder: Path) -> None:
    (folder / "MLmodel").write_text("flavors: {sklearn: {}}\n", "utf-8")


CHANGES: tuple[Callable[[Path], Any], ...] = (
    lambda folder: (folder / "model.pkl").write_bytes(b"evil"),
    lambda folder: (folder / "model.pkl").unlink(),
    lambda folder: (folder / "MLmodel").unlink(),
    *(beside, linked, moved, described),
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_is_own_as_long_as_its_bytes_are(
    folder: Path, change: Callable[[Path], Any]
) -> None:
    assert not trust.is_own(folder)
    trust.own(folder, lasting=False)
    assert trust.is_own(folder.rename(folder.with_name("elsewhere")))
    changed = folder.with_name("elsewhere")
    change(changed)
    assert not trust.is_own(changed)


def test_later_processes_know_it_where_they_are_to(folder: Path) -> None:
    trust.own(folder, lasting=False)
    forget()
    assert not trust.is_own(folder)
    trust.own(folder, lasting=True)
    forget()
    assert trust.is_own(folder)
    [kept] = (Path(os.environ["XDG_STATE_HOME"]) / "runstone" / "own").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.write_bytes(b"\xff")
    assert not trust.is_own(folder)


def test_without_a_place_to_keep_it_only_this_process_knows_it(
    folder: Path,
) -> None:
    place = Path(os.environ["XDG_STATE_HOME"]) / "runstone"
    place.mkdir(parents=True)
    (place / "own").touch()
    trust.own(folder, lasting=True)
    assert trust.is_own(folder)
    forget()
    assert not trust.is_own(folder)


def test_another_description_of_ones_own_is_own(folder: Path, tmp_path: Path) -> None:
    trust.own(folder, lasting=True)
    before = folder / "MLmodel"
    signed = tmp_path / "MLmodel"
    signed.write_text("flavors: {}\nsignature: {}\n", "utf-8")
    strange = tmp_path / "strange"
    strange.write_text("flavors: {sklearn: {}}\n", "utf-8")
    trust.own_as(strange, signed, lasting=True)
    signed.replace(before)
    assert not trust.is_own(folder)
    strange.write_text("flavors: {}\n", "utf-8")
    trust.own_as(strange, before, lasting=True)
    forget()
    assert trust.is_own(folder)


class Plain(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


class Wrapper(pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.inner = pyfunc.load_model(context.artifacts["inner"])

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


class Payload:
    def __reduce__(self) -> Any:
        return os.mkdir, ("canary",)


def test_a_wrapper_of_a_wrapper_does_not_vouch_for_the_stranger_in_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pyfunc.save_model("stranger", python_model=Plain())
    Path("stranger/python_model.pkl").write_bytes(pickle.dumps(Payload()))
    forget()
    pyfunc.save_model("one", python_model=Wrapper(), artifacts={"inner": "stranger"})
    pyfunc.save_model("two", python_model=Wrapper(), artifacts={"inner": "one"})
    for own in ("one", "two"):
        with pytest.raises(UntrustedModel):
            pyfunc.load_model(own)
    assert not Path("canary").exists()


def test_wrappers_of_ones_own_load_whatever_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pyfunc.save_model("plain", python_model=Plain())
    pyfunc.save_model("one", python_model=Wrapper(), artifacts={"inner": "plain"})
    pyfunc.save_model("two", python_model=Wrapper(), artifacts={"inner": "one"})
    assert pyfunc.load_model("two").predict([1]) == [1]

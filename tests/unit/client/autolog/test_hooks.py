"""What autologging stands on: imports that are told of, methods replaced, failures kept in."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone._autolog import guard, imports, libraries, patching, switches
from runstone._autolog.switches import Switch
from runstone.exceptions import InvalidField


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    yield
    switches.reset()
    guard.forget()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of two modules that nobody imported yet."""
    name = "a_library_of_this_test"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("done = False\nfrom . import part\ndone = True\n")
    (folder / "part.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for each in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[each]


def test_the_end_of_an_import_is_told_once(library: str) -> None:
    told: list[bool] = []
    imports.when_imported(library, lambda: told.append(sys.modules[library].done))
    assert told == []
    module = importlib.import_module(library)
    assert told == [True]
    importlib.reload(module)
    assert told == [True]
    # Who looks at the module finds its own loader, as tools that read its source do.
    assert module.__spec__ is not None
    assert type(module.__spec__.loader).__module__ == "_frozen_importlib_external"


def test_what_is_imported_already_is_told_at_once(library: str) -> None:
    importlib.import_module(library)
    told: list[str] = []
    imports.when_imported(f"{library}.part", lambda: told.append("part"))
    assert told == ["part"]


def test_a_part_is_told_when_its_package_brings_it(library: str) -> None:
    told: list[str] = []
    imports.when_imported(f"{library}.part", lambda: told.append("part"))
    importlib.import_module(library)
    assert told == ["part"]


def test_a_library_that_is_not_there_fails_to_import_as_ever() -> None:
    imports.when_imported("no_such_library_at_all", lambda: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_library_at_all")


class Base:
    def fit(self, value: int) -> int:
        """Doubles."""
        return value * 2


class Derived(Base):
    pass


def test_a_method_is_replaced_once_and_put_back() -> None:
    calls: list[int] = []

    def around(original: Any, self: Base, value: int) -> int:
        calls.append(value)
        return int(original(self, value))

    own = Base.__dict__["fit"]
    assert patching.patch(Base, "fit", around)
    assert not patching.patch(Base, "fit", around)
    assert not patching.patch(Derived, "fit", around), "inherited ones are their owner's"
    assert Derived().fit(4) == 8
    assert calls == [4]
    assert (Base.fit.__name__, Base.fit.__doc__) == ("fit", "Doubles.")
    patching.restore(Base, "fit")
    assert Base.__dict__["fit"] is own


def test_a_failure_is_said_once_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    def failing() -> int:
        raise ValueError("no room")

    with caplog.at_level(logging.WARNING, "runstone"):
        assert guard.guarded("sklearn", "the model", failing) is None
        assert guard.guarded("sklearn", "the model", failing) is None
        assert guard.guarded("sklearn", "a plot", failing) is None
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "sklearn: the model could not be logged: ValueError: no room" in said[0]


def test_a_silent_library_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    switches.turn("sklearn", Switch(silent=True))
    with caplog.at_level(logging.WARNING, "runstone"):
        assert guard.guarded("sklearn", "the model", int, "x") is None
    assert caplog.records == []


def test_who_stops_the_program_stops_it() -> None:
    def stopping() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard.guarded("sklearn", "the model", stopping)


def test_a_training_inside_a_training_is_a_part_of_it() -> None:
    assert not guard.is_inside()
    with guard.inside():
        with guard.inside():
            assert guard.is_inside()
        assert guard.is_inside()
    assert not guard.is_inside()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"log_models": "yes"}, "log_models"),
        ({"exclusive": 2}, "exclusive"),
        ({"silent": None}, "silent"),
        ({"extra_tags": ["a"]}, "extra_tags"),
    ],
)
def test_an_option_of_the_wrong_type_is_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField, match=field):
        libraries.turn("sklearn", options=options)
    assert switches.of("sklearn") is None

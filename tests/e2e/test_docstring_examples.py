"""The examples in the docstrings of the public API, run against an embedded suite."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import runstone
from runstone import entities, exceptions
from support import fluent
from support.public_face import MODULES

RAISED_AND_RETURNED = (entities, exceptions)
"""Values and errors are shown where they come from."""


def documented() -> Iterator[tuple[str, Any]]:
    """What has a docstring in the public face, by name."""
    for module in MODULES:
        if module in RAISED_AND_RETURNED:
            continue
        yield module.__name__, module
        for name in module.__all__:
            value = getattr(module, name)
            if not isinstance(value, ModuleType | str):
                yield f"{module.__name__}.{name}", value


def examples(name: str, value: Any) -> list[doctest.DocTest]:
    found = doctest.DocTestFinder(recurse=False).find(value, name, globs={})
    return [test for test in found if test.examples]


CASES = [test for name, value in documented() for test in examples(name, value)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("examples")) as folder:
        yield folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_example(case: doctest.DocTest, data_dir: Path, tmp_path: Path) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        result = runner.run(case, out=said.append, clear_globs=False)
    assert result.attempted > 0
    assert result.failed == 0, "".join(said)


def test_every_public_function_has_an_example() -> None:
    shown = {case.name for case in CASES}
    for name, value in documented():
        if inspect.isfunction(value):
            assert name in shown
    assert {"runstone", "runstone.Client"} <= shown
    assert not {name for module in RAISED_AND_RETURNED for name in module.__all__} & shown


@pytest.mark.parametrize("name", sorted(runstone._LAZY_MODULES - {"entities", "tracking"}))
def test_functions_of_modules_whose_libraries_are_missing_here_show_one_too(name: str) -> None:
    module = getattr(runstone, name)
    for each in module.__all__:
        value = getattr(module, each)
        if inspect.isfunction(value):
            assert ">>> " in (value.__doc__ or ""), f"runstone.{name}.{each}"

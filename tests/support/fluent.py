"""The fluent API as in a fresh process: nothing set, nothing open, a folder of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runstone._fluent import _runs, _state
from support.suites import OWN_PREFIX, end_suite


@contextmanager
def fresh(folder: Path, **environment: str) -> Iterator[None]:
    """Inside, the fluent API knows only `environment`, and `folder` is the working folder."""
    before, cwd = dict(os.environ), Path.cwd()
    for name in before:
        if name.startswith(OWN_PREFIX):
            del os.environ[name]
    os.environ.update(environment)
    os.chdir(folder)
    _state.reset()
    try:
        yield
    finally:
        _runs._open.clear()
        _state.reset()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def embedded(folder: Path) -> Iterator[Path]:
    """A data folder whose suite, started by whoever needs it first, is ended at the end."""
    data_dir = folder / "runstone-data"
    try:
        yield data_dir
    finally:
        end_suite(data_dir)

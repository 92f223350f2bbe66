"""A sync may end at any operation, of the disk or of the server, and is gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstone._offline import layout, store
from runstone.exceptions import InvalidArgument
from support.offline import FakeSuite, check_everything, log_everything

FORGETTING = 15
"""Operations that the beginning of a sync takes which forgets."""


class Killed(BaseException):
    pass


class Clock:
    """Counts the operations of a sync, and kills it at one of them."""

    def __init__(self, suite: FakeSuite, kill_at: int) -> None:
        self.operations = 0
        self._kill_at = kill_at
        self._suite = suite

    def start(self, patched: pytest.MonkeyPatch) -> None:
        patched.setattr(self._suite, "step", self._tick)
        for name in ("write", "pwrite", "fdatasync", "ftruncate"):
            patched.setattr(os, name, self._counted(getattr(os, name)))
        for name in ("replace", "unlink", "write_bytes"):
            patched.setattr(Path, name, self._counted(getattr(Path, name)))

    def _tick(self) -> None:
        self.operations += 1
        if self.operations == self._kill_at:
            raise Killed

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **named: Any) -> Any:
            self._tick()
            return real(*arguments, **named)

        return operation


def killed(folder: Path, suite: FakeSuite, kill_at: int, **options: bool) -> bool:
    """Whether a sync was killed at its operation of that number; there may be fewer."""
    with pytest.MonkeyPatch.context() as patched:
        Clock(suite, kill_at).start(patched)
        try:
            suite.sync(folder, **options)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("a_day_goes_by", [False, True])
def test_killed_at_any_operation_nothing_is_lost_or_doubled(
    folder: Path, monkeypatch: pytest.MonkeyPatch, a_day_goes_by: bool, suite: FakeSuite
) -> None:
    ids = log_everything()
    store.close()
    kill_at = 0
    while True:
        kill_at += 1
        fresh = FakeSuite()
        fresh.takes_requests_back = a_day_goes_by
        suite.append = fresh.append  # type: ignore[method-assign]
        # As in a folder that was never delivered.
        suite.step = lambda: None
        reset(folder)
        if not killed(folder, fresh, kill_at):
            break
        assert fresh.sync(folder).complete
        check_everything(fresh, ids)
    check_everything(fresh, ids)
    assert kill_at > 40


def test_killed_again_and_again_it_comes_to_its_end(folder: Path, suite: FakeSuite) -> None:
    ids = log_everything()
    store.close()
    times = 0
    # So few operations are enough for some progress.
    while killed(folder, suite, 12):
        times += 1
    check_everything(suite, ids)
    assert times > 3


def test_killed_while_it_forgets_it_forgets_all(folder: Path, suite: FakeSuite) -> None:
    ids = log_everything()
    store.close()
    suite.sync(folder)
    for kill_at in range(1, FORGETTING + 1):
        other = FakeSuite("runstone://other:5051")
        suite.append = other.append  # type: ignore[method-assign]
        assert killed(folder, other, kill_at, again=True)
        try:
            other.sync(folder)
        except InvalidArgument:
            # Nothing was forgotten yet: the folder is still the one's before.
            other.sync(folder, again=True)
        check_everything(other, ids)


def reset(folder: Path) -> None:
    """Back to what the training left."""
    (folder / "delivered.journal").unlink(missing_ok=True)
    for part in layout.parts(folder):
        for name in ("plan", "progress"):
            (part / name).unlink(missing_ok=True)

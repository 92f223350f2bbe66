"""A signal handler that logs, flushes or raises, wherever the main thread is at that moment.

CPython runs handlers after calls and backward jumps, so calls that the writer makes are wrapped:
the handler runs right after the n-th of them, for every n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone._journal import format as frames
from runstone._journal import writer as writers
from runstone._journal.reader import Points, Reader
from runstone._journal.writer import Journal

ROWS = 40
FILE_BYTES = 700
"""A file holds some eight rows."""

BEYOND = 10**400


class Interrupted(BaseException):
    pass


class Signal:
    """Calls a handler once, after the n-th call that the writer makes."""

    def __init__(self, number: int, handler: Callable[[], None]) -> None:
        self.calls = 0
        self._number = number
        self._handler = handler

    @property
    def came(self) -> bool:
        return self.calls >= self._number

    def after(self, call: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            result = call(*arguments, **named)
            self.calls += 1
            if self.calls == self._number:
                self._handler()
            return result

        return wrapped


class Wrapped:
    """A module or class whose functions are followed by the signal."""

    def __init__(self, inside: Any, signal: Signal, names: tuple[str, ...]) -> None:
        self._inside = inside
        self._wrapped = {name: signal.after(getattr(inside, name)) for name in names}

    def __getattr__(self, name: str) -> Any:
        return self._wrapped.get(name) or getattr(self._inside, name)


def interrupt(patched: pytest.MonkeyPatch, signal: Signal) -> None:
    of_os = ("write", "fstat", "open", "close")
    patched.setattr(writers, "os", Wrapped(writers.os, signal, of_os))
    of_frames = ("run_frame", "keys_frame", "file_path")
    patched.setattr(writers, "frames", Wrapped(frames, signal, of_frames))
    patched.setattr(writers, "zlib", Wrapped(writers.zlib, signal, ("crc32",)))
    for name in ("_append", "_declared", "_turn", "_next_file", "_write", "_measured", "_known"):
        patched.setattr(Journal, name, signal.after(getattr(Journal, name)))


@pytest.fixture(params=[False, True], ids=["goes on", "raises"])
def raises(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: Callable[[Journal], None]
) -> Iterator[tuple[Journal, list[int], int, bool]]:
    """A journal, the steps whose calls returned, the step whose call did not, -1: none, and whether
    the handler ran; for every moment at which it can.
    """
    number = 0
    signal = None
    while signal is None or signal.came:
        number += 1
        journal = Journal(tmp_path / str(number), "runstone://host:5051", file_bytes=FILE_BYTES)
        signal = Signal(number, lambda journal=journal: handler(journal))  # type: ignore[misc]
        returned = []
        interrupted = -1
        with monkeypatch.context() as patched:
            interrupt(patched, signal)
            for step in range(ROWS):
                try:
                    value = BEYOND if step % 10 == 9 else 0.5
                    journal.log("run", None, {"a": value, f"b{step % 3}": 2}, step, 0)
                    returned.append(step)
                except Interrupted:
                    interrupted = step
        yield journal, returned, interrupted, signal.came
        journal.close()
    assert number > ROWS * 4


def logged(journal: Journal, run_id: str) -> list[int]:
    stretches = list(Reader(journal.folder, final=True))
    assert not any(each.damage for each in stretches)
    return [
        each.step
        for part in stretches
        for each in part.records
        if isinstance(each, Points) and each.run_id == run_id
    ]


def test_what_a_handler_logs_is_kept_and_so_is_what_it_interrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    def handler(journal: Journal) -> None:
        journal.log("handler", 3, {"a": 1.0, "c": 2.0}, 7, 0)
        if raises:
            raise Interrupted

    for journal, returned, interrupted, came in every_moment(tmp_path, monkeypatch, handler):
        steps = logged(journal, "run")
        assert [step for step in steps if step != interrupted] == returned
        assert steps.count(interrupted) <= 1
        assert logged(journal, "handler") == [7] * came
        numbers = frames.file_numbers(journal.folder)
        files = [frames.file_path(journal.folder, number).stat().st_size for number in numbers]
        assert journal.size == sum(files)
        assert journal._before[numbers[-1]] == sum(files[:-1])


def test_a_handler_that_waits_for_delivery_waits_for_what_it_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may end the process with os._exit, and nothing more is written then."""
    early = 0

    def handler(journal: Journal) -> None:
        nonlocal early
        journal.log("handler", 3, {"a": 1.0}, 7, 0)
        numbers = frames.file_numbers(journal.folder)
        if journal._descriptor < 0:
            # There is no file yet: it is written as soon as the interrupted call is over.
            early += 1
            return
        assert logged(journal, "handler") == [7]
        # What flush waits for.
        files = [frames.file_path(journal.folder, number).stat().st_size for number in numbers]
        assert journal.size == sum(files)

    for _ in every_moment(tmp_path, monkeypatch, handler):
        pass
    assert early < 20

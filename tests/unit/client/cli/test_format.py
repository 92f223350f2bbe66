"""Values as people read them."""

import time
from datetime import datetime

import pytest

from runstone.cli._format import cell, counted, duration_text, number, short_time, size_text, word


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (59.9, "59s"),
        (184, "3m04s"),
        (7500, "2h05m"),
        (273600, "3d04h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.90456, "0.9046"),
        (12345678.0, "12345678"),
        (1e12, "1e+12"),
        (-3.2e-5, "-3.2e-05"),
        ("NaN", "NaN"),
        (None, ""),
    ],
)
def test_numbers(value: object, text: str) -> None:
    assert number(value) == text


def test_times_are_local_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-02:00")
    time.tzset()
    try:
        year = datetime.now().astimezone().year
        assert short_time(f"{year}-06-01T22:30:00.000Z") == "06-02 00:30"
        assert short_time("2001-06-01T22:30:00.000Z") == "2001-06-02"
        assert short_time(None) == ""
    finally:
        monkeypatch.undo()
        time.tzset()


def test_sizes_counts_states_and_maps() -> None:
    assert [size_text(size) for size in (999, 1200, 3_400_000)] == ["999 B", "1.2 kB", "3.4 MB"]
    assert [counted(each, "run") for each in (0, 1, 1200)] == ["0 runs", "1 run", "1,200 runs"]
    assert [word(name) for name in ("FINISHED", "Production")] == ["Finished", "Production"]
    assert cell({"b": 2, "a": None}) == "a=, b=2"

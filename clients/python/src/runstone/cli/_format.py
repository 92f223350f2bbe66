"""Values as people read them: short times, durations, sizes, numbers, and states in one style."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

SIZES = ("B", "kB", "MB", "GB", "TB")

LARGEST_WHOLE = 10**9
"""Whole numbers up to here are shown digit by digit; counts and steps are read better so."""


def cell(value: object, separator: str = ", ") -> str:
    """A value as people read it in a table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return separator.join(f"{key}={cell(value[key])}" for key in sorted(value))
    if isinstance(value, list | tuple):
        return separator.join(cell(each) for each in value)
    return str(value)


def number(value: object) -> str:
    """A metric's value in few characters: 0.9046, 1200, 3.2e-05."""
    if not isinstance(value, float):
        return cell(value)
    if value.is_integer() and abs(value) <= LARGEST_WHOLE:
        return str(int(value))
    return f"{value:.4g}"


def word(name: str) -> str:
    """The name of an enum's value in the one style of all tables: FINISHED is Finished."""
    return name.replace("_", " ").capitalize()


def read_time(text: str | None) -> float | None:
    """Seconds since 1970 of a time as `--json` prints it."""
    return datetime.fromisoformat(text).timestamp() if text else None


def short_time(text: str | None) -> str:
    """A time of `--json` in local time: 11-21 14:03, or 2025-11-21 when it is another year's."""
    moment = read_time(text)
    if moment is None:
        return ""
    local = datetime.fromtimestamp(moment, UTC).astimezone()
    this_year = local.year == datetime.now(UTC).astimezone().year
    return local.strftime("%m-%d %H:%M" if this_year else "%Y-%m-%d")


def seconds_between(start: str | None, end: str | None) -> float | None:
    """How long something took; so far, when it has no end."""
    begun, ended = read_time(start), read_time(end)
    if begun is None:
        return None
    return max(0.0, (time.time() if ended is None else ended) - begun)


def duration_text(seconds: float | None) -> str:
    """A duration by its two largest units: 0.4s, 12s, 3m04s, 2h05m, 3d04h."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days}d{hours % 24:02}h"
    if hours:
        return f"{hours}h{minutes % 60:02}m"
    return f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"


def size_text(size: int) -> str:
    """Bytes for people: 1.2 MB."""
    value = float(size)
    for unit in SIZES:
        if value < 1000 or unit == SIZES[-1]:
            break
        value /= 1000
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """1 run, 2 runs."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"

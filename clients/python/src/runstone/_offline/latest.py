"""The latest value of each metric of a run, as all points of a folder say.

The points are in no index; a million calls of ``log_metrics`` are read in some seconds.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

from runstone._journal import format as frames

Place = tuple[int, int]
"""Step and time."""


def latest(parts: list[Path], run_id: str) -> dict[str, float]:
    """Of each metric the value with the greatest step, then time, then value."""
    found: dict[str, tuple[Place, float]] = {}
    for part in parts:
        for number in frames.file_numbers(part):
            data = frames.file_path(part, number).read_bytes()
            for keys, place, values in _rows(data, run_id):
                for key, value in zip(keys, values, strict=True):
                    if key not in found or _is_later(place, value, *found[key]):
                        found[key] = place, value
    return {key: value for key, (_, value) in found.items()}


def _is_later(place: Place, value: float, before: Place, old: float) -> bool:
    return place > before or (place == before and (value > old or math.isnan(old)))


def _rows(data: bytes, run_id: str) -> list[tuple[tuple[str, ...], Place, tuple[float, ...]]]:
    """Of each set of keys in a file the rows at the greatest place; others are passed over.

    Values are unpacked for these only, which are few.
    """
    runs: set[int] = set()
    keys: dict[int, tuple[str, ...]] = {}
    greatest: dict[int, Place] = {}
    rows: dict[int, list[int]] = {}
    place: int | None = 0
    while place is not None and place < len(data):
        end = frames.frame_end(data, place)
        if end is None:
            place = frames.next_frame(data, place + 1)
            continue
        body, kind = place + frames.HEADER.size, data[place + frames.KIND_OFFSET]
        if kind == frames.POINTS and end - body >= frames.POINTS_HEAD.size:
            run, key_set, step, timestamp_ms = frames.POINTS_HEAD.unpack_from(data, body)
            if run in runs:
                at, before = (step, timestamp_ms), greatest.get(key_set)
                if before is None or at > before:
                    greatest[key_set], rows[key_set] = at, [body]
                elif at == before:
                    rows[key_set].append(body)
        elif kind in (frames.RUN, frames.KEYS):
            _declare(kind, data[body:end], run_id, runs, keys)
        place = end
    return [
        (keys[key_set], greatest[key_set], _values(data, body, len(keys[key_set])))
        for key_set, bodies in rows.items()
        if key_set in keys
        for body in bodies
    ]


def _declare(
    kind: int, payload: bytes, run_id: str, runs: set[int], keys: dict[int, tuple[str, ...]]
) -> None:
    try:
        if kind == frames.RUN:
            number, said, _ = frames.read_run(payload)
            if said == run_id:
                runs.add(number)
        else:
            number, names = frames.read_keys(payload)
            keys[number] = names
    except ValueError:
        return  # a sync tells of it


def _values(data: bytes, body: int, count: int) -> tuple[float, ...]:
    return struct.unpack_from(f"<{count}d", data, body + frames.POINTS_HEAD.size)

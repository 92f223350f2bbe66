"""What is no point, as frames of a journal (`_journal.format`) with JSON inside.

Every record says when it was made, in Unix nanoseconds (``at``): those of several processes are
applied in that order. Each is one write to the end of the file, whole also when the process is
killed behind it.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runstone._journal import format as frames
from runstone.exceptions import InvalidArgument

EXPERIMENT = frames.FIRST_OTHER
"""name, tags"""
RUN = EXPERIMENT + 1
"""run_id, experiment (an id, or NAMED and a name), name, user, start_ms, tags"""
UPDATE = EXPERIMENT + 2
"""run_id, and what changes: name, status, end_ms (None: it goes on)"""
PARAMS = EXPERIMENT + 3
"""run_id, params"""
TAGS = EXPERIMENT + 4
"""run_id, tags"""
UNTAG = EXPERIMENT + 5
"""run_id, keys"""
INPUTS = EXPERIMENT + 6
"""run_id, inputs: each a dataset and its tags"""
FILE = EXPERIMENT + 7
"""run_id, path, file (its copy below ``files``), size, blake3"""
EXPERIMENT_TAGS = EXPERIMENT + 8
"""experiment, tags"""
EXPERIMENT_UNTAG = EXPERIMENT + 9
"""experiment, keys"""

AT = "at"

MOST_BYTES = 2**20
"""Of params or tags in one record: more are several, so that a record is also one call."""

LONGEST_BYTES = 3 * 2**20
"""Of a record: what becomes one message to a server, which takes 4 MiB."""


@dataclass(frozen=True, slots=True)
class Record:
    """One of them, and where it stands."""

    kind: int
    about: dict[str, Any]
    start: int
    end: int

    @property
    def at(self) -> int:
        """When it was made."""
        return int(self.about.get(AT, 0))

    @property
    def run_id(self) -> str:
        """The run that it belongs to; empty for an experiment's."""
        return str(self.about.get("run_id", ""))


@dataclass(slots=True)
class Found:
    """What was read: the records, bytes that are none and where they begin, and where to go on."""

    end: int
    records: list[Record] = field(default_factory=list)
    damage: list[tuple[int, bytes]] = field(default_factory=list)


def read(path: Path, start: int = 0, *, final: bool = False) -> Found:
    """The records from a place on.

    Args:
        path: The file; one that is missing has none.
        start: 0, or where an earlier look ended.
        final: Nothing more will be written. What looks unfinished at the end is a call that has
            not returned, and is left out; anything else there is damage.
    """
    found = Found(start)
    try:
        with path.open("rb") as opened:
            opened.seek(start)
            data = opened.read()
    except FileNotFoundError:
        return found
    place = 0
    while place < len(data):
        end = frames.frame_end(data, place)
        if end is None:
            following = frames.next_frame(data, place + 1)
            rest = data[place:following]
            if following is None and (not final or frames.is_begun(rest)):
                break
            found.damage.append((start + place, rest))
            end = place + len(rest)
        elif (about := _decoded(data[place + frames.HEADER.size : end])) is not None:
            kind = data[place + frames.KIND_OFFSET]
            found.records.append(Record(kind, about, start + place, start + end))
        else:
            found.damage.append((start + place, data[place:end]))
        place = end
    found.end = start + place
    return found


def _decoded(payload: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(payload)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


class Appender:
    """The writing side of such a file. Safe for many threads and for signal handlers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        self._lock = threading.RLock()
        self._last = 0

    def append(self, kind: int, about: Mapping[str, Any], *, durable: bool = True) -> Record:
        """Write a record; it outlives this process on return, with ``durable`` a power cut too.

        Raises:
            InvalidArgument: it is too long.
            UnicodeEncodeError: UTF-8 cannot hold a text.
            OSError: it cannot be written.
        """
        with self._lock:
            # Two records of one process never have one time.
            self._last = max(time.time_ns(), self._last + 1)
            said = {**about, AT: self._last}
            payload = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
            if len(payload) > LONGEST_BYTES:
                raise InvalidArgument(
                    f"what is logged in one call may have {LONGEST_BYTES} bytes, not {len(payload)}"
                )
            data = frames.frame(kind, payload)
            written = os.write(self._descriptor, data)
            end = os.fstat(self._descriptor).st_size
            if written < len(data):
                # Half a record would be damage as soon as the next one follows.
                os.ftruncate(self._descriptor, end - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        if durable:
            os.fdatasync(self._descriptor)
        return Record(kind, said, end - len(data), end)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def split(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Texts in groups that fit a record each."""
    groups: list[dict[str, str]] = [{}]
    size = 0
    for key, value in values.items():
        length = len(key.encode()) + len(value.encode())
        if groups[-1] and size + length > MOST_BYTES:
            groups.append({})
            size = 0
        groups[-1][key] = value
        size += length
    return [each for each in groups if each]

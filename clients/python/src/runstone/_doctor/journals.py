"""What waits on this machine: journals of metrics, and folders of offline mode."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from runstone import _uri
from runstone._doctor.locks import held
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines
from runstone._fluent._delivery import lag
from runstone._journal import folder as folders
from runstone._journal import format as frames
from runstone._journal import progress
from runstone._journal.reader import Points, Reader
from runstone._offline import layout, records
from runstone._sync.state import DONE

COUNTED_BYTES = 2**25
"""Of all journals together: what more there is, is told in bytes alone."""

LATE_SECONDS = 60.0
"""Points are delivered about once a second; a minute later something is in the way."""

SHOWN = 10
"""Journals that are told one by one; the rest are counted."""


@dataclass(slots=True)
class Waiting:
    """One journal, as its files say.

    ``counted``: whether all of what waits was looked at.
    """

    folder: Path
    meta: folders.Meta | None
    fault: str
    owner: bool
    sender: bool
    bytes: int
    age: float
    done: progress.Progress
    dropped: progress.Dropped
    runs: int = 0
    points: int = 0
    counted: bool = True

    def to_dictionary(self) -> dict[str, Any]:
        """For programs."""
        return {
            "folder": str(self.folder),
            "tracking_uri": self.meta.tracking_uri if self.meta else None,
            "pid": self.meta.pid if self.meta else None,
            "host": self.meta.host if self.meta else None,
            "owner_alive": self.owner,
            "sender_alive": self.sender,
            "waiting_bytes": self.bytes,
            "waiting_points": self.points,
            "waiting_runs": self.runs,
            "all_counted": self.counted,
            "oldest_seconds": round(self.age, 1),
            "points_rejected": self.done.points_rejected,
            "points_dropped": self.dropped.points,
            "bytes_damaged": self.done.bytes_damaged,
            "error": self.done.error,
            "fault": self.fault,
        }


def look(asked: Asked, name: str) -> Lines:
    """A line for all journals, and one for each that needs something done."""
    del asked
    root = folders.root()
    try:
        found = [_read(each) for each in folders.journals(root)]
    except OSError as error:
        yield Line(
            name,
            FAILURE,
            f"the journals in {root} cannot be listed: {error.strerror}",
            "correct the permissions of that folder: it must be yours",
        )
        return
    _count(found)
    yield _summary(name, root, found)
    lines = [line for each in found for line in _line(name, each)]
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        worst = WARNING if all(each.status == WARNING for each in lines[SHOWN:]) else FAILURE
        yield Line(
            f"{name}.more", worst, f"{len(lines) - SHOWN} more are like these", "--json has all"
        )


def _read(folder: Path) -> Waiting:
    meta, fault = None, ""
    try:
        meta = folders.Meta.read(folder)
    except (OSError, ValueError) as error:
        fault = str(error)
    try:
        waits = folders.undelivered(folder)
        done, dropped = progress.read(folder), progress.dropped(folder)
        age = lag(folder, *done.delivered) if waits else 0.0
    except OSError as error:
        fault = fault or f"{folder} cannot be read: {error.strerror}"
        waits, age = 0, 0.0
        done, dropped = progress.Progress(), progress.Dropped()
    owner, sender = (held(folder / each) for each in (folders.OWNER_LOCK, folders.SENDER_LOCK))
    return Waiting(folder, meta, fault, owner, sender, waits, age, done, dropped)


def _count(found: list[Waiting]) -> None:
    left = COUNTED_BYTES
    for each in found:
        if each.fault or not each.bytes:
            continue
        each.counted = each.bytes <= left
        if not each.counted:
            continue
        left -= each.bytes
        runs = set()
        for record in _records(each.folder, each.done.delivered):
            runs.add(record.run_id)
            each.points += len(record.keys)
        each.runs = len(runs)


def _records(folder: Path, position: progress.Position) -> list[Points]:
    reader = Reader(folder)
    found: list[Points] = []
    try:
        while True:
            stretch = reader.read(position)
            if stretch.position == position:
                return found
            found += [each for each in stretch.records if isinstance(each, Points)]
            position = stretch.position
    except OSError:
        return found  # delivered and removed meanwhile


def _summary(name: str, root: Path, found: list[Waiting]) -> Line:
    waiting = [each for each in found if each.bytes]
    details = {
        "root": str(root),
        "journals": [each.to_dictionary() for each in found],
        "waiting_bytes": sum(each.bytes for each in found),
        "waiting_points": sum(each.points for each in found),
        "waiting_runs": sum(each.runs for each in found),
    }
    if not waiting:
        more = f" (journals there: {len(found)})" if found else ""
        return Line(name, OK, f"nothing waits for delivery in {root}{more}", details=details)
    least = "" if all(each.counted for each in waiting) else "at least "
    return Line(
        name,
        OK,
        f"{least}{details['waiting_points']} points of {details['waiting_runs']} runs"
        f" ({details['waiting_bytes']} bytes, {len(waiting)} journals) wait in {root},"
        f" the oldest for {_span(max(each.age for each in waiting))}",
        details=details,
    )


def _line(name: str, each: Waiting) -> Lines:
    own = f"{name}.{each.folder.name}"
    details = each.to_dictionary()
    if each.fault:
        yield Line(
            own,
            FAILURE,
            f"the journal {each.folder} is damaged: {each.fault}",
            "keep a copy; its points are in its *.journal files, and no sender will find them",
            details,
        )
        return
    if each.done.bytes_damaged:
        yield Line(
            f"{own}.damaged",
            WARNING,
            f"{each.done.bytes_damaged} bytes of {each.folder} could not be read",
            f"they are in {each.folder / folders.REJECTED}; look at the disk, then remove them",
            details,
        )
    if each.done.points_rejected:
        yield Line(
            f"{own}.rejected",
            WARNING,
            f"the server refused {each.done.points_rejected} points: {each.done.error}",
            f"they are in {each.folder / folders.REJECTED}, with the reason; then remove them",
            details,
        )
    if each.dropped.points:
        yield Line(
            f"{own}.dropped",
            WARNING,
            f"{each.dropped.points} points found no room and were dropped",
            "make room, or set RUNSTONE_JOURNAL_POLICY=block",
            details,
        )
    if each.bytes:
        yield from _waiting(own, each, details)


def _waiting(own: str, each: Waiting, details: dict[str, Any]) -> Lines:
    assert each.meta is not None
    what = f"{each.points} points" if each.counted else f"{each.bytes} bytes"
    said = f"{what} for {each.meta.tracking_uri} wait since {_span(each.age)} in {each.folder}"
    if not each.sender and (not each.owner or each.age > LATE_SECONDS):
        who = "its process is gone" if not each.owner else "its process runs"
        command = f"{sys.executable} -m runstone._sender {quote(str(each.folder))} < /dev/null"
        yield Line(
            own,
            WARNING,
            f"{said}; {who} and no sender is alive",
            f"deliver it: {command} (so does the next script that logs on this machine)",
            details,
        )
    elif each.sender and each.age > LATE_SECONDS:
        why = f": {each.done.error}" if each.done.error else ""
        yield Line(
            own,
            WARNING,
            f"{said}; its sender is alive and does not get on{why}",
            "see the lines of the services; nothing is lost meanwhile",
            details,
        )


def offline(asked: Asked, name: str) -> Lines:
    """The folder of offline mode."""
    del asked
    folder = _uri.offline_dir()
    try:
        mine = folder.is_dir() and layout.is_offline(folder)
        parts = layout.parts(folder) if mine else []
    except OSError as error:
        yield Line(
            name,
            FAILURE,
            f"{folder} cannot be read: {error.strerror}",
            "correct its permissions",
        )
        return
    if not mine:
        yield Line(name, OK, f"there is no offline folder ({folder})")
        return
    waits = sum(folders.undelivered(each) for each in parts)
    records_wait = _records_wait(folder, parts)
    live = sum(held(each / folders.OWNER_LOCK) for each in parts)
    delivered = (folder / layout.DELIVERED).exists()
    oldest = min((_began(each) for each in parts), default=time.time())
    details = {
        "folder": str(folder),
        "processes": len(parts),
        "live_processes": live,
        "waiting_bytes_of_points": waits,
        "waiting_bytes_of_records": records_wait,
        "synced_before": delivered,
    }
    if not parts:
        yield Line(name, OK, f"nothing is kept in {folder}", details=details)
        return
    if delivered and not waits and not records_wait:
        yield Line(
            name,
            OK,
            f"{folder} is delivered (runstone sync --clean removes what is)",
            details=details,
        )
        return
    whose = "1 process" if len(parts) == 1 else f"{len(parts)} processes"
    yield Line(
        name,
        WARNING,
        f"{folder} holds what {whose} logged offline, the first"
        f" {_span(time.time() - oldest)} ago ({_size(parts)} bytes)",
        f"runstone sync {quote(str(folder))}",
        details,
    )


def _records_wait(folder: Path, parts: list[Path]) -> int:
    """Bytes of what is no point and was not applied by a sync."""
    done = {
        each.about["part"]: int(each.about["end"])
        for each in records.read(folder / layout.DELIVERED, final=True).records
        if each.kind == DONE
    }
    left = 0
    for part in parts:
        try:
            size = (part / layout.RECORDS).stat().st_size
        except FileNotFoundError:
            continue
        left += max(size - done.get(part.name, 0), 0)
    return left


def _size(parts: list[Path]) -> int:
    return sum(
        frames.file_path(part, number).stat().st_size
        for part in parts
        for number in frames.file_numbers(part)
    )


def _began(part: Path) -> float:
    try:
        return folders.Meta.read(part).created_ms / 1000
    except (OSError, ValueError):
        return part.stat().st_mtime


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"

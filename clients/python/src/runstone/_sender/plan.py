"""What a sender is about to send, on disk before the first byte leaves.

The file ``plan`` is a log: a line for each stretch of the journal, with the number that each run's
first call of the stretch has. It is on disk (fdatasync) before the stretch is sent, so that
a sender that starts anew sends the same stretch with the same numbers, and the server takes each
batch once. A line that a crash tore was not followed by a call, and is left out.

    3f9a0c11 {"writer": "...", "file": 3, "start": 40, "end": 9120, "first": {"<run>": 17}, …}
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from runstone._journal.folder import RESERVE, give_up_reserve, keep_reserve, sync_folder

MAX_BYTES = 2**20
"""Past this the log is written anew with what still counts."""

_LINE = re.compile(rb"([0-9a-f]{8}) (\{.*\})\n")


class PlanDamaged(Exception):
    """A line in the middle of the plan is not what was written."""


@dataclass(slots=True)
class Stretch:
    """A range of one journal file, and the number of the first call to each run in it."""

    file: int
    start: int
    end: int
    first: dict[str, int] = field(default_factory=dict)
    checksum: int | None = None
    """Of the range's bytes; None in a plan that a release before wrote."""

    def line(self, writer_id: str) -> dict[str, object]:
        """As the plan has it."""
        said: dict[str, object] = {"writer": writer_id, "file": self.file}
        said |= {"start": self.start, "end": self.end, "first": self.first}
        return said if self.checksum is None else {**said, "checksum": self.checksum}


class Plan:
    """The plan of one journal.

    Args:
        path: The file; it is made when missing.
        writer_id: Who writes, unless the file says otherwise.

    Raises:
        PlanDamaged: it cannot be read up to its last line; see ``restarted``.
    """

    def __init__(self, path: Path, writer_id: str) -> None:
        self.path = path
        self.writer_id = writer_id
        self.next: dict[str, int] = {}
        """The number of each run's next batch; 1 for a run that is not in it."""
        self.stretch: Stretch | None = None
        """The last stretch that was planned; None before the first."""
        self.done = False
        """Whether every call of ``stretch`` has been answered."""
        # A sender before may have given it up for a line.
        self._spent = not (path.parent / RESERVE).exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._size = self._read()
        except BaseException:
            self.close()
            raise

    @classmethod
    def restarted(cls, path: Path, writer_id: str) -> Plan:
        """A plan in the place of a damaged one, of a writer that has not written yet.

        The numbers are lost with the old one, and a number used twice would lose points.
        """
        path.replace(path.with_name(f"{path.name}.damaged"))
        plan = cls(path, writer_id)
        plan._append({"writer": writer_id, "next": {}})
        sync_folder(plan.path.parent)
        return plan

    def begin(self, stretch: Stretch) -> None:
        """Put a stretch on disk; it may be sent when this returns."""
        self._append(stretch.line(self.writer_id))
        self.stretch, self.done = stretch, False

    def renumber(self, run_id: str, number: int) -> None:
        """Go on from the number that the server expects; on disk when this returns."""
        self.next[run_id] = number
        self._append({"writer": self.writer_id, "next": {run_id: number}})

    def finish(self, used: dict[str, int]) -> None:
        """Every call of the stretch was answered; ``used`` has the calls made to each run.

        Not forced to disk: what is forgotten here is sent again under its old numbers.
        """
        assert self.stretch is not None
        after = {run_id: self.next.get(run_id, 1) + calls for run_id, calls in used.items()}
        self._write({"done": True, "next": after})
        self.next.update(after)
        self.done = True
        self.keep_reserve()
        if self._size > MAX_BYTES:
            self._rewrite()

    def keep_reserve(self) -> None:
        """There may be room again for the folder's reserve; soon it may be the owner's."""
        if self._spent:
            with contextlib.suppress(OSError):
                keep_reserve(self.path.parent)
                self._spent = False

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> int:
        data = self.path.read_bytes()
        place = 0
        while place < len(data):
            match = _LINE.match(data, place)
            if match is None or zlib.crc32(match[2]) != int(match[1], 16):
                break
            self._apply(json.loads(match[2]))
            place = match.end()
        if b"\n" in data[place:-1]:
            raise PlanDamaged(str(self.path))
        # A torn last line: what follows must not be glued to it.
        os.ftruncate(self._descriptor, place)
        return place

    def _apply(self, line: dict[str, object]) -> None:
        self.writer_id = str(line.get("writer", self.writer_id))
        if "file" in line:
            named = ("file", "start", "end", "first", "checksum")
            self.stretch = Stretch(*(line.get(name) for name in named))  # type: ignore[arg-type]
            self.next.update(self.stretch.first)
            self.done = False
        if "next" in line:
            self.next.update(line["next"])  # type: ignore[call-overload]
        if line.get("done"):
            self.done = True

    def _append(self, line: dict[str, object]) -> None:
        self._write(line)
        os.fdatasync(self._descriptor)

    def _write(self, line: dict[str, object]) -> None:
        data = encoded(line)
        try:
            self._write_once(data)
        except OSError:
            if not give_up_reserve(self.path.parent):
                raise
            self._spent = True
            self._write_once(data)

    def _write_once(self, data: bytes) -> None:
        try:
            written = os.write(self._descriptor, data)
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            # On a full disk a part may have been written; the next line must not be glued to it.
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += written

    def _rewrite(self) -> None:
        """One snapshot in the place of the log; the old one counts until the new one is whole."""
        assert self.stretch is not None
        new = self.path.with_name(f"{self.path.name}.new")
        lines = (self.stretch.line(self.writer_id), {"done": True, "next": self.next})
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(new, flags, 0o600)
        # Without room for it the log grows on.
        with contextlib.suppress(OSError):
            size = sum(os.write(descriptor, encoded(line)) for line in lines)
            os.fdatasync(descriptor)
            new.replace(self.path)
            sync_folder(self.path.parent)
            self._descriptor, descriptor = descriptor, self._descriptor
            self._size = size
        os.close(descriptor)


def encoded(line: dict[str, object]) -> bytes:
    """A line as it stands in the file."""
    text = json.dumps(line, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)

"""Deliver one journal: take what is new, plan it, send it, delete what was taken.

One batch at a time. What a crash left is found again: a stretch that was planned and not answered
is sent first, under its numbers.
"""

from __future__ import annotations

import json
import os
import time
from array import array
from collections.abc import Callable
from pathlib import Path

from runstone._journal import format as frames
from runstone._journal.folder import REJECTED, Meta
from runstone._journal.progress import ProgressWriter
from runstone._sender.batch import Batch, Call
from runstone._sender.plan import Plan, PlanDamaged, Stretch
from runstone._sender.server import Gap, NotNow, Refused, Server
from runstone._sender.tail import BEHIND_BYTES, Tail
from runstone._sender.wire import append_request

STRETCH_BYTES = 2**20
"""Of requests in one stretch when much is waiting: two fdatasyncs are small against it, and a
sender of 60 MB can hold the copies that a call makes of it."""

REASON_REUSED = "SEQUENCE_REUSED"

KEYS_TOLD = 20
"""How many keys of a refused batch are listed beside it; all of them are in the batch."""


class Delivery:
    """The journal of one folder, whose sender lock the caller holds. For one thread.

    Args:
        folder: The journal's.
        stretch_bytes: Of requests that are planned at once.
        tracking_uri: Where to, unless the journal says so.
        run_id: The server's id of a run that the journal calls otherwise; may raise NotNow.
        keep: Leave what was delivered where it is.
        ambient: Whether the environment's token is meant for the journal's server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        stretch_bytes: int = STRETCH_BYTES,
        tracking_uri: str = "",
        run_id: Callable[[str], str] = str,
        keep: bool = False,
        ambient: bool = True,
    ) -> None:
        meta = Meta.read(folder)
        self.folder = folder
        self._stretch_bytes = stretch_bytes
        self._run_id = run_id
        self._server = Server(tracking_uri or meta.tracking_uri, meta.user, ambient=ambient)
        self._tail = Tail(folder, keep=keep)
        self._progress = ProgressWriter(folder)
        self._calls: list[Call] = []
        self._todo: list[int] = []
        self._applied: dict[str, list[int]] = {}
        self._gap: tuple[str, int] | None = None
        self._changed = False
        """The stretch is no more what it was when it was planned: the disk has damaged it."""
        self._astray = False
        """What was read was not planned: it is to be read again."""
        # A sender before may have been killed in an outage. What was refused stays told.
        now = self._progress.now
        self._failing = bool(now.error) and not now.points_rejected
        self._plan = self._opened(meta.writer_id)
        self._resume()

    def step(self) -> bool:
        """Deliver the next stretch; False when there is nothing to deliver.

        Raises:
            NotNow: the server does not take it now; the next call tries the same again.
            OSError: the journal's disk does not.
        """
        if not self._calls and not self._gather():
            return False
        while self._todo:
            self._send(self._todo[0])
        self._finish()
        return True

    @property
    def behind(self) -> bool:
        """Whether more is waiting than is worth waiting for company."""
        return self._tail.unread() > BEHIND_BYTES or self._tail.has_next()

    def secure(self) -> None:
        """Have what was logged on this machine's disk: it outlives a power cut then.

        By a descriptor of the sender's, so that no thread of the owner waits for a disk.
        """
        numbers = self._tail.numbers()
        if not numbers:
            return
        size = frames.file_path(self.folder, numbers[-1]).stat().st_size
        done = self._progress.now.synced
        if done == (numbers[-1], size):
            return
        for number in numbers:
            if number >= done.file:
                path = frames.file_path(self.folder, number)
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)
        self._progress.synced(numbers[-1], size)

    def failed(self, message: str) -> None:
        """Let the owner know why nothing is delivered at the moment."""
        self._failing = True
        self._progress.error(message)

    def finished(self) -> None:
        """Nothing more will be written: what looks unfinished at the end is damage."""
        self._tail.final = True

    def idle(self) -> None:
        """Nothing to deliver for a while: an embedded suite may end. For a sender process: other
        clients of the suite in this process lose their hold on it too.
        """
        self._server.release()

    def close(self) -> None:
        """Close files and channel."""
        self._server.close()
        self._tail.close()
        self._plan.close()
        self._progress.close()

    def _opened(self, writer_id: str) -> Plan:
        path = self.folder / "plan"
        try:
            return Plan(path, writer_id)
        except PlanDamaged:
            self._progress.error("the plan was damaged; points may have been sent twice")
            return Plan.restarted(path, f"{writer_id[:40]}-{os.urandom(6).hex()}")

    def _resume(self) -> None:
        """Go to where the plan says that delivery stands."""
        stretch = self._plan.stretch
        if stretch is None:
            # A plan in the place of a damaged one; in a new journal this is its beginning.
            self._tail.open(*self._progress.now.delivered)
            return
        self._tail.open(stretch.file, stretch.end if self._plan.done else stretch.start)
        if self._plan.done:
            # The sender before may have been killed before it could say so.
            self._progress.at(self._tail.file, self._tail.offset)
        elif self._tail.file == stretch.file:
            now = self._tail.checksum(stretch.start, stretch.end)
            self._changed = stretch.checksum not in (None, now)
            batch = Batch()
            self._tail.take(batch, until=stretch.end)
            # The rest was put aside before the stretch was planned.
            if self._changed:
                self._keep_damage()
            self._tail.damage.clear()
            self._begin(batch)
            # What was refused before the crash took no number; sent again it might take one now.
            self._todo = [index for index in self._todo if not self._told_refused(index)]

    def _gather(self) -> bool:
        """Plan what has come since; False when that is nothing."""
        if self._astray:
            self._tail.damage.clear()
            self._tail.open(*self._progress.now.delivered)
        # Until it is planned: the disk may be full at any line.
        self._astray = True
        gathered = self._planned()
        self._astray = False
        return gathered

    def _planned(self) -> bool:
        while True:
            # Asked before reading: a file that has a successor is not written to any more.
            last = not self._tail.has_next()
            file, start = self._tail.file, self._tail.offset
            batch = Batch()
            self._tail.take(batch, most=self._stretch_bytes)
            if self._tail.offset > start:
                self._keep_damage()
                if not batch.empty:
                    # The same points must be there after a power cut, under the same number.
                    self.secure()
                    runs = batch.runs()
                    first = {run_id: self._plan.next.get(run_id, 1) for run_id in runs}
                    end = self._tail.offset
                    checksum = self._tail.checksum(start, end)
                    self._plan.begin(Stretch(file, start, end, first, checksum))
                    self._changed = False
                    self._begin(batch)
                    return True
                self._progress.at(self._tail.file, self._tail.offset)
            elif last:
                return False
            else:
                self._tail.advance()
                self._plan.keep_reserve()

    def _begin(self, batch: Batch) -> None:
        self._calls = list(batch.calls())
        self._todo = list(range(len(self._calls)))
        self._applied = {}

    def _send(self, index: int) -> None:
        call = self._calls[index]
        applied = self._applied.setdefault(call.run_id, [])
        number = self._plan.next.get(call.run_id, 1) + len(applied)
        request = append_request(
            self._run_id(call.run_id), self._plan.writer_id, number, call.series
        )
        try:
            self._server.append(request)
        except Gap as gap:
            self._close(gap, call.run_id, index)
            return
        except Refused as refusal:
            if refusal.reason == REASON_REUSED and self._changed:
                # It stands for these points as they were before the damage: the server has them.
                self._taken(call, index, applied)
                return
            if refusal.reason == REASON_REUSED:
                # The number stands for other points. These go under the next one.
                self._plan.renumber(call.run_id, self._plan.next.get(call.run_id, 1) + 1)
                return
            self._keep_refused(index, call, request, refusal)
            self._todo.remove(index)
            return
        self._taken(call, index, applied)

    def _taken(self, call: Call, index: int, applied: list[int]) -> None:
        # First of all: sent again it would have the next number, and be there twice.
        applied.append(index)
        self._todo.remove(index)
        self._gap = None
        self._progress.delivered(call.points)

    def _close(self, gap: Gap, run_id: str, index: int) -> None:
        """The server has fewer batches than were taken, as after a restore from a backup.

        What it lost of this stretch is sent again; what was delivered before is gone from the
        journal, and the numbers go on from what the server expects.
        """
        if self._gap == (run_id, gap.expected):
            raise NotNow(str(gap))
        self._gap = (run_id, gap.expected)
        applied = self._applied[run_id]
        first = self._plan.next.get(run_id, 1)
        known = gap.expected - first
        if not 0 <= known <= len(applied):
            self._plan.renumber(run_id, gap.expected)
            known = 0
        self._todo = sorted({*self._todo, *applied[known:], index})
        del applied[known:]

    def _finish(self) -> None:
        if not self._plan.done:
            self._plan.finish({run_id: len(calls) for run_id, calls in self._applied.items()})
        self._progress.at(self._tail.file, self._tail.offset)
        self._calls = []
        if self._failing:
            self._progress.error("")
            self._failing = False

    def _keep_refused(self, index: int, call: Call, request: bytes, refusal: Refused) -> None:
        times = [time for each in call.series for time in _ends(each.timestamps_ms)]
        name = self._refused_name(index)
        about = {
            "run_id": call.run_id,
            "code": refusal.code,
            "reason": refusal.reason,
            "message": refusal.message,
            "points": call.points,
            "first_timestamp_ms": min(times),
            "last_timestamp_ms": max(times),
            "keys": [each.key for each in call.series[:KEYS_TOLD]],
            "refused_at_ms": int(time.time() * 1000),
        }
        self._keep(f"{name}.request", request)
        if self._keep(f"{name}.json", json.dumps(about, indent=1).encode()):
            self._progress.rejected(call.points, f"run {call.run_id}: {refusal.message}")

    def _refused_name(self, index: int) -> str:
        stretch = self._plan.stretch
        assert stretch is not None
        return f"{stretch.file:08d}-{stretch.start:08d}-{index:04d}"

    def _told_refused(self, index: int) -> bool:
        return (self.folder / REJECTED / f"{self._refused_name(index)}.json").exists()

    def _keep_damage(self) -> None:
        for start, damaged in self._tail.damage:
            if self._keep(f"{self._tail.file:08d}-{start:08d}.damaged", damaged):
                self._progress.damaged(len(damaged))
        self._tail.damage.clear()

    def _keep(self, name: str, data: bytes) -> bool:
        """Whether it was not there yet. Named after its place, it is kept and counted once."""
        path = self.folder / REJECTED / name
        if path.exists():
            return False
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(data)
        new.replace(path)
        return True


def _ends(times: array[int]) -> tuple[int, int]:
    return min(times), max(times)

"""Compaction in the background: which runs are folded when, and by whom.

Any number of services may do this on one database: whoever folds a run has claimed it for some
seconds. A run is folded when it has many segments, and when nothing came for a while.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from runstone_kit.clock import Clock
from runstone_kit.errors import RunstoneError
from runstone_kit.ids import IdMaker
from runstone_tracking.model_chunks import FIRST_SEGMENT, WaitingSegment
from runstone_tracking.service_folds import Folds
from runstone_tracking.store import Transactions
from runstone_tracking.store_chunks import ChangedMeanwhile

LOOK_S = 2.0
"""Between looks at all runs that have segments."""

SHARE = 10
"""Looking, and folding what there is no hurry for, take about one part in so many of the time: a
database may have many thousands of runs whose segments wait, as after an upgrade."""

MOST_PAUSE_S = 10.0
"""Of a pause: one look that met a slow disk must not keep all runs waiting."""

SLICE_S = 0.05
"""Of looking, before a pause."""

QUIET_SLICE_S = 0.5
"""Of folding quiet runs in a look, before they have to wait for their share."""

ENOUGH_SEGMENTS = 512
ENOUGH_POINTS = 524_288
"""A run that has so many of either is folded: fewer would be written anew more often."""

OF_A_WRITER = 32
"""Segments of a writer that are worth it. A thousand ranks write 512 in half a second, and a fold
of those would write ten thousand series anew for a point each."""

LONG_S = 120.0
"""After this a run is folded however few segments its writers have."""

QUIET_S = 20.0
"""A run that nothing was written to for so long is folded to its last point."""

CLAIM_MS = 30_000
"""A fold takes less than a second; a service that is killed keeps a run from others that long."""

CLOSE_S = 10.0

REST = 1.0
"""After a fold, of its time: appends on the same cores go first."""

KEEP_S = 10.0
"""A claim is renewed after this."""

PUT_OFF_S = 60.0
"""A run that could not be folded is tried again after this."""

MOST_FAILED = 3
"""A look ends with the third run that cannot be folded: the database may be the cause."""

RUNS = 1_000
"""Read at a time."""

_log = logging.getLogger(__name__)

_backlog = Gauge(
    "runstone_tracking_compaction_segments_waiting",
    "Segments that wait to be folded, at most 512 of each run, at the last look.",
    multiprocess_mode="livemax",
)
_lag = Gauge(
    "runstone_tracking_compaction_lag_seconds",
    "How long the run that waits longest has had segments that are not folded.",
    multiprocess_mode="livemax",
)
_segments = Counter("runstone_tracking_compaction_segments", "Segments that were folded.")
_points = Counter("runstone_tracking_compaction_points", "Points of segments that were folded.")
_written = Counter(
    "runstone_tracking_compaction_written_points",
    "Points of chunks that were written; above the points folded, those that were written anew.",
)
_bytes = Counter("runstone_tracking_compaction_bytes", "Bytes of chunks that were written.")
_seconds = Counter("runstone_tracking_compaction_seconds", "Time that folds took.")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run's segments at a look, the time since when it has some, and since when just these."""

    waiting: list[WaitingSegment]
    since: float
    unchanged: float


class Compaction:
    """Folds the runs of one database, by a thread of its own between ``start`` and ``close``."""

    def __init__(self, transactions: Transactions, clock: Clock, ids: IdMaker) -> None:
        self._transactions = transactions
        self._clock = clock
        self._holder = ids.hex_id()
        self._folds = Folds(transactions)
        self._seen: dict[str, _Seen] = {}
        self._put_off_until: dict[str, float] = {}
        self._claimed = self._began = self._resumed = 0.0
        self._folding = self._folding_since = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compaction", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End; a fold under way is finished."""
        self._stop.set()
        if self._thread.ident is not None:
            # Not for ever: a database that hangs would keep the service from ending.
            self._thread.join(CLOSE_S)

    def look(self) -> None:
        """Look at every run that has segments, and fold those that are due."""
        seen: dict[str, _Seen] = {}
        failed = 0
        self._began = self._resumed = time.monotonic()
        self._folding = self._folding_since = 0.0
        after: str | None = ""
        while after is not None and not self._stop.is_set():
            run_ids, after = self._runs(after)
            for run_id in run_ids:
                if self._stop.is_set():
                    return
                self._pace()
                if self._put_off_until.get(run_id, 0.0) > time.monotonic():
                    if run_id in self._seen:
                        seen[run_id] = self._seen[run_id]
                    continue
                try:
                    now = self._look_at(run_id)
                    if now is not None and not (self._is_due(now) and self._fold(run_id)):
                        seen[run_id] = now
                except Exception as error:
                    self._put_off(run_id, error)
                    failed += 1
                    if failed == MOST_FAILED:
                        return
        self._seen = seen
        put_off = self._put_off_until.items()
        self._put_off_until = {run: until for run, until in put_off if until > time.monotonic()}
        _backlog.set(sum(len(each.waiting) for each in seen.values()))
        oldest = min((each.since for each in seen.values()), default=time.monotonic())
        _lag.set(time.monotonic() - oldest)

    def _pace(self) -> None:
        """Pause when there was enough looking for a while."""
        looking = time.monotonic() - self._resumed - self._folding_since
        if looking > SLICE_S:
            self._stop.wait(min(looking * SHARE, MOST_PAUSE_S))
            self._resumed, self._folding_since = time.monotonic(), 0.0

    def _is_due(self, seen: _Seen) -> bool:
        now = time.monotonic()
        count = len(seen.waiting)
        if count >= ENOUGH_SEGMENTS:
            writers = len({each.writer_id for each in seen.waiting})
            if count >= OF_A_WRITER * writers or now - seen.since >= LONG_S:
                return True
        if sum(each.points for each in seen.waiting) >= ENOUGH_POINTS:
            return True
        share = QUIET_SLICE_S + (now - self._began) / SHARE if SHARE else float("inf")
        return now - seen.unchanged >= QUIET_S and self._folding < share

    def _put_off(self, run_id: str, error: Exception) -> None:
        """A run that cannot be folded must not keep the others from it."""
        self._put_off_until[run_id] = time.monotonic() + PUT_OFF_S
        expected = isinstance(error, RunstoneError)
        _log.warning("run %s is not folded: %s", run_id, error, exc_info=not expected)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except RunstoneError as error:
                # The database is away, which the readiness tells; the next look finds all again.
                _log.debug("compaction waits: %s", error)
            except Exception:
                _log.exception("compaction failed")
            self._stop.wait(LOOK_S)

    def _runs(self, after: str) -> tuple[list[str], str | None]:
        """Runs that have segments, and behind which to go on."""
        found = self._transactions.read(lambda session: session.chunks.runs_waiting(after, RUNS))
        return found, found[-1] if len(found) == RUNS else None

    def _look_at(self, run_id: str) -> _Seen | None:
        waiting = self._transactions.read(
            lambda session: session.chunks.waiting(run_id, ENOUGH_SEGMENTS)
        )
        if not waiting:
            return None
        now = time.monotonic()
        before = self._seen.get(run_id)
        if before is None:
            return _Seen(waiting, now, now)
        return _Seen(waiting, before.since, before.unchanged if waiting == before.waiting else now)

    def _fold(self, run_id: str) -> bool:
        """Fold a run to its last segment, if nobody else does; whether that was done."""
        began = time.monotonic()
        try:
            return self._claim(run_id) and self._fold_claimed(run_id)
        finally:
            took = time.monotonic() - began
            self._folding += took
            self._folding_since += took

    def _claim(self, run_id: str) -> bool:
        now = self._clock.now_ms()
        self._claimed = time.monotonic()
        return self._transactions.write(
            lambda session: session.chunks.claim(run_id, self._holder, now, now + CLAIM_MS)
        )

    def _keep(self, run_id: str) -> None:
        """In a long fold: claim the run for longer."""
        if time.monotonic() - self._claimed > KEEP_S and not self._claim(run_id):
            raise ChangedMeanwhile

    def _fold_claimed(self, run_id: str) -> bool:
        # Once through all writers: those that came first have new segments by the end, but few.
        more, last = True, FIRST_SEGMENT
        while more and not self._stop.is_set():
            began = time.monotonic()
            try:
                self._keep(run_id)
                folded = self._folds.fold(run_id, self._holder, lambda: self._keep(run_id), last)
            except ChangedMeanwhile:
                return False
            took = time.monotonic() - began
            _segments.inc(folded.segments)
            _points.inc(folded.points)
            _written.inc(folded.written)
            _bytes.inc(folded.size)
            _seconds.inc(took)
            more, last = folded.more, folded.last
            self._stop.wait(took * REST)
        self._transactions.write(lambda session: session.chunks.release(run_id, self._holder))
        return not more

"""The journals of this process, one for each server it logs to, and getting them delivered.

A sender process is started a second after something was logged and not delivered yet: a script that
is over by then delivers what it logged itself, with the sender's own code, and starts nothing.
Who delivers holds the journal's sender.lock, so there is never more than one.

A signal handler may log, flush or end a run, in the middle of any line here that the main thread is
at: no lock is held while something is waited for, and those that are held can be taken twice.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runstone import _fork, _journal
from runstone._journal import folder as folders
from runstone._journal import rules
from runstone._journal.progress import Progress
from runstone._journal.writer import Journal

if TYPE_CHECKING:
    from runstone._client import Client
    from runstone._sender.delivery import Delivery
    from runstone._sender.spawn import Handle

START_SECONDS = 1.0
"""How long a script may last without a sender, whose start costs 0.2 s of a core."""

EXIT_SECONDS = 5.0
"""A worker process that ends waits no longer; a sender delivers the rest."""

TELL_SECONDS = 4.0
"""Whoever waits longer for delivery wants to know why."""

FIRST_POLL_SECONDS = 0.001
LONGEST_POLL_SECONDS = 0.05

BAR_SECONDS = 1.0
"""What takes longer is worth a progress bar."""

LOOK_SECONDS = 0.2

AWAY_SECONDS = 60.0
"""Without any delivery for so long a run ends with points that are delivered later."""

PAUSE_SECONDS = 0.1
"""Between attempts of this process itself while the server is away."""

_log = logging.getLogger("runstone")


class Destination(Protocol):
    """Where points go: an outlet, or in offline mode a folder."""

    def log(self, run_id: str, metrics: Mapping[str, Any], step: int, timestamp_ms: int) -> None:
        """Append one point of each metric; see ``Outlet.log``."""

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was logged is where it goes; see ``Outlet.flush``."""


class Outlet:
    """Where this process logs to one server. Safe for many threads.

    Args:
        below: Where journals are.
        tracking_uri: The server's, resolved.
        user: Who is at work.
        at_once: Start the sender with the first point.
        ending: The process is, and may begin no thread.
    """

    def __init__(
        self,
        below: Path,
        tracking_uri: str,
        user: str,
        *,
        at_once: bool = False,
        ending: bool = False,
    ) -> None:
        self.tracking_uri = tracking_uri
        self.journal = Journal(
            below,
            tracking_uri,
            user,
            max_bytes=rules.max_bytes(),
            drops=rules.drops(),
            wake=self.wake,
        )
        self._ranks: dict[str, int | None] = {}
        self._sender: Handle | None = None
        self._starting = threading.RLock()
        self._delivering = threading.Lock()
        """Held by the thread that delivers, and by nobody else."""
        self._closed = threading.Event()
        self._told_rejected = 0
        self._ending = ending
        self._at_once = at_once or ending
        if not self._at_once:
            threading.Thread(
                target=self._start_when_needed, name="runstone-journal", daemon=True
            ).start()

    def log(self, run_id: str, metrics: Mapping[str, Any], step: int, timestamp_ms: int) -> None:
        """Append one point of each metric, with this process's rank; see ``Journal.log``."""
        try:
            rank = self._ranks[run_id]
        except KeyError:
            rank = self._ranks[run_id] = rules.rank()
        self.journal.log(run_id, rank, metrics, step, timestamp_ms)
        if self._at_once:
            self._at_once = False
            self._start_now()

    @property
    def sender(self) -> Handle | None:
        """The sender process; None before one was needed."""
        return self._sender

    @property
    def progress(self) -> Progress:
        """What was delivered so far."""
        return self.journal.progress

    @property
    def backlog(self) -> int:
        """Bytes that were logged and not delivered."""
        return max(self.journal.size - self.journal.delivered, 0)

    def wake(self) -> None:
        """Have what was logged delivered now, by the sender; returns at once."""
        self.start_sender().flush()

    def start_sender(self) -> Handle:
        """The sender, started when there is none."""
        with self._starting:
            if self._sender is not None:
                return self._sender
            from runstone._sender.spawn import spawn

            made = spawn(self.journal.folder, supervised=not self._ending)
            # A signal handler may have been faster.
            self._sender = chosen = self._sender or made
            if chosen is not made:
                made.close()
            return chosen

    def _start_now(self) -> None:
        try:
            self.start_sender().wait_started()
        except OSError as error:
            _log.warning("metrics are delivered by the next process: %s", error)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was logged before this call is delivered.

        Args:
            timeout: Seconds; as long as it takes when absent.

        Returns:
            Whether it is. What the server refused for good counts as delivered; it is told by a
            warning.
        """
        mark = self.journal.size
        if self.journal.delivered < mark:
            end = time.monotonic() + (float("inf") if timeout is None else timeout)
            # A look alone: a call that has no time would only be refused, and noted by the server.
            if self._sender is None and timeout != 0:
                self._deliver_here(mark, end)
            if not self._wait(mark, end):
                return False
        self._tell_rejected()
        return True

    def close(self, timeout: float = 0.0) -> bool:
        """Log nothing more, and have the rest delivered, by a sender that outlives this process.

        Returns:
            Whether all was delivered, within the time.
        """
        self._closed.set()
        delivered = self.flush(timeout) if timeout else not self.backlog
        with self._starting:
            sender = self._sender
        self.journal.close()
        if sender is not None:
            sender.close()
        elif not delivered:
            _leave_to_sender(self.journal.folder)
        else:
            _remove(self.journal.folder)
        return delivered

    def forget(self) -> None:
        """In a forked child: journal and sender are the parent's."""
        self._closed.set()
        self.journal.forget()

    def _start_when_needed(self) -> None:
        while not self._closed.wait(START_SECONDS):
            if self.backlog:
                self.start_sender()
                return

    def _deliver_here(self, mark: int, end: float) -> None:
        """Deliver up to a mark, unless there is a sender by now.

        By a thread: a signal handler that waits for delivery would wait for the very thread that it
        has interrupted.
        """
        given_up = threading.Event()
        thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._deliver_alone, mark, end, given_up),
            name="runstone-delivery",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:
            # A program that has ended may begin none.
            self._deliver_alone(mark, end, given_up)
            return
        try:
            thread.join(_bounded(end))
        except BaseException:
            given_up.set()
            raise

    def _deliver_alone(self, mark: int, end: float, given_up: threading.Event) -> None:
        if not self._delivering.acquire(timeout=_bounded(end)):
            return
        try:
            if self._sender is not None or self.journal.delivered >= mark:
                return
            lock = folders.take(self.journal.folder / folders.SENDER_LOCK)
            if lock is None:
                return
            try:
                self._deliver(mark, end, given_up)
            finally:
                os.close(lock)
        except OSError as error:
            _log.warning("the journal %s: %s", self.journal.folder, error)
        finally:
            self._delivering.release()

    def _deliver(self, mark: int, end: float, given_up: threading.Event) -> None:
        from runstone._embedded import no_longer_than
        from runstone._sender.delivery import Delivery
        from runstone._sender.server import NotNow

        delivery: Delivery | None = None
        told = time.monotonic() + TELL_SECONDS
        try:
            delivery = Delivery(self.journal.folder)
            # A sender that was started meanwhile waits for the lock.
            while self.journal.delivered < mark and self._sender is None and not given_up.is_set():
                try:
                    with _fork.gate.call(), no_longer_than(_bounded(end)):
                        if not delivery.step():
                            return
                except NotNow as error:
                    delivery.failed(str(error))
                    if time.monotonic() > told:
                        told = float("inf")
                        _log.warning("metrics wait for delivery: %s", error)
                    if time.monotonic() + PAUSE_SECONDS > end:
                        return
                    time.sleep(PAUSE_SECONDS)
        finally:
            if delivery is not None:
                delivery.close()

    def _wait(self, mark: int, end: float) -> bool:
        pause = FIRST_POLL_SECONDS
        told = time.monotonic() + TELL_SECONDS
        while self.journal.delivered < mark:
            now = time.monotonic()
            if now >= end:
                return False
            if pause == FIRST_POLL_SECONDS or now > told:
                self.wake()
            if now > told:
                error = self.progress.error or "the sender is behind"
                _log.warning("metrics wait for delivery: %s", error)
                told = now + 60.0
            time.sleep(min(pause, end - now))
            pause = min(pause * 2, LONGEST_POLL_SECONDS)
        return True

    def _tell_rejected(self) -> None:
        progress = self.progress
        if progress.points_rejected > self._told_rejected:
            _log.warning(
                "%d points were refused by the server and are kept in %s: %s",
                progress.points_rejected - self._told_rejected,
                self.journal.folder / folders.REJECTED,
                progress.error or "see the files there",
            )
            self._told_rejected = progress.points_rejected


_outlets: dict[tuple[Path, str, str], Outlet] = {}
_of_client: dict[Client, Destination] = {}
_redirected: dict[Client, Callable[[], Destination]] = {}
_lock = threading.RLock()


def outlet(tracking_uri: str, user: str) -> Outlet:
    """This process's outlet to a server; made when there is none."""
    key = (folders.root(), tracking_uri, user)
    found = _outlets.get(key)
    if found is None:
        with _lock:
            found = _outlets.get(key)
            if found is None:
                # A forked worker often ends without a word (os._exit).
                at_once = _fork.forked and not _is_worker()
                made = Outlet(*key, at_once=at_once, ending=_journal.ending)
                found = _outlets.setdefault(key, made)
                if found is made:
                    _flush_with_worker()
                else:
                    made.close()  # a signal handler was faster
    return found


def of(client: Client) -> Destination:
    """Where points go that are logged through a client's connection; cheap after the first time."""
    found = _of_client.get(client)
    if found is None:
        found = _of_client[client] = _redirected.get(
            client, lambda: outlet(client.tracking_uri, client.user)
        )()
    return found


def redirect(client: Client, destination: Callable[[], Destination]) -> None:
    """Have points that are logged through a client go elsewhere, in this process and its forks."""
    _redirected[client] = destination


def outlets(tracking_uri: str | None = None) -> list[Outlet]:
    """Every outlet of this process, or those to one server."""
    with _lock:
        return [each for each in _outlets.values() if tracking_uri in (None, each.tracking_uri)]


def flush(timeout: float | None = None, tracking_uri: str | None = None) -> bool:
    """Have all of this process delivered; see ``Outlet.flush``."""
    end = None if timeout is None else time.monotonic() + timeout
    done = True
    for each in outlets(tracking_uri):
        left = None if end is None else max(end - time.monotonic(), 0.0)
        done = each.flush(left) and done
    return done


def flush_visibly(tracking_uri: str, wait: bool | float = True) -> bool:
    """Wait for delivery with a progress bar, when it takes more than a moment.

    Args:
        tracking_uri: Of what goes to this server.
        wait: Seconds; True: as long as something is delivered once a minute; False: not at all.
    """
    if wait is False or flush(0.0, tracking_uri):
        return True
    now = time.monotonic()
    end = float("inf") if wait is True else now + wait
    if flush(min(BAR_SECONDS, end - now), tracking_uri):
        return True
    every = outlets(tracking_uri)
    for each in every:
        # It takes a while, so it is a sender's.
        each.wake()
    from runstone._transfer.progress import bar

    left = sum(each.backlog for each in every)
    moved = time.monotonic()
    with bar("delivering metrics", left, least=0) as shown:
        while not flush(min(LOOK_SECONDS, max(end - time.monotonic(), 0.0)), tracking_uri):
            before, left = left, sum(each.backlog for each in every)
            shown.advance(before - left)
            if left < before:
                moved = time.monotonic()
            if time.monotonic() > min(end, moved + AWAY_SECONDS):
                _log.warning("%d bytes of metrics are delivered later: %s", left, why(every))
                return False
    return True


def why(every: list[Outlet]) -> str:
    """Why what was logged is not delivered yet."""
    errors = [each.progress.error for each in every]
    return next((each for each in errors if each), "the server is behind")


def close(timeout: float = EXIT_SECONDS) -> None:
    """The process ends, or begins anew as tests do: leave nothing undelivered without a sender,
    neither of this process nor of one that was ended before it had a sender.
    """
    end = time.monotonic() + timeout
    with _lock:
        every = list(_outlets.values())
        _outlets.clear()
        _of_client.clear()
    for each in every:
        each.close(max(end - time.monotonic(), 0.0))
    for root in {folders.root(), *(each.journal.folder.parent for each in every)}:
        _leave_orphans(root)


@_fork.in_child
def _in_child() -> None:
    global _lock
    _lock = threading.RLock()
    for each in _outlets.values():
        each.forget()
    _outlets.clear()
    _of_client.clear()


def _is_worker() -> bool:
    """Whether this is a worker of multiprocessing."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _flush_with_worker() -> None:
    """A worker of multiprocessing runs no atexit functions, but these."""
    if _is_worker():
        from multiprocessing.util import Finalize

        Finalize(None, close, exitpriority=10)


def _bounded(end: float) -> float:
    # threading's longest wait is about 292 years, and infinity is not taken.
    return max(min(end - time.monotonic(), 1e6), 0.0)


def _leave_to_sender(folder: Path) -> None:
    from runstone._sender.spawn import start

    with contextlib.suppress(OSError):
        process = start(folder)
        if process.stdin is not None:
            process.stdin.close()
        # It outlives this process on purpose; without this its handle would complain at exit.
        process.returncode = 0


def _leave_orphans(root: Path) -> None:
    """Journals of workers that were ended before they had a sender: there may be no other soon."""
    for folder in folders.journals(root):
        # Others that end at the same time look too, and senders remove what is done.
        with contextlib.suppress(OSError):
            if _is_orphan(folder):
                # One looks after all that it finds.
                _leave_to_sender(folder)
                return


def _is_orphan(folder: Path) -> bool:
    owner = folders.take(folder / folders.OWNER_LOCK)
    if owner is None:
        return False
    try:
        sender = folders.take(folder / folders.SENDER_LOCK)
        if sender is None:
            return False
        try:
            return folders.undelivered(folder) > 0
        finally:
            os.close(sender)
    finally:
        os.close(owner)


def _remove(folder: Path) -> None:
    lock = folders.take(folder / folders.SENDER_LOCK)
    if lock is not None:
        folders.remove_if_done(folder)
        os.close(lock)

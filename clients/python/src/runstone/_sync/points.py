"""The points of metrics: sent by a sender's own code, under the plan of their journal.

So the server knows each batch by the writer's number of it, and takes it once, whatever is killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from runstone._journal import folder as folders
from runstone._sender.delivery import Delivery
from runstone._sender.server import NotNow
from runstone._sync.part import Part
from runstone._sync.runs import Runs
from runstone._transfer.progress import Progress
from runstone.exceptions import Unavailable

PATIENCE_SECONDS = 60.0
"""A server that is restarted is back long before; one that is not is told."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class UnknownRun(NotNow):
    """The folder says nothing of how the run began, or did not at the last look."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is not known")
        self.run_id = run_id


class WaitingRun(NotNow):
    """The server does not take the run now."""


def deliver(part: Part, runs: Runs, tracking_uri: str, shown: Progress) -> None:
    """Deliver what is there of a part.

    Raises:
        UnknownRun: look at the records again.
        Unavailable: the server does not answer, or takes nothing, for a minute.
        OSError: the part cannot be read or written.
    """
    part.repair()
    delivery = Delivery(part.path, tracking_uri=tracking_uri, run_id=_names(runs), keep=True)
    try:
        if part.over:
            delivery.finished()
        _drain(delivery, part, shown)
    finally:
        delivery.close()


def _names(runs: Runs) -> Callable[[str], str]:
    def name(run_id: str) -> str:
        if run_id in runs.waiting:
            raise WaitingRun(f"run {run_id} waits: {runs.waiting[run_id]}")
        try:
            return runs.server_id(run_id)
        except KeyError:
            raise UnknownRun(run_id) from None

    return name


def _drain(delivery: Delivery, part: Part, shown: Progress) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    pause = FIRST_PAUSE_SECONDS
    left = folders.undelivered(part.path)
    while True:
        try:
            if not delivery.step():
                return
        except UnknownRun:
            raise
        except WaitingRun as error:
            part.stopped = str(error)
            return
        except NotNow as error:
            if time.monotonic() + pause > end:
                raise Unavailable(
                    f"{error} (tried for {PATIENCE_SECONDS:.0f} s)", retry_after=error.retry_after
                ) from None
            time.sleep(max(pause, error.retry_after or 0.0))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            continue
        end = time.monotonic() + PATIENCE_SECONDS
        pause = FIRST_PAUSE_SECONDS
        before, left = left, folders.undelivered(part.path)
        shown.advance(before - left)

"""The life of a sender: deliver, listen to the owner, look after journals that nobody delivers.

What comes on standard input is the owner's: a byte asks for delivery now, the end says that the
owner is gone. Then the rest is delivered, and the process ends.
"""

from __future__ import annotations

import logging
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from runstone._journal import folder as folders
from runstone._sender.adoption import Adoption
from runstone._sender.delivery import Delivery
from runstone._sender.sampling import Sampling
from runstone._sender.server import NotNow

BATCH_SECONDS = 1.0
"""How long points wait for company: a chart is not watched more closely."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
"""Between attempts while the server is away: it resumes well within ten seconds."""

LINGER_SECONDS = 600.0
"""Without an owner and without success a sender gives up after this; the journal stays for the next
sender on this machine."""

IDLE_SECONDS = 30.0
"""Without anything to deliver for this long, an embedded suite is let go."""

LOCK_SECONDS = 10.0
"""A sender that was killed has let its lock go; one that is ending needs a moment."""

_log = logging.getLogger("runstone.sender")


class Owner:
    """The process at the other end of standard input."""

    def __init__(self, descriptor: int) -> None:
        self.gone = False
        self._descriptor = descriptor
        self._stop, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def wait(self, seconds: float) -> bool:
        """Until the owner asks for delivery, or is gone, or the time is over; True when it asked.

        Returns at once after ``stop``.
        """
        watched = [self._stop] if self.gone else [self._stop, self._descriptor]
        ready, _, _ = select.select(watched, (), (), max(seconds, 0.0))
        if self._descriptor not in ready:
            return False
        try:
            said = os.read(self._descriptor, 4096)
        except OSError:
            said = b""
        self.gone = not said
        return bool(said)

    def stop(self) -> None:
        """End all waiting; safe in a signal handler."""
        os.write(self._wake, b"x")

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return bool(select.select([self._stop], (), (), 0)[0])


class Sender:
    """Delivers one journal until its owner is gone and all of it is delivered."""

    def __init__(self, delivery: Delivery, owner: Owner, sampling: Sampling) -> None:
        self._delivery = delivery
        self._sampling = sampling
        self._owner = owner
        self._pause = 0.0
        self._busy = time.monotonic()
        self._idle = False

    def run(self) -> bool:
        """Returns whether everything was delivered."""
        while not self._owner.stopped:
            gone = self._owner.gone
            if gone:
                self._delivery.finished()
                self._sampling.finish()
            seconds = self._attempt()
            if seconds is None:
                if gone:
                    return True
                seconds = self._quiet()
            if gone and time.monotonic() > self._busy + LINGER_SECONDS:
                return False
            asked = self._owner.wait(seconds)
            if asked:
                self._pause = 0.0
        return False

    def _attempt(self) -> float | None:
        """Deliver what there is; seconds to the next attempt, None when nothing is left."""
        try:
            more = False
            for each in filter(None, (self._delivery, self._sampling.delivery)):
                each.secure()
                # Not more than one without a look at what the owner says.
                more = each.step() or more
        except (NotNow, OSError) as error:
            message = str(error)
            self._delivery.failed(message)
            _log.warning("%s", message)
            self._pause = min(max(self._pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            asked = error.retry_after if isinstance(error, NotNow) else None
            # Many senders that lost one server must not come back in step.
            return max(asked or 0.0, self._pause * random.uniform(0.5, 1.0))  # noqa: S311
        self._pause = 0.0
        if not more:
            return None
        self._busy, self._idle = time.monotonic(), False
        return 0.0 if self._delivery.behind else BATCH_SECONDS

    def _quiet(self) -> float:
        if not self._idle and time.monotonic() > self._busy + IDLE_SECONDS:
            self._idle = True
            self._delivery.idle()
        return BATCH_SECONDS


def main(arguments: list[str]) -> int:
    """``python -m runstone._sender FOLDER``; 0 when all was delivered, 1 when not."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    # The terminal's Ctrl-C is for the training; what it logged before is delivered all the same.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    owner = Owner(sys.stdin.fileno())
    signal.signal(signal.SIGTERM, lambda *_: owner.stop())
    folder = Path(arguments[0])
    lock = _locked(folder, owner)
    if lock is None:
        return 1
    delivery = Delivery(folder)
    with Sampling(folder) as sampling, Adoption(folder) as adoption:
        delivered = Sender(delivery, owner, sampling).run()
        delivery.close()
        if delivered:
            folders.remove_if_done(folder)
            adoption.wait_round()
    os.close(lock)
    return 0 if delivered else 1


def _locked(folder: Path, owner: Owner) -> int | None:
    end = time.monotonic() + LOCK_SECONDS
    while (lock := folders.take(folder / folders.SENDER_LOCK)) is None:
        if time.monotonic() > end or owner.stopped:
            _log.warning("another sender holds %s", folder)
            return None
        time.sleep(BATCH_SECONDS / 10)
    return lock

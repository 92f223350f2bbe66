"""Journals whose owner and sender are both gone, as after a kill or a reboot: delivered by us."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from runstone._journal import folder as folders
from runstone._sender.delivery import Delivery
from runstone._sender.server import NotNow

LOOK_SECONDS = 60.0
"""Between looks for such journals."""

PATIENCE_SECONDS = 10.0
"""A journal whose server is away is put aside after this, until the next look."""

PAUSE_SECONDS = 0.5

STRETCH_BYTES = 2**18
"""Smaller than for one's own journal: both are in memory at the same time."""

_log = logging.getLogger("runstone.sender")


class Adoption:
    """Looks after the other journals beside one, in a thread of its own, while in its block."""

    def __init__(self, own: Path) -> None:
        self._own = own
        # Read now: the journal may be gone when the others' turn comes.
        self._uri = _tracking_uri(own)
        self._stop = threading.Event()
        self._rounds = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="adoption", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def wait_round(self) -> None:
        """Until every journal that was found at the beginning was looked after once."""
        self._rounds.acquire()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._round()
            except Exception:
                _log.exception("looking after other journals failed")
            self._rounds.release()
            self._stop.wait(LOOK_SECONDS)

    def _round(self) -> None:
        for folder in folders.journals(self._own.parent):
            if self._stop.is_set():
                return
            if folder == self._own:
                continue
            try:
                with adopted(folder) as ours:
                    if ours:
                        self._deliver(folder)
            except Exception:
                # One that cannot be read must not keep the others waiting.
                _log.exception("%s cannot be delivered", folder)

    def _deliver(self, folder: Path) -> None:
        # The environment's token is for our server; another gets the one that is kept for it.
        ours = folders.Meta.read(folder).tracking_uri == self._uri
        delivery = Delivery(folder, stretch_bytes=STRETCH_BYTES, ambient=ours)
        try:
            delivery.finished()
            if self._drain(delivery):
                folders.remove_if_done(folder)
        finally:
            delivery.idle()
            delivery.close()

    def _drain(self, delivery: Delivery) -> bool:
        end = time.monotonic() + PATIENCE_SECONDS
        while not self._stop.is_set():
            try:
                if not delivery.step():
                    return True
                end = time.monotonic() + PATIENCE_SECONDS
            except (NotNow, OSError) as error:
                delivery.failed(str(error))
                if time.monotonic() > end:
                    _log.warning("%s: %s", delivery.folder, error)
                    return False
                self._stop.wait(PAUSE_SECONDS)
        return False


def _tracking_uri(folder: Path) -> str | None:
    try:
        return folders.Meta.read(folder).tracking_uri
    except (OSError, ValueError):
        return None


@contextmanager
def adopted(folder: Path) -> Iterator[bool]:
    """Holds both locks of a journal, if nobody else holds either."""
    held: list[int] = []
    try:
        # The owner's first: a sender that is just beginning finds its own lock free.
        for name in (folders.OWNER_LOCK, folders.SENDER_LOCK):
            descriptor = folders.take(folder / name)
            if descriptor is None:
                break
            held.append(descriptor)
        yield len(held) == 2
    finally:
        for descriptor in held:
            os.close(descriptor)

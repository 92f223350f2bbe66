"""The end of a background suite: when nobody holds its folder and no call came for a while."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Protocol

from runstone_suite.datadir import DataDir

LONGEST_LOOK_SECONDS = 1.0


class Idle(Protocol):
    """Tells how long nobody has called."""

    def idle_s(self) -> float:
        """Seconds since the last call ended; 0 while one is under way."""
        ...


def watch(folder: DataDir, calls: Idle, idle_seconds: float, stop: threading.Event) -> None:
    """Start a thread that sets `stop` once the suite is idle; it ends with `stop`.

    From the decision until the process ends no client can join: it waits for the folder and then
    starts a suite of its own. When the folder was removed, the process ends on the spot.
    """
    pause = min(LONGEST_LOOK_SECONDS, idle_seconds / 4)

    def look() -> None:
        while not stop.wait(pause):
            if folder.is_gone():
                # An end in order would remove the socket of a suite that came after.
                os._exit(0)
            if calls.idle_s() < idle_seconds or not folder.nobody_uses_it():
                continue
            # A client may have called and gone between the two questions.
            if calls.idle_s() < idle_seconds:
                folder.clients_may_join()
                continue
            folder.withdraw()
            stop.set()

    _background(look, "idle")


def withdraw_first(folder: DataDir, stop: threading.Event) -> None:
    """Start a thread that sends new clients elsewhere once `stop` is set, before the drain."""

    def leave() -> None:
        stop.wait()
        folder.withdraw()

    _background(leave, "withdraw")


def _background(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()

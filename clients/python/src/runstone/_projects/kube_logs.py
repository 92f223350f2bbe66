"""What the containers of a Job write, line by line, once each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from runstone._projects.kube_api import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Away,
    Cluster,
    Refused,
    Stream,
)

log = logging.getLogger("runstone.projects")

BACK_S = 60
"""A connection that is made anew asks for so much that was seen: what was on its way is in it."""


class Lines:
    """Which lines are new, after some that were seen come again."""

    def __init__(self) -> None:
        self._last = ""
        self._of_last = 0
        self._again = False
        self._seen = 0

    def again(self) -> None:
        """The lines come anew, from some point before the last one on."""
        self._again = bool(self._last)
        self._seen = 0

    def new(self, line: bytes) -> str | None:
        """The text behind the time of a line; None when it was there before."""
        stamp, _, text = line.decode("utf-8", "replace").partition(" ")
        if self._again:
            if stamp < self._last:
                return None
            self._seen += stamp == self._last
            if stamp == self._last and self._seen <= self._of_last:
                return None
            self._again = False
        # From here on in their order, whatever the clock of the node is set to.
        self._of_last = self._of_last + 1 if stamp == self._last else 1
        self._last = stamp
        return text


class LogThread(threading.Thread):
    """Follows the log of one container until it has ended, and tells its lines."""

    def __init__(
        self, cluster: Cluster, pod: str, container: str, told: Callable[[str], None]
    ) -> None:
        super().__init__(name=f"log of {pod}", daemon=True)
        self._cluster = cluster
        self._pod = pod
        self._container = container
        self._told = told
        self._stream = Stream()
        self._over = threading.Event()
        self._lines = Lines()
        self._received: float | None = None

    def finish(self) -> None:
        """The container has ended: what is there is all."""
        self._over.set()

    def close(self) -> None:
        """Read no more."""
        self._over.set()
        self._stream.close()

    def run(self) -> None:
        """Read until the end."""
        pause = FIRST_PAUSE_S
        while not self._stream.closed:
            # Asked before reading: what is written up to the end is read after it.
            last = self._over.is_set()
            try:
                received = self._received
                self._read(follow=not last)
                if last:
                    return
                pause = FIRST_PAUSE_S if received != self._received else pause
            except Refused as error:
                if error.status == 404 or last:
                    return  # the pod is gone, and its log with it
                if error.status != 400:  # 400: the container does not run yet
                    log.warning(
                        "the output of pod %s cannot be shown: the cluster does not give its log:"
                        " %s; the run goes on",
                        self._pod,
                        error.message,
                    )
                    return
            except Away as error:
                if not self._stream.closed:
                    log.info("reading the log of %s again: %s", self._pod, error)
                if last and pause >= LONGEST_PAUSE_S:
                    return
            self._over.wait(pause) if not last else self._stream.pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _read(self, *, follow: bool) -> None:
        since = None
        if self._received is not None:
            # By this clock alone: that of the node may be another.
            since = int(time.monotonic() - self._received) + BACK_S
        self._lines.again()
        response = self._cluster.pod_log(self._pod, self._container, since, follow=follow)
        for line in self._stream.lines(response):
            text = self._lines.new(line)
            self._received = time.monotonic()
            if text is not None:
                self._told(text)

"""Calls and forks, kept apart.

gRPC survives a fork only when no thread is inside it at that moment (measured: with three threads
calling, 1 child in 20 hung; with this gate none of 100 did). So a fork waits for the calls under
way, new calls wait for the fork, and the child starts with channels of its own.

A call is one answer awaited: of a stream of responses each message by itself. A stream of requests
is not waited for, since it lasts as long as its file; only its next message waits for the fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

LONGEST_WAIT_SECONDS = 2.0
"""A fork is not held up longer: a call that takes seconds waits for a server, not inside gRPC."""


class Gate:
    """Lets calls pass unless a fork is under way. Made anew in the child."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._closing = 0
        self._here = threading.local()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Hold this while a thread is inside gRPC."""
        depth = getattr(self._here, "depth", 0)
        with self._condition:
            # A call within a call must end for the fork to begin, and the forking thread's own
            # (by another hook) before it is over.
            if depth == 0 and not getattr(self._here, "forking", False):
                self._condition.wait_for(lambda: not self._closing)
            self._inside += 1
        self._here.depth = depth + 1
        try:
            yield
        finally:
            self._here.depth -= 1
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    def paced(self, messages: Iterable[Any]) -> Iterator[Any]:
        """The messages of a stream of requests; none is handed on while a fork is under way."""
        for message in messages:
            with self.call():
                pass
            yield message

    def close(self) -> None:
        """Keep new calls out and wait for those under way; `open` must follow in this thread."""
        self._condition.acquire()
        self._closing += 1
        self._here.forking = True
        mine = getattr(self._here, "depth", 0)
        self._condition.wait_for(lambda: self._inside <= mine, LONGEST_WAIT_SECONDS)

    def open(self) -> None:
        """Undo `close`."""
        self._closing -= 1
        self._here.forking = False
        self._condition.notify_all()
        self._condition.release()


gate = Gate()
forked = False
"""Whether this process began as a fork of one that had imported this."""

has_forked = False
"""Whether this process has forked others."""

_forgetters: list[Callable[[], None]] = []


def in_child(forget: Callable[[], None]) -> Callable[[], None]:
    """Have ``forget`` called in every forked child, before anything else of ours."""
    _forgetters.append(forget)
    return forget


def _child() -> None:
    global gate, forked, has_forked
    gate = Gate()
    forked, has_forked = True, False
    for forget in _forgetters:
        forget()


def _before() -> None:
    gate.close()


def _parent() -> None:
    global has_forked
    has_forked = True
    gate.open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_parent, after_in_child=_child)

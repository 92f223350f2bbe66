"""Nothing that goes wrong in logging may reach a training: it is said once, and that goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from runstone._autolog import switches

_log = logging.getLogger("runstone")

T = TypeVar("T")

_said: set[tuple[str, str]] = set()
_said_lock = threading.Lock()

_inside: ContextVar[bool] = ContextVar("runstone_autolog_inside", default=False)
"""A framework trains with its own classes: what those do inside a training is a part of it."""


def is_inside() -> bool:
    """Whether a training that logs is under way in this thread or task."""
    return _inside.get()


@contextmanager
def inside() -> Iterator[None]:
    """Say that what is called from here on belongs to one training."""
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


def guarded(library: str, what: str, call: Callable[..., T], *args: Any, **kwargs: Any) -> T | None:
    """What the call gives; None when it fails, which is said once for each ``what``.

    Stopping the program (Ctrl-C, ``sys.exit``) is no failure, and goes on its way.
    """
    try:
        return call(*args, **kwargs)
    except Exception as error:
        say(library, what, error)
        return None


def say(library: str, what: str, error: object) -> None:
    """Warn, once in a process, that something could not be logged by itself."""
    switch = switches.of(library)
    with _said_lock:
        if (library, what) in _said or (switch is not None and switch.silent):
            return
        _said.add((library, what))
    # By the logger, not `warnings`: a filter that makes errors of those would stop the training.
    _log.warning(
        "autologging of %s: %s could not be logged: %s: %s (said once)",
        library,
        what,
        type(error).__name__,
        error,
    )


def forget() -> None:
    """Say everything anew. For tests."""
    with _said_lock:
        _said.clear()

"""Values that are known again when their user does something with them, and their names."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Collection
from typing import Any

UNKNOWN = "unknown_dataset"
"""The name of data that no variable of the caller holds."""


class Known:
    """Values to what is known of them, by identity, as long as the values live."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Any, Any]] = {}

    def put(self, value: object, known: Any) -> None:
        """Know a value from here on."""
        key = id(value)
        try:
            held = weakref.ref(value, lambda _: self._found.pop(key, None))
        except TypeError:
            return  # what has no weak references cannot be known again
        self._found[key] = (held, known)

    def get(self, value: object) -> Any:
        """What is known of a value; None of any other."""
        held, known = self._found.get(id(value), (None, None))
        return known if held is not None and held() is value else None


def name_of(value: Any, inner: Collection[str]) -> str | None:
    """The variable of the user's code that holds a value.

    Args:
        value: What is looked for.
        inner: Packages that stand between that code and this one.
    """
    frame = inspect.currentframe()
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in {"runstone", "functools", *inner}:
            break
        frame = frame.f_back
    if frame is None:
        return None
    scopes = (frame.f_locals, frame.f_globals)
    return next((name for scope in scopes for name, each in scope.items() if each is value), None)

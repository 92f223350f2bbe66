"""Methods of a library replaced by ours, which call the original once, whatever happens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Around = Callable[..., Any]
"""Takes the original, bound to nothing, then what it was called with; calls it exactly once."""

_MARK = "_runstone_original"


def patch(owner: Any, name: str, around: Around) -> bool:
    """Put ``around`` in place of a method that the class, module or object itself defines.

    Returns whether there was one that was not replaced before.
    """
    original = vars(owner).get(name)
    if original is None or not callable(original) or hasattr(original, _MARK):
        return False

    @functools.wraps(original)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(replaced, _MARK, original)
    setattr(owner, name, replaced)
    return True


def restore(owner: Any, name: str) -> None:
    """Put the original back."""
    original = getattr(vars(owner).get(name), _MARK, None)
    if original is not None:
        setattr(owner, name, original)

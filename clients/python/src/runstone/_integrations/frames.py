"""Whether the call of a framework that a training is in is still going on."""

from __future__ import annotations

import inspect
from types import FrameType

_OURS = "runstone"


class Call:
    """The outermost call into the framework that asks, with no other code in between.

    Of ``user → xgboost.train → xgboost's list of callbacks → hook`` it is the one of ``train``, for
    the list of callbacks returns long before the training is over.

    The frame is not kept: all that it and its callers hold, such as a batch on a GPU, would stay in
    memory when a training raises, and the next attempt would find no room. Its number may be used
    again by a later call, which ``goes_on`` allows for.
    """

    def __init__(self) -> None:
        frame = _outermost()
        self._number = id(frame)
        self._code = frame.f_code if frame is not None else None

    def goes_on(self) -> bool:
        """Whether the caller is a training inside this call, as one in a callback of it is."""
        own = _outermost()
        # Outside of the caller's own training: that one may have the number of one that is over.
        frame = own.f_back if own is not None else None
        while frame is not None:
            if id(frame) == self._number and frame.f_code is self._code:
                return True
            frame = frame.f_back
        return False


def _outermost() -> FrameType | None:
    frame = inspect.currentframe()
    while frame is not None and _package(frame) == _OURS:
        frame = frame.f_back
    while frame is not None and frame.f_back and _package(frame.f_back) == _package(frame):
        frame = frame.f_back
    return frame


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]

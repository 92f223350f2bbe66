"""How many calls may wait for a thread: the rest is told to come again, at once and for little.

A call that waits costs its headers and the first 64 KiB of its request, which gRPC has received
already; the request is read by the thread that serves it. So memory is bounded by threads and
waiting calls, whatever comes.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn, ParamSpec, TypeVar

import grpc

from runstone_kit.errors import ResourceExhausted

P = ParamSpec("P")
T = TypeVar("T")

RETRY_AFTER_S = (1.0, 2.0)
"""Each caller is told another time in between: those that were refused together come apart."""


class CallPool(ThreadPoolExecutor):
    """A thread pool that knows how many calls wait for one of its threads."""

    def __init__(self, max_workers: int, name: str = "call") -> None:
        super().__init__(max_workers, thread_name_prefix=name)
        self._count = threading.Lock()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Calls that no thread has begun."""
        return self._waiting

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As the base class does."""

        def begin() -> T:
            self._add(-1)
            return fn(*args, **kwargs)

        self._add(1)
        try:
            return super().submit(begin)
        except BaseException:
            self._add(-1)
            raise

    def _add(self, change: int) -> None:
        with self._count:
            self._waiting += change


class WaitingLimit:
    """Lets ``limit`` calls wait for a thread of each pool of calls; ``pool`` answers the rest.

    ``calls`` is the pool of those that have no other.
    """

    def __init__(self, calls: CallPool, limit: int, pool: ThreadPoolExecutor) -> None:
        self.calls = calls
        self._limit = limit
        self.pool = pool

    def is_full(self, pool: CallPool) -> bool:
        """Whether a call that comes now, for a thread of ``pool``, is one too many."""
        return pool.waiting >= self._limit

    def refuse(self, _requests: Any, _context: grpc.ServicerContext) -> NoReturn:
        """Raises ResourceExhausted (OVERLOADED), with a time to come again."""
        raise ResourceExhausted(
            f"{self._limit} calls wait already, which is the limit; nothing was done, try again",
            reason="OVERLOADED",
            retry_after=random.uniform(*RETRY_AFTER_S),  # noqa: S311
        )

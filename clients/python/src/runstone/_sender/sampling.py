"""System metrics of the runs that ask for them, sampled while their process lives.

The owner says which runs, in ``sampling.json`` of its journal; the sender looks there again and
again. Samples go into a journal of the sender's own, and are delivered as any other points are.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runstone._journal import folder as folders

if TYPE_CHECKING:
    from runstone._journal.writer import Journal
    from runstone._sender.delivery import Delivery
    from runstone._sender.machine import Machine

FILE = "sampling.json"

LOOK_SECONDS = 1.0
"""Between looks at what the owner asks for."""

_log = logging.getLogger("runstone.sender")


@dataclass(frozen=True, slots=True)
class Request:
    """How one run is sampled.

    ``prefix`` stands before each name. Every ``interval`` seconds a sample is taken, and after
    ``samples`` of them their mean is logged, with the steps ``first_step``, ``first_step + 1`` …
    """

    prefix: str
    rank: int
    interval: float
    samples: int
    first_step: int
    begun_ms: int


def write_requests(folder: Path, requests: dict[str, Request]) -> None:
    """The owner's side: say which runs are sampled from now on."""
    text = json.dumps({run_id: asdict(request) for run_id, request in requests.items()})
    new = folder / f"{FILE}.new"
    new.write_text(text, "utf-8")
    new.replace(folder / FILE)


def read_requests(folder: Path) -> dict[str, Request]:
    """Which runs are to be sampled; none when the file is not there or not readable."""
    try:
        said = json.loads((folder / FILE).read_text("utf-8"))
        return {run_id: Request(**fields) for run_id, fields in said.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


class RunSamples:
    """The samples of one run until they are logged."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._taken: list[dict[str, float]] = []
        self._due = time.monotonic()
        # A sender that was started anew goes on where the one before would be.
        elapsed = max(time.time() - request.begun_ms / 1000, 0.0)
        self._step = request.first_step + int(elapsed / (request.interval * request.samples))

    def due(self) -> bool:
        """Whether it is time for a sample."""
        return time.monotonic() >= self._due

    def add(self, sample: dict[str, float]) -> tuple[int, dict[str, float]] | None:
        """Take a sample; the step and the metrics to be logged when enough are there."""
        self._due += self.request.interval
        # After a suspension there is one sample, not one for each that was missed.
        self._due = max(self._due, time.monotonic())
        self._taken.append(sample)
        if len(self._taken) < self.request.samples:
            return None
        taken, self._taken = self._taken, []
        step, self._step = self._step, self._step + 1
        return step, {
            self.request.prefix + name: sum(each[name] for each in having) / len(having)
            for name in dict.fromkeys(name for each in taken for name in each)
            if (having := [each for each in taken if name in each])
        }


class Sampling:
    """Samples for the runs that the owner of a journal names, by a thread, while in its block.

    The thread never waits for a server: whoever delivers takes ``delivery``.
    """

    def __init__(self, folder: Path) -> None:
        self.delivery: Delivery | None = None
        """Of the samples; None before there is one. For one thread, which is not this one's."""
        self._folder = folder
        self._stop = threading.Event()
        self._asked: dict[str, Request] = {}
        self._runs: dict[str, RunSamples] = {}
        self._machine: Machine | None = None
        self._journal: Journal | None = None
        self._lock = -1
        self._thread = threading.Thread(target=self._run, name="sampling", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish()
        if self.delivery is not None and self._journal is not None:
            self.delivery.close()
            folders.remove_if_done(self._journal.folder)
            os.close(self._lock)

    def finish(self) -> None:
        """The owner is gone: what is sampled from now on would be another program's."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._look()
                self._sample()
                self._stop.wait(self._pause())
        except Exception:
            _log.exception("system metrics are not sampled any more")
        if self._journal is not None:
            self._journal.close()

    def _look(self) -> None:
        asked = read_requests(self._folder)
        if asked == self._asked:
            return
        self._asked = asked
        if self._machine is None:
            from runstone._sender.machine import Machine

            self._machine = Machine()
            # The share of a time needs a time.
            self._stop.wait(self._pause())
        self._runs = {
            run_id: self._runs.get(run_id) or RunSamples(request)
            for run_id, request in asked.items()
        }

    def _pause(self) -> float:
        return min((LOOK_SECONDS, *(each.interval for each in self._asked.values())))

    def _sample(self) -> None:
        due = [(run_id, each) for run_id, each in self._runs.items() if each.due()]
        if not due or self._machine is None:
            return
        sample = self._machine.sample()
        now = int(time.time() * 1000)
        for run_id, samples in due:
            if (ready := samples.add(sample)) is not None:
                step, metrics = ready
                rank = None if samples.request.rank < 0 else samples.request.rank
                self._opened().log(run_id, rank, metrics, step, now)

    def _opened(self) -> Journal:
        """The sender's own journal, of which it is owner and sender."""
        if self._journal is None:
            from runstone._journal.writer import Journal
            from runstone._sender.delivery import Delivery

            meta = folders.Meta.read(self._folder)
            # Waiting for room would go on without an end when nothing can be delivered.
            journal = Journal(self._folder.parent, meta.tracking_uri, meta.user, drops=True)
            # Whoever looks for journals without an owner holds no lock of one that has an owner.
            lock = folders.take(journal.folder / folders.SENDER_LOCK)
            assert lock is not None
            self._lock = lock
            self.delivery = Delivery(journal.folder)
            self._journal = journal
        return self._journal

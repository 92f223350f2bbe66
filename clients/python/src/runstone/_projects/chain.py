"""The steps of an entry point at work: each is a run of its own below that of the chain."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from runstone._projects import steps
from runstone._projects.mlproject import Step
from runstone._projects.submitted import ProjectRun
from runstone.exceptions import RunstoneException

log = logging.getLogger("runstone")


class Chain:
    """Steps that are run one after another, by whoever waits first.

    Args:
        values: The chain's own parameters.
        begin: Begins the run of an entry point with parameters.
    """

    def __init__(
        self,
        run_id: str,
        chain: Sequence[Step],
        values: Mapping[str, str],
        begin: Callable[[str, Mapping[str, str]], ProjectRun],
    ) -> None:
        self._run_id = run_id
        self._steps = chain
        self._values = values
        self._begin = begin
        self._now: ProjectRun | None = None
        self._cancelled = threading.Event()
        self._working = threading.Lock()
        self._succeeded: bool | None = None
        self._failure = ""

    @property
    def run_id(self) -> str:
        """The run of the chain."""
        return self._run_id

    @property
    def failure(self) -> str:
        """Which step failed, and how."""
        return self._failure

    def get_status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED."""
        if self._cancelled.is_set():
            return "KILLED"
        if self._succeeded is None:
            return "RUNNING"
        return "FINISHED" if self._succeeded else "FAILED"

    def wait(self) -> bool:
        """Run the steps, or wait for who does; whether all of them succeeded."""
        with self._working:
            if self._succeeded is None:
                self._succeeded = self._run()
            return self._succeeded

    def cancel(self) -> None:
        """End the step at work; no further one begins."""
        self._cancelled.set()
        now = self._now
        if now is not None:
            now.cancel()

    def _run(self) -> bool:
        runs: dict[str, str] = {}
        for step in self._steps:
            if self._cancelled.is_set():
                return False
            try:
                begun = self._begin(step.entry_point, steps.filled(step, self._values, runs))
            except RunstoneException as error:
                self._failure = f"step {step.name!r} could not be started: {error}"
                return False
            self._now = begun
            if self._cancelled.is_set():
                begun.cancel()
            log.info("step %s: run %s", step.name, begun.run_id)
            if not begun.wait():
                self._failure = f"step {step.name!r} failed: {begun.failure} (run {begun.run_id})"
                return False
            runs[step.name] = begun.run_id
        return True

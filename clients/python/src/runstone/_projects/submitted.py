"""A run of a project in the hands of who began it: its end is told to the server, once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from runstone._entities.tracking import RunStatus
from runstone._projects.backends import SubmittedRun
from runstone.exceptions import ExecutionException

if TYPE_CHECKING:
    from runstone._client import Client

log = logging.getLogger("runstone")


class ProjectRun:
    """A run of a project, as MLflow's ``SubmittedRun``.

    Attributes:
        entry_point: What runs.
    """

    def __init__(self, client: Client, inner: SubmittedRun, entry_point: str) -> None:
        self.entry_point = entry_point
        self._client = client
        self._inner = inner
        self._cleanings: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._cancelled = False
        self._succeeded: bool | None = None
        self._told = False

    @property
    def run_id(self) -> str:
        """The run that records it."""
        return self._inner.run_id

    @property
    def failure(self) -> str:
        """Why it failed, such as "exit code 3"; empty while it has not."""
        return self._inner.failure

    def at_end(self, clean: Callable[[], None]) -> None:
        """Have this called when the run is over."""
        self._cleanings.append(clean)

    def get_status(self) -> str:
        """RUNNING, SCHEDULED, FINISHED, FAILED or KILLED, without waiting."""
        return self._inner.get_status()

    def wait(self) -> bool:
        """Wait for the end, and tell the server of it; whether it succeeded.

        Ctrl-C, and whatever else interrupts it, ends the run: KILLED.
        """
        try:
            return self.settle()
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """End the run with all that it started: KILLED. Nothing happens to one that is over."""
        if self._told:
            return
        if self._succeeded is not None:
            # It is over, and who told the server so was interrupted.
            self._conclude(self._succeeded)
            return
        self._cancelled = True
        try:
            self._inner.cancel()
        finally:
            self._conclude(False)

    def leave(self) -> None:
        """Do what is to be done at the end, such as removing what was fetched; once."""
        while self._cleanings:
            self._cleanings.pop()()

    def settle(self) -> bool:
        """Wait for the end and tell the server of it, whoever else waits."""
        return self._conclude(self._inner.wait())

    def check(self) -> None:
        """Raise what a run that failed is told by.

        Raises:
            ExecutionException
        """
        if self._succeeded:
            return
        said = "was cancelled" if self._cancelled else f"failed: {self.failure or 'see its output'}"
        raise ExecutionException(
            f"run {self.run_id} of entry point {self.entry_point!r} {said}",
            metadata={"run_id": self.run_id, "failure": self.failure},
        )

    def _conclude(self, succeeded: bool) -> bool:
        with self._lock:
            if self._succeeded is None:
                self._succeeded = succeeded and not self._cancelled
            if not self._told:
                try:
                    self._tell()
                except Exception as error:
                    log.warning("run %s could not be ended on the server: %s", self.run_id, error)
                finally:
                    self.leave()
                self._told = True
            return self._succeeded

    def _tell(self) -> None:
        """Set the run's status, where the command has not ended the run in the same way itself."""
        now = self._client.get_run(self.run_id).info.status
        if self._succeeded:
            if not RunStatus.is_terminated(now):
                self._client.set_terminated(self.run_id, "FINISHED")
        elif self._cancelled:
            if now != "KILLED":
                self._client.set_terminated(self.run_id, "KILLED")
        elif now not in {"FAILED", "KILLED"}:
            self._client.set_terminated(self.run_id, "FAILED")

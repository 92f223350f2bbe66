"""Runs checks side by side, each with its deadline, and lets no failure of one hide another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from importlib import import_module

from runstone._doctor import masking
from runstone._doctor.model import FAILURE, Asked, Check, Found, Line, Report
from runstone.exceptions import InvalidUri

ROOM = "runstone._doctor"

REPORT_IT = "please report this as a defect of Runstone"


class _Job:
    """A check in a thread of its own, which nobody waits for at the end of the process."""

    def __init__(self, check: Check, asked: Asked) -> None:
        self.check = check
        self._asked = asked
        self._lines: list[Line] = []
        self._thread = threading.Thread(target=self._run, name=check.name, daemon=True)
        self._thread.start()

    def lines(self, until: float) -> list[Line]:
        """What it found by then."""
        self._thread.join(max(until - time.monotonic(), 0.0))
        # The thread may add to its own list later.
        found = list(self._lines)
        if self._thread.is_alive():
            found.append(self._hung())
        return found

    def _hung(self) -> Line:
        return Line(
            self.check.name,
            FAILURE,
            f"no answer within {self._asked.seconds:g} s",
            self.check.hangs or "something stands still here: look at it alone, or --timeout 60",
            {"timeout_seconds": self._asked.seconds},
        )

    def _run(self) -> None:
        module, _, function = self.check.function.partition(":")
        try:
            look = getattr(import_module(f"{ROOM}.{module}"), function)
            for line in look(self._asked, self.check.name):
                self._lines.append(line)
        except InvalidUri:
            pass  # what the line of the URI says, once
        except BaseException as error:
            self._lines.append(self._failed(error))

    def _failed(self, error: BaseException) -> Line:
        kind = type(error).__name__
        said = " ".join(str(error).split())
        fix = REPORT_IT
        if isinstance(error, OSError):
            fix = "correct that path, or its permissions"
        if isinstance(error, ImportError):
            fix = "a library cannot be loaded: pip install --force-reinstall runstone"
            if error.name and not error.name.startswith("runstone"):
                fix += f" {error.name.partition('.')[0]}"
        return Line(
            self.check.name,
            FAILURE,
            f"this could not be looked at: {kind}: {said}",
            fix,
            {"kind": kind, "message": said},
        )


def examine(asked: Asked, checks: Sequence[Check]) -> Report:
    """Run all of them; returns after ``asked.seconds`` at the latest, whatever hangs."""
    began = time.monotonic()
    secrets = masking.secrets_of(asked.environment)
    jobs = [_Job(check, asked) for check in checks]
    until = began + asked.seconds
    found = [
        Found(job.check.group, masking.masked_line(line, secrets))
        for job in jobs
        for line in job.lines(until)
    ]
    return Report(found, time.monotonic() - began)

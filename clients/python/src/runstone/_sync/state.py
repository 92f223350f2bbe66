"""What is known of the server, in the folder's ``delivered.journal``: frames as of a journal.

Each is on the disk before anything is done that relies on it. A last one that a kill tore stands
for something that was not done, or is done again without harm.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runstone._journal import folder as folders
from runstone._journal import progress
from runstone._offline import layout, records
from runstone._offline.records import Appender
from runstone.exceptions import RunstoneException

TARGET = 32
"""tracking_uri"""
MADE = 33
"""run_id, server_run_id"""
DONE = 34
"""part, end: the records of a part up to there are applied or refused"""


class State:
    """Of one folder, while it is the only sync there.

    Raises:
        RunstoneException: another one is at work.
    """

    def __init__(self, folder: Path) -> None:
        lock = folders.take(folder / layout.SYNC_LOCK)
        if lock is None:
            raise RunstoneException(f"another sync of {folder} is at work; wait for its end")
        self._lock = lock
        self._folder = folder
        self._path = folder / layout.DELIVERED
        self._appender: Appender | None = None
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        self.target = ""
        self.runs: dict[str, str] = {}
        """Run id of the folder to that of the server."""
        self._done: dict[str, int] = {}
        # What a kill tore is followed by others, so it is passed over like damage.
        for each in records.read(self._path, final=True).records:
            about = each.about
            if each.kind == TARGET:
                self.target = about["tracking_uri"]
            elif each.kind == MADE:
                self.runs[about["run_id"]] = about["server_run_id"]
            elif each.kind == DONE:
                self._done[about["part"]] = about["end"]
        self._appender = Appender(self._path)
        folders.sync_folder(self._folder)

    def aim(self, tracking_uri: str) -> None:
        """From now on the folder is delivered there."""
        self._append(TARGET, {"tracking_uri": tracking_uri})
        self.target = tracking_uri

    def made(self, run_id: str, server_run_id: str) -> None:
        """The server has the run."""
        self._append(MADE, {"run_id": run_id, "server_run_id": server_run_id})
        self.runs[run_id] = server_run_id

    def done(self, part: str) -> int:
        """Up to where the records of a part are applied."""
        return self._done.get(part, 0)

    def advance(self, part: str, end: int) -> None:
        """They are applied up to there."""
        self._append(DONE, {"part": part, "end": end})
        self._done[part] = end

    def again(self) -> None:
        """Forget what was delivered: all of it is to be delivered anew.

        This file last: as long as it stands, another server is refused, which would not be given
        the points that are still said to be delivered.
        """
        for part in layout.parts(self._folder):
            (part / "plan").unlink(missing_ok=True)
            (part / progress.PROGRESS).unlink(missing_ok=True)
            folders.sync_folder(part)
        if self._appender is not None:
            self._appender.close()
        self._path.unlink(missing_ok=True)
        folders.sync_folder(self._folder)
        for part in layout.parts(self._folder):
            shutil.rmtree(part / folders.REJECTED, ignore_errors=True)
        self._load()

    def _append(self, kind: int, about: dict[str, object]) -> None:
        assert self._appender is not None
        self._appender.append(kind, about)

    def close(self) -> None:
        """Let another sync begin."""
        if self._appender is not None:
            self._appender.close()
        os.close(self._lock)

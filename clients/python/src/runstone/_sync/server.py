"""The client of a sync: one call more than others have."""

from __future__ import annotations

from collections.abc import Sequence

from runstone._client import Client
from runstone._convert import artifacts as convert
from runstone._transfer.local import LocalFile
from runstone._transfer.progress import Progress
from runstone._transfer.tree import send


class SyncClient(Client):
    """Of the server that a folder is delivered to."""

    def send_files(self, run_id: str, files: Sequence[LocalFile], shown: Progress) -> None:
        """Send files to a run, each to its path; see ``Client.upload``."""
        send(self._artifact, convert.owner(run_id, None), files, shown)

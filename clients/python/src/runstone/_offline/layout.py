"""The folder of offline mode, shared by the processes that log to it.

offline.json                 says what the folder is
<utc>-<pid>-<8 hex>/         a part for each process: a journal's folder (`_journal.folder`), with
    NNNNNNNN.journal         the points of metrics
    records.journal          what is no point
    files/                   copies of artifacts
delivered.journal            what `runstone sync` knows of the server
sync.lock                    held by the one that runs
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from runstone import _settings
from runstone._journal import folder as folders
from runstone.exceptions import InvalidArgument

VERSION = 1
"""In offline.json. A later release's folder is refused."""

MARK = "offline.json"
RECORDS = "records.journal"
FILES = "files"
DELIVERED = "delivered.journal"
SYNC_LOCK = "sync.lock"

ORIGIN = "offline"
"""In the place of a tracking URI: whose journals these are is said at their delivery."""

NAMED = "offline:"
"""Begins the id of an experiment that only its name says; no server's id has a colon."""

SHOWN = 3


def prepare(folder: Path) -> None:
    """Make the folder when it is missing.

    Raises:
        InvalidArgument: something else is there already.
        OSError: it cannot be made.
    """
    if is_offline(folder):
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    # Another process may be just as far.
    if found and MARK not in found and not is_offline(folder):
        raise InvalidArgument(
            f"{folder} is no folder of offline mode and holds {', '.join(found[:SHOWN])}: name"
            f" another by {_settings.OFFLINE_DIR}"
        )
    new = folder / f".{MARK}-{os.getpid()}-{os.urandom(4).hex()}"
    new.write_text(json.dumps({"version": VERSION}), "utf-8")
    new.replace(folder / MARK)


def is_offline(folder: Path) -> bool:
    """Whether this is such a folder.

    Raises:
        InvalidArgument: a later release of Runstone made it.
    """
    try:
        said = json.loads((folder / MARK).read_text("utf-8"))
        later = int(said["version"]) > VERSION
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        # The mark alone is damaged; what counts has checksums of its own.
        return True
    if later:
        raise InvalidArgument(f"{folder} was made by a later release of Runstone")
    return True


def parts(folder: Path) -> list[Path]:
    """The parts of all processes, oldest first."""
    return folders.journals(folder)

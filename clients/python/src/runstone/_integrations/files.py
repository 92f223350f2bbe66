"""Files that wait for a server, kept where the training that made them may remove its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

PREFIX = ".runstone-waiting-"


class Kept:
    """A file or folder that is to be sent: as it is, or from when it is kept, links to it.

    Args:
        path: What the training wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder: Path | None = None

    def keep(self) -> None:
        """Make links beside it, which cost no room; copies where the disk knows none.

        A folder gets links of its files, for it is their names that are removed.
        """
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self.path.resolve().parent))
        target = folder / self.path.name
        try:
            if self.path.is_dir():
                shutil.copytree(self.path, target, copy_function=_linked)
            else:
                _linked(str(self.path), str(target))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._folder, self.path = folder, target

    @property
    def kept_in(self) -> Path | None:
        """The folder of the links; None without any."""
        return self._folder

    def discard(self) -> None:
        """Remove the links."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target

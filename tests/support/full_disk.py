"""A disk that is soon full: a small tmpfs for root, else a limit on the size of files."""

import os
import resource
import subprocess
from pathlib import Path


class FullDisk:
    """A folder that holds so many bytes and no more. Without root: no file holds more."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        folder.mkdir()
        self._before: tuple[int, int] | None = None
        self._mounted = os.geteuid() == 0 and self._mount(size)
        if not self._mounted:
            # Writing past the limit fails as a full disk does (EFBIG); Python ignores SIGXFSZ.
            self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._before[1]))

    def _mount(self, size: int) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def close(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
        if self._before is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, self._before)

"""A disk that is soon full: a small tmpfs for root, else a limit on the size of files."""

import contextlib
import os
import resource
import subprocess
from pathlib import Path

import psutil

SMALL_BYTES = 4096
"""A page: what is written past it finds no room."""


class FullDisk:
    """A folder that holds so many bytes and no more. Without root: no file holds more."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        folder.mkdir()
        self._before: tuple[int, int] | None = None
        self._mounted = os.geteuid() == 0 and _mount(folder, size)
        if not self._mounted:
            # Writing past the limit fails as a full disk does (EFBIG); Python ignores SIGXFSZ.
            self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._before[1]))

    def close(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
        if self._before is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


class FillingDisk:
    """A folder whose disk a test fills to the last byte, and gives room again, as often as it
    likes. Without root it is only a process that finds no room: the one that `fill` is told.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        folder.mkdir()
        self._mounted = os.geteuid() == 0 and _mount(folder, size)
        self._ballast = folder / ".ballast"
        self._limits: dict[int, tuple[int, int]] = {}

    def fill(self, writer: int) -> None:
        """No room from now on."""
        if not self._mounted:
            self._limits[writer] = resource.prlimit(writer, resource.RLIMIT_FSIZE)
            resource.prlimit(writer, resource.RLIMIT_FSIZE, (SMALL_BYTES, self._limits[writer][1]))
            return
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(SMALL_BYTES)):
                pass

    def make_room(self) -> None:
        """Room again."""
        for writer, limits in self._limits.items():
            # It may have been killed meanwhile; what it has started has its limit.
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                started = psutil.Process(writer).children(recursive=True)
                for pid in (writer, *(each.pid for each in started)):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        self._limits.clear()
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Nobody writes there any more."""
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


def _mount(folder: Path, size: int) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0

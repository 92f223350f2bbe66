"""A wall clock that a test sets back under processes that run.

A process that starts with `folder` in front of its import path asks this clock, and so do those
that it starts: Python imports the `sitecustomize` there before anything else. gRPC goes on asking
the machine's: the part of it that is not Python sees no other, and both tell each other deadlines.
"""

import mmap
import struct
import time
import types
from pathlib import Path

_OFFSET = struct.Struct("<d")


class Clock:
    """As fast as the machine's, and as far from it as the test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._offset = 0.0
        self._path = folder / "offset"
        folder.mkdir()
        self._path.write_bytes(_OFFSET.pack(0.0))
        (folder / "sitecustomize.py").write_text(
            f"from support import clock\n\nclock.install({str(self._path)!r})\n", "utf-8"
        )

    def set_back(self, seconds: float) -> None:
        """Every process sees it with its next look."""
        self._offset -= seconds
        # In place: they have the page in their memory.
        with self._path.open("r+b") as file:
            file.write(_OFFSET.pack(self._offset))


def install(path: str) -> None:
    """Have this process ask the clock in a file."""
    with Path(path).open("rb") as file:
        page = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)
    from grpc import _channel, _common, _server

    real, real_ns = time.time, time.time_ns
    machine = types.ModuleType("time")
    machine.__dict__.update(time.__dict__)
    for module in (_channel, _common, _server):
        vars(module)["time"] = machine

    def now() -> float:
        return real() + float(_OFFSET.unpack_from(page)[0])

    def now_ns() -> int:
        return real_ns() + int(_OFFSET.unpack_from(page)[0] * 1e9)

    time.time, time.time_ns = now, now_ns

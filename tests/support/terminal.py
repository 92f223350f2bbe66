"""A terminal of a given width, to see what a command shows to people."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

STYLE = re.compile(r"\x1b\[[0-9;]*m")


def shown_on_terminal(
    command: Sequence[str], columns: int, environment: Mapping[str, str], typed: str = ""
) -> tuple[int, list[str]]:
    """The exit code and, without styles, the lines that a command writes on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    # A width in the environment would beat the terminal's own.
    kept = {name: value for name, value in environment.items() if name != "COLUMNS"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=kept, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    written = b""
    try:
        while part := _read(ours):
            written += part
    finally:
        os.close(ours)
        code = process.wait()
    text = STYLE.sub("", written.decode().replace("\r\n", "\n"))
    return code, text.splitlines()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        # Linux says so when the last writer has closed; macOS gives an empty read.
        return b""

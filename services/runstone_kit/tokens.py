"""Who may call: a file with the digests of bearer tokens.

Each line is a name and the SHA-256 of that user's token, as `runstone auth create-token` prints it;
`#` begins a comment. Two lines of one name are two tokens of one user, so that an old one can go
after a new one is in use. A token has 256 random bits, so a plain digest of it tells nothing. The
file is read again when it changes: nobody restarts a server to let somebody in, or out.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

LOOK_S = 1.0
"""How old an answer may be: a token that was taken out is refused this soon."""

MAX_NAME = 256
"""As long as an actor may be; it is kept in audit rows."""

_LINE = re.compile(r"(?P<name>\S+)\s+sha256:(?P<digest>[0-9a-f]{64})", re.ASCII)
_log = structlog.get_logger("runstone_kit.tokens")


class TokensError(ValueError):
    """The file cannot be used; the message names the line, never a token."""


class TokenFile:
    """The tokens in a file. Raises TokensError when it cannot be read at first.

    A file that is wrong later is told once in the log, and what was read before holds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = _state(path)
        self._users = read(path)
        self._look_at = clock() + LOOK_S

    def user_of(self, token: str) -> str | None:
        """The user whose token it is; None for a token that nobody has."""
        if self._clock() >= self._look_at:
            self._look()
        return self._users.get(digest(token))

    def _look(self) -> None:
        with self._lock:
            if self._clock() < self._look_at:
                return
            try:
                state = self._found()
                if state is not None and state != self._seen:
                    # Noted first: what is wrong is told once, not every second.
                    self._seen = state
                    self._users = read(self._path)
                    _log.info("tokens read", users=len(set(self._users.values())))
            except TokensError as error:
                _log.error("tokens not read; those read before hold", reason=str(error))
            finally:
                self._look_at = self._clock() + LOOK_S

    def _found(self) -> tuple[int, int, int] | None:
        """None for a file that is gone, which is told once."""
        try:
            return _state(self._path)
        except TokensError:
            # Also, so that it is read anew when it is there again.
            told, self._seen = self._seen is None, None
            if told:
                return None
            raise


def read(path: Path) -> dict[str, str]:
    """User by digest. Raises TokensError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TokensError(f"{path}: {_reason(error)}") from None
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        found = _LINE.fullmatch(said)
        if found is None or len(found["name"]) > MAX_NAME:
            raise TokensError(
                f"{path}, line {number}: must be a name and sha256:<64 hexadecimal digits>, as"
                " `runstone auth create-token` prints it"
            )
        if users.setdefault(found["digest"], found["name"]) != found["name"]:
            raise TokensError(f"{path}, line {number}: another user has the same token")
    return users


def digest(token: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise TokensError(f"{path}: {_reason(error)}") from None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "is not UTF-8 text"

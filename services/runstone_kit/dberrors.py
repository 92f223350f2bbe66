"""Driver errors as kinds: what a service answers when its database is away, full or contended."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from runstone_kit.context import current
from runstone_kit.errors import DeadlineExceeded, ResourceExhausted, RunstoneError, Unavailable

DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
STORAGE_FULL = "STORAGE_FULL"
OVERLOADED = "OVERLOADED"

MAX_CAUSE = 300
"""Characters of a driver's message that a log line takes."""

_LOST_RACES = {"40001", "40P01"}
_FULL = {"53100", "53200"}
"""PostgreSQL: disk full, out of memory."""
_AWAY = {"53300", "57014", "25006"}
"""PostgreSQL: too many connections, a statement that was stopped, a standby that cannot write."""
_AWAY_CLASSES = {"08", "57"}
"""PostgreSQL: connection exceptions, operator intervention (shutdown, starting up)."""

_LOCKED = "55P03"
"""PostgreSQL: a lock was not had in time."""
_STOPPED = "57014"
"""PostgreSQL: a statement was stopped, by its time limit or by an administrator."""

_SQLITE_FULL = {sqlite3.SQLITE_FULL}
_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


class LostRace(ResourceExhausted):
    """A deadlock or a serialization failure: too many writers met on the same rows."""

    reason = OVERLOADED

    def __init__(self) -> None:
        super().__init__("too many writers on the same rows; try again", retry_after=0.2)


def translate(error: DBAPIError) -> RunstoneError | None:
    """The kind for a driver error, or None when it is a defect of ours (bad SQL, bad data)."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return _translate_sqlite(original)
    state = getattr(original, "sqlstate", None) or ""
    if state in _LOST_RACES:
        return LostRace()
    if state in _FULL:
        return _full()
    if state == _LOCKED:
        return Unavailable(
            "another call holds what this one needs; try again", reason=OVERLOADED, retry_after=0.5
        )
    if state == _STOPPED and _deadline_passed():
        return _too_late()
    if error.connection_invalidated or state in _AWAY or state[:2] in _AWAY_CLASSES:
        return _away()
    if not state and type(original).__name__ == "OperationalError":
        # libpq's own failures (refused, unknown host, reset) carry no SQLSTATE.
        return _away()
    return None


def short_cause(error: DBAPIError) -> str:
    """The first line of what the driver said, without the advice that follows."""
    lines = str(error.orig).strip().splitlines()
    return lines[0][:MAX_CAUSE] if lines else type(error.orig).__name__


def is_lost_race(error: BaseException) -> bool:
    """Whether ``error`` came from ``translate`` for a deadlock or a serialization failure."""
    return isinstance(error, LostRace)


def is_disconnect(error: BaseException) -> bool:
    """Whether ``error`` came from ``translate`` for a connection that was lost in use."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and cause.connection_invalidated


def _translate_sqlite(error: sqlite3.Error) -> RunstoneError | None:
    # The low byte is the primary code; the rest tells which kind of I/O failed.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT and _deadline_passed():
        return _too_late()
    if code in _SQLITE_FULL:
        return _full()
    if code in _SQLITE_AWAY:
        return _away()
    return None


def _deadline_passed() -> bool:
    remaining = current().remaining()
    return remaining is not None and remaining <= 0


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline passed before the database had answered")


def _full() -> ResourceExhausted:
    return ResourceExhausted(
        "the database has no room left; nothing was written", reason=STORAGE_FULL, retry_after=30.0
    )


def _away() -> Unavailable:
    return Unavailable(
        "the database cannot be reached right now", reason=DATABASE_UNAVAILABLE, retry_after=1.0
    )

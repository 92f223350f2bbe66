"""What the process knows of the delivery of its metrics."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runstone._entities.delivery import Delivery
from runstone._journal.progress import START

if TYPE_CHECKING:
    from runstone._journal.outlet import Outlet
    from runstone._journal.writer import Journal

_OFFLINE = "runstone._offline.store"
"""Imported by the client of offline mode."""

_LOOK_BYTES = 2**18
"""Of what waits in the journal. Declarations stand before the oldest point, at most a key set."""


def delivery() -> Delivery:
    """How far the delivery of this process's metrics is, to all servers that it logged to.

    Cheap: it looks at files of this machine and asks no server. In offline mode all that was logged
    waits, for ``runstone sync``.

    Example:
        >>> import runstone
        >>> with runstone.start_run():
        ...     runstone.log_metric("loss", 0.5)
        >>> runstone.delivery().points_rejected
        0
    """
    from runstone._journal import outlet

    told = [_of(each) for each in outlet.outlets()]
    if _OFFLINE in sys.modules:
        from runstone._offline import store

        told += [_kept(each.journal) for each in store.stores()]
    return Delivery(
        points_logged=sum(each.points_logged for each in told),
        points_delivered=sum(each.points_delivered for each in told),
        points_rejected=sum(each.points_rejected for each in told),
        points_dropped=sum(each.points_dropped for each in told),
        backlog_bytes=sum(each.backlog_bytes for each in told),
        lag_seconds=max((each.lag_seconds for each in told), default=0.0),
        last_error="; ".join(dict.fromkeys(each.last_error for each in told if each.last_error)),
        sender_alive=any(each.sender_alive for each in told),
    )


def _kept(journal: Journal) -> Delivery:
    waits = lag(journal.folder, *START)
    why = f"kept in {journal.folder.parent} until `runstone sync`"
    return Delivery(
        journal.points, 0, 0, journal.dropped.points, journal.size, waits, why, sender_alive=False
    )


def _of(outlet: Outlet) -> Delivery:
    journal, progress, sender = outlet.journal, outlet.progress, outlet.sender
    backlog = outlet.backlog
    return Delivery(
        journal.points,
        progress.points_delivered,
        progress.points_rejected,
        journal.dropped.points,
        backlog,
        lag(journal.folder, *progress.delivered) if backlog else 0.0,
        progress.error,
        sender is not None and sender.alive,
    )


def lag(folder: Path, file: int, offset: int) -> float:
    """Seconds since the first point behind a place of a journal; 0 when there is none."""
    from runstone._journal import format as frames

    for number in frames.file_numbers(folder):
        if number < file:
            continue
        try:
            with frames.file_path(folder, number).open("rb") as opened:
                opened.seek(offset if number == file else 0)
                data = opened.read(_LOOK_BYTES)
        except FileNotFoundError:
            continue  # delivered meanwhile
        place = frames.next_frame(data, 0)
        while place is not None and (end := frames.frame_end(data, place)) is not None:
            if data[place + frames.KIND_OFFSET] == frames.POINTS:
                _, _, _, timestamp_ms = frames.POINTS_HEAD.unpack_from(
                    data, place + frames.HEADER.size
                )
                return float(max(time.time() - timestamp_ms / 1000, 0.0))
            place = end
    return 0.0

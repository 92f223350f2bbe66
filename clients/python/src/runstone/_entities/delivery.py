"""How far the delivery of what a process logged is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the points that this process logged, to all its servers.

    Args:
        points_logged: Points that ``log_metric`` and ``log_metrics`` took.
        points_delivered: Points that a server has stored.
        points_rejected: Points that a server refused for good, as those of a deleted run; they are
            kept beside the journal, with the reason.
        points_dropped: Points that found no room, with RUNSTONE_JOURNAL_POLICY=drop.
        backlog_bytes: Bytes of the journal that wait for delivery.
        lag_seconds: How long ago the oldest point of them was logged; 0 when none waits.
        last_error: Why nothing is delivered at the moment, or what was refused last; empty when all
            is well.
        sender_alive: Whether a process delivers. There is none before it is needed.
    """

    points_logged: int = 0
    points_delivered: int = 0
    points_rejected: int = 0
    points_dropped: int = 0
    backlog_bytes: int = 0
    lag_seconds: float = 0.0
    last_error: str = ""
    sender_alive: bool = False

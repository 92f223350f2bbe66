"""Clears away files that no version holds: what a broken create or a deletion left behind."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog

from runstone_kit.clock import Clock
from runstone_kit.context import RequestContext, use
from runstone_kit.errors import RunstoneError
from runstone_kit.ids import IdMaker
from runstone_registry.store import ArtifactPeer, RegistryStore

LEASE_MS = 15 * 60_000
"""The usual lease of a reservation: three times the deadline of a create."""

RETRY_MS = 10_000
"""Before a deletion that failed is tried again; doubled each time."""

MAX_RETRY_MS = 10 * 60_000
"""A peer that was away for hours is found again within this."""

ROUND = 100
"""Owners a round deletes at most: a round ends soon enough to be stopped."""

INLINE = 20
"""Owners whose files a deleting call removes itself; the caller waits for it."""

REQUESTS_KEPT_MS = 24 * 3600_000
"""How long a create's request_id is known, as the contract says."""

FORGET_EVERY_MS = 3600_000
"""Between two deletions of old request ids: they are small, and the hour does not matter."""

_log = structlog.get_logger("runstone_registry.sweep")


class Sweeper:
    """Deletes the files of pending owners. Safe in many threads and processes at once.

    An owner is claimed before its files are deleted. A create whose reservation was claimed fails
    when it comes to store its version, so files of a stored version are never deleted.
    """

    def __init__(self, store: RegistryStore, artifacts: ArtifactPeer, clock: Clock) -> None:
        self._store = store
        self._artifacts = artifacts
        self._clock = clock
        self._wake = threading.Event()
        self._forget_at = 0

    def sweep(self) -> int:
        """One round over what is due; returns how many owners are gone.

        Stops at the first that can't be deleted. Raises nothing that a service answers with.
        """
        try:
            self._forget_requests()
            now = self._clock.now_ms()
            due = self._store.read(lambda tx: tx.due_owners(now, ROUND))
        except RunstoneError as error:
            _log.warning("sweep put off", reason=error.reason)
            return 0
        count = 0
        for owner in due:
            if not self._delete(owner.model_version_id, owner.attempts):
                break
            count += 1
        return count

    def delete_now(self, owners: Sequence[str]) -> None:
        """Delete the files of the first few of ``owners``, which are due; the rest comes later."""
        for owner in owners[:INLINE]:
            if not self._delete(owner, 0):
                break
        if len(owners) > INLINE:
            self.nudge()

    def nudge(self) -> None:
        """Let ``run`` begin a round now."""
        self._wake.set()

    def run(self, stop: threading.Event, interval_s: float, ids: IdMaker) -> None:
        """Sweep at once, whenever nudged and every ``interval_s`` until ``stop``, then nudge it."""
        while not stop.is_set():
            self._wake.clear()
            with use(RequestContext(request_id=ids.hex_id(), actor="runstone-registry")):
                try:
                    while self.sweep() == ROUND and not stop.is_set():
                        pass
                except Exception:
                    # The next round must come whatever this one met.
                    _log.exception("sweep failed")
            self._wake.wait(interval_s)

    def _delete(self, owner: str, attempts: int) -> bool:
        """False when it can't be deleted now; true also when another has it in hand."""
        now = self._clock.now_ms()
        retry = now + min(RETRY_MS * 2 ** min(attempts, 10), MAX_RETRY_MS)
        try:
            if not self._store.write(lambda tx: tx.claim_owner(owner, now, retry)):
                return True
            self._artifacts.delete(owner)
            self._store.write(lambda tx: tx.drop_owner(owner))
        except RunstoneError as error:
            _log.warning("files not deleted yet", model_version_id=owner, reason=error.reason)
            return False
        return True

    def _forget_requests(self) -> None:
        now = self._clock.now_ms()
        if now < self._forget_at:
            return
        self._forget_at = now + FORGET_EVERY_MS
        self._store.write(lambda tx: tx.forget_requests(now - REQUESTS_KEPT_MS))

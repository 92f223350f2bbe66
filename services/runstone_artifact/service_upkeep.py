"""Use cases of upkeep: collect garbage, scrub."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from runstone_artifact.errors import StoreOfAnother
from runstone_artifact.model import (
    OTHER_BYTES,
    Blob,
    Collected,
    Damage,
    Scrubbed,
    StoredObject,
    Totals,
)
from runstone_artifact.model_digests import Digests
from runstone_artifact.store import ArtifactStore, ObjectStore
from runstone_kit.clock import Clock
from runstone_kit.paging import decode_token, encode_token, query_hash

AT_ONCE = 500
"""Rows of one transaction, so that no lock is held for long."""

BUDGET_S = 20.0
"""A call that has worked for this long says that there is more, instead of going on for hours."""

DEFAULT_MIN_AGE_S = 86_400
DEFAULT_SCRUB_BYTES = 2**30
MAX_REFERRERS = 10

_SCRUB = query_hash("ScrubArtifacts")


class UpkeepService:
    """Garbage collection and scrubbing; both may run beside everything else, and twice at once."""

    def __init__(self, rows: ArtifactStore, objects: ObjectStore, clock: Clock) -> None:
        self._rows = rows
        self._objects = objects
        self._clock = clock

    def collect_garbage(self, *, dry_run: bool, min_age_s: int) -> Collected:
        """Remove objects and uploads that are left behind, or only count them.

        Raises StoreOfAnother when the store is another installation's: to us, all of its objects
        would be strays.
        """
        own = self._rows.installation_id()
        if (owner := self._objects.claim(own)) != own:
            raise StoreOfAnother(owner)
        now = self._clock.now_ms()
        before = now - (min_age_s or DEFAULT_MIN_AGE_S) * 1000
        if dry_run:
            totals = self._rows.count_garbage(before)
            for stray in self._strays(before):
                totals = totals.plus(1, stray.size)
            uploads = self._rows.abandoned_uploads(before, now)
            uploads += sum(1 for _ in self._stray_uploads(before))
            return Collected(totals, uploads, more=False)
        return self._collect(before, now)

    def scrub_artifacts(self, *, max_bytes: int, page_token: str) -> Scrubbed:
        """Read stored bytes in the order of their digests and compare them.

        What is found is stored with the blob: nothing refers to a damaged one anew, and the same
        bytes sent again take its place. One that is whole again is cleared; a BLAKE3 that was not
        known is filled in.
        """
        limit = max_bytes or DEFAULT_SCRUB_BYTES
        key = decode_token(page_token, _SCRUB, [(str,)])
        after = str(key[0]) if key else ""
        checked, damaged = Totals(), []
        until = time.monotonic() + BUDGET_S
        while blobs := self._rows.blobs_after(after, AT_ONCE):
            changed = []
            try:
                for blob in blobs:
                    after = blob.sha256
                    size, found = self._verify(blob)
                    checked = checked.plus(1, size)
                    if found != blob:
                        changed.append(found)
                    if found.damage and self._is_there(blob):
                        referrers = self._rows.referrers(blob.sha256, MAX_REFERRERS)
                        damaged.append(Damage(blob.sha256, found.damage, tuple(referrers)))
                    if checked.size >= limit or time.monotonic() > until:
                        return Scrubbed(checked, damaged, encode_token(_SCRUB, [after]))
            finally:
                # One transaction, and also for what was seen before the store went away.
                if changed:
                    self._rows.note_findings(changed)
        return Scrubbed(checked, damaged)

    # --- Collecting ---------------------------------------------------------------------------

    def _collect(self, before: int, now: int) -> Collected:
        until = time.monotonic() + BUDGET_S
        totals, uploads = Totals(), 0
        while taken := self._rows.take_garbage(before, AT_ONCE):
            for key, _ in taken:
                self._objects.delete(key)
            self._rows.forget_objects([key for key, _ in taken])
            totals = totals.plus(len(taken), sum(size for _, size in taken))
            if time.monotonic() > until:
                return Collected(totals, uploads, more=True)
        while left := self._rows.take_abandoned_uploads(before, now, AT_ONCE):
            for upload in left:
                self._objects.discard(upload)
                self._objects.delete(upload.object_key)
            uploads += len(left)
            if time.monotonic() > until:
                return Collected(totals, uploads, more=True)
        for stray in self._strays(before):
            self._objects.delete(stray.key)
            totals = totals.plus(1, stray.size)
            if time.monotonic() > until:
                return Collected(totals, uploads, more=True)
        for key, name in self._stray_uploads(before):
            self._objects.discard_staged(key, name)
            uploads += 1
        return Collected(totals, uploads, more=False)

    def _strays(self, before: int) -> Iterator[StoredObject]:
        """Objects that no row knows. A key is in the rows before its object is, so none is new."""
        old = (each for each in self._objects.list_objects() if each.modified_ms < before)
        while some := list(islice(old, AT_ONCE)):
            known = self._rows.known_objects([each.key for each in some])
            yield from (each for each in some if each.key not in known)

    def _stray_uploads(self, before: int) -> Iterator[tuple[str, str]]:
        staged = self._objects.list_staged(before)
        while some := list(islice(staged, AT_ONCE)):
            keys = self._rows.known_objects([key for key, _ in some])
            names = self._rows.known_uploads([name for _, name in some])
            yield from ((key, name) for key, name in some if key not in keys and name not in names)

    # --- Scrubbing ----------------------------------------------------------------------------

    def _is_there(self, blob: Blob) -> bool:
        """Whether it was neither collected nor replaced while it was read."""
        now = self._rows.blobs([blob.sha256]).get(blob.sha256)
        return now is not None and now.object_key == blob.object_key

    def _verify(self, blob: Blob) -> tuple[int, Blob]:
        """Bytes read, and the blob as it was found."""
        if blob.whole and (problem := blob.misfit(self._objects.size(blob.object_key))):
            return 0, replace(blob, damage=problem)
        digests, read = Digests(), 0
        try:
            for chunk in self._objects.read(blob.object_key, blob.offset, blob.size):
                digests.update(chunk)
                read += len(chunk)
        except KeyError:
            return read, replace(blob, damage="missing")
        if read != blob.size:
            return read, replace(blob, damage=f"size {read} instead of {blob.size}")
        if digests.sha256 != blob.sha256:
            return read, replace(blob, damage=OTHER_BYTES + digests.sha256)
        return read, replace(blob, damage="", blake3=digests.blake3)

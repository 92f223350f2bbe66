"""Blobs that are known to be damaged, on each database; reads of what a disk cannot read."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from runstone_artifact.errors import BytesCollected
from runstone_artifact.model import Blob, NewFile, Upload
from runstone_artifact.objectstore_folder import FolderObjectStore
from runstone_artifact.service_limits import ActiveRuns, TransferSlots
from runstone_artifact.service_soundness import Soundness
from runstone_artifact.service_uploads import UploadService
from runstone_artifact.sqlstore import SqlArtifactStore as Rows
from runstone_artifact.store import ObjectStore
from runstone_kit.ids import SystemIds
from support.artifact import HandClock, KnownRuns, noise, run, sha256

NOW = 1_700_000_000_000
OLD, NEW, LATE = (letter * 32 for letter in "abc")
SHA = sha256(b"bytes")
FILE = NewFile("f", SHA, 5)


def commit(rows: Rows, path: str, *stored: Blob) -> None:
    if stored:
        rows.plan_objects([(blob.object_key, blob.size) for blob in stored], NOW)
    rows.commit_files(run(), [replace(FILE, path=path)], stored, NOW)


def place(rows: Rows) -> str:
    return rows.blobs([SHA])[SHA].object_key


@pytest.fixture
def damaged(rows: Rows) -> Blob:
    commit(rows, "old", Blob(SHA, 5, OLD))
    blob = Blob(SHA, 5, OLD, damage="missing")
    rows.note_findings([blob])
    return blob


def test_what_was_found_is_kept_and_cleared(rows: Rows, damaged: Blob) -> None:
    assert rows.blobs([SHA]) == {SHA: damaged}
    assert rows.blobs_after("", 9) == [damaged]
    assert rows.locate(run(), ["old"])["old"][1] == damaged
    rows.note_findings([replace(damaged, damage="")])
    assert rows.blobs([SHA])[SHA].damage == ""
    commit(rows, "again")


def test_nothing_refers_to_a_damaged_blob_anew(rows: Rows, damaged: Blob) -> None:
    with pytest.raises(BytesCollected):
        commit(rows, "new")
    assert rows.find(run(), "new") is None
    assert damaged.damage


def test_the_bytes_stored_again_take_its_place(rows: Rows, damaged: Blob) -> None:
    commit(rows, "new", Blob(SHA, 5, NEW))
    healed = rows.locate(run(), ["old", "new"])
    assert [healed[path][1] for path in ("old", "new")] == [Blob(SHA, 5, NEW)] * 2
    # A second healer comes late, and so does what was found of the object before.
    commit(rows, "late", Blob(SHA, 5, LATE))
    rows.note_findings([damaged])
    assert rows.blobs([SHA])[SHA] == Blob(SHA, 5, NEW)
    taken = rows.take_garbage(NOW + 1, 10)
    assert sorted(key for key, _ in taken) == [OLD, LATE]
    assert rows.blobs([SHA])[SHA].object_key == NEW


def test_an_upload_takes_its_place(rows: Rows, damaged: Blob) -> None:
    upload = Upload("d" * 32, run(), "new", 5, NEW, NOW)
    rows.add_upload(upload)
    rows.hold_upload(upload.upload_id, "me", NOW, NOW + 9)
    assert rows.commit_upload(upload, "me", Blob(SHA, 5, NEW), NOW).artifact is not None
    assert place(rows) == NEW
    assert rows.known_objects([NEW]) == {NEW}
    assert damaged.object_key == OLD


def test_a_shared_object_that_is_gone_is_looked_at_once(rows: Rows, objects: ObjectStore) -> None:
    shas = [sha256(data) for data in (b"one", b"four")]
    objects.put(OLD, [b"onefour"])
    blobs = [Blob(shas[0], 3, OLD, 0, whole=False), Blob(shas[1], 4, OLD, 3, whole=False)]
    rows.plan_objects([(OLD, 7)], NOW)
    rows.commit_files(run(), [NewFile("1", shas[0], 3), NewFile("4", shas[1], 4)], blobs, NOW)
    looked: list[str] = []

    class Watched:
        def size(self, key: str) -> int | None:
            looked.append(key)
            return objects.size(key)

    soundness = Soundness(rows, Watched())  # type: ignore[arg-type]
    assert soundness.sound(shas) == dict(zip(shas, blobs, strict=True))
    objects.delete(OLD)
    objects.put(OLD, [b"onefo"])
    assert list(soundness.sound(shas)) == shas[:1]
    assert rows.blobs(shas)[shas[1]].damage == "size 2 instead of 4"
    objects.delete(OLD)
    assert soundness.sound(shas) == {}
    assert looked == [OLD] * 3
    # Known to be gone: not asked for again.
    assert soundness.sound(shas) == {}
    assert looked == [OLD] * 3


def test_an_upload_under_way_heals_what_is_lost_meanwhile(rows: Rows, objects: ObjectStore) -> None:
    data = noise(1000)
    sha = sha256(data)
    clock, sound = HandClock(), Soundness(rows, objects)
    active, slots = ActiveRuns(KnownRuns()), TransferSlots(2)
    service = UploadService(rows, objects, sound, active, slots, clock, SystemIds())
    begun = service.begin_upload(run(), "f", len(data), sha, presigned=False).upload
    assert begun is not None
    objects.put(OLD, [data])
    rows.plan_objects([(OLD, len(data))], NOW)
    rows.commit_files(run(), [NewFile("old", sha, len(data))], [Blob(sha, len(data), OLD)], NOW)
    objects.delete(OLD)
    writer = objects.writer(begun)
    writer.write(data)
    writer.finish()
    rows.hold_upload(begun.upload_id, "me", clock.now_ms(), clock.now_ms() + 1)
    rows.note_progress(replace(begun, offset=len(data)), "me", clock.now_ms() + 1)
    rows.release_upload(begun.upload_id, "me")
    writer.close()
    service.commit_upload(begun.upload_id, "", [])
    blob = rows.locate(run(), ["old"])["old"][1]
    assert blob.object_key == begun.object_key
    assert b"".join(objects.read(blob.object_key, 0, blob.size)) == data


def test_bytes_that_the_disk_cannot_read_end_the_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderObjectStore(tmp_path)
    store.put(OLD, [noise(2_000_000)])
    real = os.pread

    def bad_sector(descriptor: int, size: int, offset: int) -> bytes:
        if offset:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", bad_sector)
    assert len(b"".join(store.read(OLD, 0, 2_000_000))) == 2**20


def test_a_blake3_that_was_not_known_is_filled_in_and_stays(rows: Rows) -> None:
    commit(rows, "f", Blob(SHA, 5, OLD))
    assert rows.locate(run(), ["f"])["f"][0].blake3 == ""
    rows.note_findings([Blob(SHA, 5, OLD, blake3="b3")])
    rows.note_findings([Blob(SHA, 5, OLD, damage="missing")])
    assert rows.blobs([SHA])[SHA] == Blob(SHA, 5, OLD, damage="missing", blake3="b3")
    found = rows.find(run(), "f"), *rows.list_tree(run(), "", "", 9)
    assert [each.blake3 for each in (*found, *rows.list_children(run(), "", "", 9))] == ["b3"] * 3  # type: ignore[union-attr]

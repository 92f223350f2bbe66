"""What a call may still do to an upload when its hold ran out: the service over real stores."""

import zlib

import pytest

from runstone_artifact.convert_chunks import ChunkView
from runstone_artifact.errors import UploadBusy
from runstone_artifact.model import Upload
from runstone_artifact.service_limits import ActiveRuns, TransferSlots
from runstone_artifact.service_soundness import Soundness
from runstone_artifact.service_uploads import HOLD_MS, UploadService
from runstone_artifact.sqlstore import SqlArtifactStore
from runstone_artifact.store import ObjectStore
from runstone_kit.errors import Unavailable
from runstone_kit.ids import SystemIds
from support.artifact import HandClock, KnownRuns, noise, run, sha256

SIZE = 1000


class Uploads:
    """The service beside one more replica of itself, a clock, and an upload whose bytes are in."""

    def __init__(self, rows: SqlArtifactStore, objects: ObjectStore) -> None:
        self.rows, self.objects, self.clock = rows, objects, HandClock()
        self.service, self.replica = self.made(), self.made()
        begun = self.service.begin_upload(run(), "f", SIZE, "", presigned=False)
        assert begun.upload is not None
        self.upload: Upload = begun.upload
        self.send(noise(SIZE))

    def made(self) -> UploadService:
        active, slots = ActiveRuns(KnownRuns()), TransferSlots(2)
        sound = Soundness(self.rows, self.objects)
        return UploadService(self.rows, self.objects, sound, active, slots, self.clock, SystemIds())

    def send(self, data: bytes, offset: int = 0) -> Upload:
        chunk = ChunkView(self.upload.upload_id, offset, data, zlib.crc32(data))
        return self.service.upload_chunks([chunk], lambda: None)

    def stored(self) -> bytes:
        _, blob = self.rows.locate(run(), ["f"])["f"]
        return b"".join(self.objects.read(blob.object_key, 0, SIZE))


def away(upload_id: str, holder: str) -> None:
    """What a release meets in an outage."""
    raise Unavailable("the database does not answer")


@pytest.fixture
def uploads(rows: SqlArtifactStore, objects: ObjectStore) -> Uploads:
    return Uploads(rows, objects)


def test_an_abort_that_stalled_does_not_undo_the_commit(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = uploads.rows.remove_upload

    def stalled(upload_id: str, holder: str) -> bool:
        uploads.clock.advance(HOLD_MS / 1000 + 1)
        uploads.replica.commit_upload(upload_id, "", [])
        return remove(upload_id, holder)

    monkeypatch.setattr(uploads.rows, "remove_upload", stalled)
    with pytest.raises(UploadBusy):
        uploads.service.abort_upload(uploads.upload.upload_id)
    assert uploads.stored() == noise(SIZE)


def test_an_empty_chunk_at_the_end_changes_nothing(uploads: Uploads) -> None:
    assert uploads.send(b"", SIZE).offset == SIZE
    made = uploads.service.commit_upload(uploads.upload.upload_id, "", [])
    assert made.sha256 == sha256(noise(SIZE))
    assert uploads.stored() == noise(SIZE)


def test_a_hold_that_could_not_be_let_go_makes_nobody_here_wait(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(uploads.rows, "release_upload", away)
        assert uploads.send(b"", SIZE).offset == SIZE
    with pytest.raises(UploadBusy):
        uploads.replica.commit_upload(uploads.upload.upload_id, "", [])
    made = uploads.service.commit_upload(uploads.upload.upload_id, "", [])
    assert made.sha256 == sha256(noise(SIZE))


def test_a_hold_that_could_not_be_let_go_ends_for_other_replicas(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(uploads.rows, "release_upload", away)
        uploads.send(b"", SIZE)
    uploads.clock.advance(HOLD_MS / 1000)
    made = uploads.replica.commit_upload(uploads.upload.upload_id, "", [])
    assert made.sha256 == sha256(noise(SIZE))
    assert uploads.service.commit_upload(uploads.upload.upload_id, "", []) == made

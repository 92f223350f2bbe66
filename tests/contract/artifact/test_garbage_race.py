"""Garbage collection beside writers: no committed file ever loses its bytes, on each database."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runstone_artifact.objectstore_folder import FolderObjectStore
from runstone_artifact.service import FileService
from runstone_artifact.service_limits import ActiveRuns, TransferSlots
from runstone_artifact.service_soundness import Soundness
from runstone_artifact.service_upkeep import UpkeepService
from runstone_artifact.service_uploads import UploadService
from runstone_artifact.sqlstore import SqlArtifactStore
from runstone_kit.clock import SystemClock
from runstone_kit.errors import Aborted
from runstone_kit.ids import SystemIds
from support.artifact import KnownRuns, content, run, sha256

CONTENTS = [f"content {number}".encode() for number in range(6)]
"""Few and small, so that every writer meets bytes that another one has just deleted."""

ROUNDS = 40


class FutureClock(SystemClock):
    """Makes everything old enough to be collected: only the database stands between."""

    def now_ms(self) -> int:
        return super().now_ms() + 10_000


class Harness:
    def __init__(self, rows: SqlArtifactStore, folder: Path) -> None:
        self.rows = rows
        self.objects = FolderObjectStore(folder)
        runs = ActiveRuns(KnownRuns())
        clock, ids = SystemClock(), SystemIds()
        sound = self.soundness = Soundness(rows, self.objects)
        self.files = FileService(rows, self.objects, sound, runs, clock, ids)
        self.uploads = UploadService(rows, self.objects, sound, runs, TransferSlots(8), clock, ids)
        self.upkeep = UpkeepService(rows, self.objects, FutureClock())
        self.stop = threading.Event()
        self.failures: list[BaseException] = []
        self.written = 0

    def check(self, path: str) -> None:
        """The bytes of a file that was just committed are there and right."""
        found = self.rows.locate(run(), [path])[path]
        blob = found[1]
        data = b"".join(self.objects.read(blob.object_key, blob.offset, blob.size))
        assert sha256(data) == found[0].sha256

    def write(self, number: int) -> None:
        rng = random.Random(number)
        for count in range(ROUNDS):
            contents = rng.sample(CONTENTS, 2)
            path = f"w{number}/{count % 3}"
            try:
                if count % 4 == 3:
                    self.begin_known(f"{path}/u", contents[0])
                    self.files.delete_artifacts(run(), path)
                    continue
                self.files.put_artifacts(
                    run(),
                    [content(f"{path}/{i}", data) for i, data in enumerate(contents)],
                )
                for i in range(2):
                    self.check(f"{path}/{i}")
                self.written += 1
                self.files.delete_artifacts(run(), path)
            except Aborted:
                # Five collections in a row came between: told, and nothing written.
                continue

    def begin_known(self, path: str, data: bytes) -> None:
        begun = self.uploads.begin_upload(run(), path, len(data), sha256(data), presigned=False)
        if begun.upload is not None:
            self.uploads.abort_upload(begun.upload.upload_id)
            self.files.put_artifacts(run(), [content(path, data)])
        self.check(path)

    def collect(self) -> None:
        while not self.stop.is_set():
            self.upkeep.collect_garbage(dry_run=False, min_age_s=1)

    def thread(self, work: object, *args: object) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*args)  # type: ignore[operator]
            except BaseException as error:
                self.failures.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread


@pytest.fixture
def harness(rows: SqlArtifactStore, tmp_path: Path) -> Iterator[Harness]:
    harness = Harness(rows, tmp_path / "objects")
    yield harness
    harness.files.close()
    harness.soundness.close()


def test_writers_and_collectors_at_once(harness: Harness) -> None:
    collectors = [harness.thread(harness.collect) for _ in range(2)]
    writers = [harness.thread(harness.write, number) for number in range(3)]
    for thread in writers:
        thread.join()
    harness.stop.set()
    for thread in collectors:
        thread.join()
    assert harness.failures == []
    assert harness.written > 10
    # What is left over is found and removed, to the last byte.
    harness.files.delete_artifacts(run(), "")
    said = harness.upkeep.collect_garbage(dry_run=True, min_age_s=1)
    done = harness.upkeep.collect_garbage(dry_run=False, min_age_s=1)
    assert (done.objects, done.uploads) == (said.objects, said.uploads)
    assert list(harness.objects.list_objects()) == []
    again = harness.upkeep.collect_garbage(dry_run=True, min_age_s=1)
    assert (again.objects.count, again.uploads) == (0, 0)


def test_strays_are_found_counted_and_removed(harness: Harness) -> None:
    objects = harness.objects
    objects.put("a" * 32, [b"stray"])
    objects.stage("b" * 32, "c" * 32, 10, presigned=False)
    kept = harness.uploads.begin_upload(run(), "kept", 10, "", presigned=False).upload
    assert kept is not None
    harness.files.put_artifacts(run(), [content("file", b"12")])
    harness.rows.plan_objects([("d" * 32, 7)], 0)
    objects.put("d" * 32, [b"planned"])
    young = harness.upkeep.collect_garbage(dry_run=True, min_age_s=3600)
    assert (young.objects.count, young.objects.size, young.uploads) == (1, 7, 0)
    said = harness.upkeep.collect_garbage(dry_run=True, min_age_s=1)
    assert (said.objects.count, said.objects.size, said.uploads) == (2, 12, 2)
    done = harness.upkeep.collect_garbage(dry_run=False, min_age_s=1)
    assert done == said
    assert [each.size for each in objects.list_objects()] == [2]
    assert list(objects.list_staged(2**62)) == []
    harness.check("file")

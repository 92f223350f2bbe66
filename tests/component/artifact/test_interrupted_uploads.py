"""Uploads that their process did not end: the next one goes on, and sends nothing twice."""

import os
from pathlib import Path

import pytest

from runstone import _transfer
from runstone._transfer import upload
from runstone.exceptions import PathConflict
from support.artifact import MIB, ArtifactServer, noise, put, read, run_owner

BIG = 36 * MIB + 321
"""Three parts."""


class Interrupting:
    """Progress that counts what is read to be sent, and interrupts the transfer there."""

    def __init__(self, at: int = -1) -> None:
        self.total = 0
        self._at = at

    def advance(self, size: int) -> None:
        self.total += size
        if 0 <= self._at <= self.total:
            self._at = -1
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def not_hashed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "HASHED_FIRST_BYTES", 8 * MIB)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    source = tmp_path / "big.bin"
    source.write_bytes(noise(BIG))
    return source


@pytest.fixture
def put_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of each part that is sent."""
    sizes: list[int] = []
    put_part = upload.HttpPool.put

    def counted(self: upload.HttpPool, url: str, body: object, size: int, headers: object) -> None:
        put_part(self, url, body, size, headers)  # type: ignore[arg-type]
        sizes.append(size)

    monkeypatch.setattr(upload.HttpPool, "put", counted)
    return sizes


def memories() -> list[Path]:
    folder = Path(os.environ["XDG_STATE_HOME"]) / "runstone" / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def test_parts_that_arrived_are_not_sent_again(
    s3_server: ArtifactServer, big: Path, put_bytes: list[int]
) -> None:
    stub = s3_server.transfers()
    with pytest.raises(KeyboardInterrupt):
        _transfer.upload_file(stub, run_owner(), big, "big", Interrupting(at=20 * MIB))
    assert put_bytes
    assert len(memories()) == 1
    again = Interrupting()
    _transfer.upload_file(stub, run_owner(), big, "big", again)
    assert sum(put_bytes) == again.total == BIG
    assert read(s3_server.stub, "big") == big.read_bytes()
    assert memories() == []


def test_an_upload_whose_last_answer_was_lost_is_only_committed(
    s3_server: ArtifactServer,
    big: Path,
    put_bytes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub = s3_server.transfers()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(upload._Upload, "_commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _transfer.upload_file(stub, run_owner(), big, "big", Interrupting())
    assert sum(put_bytes) == BIG
    _transfer.upload_file(stub, run_owner(), big, "big", Interrupting())
    assert sum(put_bytes) == BIG
    assert read(s3_server.stub, "big") == big.read_bytes()


def test_a_file_that_was_changed_is_sent_anew(
    s3_server: ArtifactServer, big: Path, put_bytes: list[int]
) -> None:
    stub = s3_server.transfers()
    with pytest.raises(KeyboardInterrupt):
        _transfer.upload_file(stub, run_owner(), big, "big", Interrupting(at=20 * MIB))
    state = big.stat()
    big.write_bytes(noise(BIG)[::-1])
    # Even where its size and time say nothing of it.
    os.utime(big, ns=(state.st_atime_ns, state.st_mtime_ns))
    again = Interrupting()
    _transfer.upload_file(stub, run_owner(), big, "big", again)
    assert read(s3_server.stub, "big") == big.read_bytes()
    assert again.total == BIG


def test_an_upload_that_the_server_refuses_is_forgotten(
    folder_server: ArtifactServer, big: Path
) -> None:
    put(folder_server.stub, {"big/file": b"in the way"})
    with pytest.raises(PathConflict):
        _transfer.upload_file(folder_server.transfers(), run_owner(), big, "big", Interrupting())
    assert memories() == []


def test_one_whose_memory_another_server_does_not_know_begins_anew(
    s3_server: ArtifactServer, big: Path
) -> None:
    stub = s3_server.transfers()
    with pytest.raises(KeyboardInterrupt):
        _transfer.upload_file(stub, run_owner(), big, "big", Interrupting(at=20 * MIB))
    [memory] = memories()
    for said in (f"{'0' * 32}\n", "\udcff cut off"):
        memory.write_bytes(said.encode("utf-8", "surrogateescape"))
        _transfer.upload_file(stub, run_owner(), big, "big", Interrupting())
        assert read(s3_server.stub, "big") == big.read_bytes()

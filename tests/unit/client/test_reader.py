"""A file that is being sent: what it had when it was opened, all of it or an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runstone._transfer.local import LocalFile, Reader
from runstone._transfer.progress import Silent
from runstone._transfer.tree import _put
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import LocalPathError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_bytes(b"0123456789")
    return path


def test_a_short_read_is_read_on(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda number, size, at: pread(number, min(size, 3), at))
    with Reader(file) as reader:
        assert reader.read(0, 10) == b"0123456789"
        assert reader.read(2, 5) == b"23456"
        with pytest.raises(LocalPathError, match="was changed"):
            reader.read(5, 6)


def test_a_file_that_became_shorter_is_refused(file: Path) -> None:
    with Reader(file) as reader:
        os.truncate(file, 4)
        with pytest.raises(LocalPathError, match="was changed"):
            reader.read(0, reader.size)
        with pytest.raises(LocalPathError, match="was changed"):
            reader.check_unchanged()


def test_a_file_that_was_rewritten_is_refused(file: Path) -> None:
    with Reader(file) as reader:
        file.write_bytes(b"9876543210")
        os.utime(file, ns=(1, 1))
        with pytest.raises(LocalPathError, match="was changed"):
            reader.check_unchanged()


def test_a_file_that_grows_is_sent_as_it_was_when_opened(file: Path) -> None:
    with Reader(file) as reader, file.open("ab") as log:
        log.write(b"more")
        log.flush()
        assert reader.read(0, reader.size) == b"0123456789"
        reader.check_unchanged()


def test_a_file_of_a_folder_that_grew_is_sent_as_it_was_listed(file: Path) -> None:
    sent: list[artifact_pb2.PutArtifactsRequest] = []

    class Stub:
        PutArtifacts = staticmethod(sent.append)

    owner = artifact_pb2.Owner(run_id="a")
    _put(Stub, owner, [LocalFile(file, "train.log", 4)], Silent())
    assert sent[0].files[0].content == b"0123"
    with pytest.raises(LocalPathError, match="was changed"):
        _put(Stub, owner, [LocalFile(file, "train.log", 40)], Silent())


def test_a_file_that_does_not_tell_its_size_is_refused() -> None:
    path = Path("/proc/self/status")
    with pytest.raises(LocalPathError, match="does not tell its size"):
        Reader(path)


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with Reader(tmp_path / "empty") as reader:
        assert reader.read(0, reader.size) == b""

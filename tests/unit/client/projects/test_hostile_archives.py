"""Archives with what no tool writes, and downloads that go wrong: always told as such."""

import errno
import http.client
import zipfile
from pathlib import Path
from typing import Any

import pytest

from runstone._projects import archives, git
from runstone.exceptions import ProjectInvalid


def packed(path: Path, names: list[str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name in names:
            file.writestr(name, b"print(1)" * 20)
    return path


def test_a_folder_that_is_the_archive_itself_is_fine(tmp_path: Path) -> None:
    archives.unpack(packed(tmp_path / "p.zip", ["./", "a.py"]), tmp_path / "out")
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["a.py"]


@pytest.mark.parametrize("names", [["a", "a/b"], ["a/b", "a"], ["."], ["x" * 300]])
def test_names_that_cannot_stand_beside_one_another(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ProjectInvalid, match=r"p\.zip"):
        archives.unpack(packed(tmp_path / "p.zip", names), tmp_path / "out")


def test_a_damaged_member(tmp_path: Path) -> None:
    path = packed(tmp_path / "p.zip", ["a.py"])
    content = bytearray(path.read_bytes())
    content[34:40] = b"\xff" * 6
    path.write_bytes(content)
    with pytest.raises(ProjectInvalid, match="no zip archive that can be read"):
        archives.unpack(path, tmp_path / "out")


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = packed(tmp_path / "p.zip", ["é.py"])
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(ProjectInvalid, match="no zip archive that can be read"):
        archives.unpack(path, tmp_path / "out")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_whose_bombs_are_larger(tmp_path: Path, method: int) -> None:
    with pytest.raises(ProjectInvalid, match="a method other than deflate"):
        archives.unpack(packed(tmp_path / "p.zip", ["a.py"], method), tmp_path / "out")


def test_a_full_disk_is_no_fault_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        archives.unpack(packed(tmp_path / "p.zip", ["a.py"]), tmp_path / "out")


def test_a_url_with_a_password_is_refused_without_it(tmp_path: Path) -> None:
    with pytest.raises(ProjectInvalid, match="no user and password") as caught:
        archives.download("https://me:s3cret@host.test/p.zip", tmp_path / "p.zip")
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(
    "error",
    [
        http.client.RemoteDisconnected("gone"),
        http.client.InvalidURL("https://me:s3cret@host has no port"),
        http.client.IncompleteRead(b""),
    ],
)
def test_a_download_that_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("urllib.request.OpenerDirector.open", broken)
    with pytest.raises(ProjectInvalid, match="cannot be fetched") as caught:
        archives.download("https://host.test/p.zip", tmp_path / "p.zip")
    assert "s3cret" not in caught.value.message


def test_a_password_with_an_at_sign_is_not_shown() -> None:
    assert git.without_password("https://user:p@ss@host/x") == "https://host/x"

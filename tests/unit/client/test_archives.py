"""Archives: the same bytes for the same files, and what is refused of somebody's."""

import gzip
import io
import os
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runstone._archives import writing
from runstone._archives.reading import looked_through, members
from runstone.exceptions import LocalPathError, LocalPathMissing

FILES = {"a.txt": b"one", "deep/é 🎉": b"x" * 70_000, "empty": b"", "large": os.urandom(2_000_000)}


def written(target: Path, kind: writing.Kind, block: int = 10_000) -> Path:
    with target.open("wb") as file, writing.opened(file, kind) as writer:
        for path, content in sorted(FILES.items()):
            blocks = (content[at : at + block] for at in range(0, len(content), block))
            writer.add(path, len(content), blocks)
    return target


def contents(archive: Path) -> dict[str, bytes]:
    return {member.path: content.read() for member, content in members(archive)}


@pytest.mark.parametrize("kind", writing.KINDS)
def test_the_same_files_make_the_same_archive(tmp_path: Path, kind: writing.Kind) -> None:
    one = written(tmp_path / "one", kind)
    other = written(tmp_path / "other", kind, block=65_536)
    assert one.read_bytes() == other.read_bytes()
    assert contents(one) == FILES
    assert {each.path: each.size for each in looked_through(one)} == {
        path: len(content) for path, content in FILES.items()
    }


@pytest.mark.parametrize("kind", writing.KINDS)
def test_other_programs_read_it(tmp_path: Path, kind: writing.Kind) -> None:
    archive = written(tmp_path / "made", kind)
    if kind == "zip":
        with zipfile.ZipFile(archive) as opened:
            assert opened.testzip() is None
            assert opened.read("deep/é 🎉") == FILES["deep/é 🎉"]
            assert {each.date_time for each in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        return
    with tarfile.open(archive, "r:gz") as unpacked:
        entries = unpacked.getmembers()
        assert [each.name for each in entries] == sorted(FILES)
        assert {(each.mtime, each.uid, each.uname, each.mode) for each in entries} == {
            (0, 0, "", 0o644)
        }


def tarred(*entries: tuple[tarfile.TarInfo, bytes], behind: bytes = b"") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(made.getvalue() + behind)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def zipped(
    *entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return made.getvalue()


def zip_link() -> bytes:
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return zipped((link, b"/etc/passwd"))


def zip_of_shared_bytes() -> bytes:
    """Two names in the directory for the bytes of one entry."""
    data = bytearray(zipped(("a", b"content"), ("b", b"content")))
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    return bytes(data)


def zip_with_password() -> bytes:
    data = bytearray(zipped(("a", b"content")))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    return bytes(data)


def zip_with_damaged_extra() -> bytes:
    """The entry is larger than 32 bits can say, and what should say how large is cut short."""
    large = zipfile.ZipInfo("a")
    large.extra = struct.pack("<HHL", 1, 4, 1)
    data = bytearray(zipped((large, b"content")))
    second = data.rindex(b"PK\x01\x02")
    data[second + 24 : second + 28] = b"\xff" * 4
    return bytes(data)


def endless_attributes() -> bytes:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 50_000_000
    return gzip.compress(header.tobuf() + b"\0" * 50_000_000)


def claimed(size: int) -> bytes:
    header = tarfile.TarInfo("x")
    header.size = size
    return gzip.compress(header.tobuf())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: tarred((entry("../up"), b"x")), "no path of an artifact"),
        (lambda: tarred((entry("/etc/passwd"), b"x")), "no path of an artifact"),
        (lambda: tarred((entry("a/../../b"), b"x")), "no path of an artifact"),
        (lambda: tarred((entry("a\\b"), b"x")), "no path of an artifact"),
        (lambda: tarred((entry("a\x1b[2J"), b"x")), "no path of an artifact"),
        (lambda: tarred((entry("a//b"), b"x")), "no path of an artifact"),
        (lambda: tarred((entry("n" * 256), b"x")), "no path of an artifact"),
        (lambda: tarred((entry("link", tarfile.SYMTYPE, "/etc/passwd"), b"")), "is a link"),
        (lambda: tarred((entry("link", tarfile.LNKTYPE, "a"), b"")), "is a link"),
        (lambda: tarred((entry("pipe", tarfile.FIFOTYPE), b"")), "or a device"),
        (lambda: tarred((entry("disk", tarfile.BLKTYPE), b"")), "or a device"),
        (lambda: tarred((entry("a"), b"1"), (entry("./a"), b"2")), "'a' stands in it twice"),
        (lambda: tarred((entry("a/b"), b"1"), (entry("a"), b"2")), "both a file and a folder"),
        (lambda: tarred((entry("a"), b"1"), behind=b"hidden"), "behind its end"),
        (lambda: tarred((entry("a"), b"1" * 200_000_000)), "unpacks to more than"),
        (endless_attributes, "endless attributes"),
        (lambda: claimed(8**10), "unpacks to more than"),
        (lambda: tarred((entry("a"), os.urandom(9999)))[:-3000], "damaged"),
        (lambda: tarred((entry("a"), b"1"))[:-8] + b"\0" * 8, "damaged"),
        (lambda: zipped(("../up", b"x")), "no path of an artifact"),
        (lambda: zipped(("a", b"1" * 200_000_000)), "unpacks to more than"),
        (zip_link, "is a link"),
        (zip_of_shared_bytes, "share bytes"),
        (zip_with_password, "needs a password"),
        (lambda: zipped(("a", b"1"), method=zipfile.ZIP_BZIP2), "other than deflate"),
        (lambda: zipped(("a", b"1"), method=zipfile.ZIP_LZMA), "other than deflate"),
        (zip_with_damaged_extra, "damaged"),
        (lambda: zipped(("a", os.urandom(9999)))[:5000], "damaged"),
        (lambda: b"just text", "neither a tar.gz, a tar nor a zip"),
        (lambda: b"", "neither a tar.gz, a tar nor a zip"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: Callable[[], bytes], why: str) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(content())
    with pytest.raises(LocalPathError, match=re.escape(why)) as refused:
        looked_through(archive)
    assert str(archive) in refused.value.message
    assert refused.value.message.isprintable()


def test_what_people_make_is_taken(tmp_path: Path) -> None:
    folder = entry("./", tarfile.DIRTYPE)
    archive = tmp_path / "by-hand.tgz"
    archive.write_bytes(tarred((folder, b""), (entry("./a"), b"1"), (entry("./b/c"), b"2")))
    assert contents(archive) == {"a": b"1", "b/c": b"2"}
    archive.write_bytes(gzip.decompress(archive.read_bytes()))
    assert contents(archive) == {"a": b"1", "b/c": b"2"}
    archive.write_bytes(zipped(("d/", b""), ("d/e", b"3")))
    assert contents(archive) == {"d/e": b"3"}


def test_readers_that_fail_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    archive = written(tmp_path / "made", "tar.gz")
    monkeypatch.setattr(tarfile, "open", fails)
    with pytest.raises(LocalPathError, match="damaged"):
        looked_through(archive)


def test_more_is_unpacked_when_it_is_allowed(tmp_path: Path) -> None:
    archive = tmp_path / "zeros.tar.gz"
    archive.write_bytes(tarred((entry("a"), b"\0" * 200_000_000)))
    [member] = looked_through(archive, max_bytes=300_000_000)
    assert member.size == 200_000_000


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LocalPathMissing):
        looked_through(tmp_path / "none")

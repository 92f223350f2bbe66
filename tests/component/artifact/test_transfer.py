"""The client's transfer engine against the real service."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import _transfer
from runstone._transfer import progress, ranges, upload
from runstone._transfer.wire import UploadChunk, read_download, write_upload
from runstone.artifact.v1 import artifact_pb2 as pb
from runstone.exceptions import (
    ArtifactNotFound,
    InvalidArgument,
    LocalPathError,
    ObjectDamaged,
    Overloaded,
    PathConflict,
    Unavailable,
)
from support.artifact import MIB, ArtifactServer, listed, noise, put, read, run_owner, sha256

BIG = 70 * MIB + 321
"""More than is hashed first, more than two ranges."""


class Seen:
    """Progress that is remembered; ``at`` calls something once when so much is transferred."""

    def __init__(self, at: int = -1, act: Callable[[], object] = lambda: None) -> None:
        self.total = 0
        self._at = at
        self._act = act
        self._lock = threading.Lock()

    def advance(self, size: int) -> None:
        with self._lock:
            self.total += size
            due = 0 <= self._at <= self.total
            if due:
                self._at = -1
        if due:
            self._act()


class Spy:
    """A stub that counts its calls."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            return getattr(self._stub, name)(*args, **options)

        return call


@pytest.fixture
def big(tmp_path: Path) -> Path:
    source = tmp_path / "big.bin"
    source.write_bytes(noise(BIG))
    return source


def test_a_tree_goes_there_and_back(server: ArtifactServer, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    files = {
        "a.txt": b"a",
        "empty": b"",
        "sub/one": noise(MIB),
        "sub/more": noise(MIB + 1),
        "sub/deep/é 🎉": b"x" * 1000,
        "large": noise(20 * MIB + 7),
        **{f"many/{number:04}": str(number).encode() for number in range(1500)},
    }
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    (tree / "nothing/in/here").mkdir(parents=True)
    (tree / "link").symlink_to(tree / "a.txt")
    files["link"] = b"a"
    seen = Seen()
    stub = Spy(server.transfers())
    assert _transfer.upload_tree(stub, run_owner(), tree, "art", seen) == len(files)
    assert seen.total == sum(map(len, files.values()))
    assert stub.calls.count("PutArtifacts") <= 4
    target = _transfer.download(server.transfers(), run_owner(), "art", tmp_path / "back")
    assert target == tmp_path / "back" / "art"
    found = {
        str(path.relative_to(target)): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file()
    }
    assert found == files


def test_a_file_and_everything_are_downloaded(
    folder_server: ArtifactServer, tmp_path: Path
) -> None:
    put(folder_server.stub, {"d/f": b"one", "g": b"two"})
    stub = folder_server.transfers()
    assert _transfer.download(stub, run_owner(), "d/f", tmp_path).read_bytes() == b"one"
    everything = _transfer.download(stub, run_owner(), "", tmp_path / "all")
    assert (everything / "g").read_bytes() == b"two"
    with pytest.raises(ArtifactNotFound):
        _transfer.download(stub, run_owner(), "nothing", tmp_path)


def test_a_directory_above_is_left_out(folder_server: ArtifactServer, tmp_path: Path) -> None:
    stub = folder_server.transfers()
    put(folder_server.stub, {"a/b/c.txt": b"c", "a/b/d/e.txt": b"e", "a/bb/f.txt": b"f"})
    some = tmp_path / "some"
    assert _transfer.download(stub, run_owner(), "a/b", some, relative_to="a/b") == some
    assert sorted(str(each.relative_to(some)) for each in some.rglob("*.txt")) == [
        "c.txt",
        "d/e.txt",
    ]
    one = _transfer.download(stub, run_owner(), "a/b/c.txt", tmp_path / "one", relative_to="a")
    assert one == tmp_path / "one" / "b" / "c.txt"
    assert one.read_bytes() == b"c"
    for other in ("a/bb", "a"):
        with pytest.raises(InvalidArgument, match="is not below 'a/b'"):
            _transfer.download(stub, run_owner(), other, tmp_path, relative_to="a/b")


def test_known_bytes_are_not_sent(server: ArtifactServer, tmp_path: Path) -> None:
    source = tmp_path / "f"
    source.write_bytes(noise(5 * MIB))
    _transfer.upload_file(server.transfers(), run_owner(), source, "one")
    stub, seen = Spy(server.transfers()), Seen()
    _transfer.upload_file(stub, run_owner(), source, "two", seen)
    assert stub.calls == ["BeginUpload"]
    assert seen.total == 5 * MIB
    assert listed(server.stub) == ["one", "two"]


def test_a_large_file_goes_there_and_back(
    server: ArtifactServer, big: Path, tmp_path: Path
) -> None:
    stub = Spy(server.transfers())
    made = _transfer.upload_file(stub, run_owner(), big, "big")
    assert made.sha256 == sha256(noise(BIG))
    # Straight to the store where there are URLs, through the service where there are none.
    presigned = server.settings.objects_url.get_secret_value().startswith("s3+")
    assert ("UploadChunks" in stub.calls) is not presigned
    stub, seen = Spy(server.transfers()), Seen()
    got = _transfer.download(stub, run_owner(), "big", tmp_path / "down", seen)
    assert sha256(got.read_bytes()) == made.sha256
    assert ("DownloadArtifact" in stub.calls) is not presigned
    assert seen.total == BIG
    assert [path.name for path in (tmp_path / "down").iterdir()] == ["big"]


def test_transfers_survive_a_restart_of_the_service(
    server: ArtifactServer, big: Path, tmp_path: Path
) -> None:
    seen = Seen(20 * MIB, server.restart)
    made = _transfer.upload_file(server.transfers(), run_owner(), big, "big", seen)
    assert made.sha256 == sha256(noise(BIG))
    seen = Seen(20 * MIB, server.restart)
    got = _transfer.download(server.transfers(), run_owner(), "big", tmp_path / "down", seen)
    assert sha256(got.read_bytes()) == made.sha256


def test_a_download_that_failed_goes_on_where_it_stopped(
    folder_server: ArtifactServer, big: Path, tmp_path: Path
) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    _transfer.upload_file(folder_server.transfers(), run_owner(), big, "big")
    target = tmp_path / "down"
    with pytest.raises(KeyboardInterrupt):
        _transfer.download(
            folder_server.transfers(), run_owner(), "big", target, Seen(40 * MIB, fail)
        )
    (partial,) = target.iterdir()
    assert partial.stat().st_size == ranges.RANGE_BYTES
    stub = Spy(folder_server.transfers())
    got = _transfer.download(stub, run_owner(), "big", target)
    assert sha256(got.read_bytes()) == sha256(noise(BIG))
    assert stub.calls.count("DownloadArtifact") == 2
    assert list(target.iterdir()) == [got]


def test_a_disk_that_is_full_here_is_told(
    s3_server: ArtifactServer, big: Path, tmp_path: Path
) -> None:
    _transfer.upload_file(s3_server.transfers(), run_owner(), big, "big")

    def fail() -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "down"
    with pytest.raises(LocalPathError, match="No space left"):
        _transfer.download(s3_server.transfers(), run_owner(), "big", target, Seen(MIB, fail))
    assert not (target / "big").exists()


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_ranges_are_hashed_in_order_however_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[int]
) -> None:
    monkeypatch.setattr(ranges, "RANGE_BYTES", 10)
    data = noise(25)
    with (tmp_path / "f").open("w+b") as file:
        hashing = ranges._InOrder(file.fileno(), pb.Artifact(size=25, sha256=sha256(data)), 0)
        for start in (10 * number for number in order):
            for at in range(start, min(start + 10, 25), 3):
                piece = data[at : min(at + 3, start + 10)]
                os.pwrite(file.fileno(), piece, at)
                hashing.wrote(at, piece)
            assert hashing.whole() % 10 == 0
        assert hashing.check().matches


@pytest.mark.parametrize("near", [0, 10**15])
def test_a_download_from_a_near_store_and_a_far_one(
    s3_server: ArtifactServer,
    big: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    near: float,
) -> None:
    monkeypatch.setattr(ranges, "NEAR_BYTES_PER_SECOND", near)
    made = _transfer.upload_file(s3_server.transfers(), run_owner(), big, "big")
    got = _transfer.download(s3_server.transfers(), run_owner(), "big", tmp_path / "down")
    assert sha256(got.read_bytes()) == made.sha256


def test_what_was_left_is_not_trusted(
    folder_server: ArtifactServer, big: Path, tmp_path: Path
) -> None:
    made = _transfer.upload_file(folder_server.transfers(), run_owner(), big, "big")
    partial = tmp_path / "down" / f".runstone-{made.sha256[:32]}.part"
    partial.parent.mkdir()
    partial.write_bytes(noise(40 * MIB, 5))
    got = _transfer.download(folder_server.transfers(), run_owner(), "big", tmp_path / "down")
    assert sha256(got.read_bytes()) == made.sha256


def test_damaged_bytes_never_get_the_name(
    folder_server: ArtifactServer, big: Path, tmp_path: Path
) -> None:
    stub = folder_server.transfers()
    put(folder_server.stub, {"small": b"small"})
    _transfer.upload_file(stub, run_owner(), big, "big")
    objects = folder_server.folder / "objects-root/objects"
    for path in (each for each in objects.rglob("*") if each.is_file()):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    for name in ("small", "big"):
        with pytest.raises(ObjectDamaged):
            _transfer.download(stub, run_owner(), name, tmp_path / "down")
    assert list((tmp_path / "down").iterdir()) == []


def test_damaged_bytes_are_never_given_out_as_a_file(folder_server: ArtifactServer) -> None:
    put(folder_server.stub, {"text": b"words", "dict.json": b"[1]"})
    for path in (folder_server.folder / "objects-root/objects").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().swapcase().replace(b"1", b"2"))
    client = runstone.Client(f"runstone://{folder_server.address}")
    for name in ("text", "dict.json"):
        with pytest.raises(ObjectDamaged, match="digest"):
            client.read_bytes("a" * 32, name)
        with pytest.raises(ObjectDamaged, match="digest"):
            b"".join(client.download_artifact("a" * 32, name))
    # A range has no digest of its own.
    assert b"".join(client.download_artifact("a" * 32, "text", offset=1, length=2)) == b"OR"
    client.close()


def test_a_file_read_into_memory_goes_on_where_it_broke(server: ArtifactServer) -> None:
    data = noise(3 * MIB)
    put(server.stub, {"f": data})
    asked: list[int] = []

    class Breaking:
        def __init__(self, stub: Any) -> None:
            self._stub = stub

        def DownloadArtifact(self, request: pb.DownloadArtifactRequest) -> Iterator[Any]:
            asked.append(request.offset)
            for count, chunk in enumerate(self._stub.DownloadArtifact(request)):
                if len(asked) == 1 and count == 2:
                    raise Unavailable("gone", retry_after=0.0)
                yield chunk

    assert _transfer.read_file(Breaking(server.transfers()), run_owner(), "f") == data
    assert asked == [0, MIB]


def test_a_file_that_changes_while_it_is_sent(
    server: ArtifactServer, big: Path, tmp_path: Path
) -> None:
    def change() -> None:
        with big.open("r+b") as file:
            file.seek(10)
            file.write(b"changed")
        os.utime(big, ns=(1, 1))

    with pytest.raises(LocalPathError, match="changed while"):
        _transfer.upload_file(server.transfers(), run_owner(), big, "big", Seen(8 * MIB, change))
    assert listed(server.stub) == []

    cut = Seen(8 * MIB, lambda: os.truncate(big, 9 * MIB))
    with pytest.raises(LocalPathError, match="changed while"):
        _transfer.upload_file(server.transfers(), run_owner(), big, "big", cut)
    assert listed(server.stub) == []


def test_a_local_mistake_is_told_before_anything_is_sent(
    folder_server: ArtifactServer, tmp_path: Path
) -> None:
    stub = Spy(folder_server.transfers())
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "fine").write_bytes(b"fine")
    bad: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (lambda: os.mkfifo(tree / "x"), (tree / "x").unlink),
        (lambda: (tree / "x").symlink_to("nowhere"), (tree / "x").unlink),
        (lambda: (tree / "x").symlink_to(tree), (tree / "x").unlink),
        ((tree / "a\\b").touch, (tree / "a\\b").unlink),
        ((tree / "a\nb").touch, (tree / "a\nb").unlink),
        (lambda: Path(os.fsdecode(os.fsencode(tree) + b"/\xff")).touch(),
         lambda: Path(os.fsdecode(os.fsencode(tree) + b"/\xff")).unlink()),
    ]  # fmt: skip
    for make, remove in bad:
        make()
        with pytest.raises(LocalPathError):
            _transfer.upload_tree(stub, run_owner(), tree, "")
        remove()
    for missing in (tmp_path / "missing", tmp_path / "a\0b", tree / "fine" / "below"):
        with pytest.raises(LocalPathError):
            _transfer.check_local(missing)
        with pytest.raises(LocalPathError):
            _transfer.upload_file(stub, run_owner(), missing, "f")
    assert stub.calls == []
    assert _transfer.upload_tree(stub, run_owner(), tree, "") == 1


def test_a_conflict_is_told_and_leaves_nothing(server: ArtifactServer, big: Path) -> None:
    put(server.stub, {"taken": b"x"})
    with pytest.raises(PathConflict):
        _transfer.upload_file(server.transfers(), run_owner(), big, "taken/below")
    assert read(server.stub, "taken") == b"x"


def test_an_overloaded_service_is_waited_for(big: Path, folder_server: ArtifactServer) -> None:
    class Busy(Spy):
        left = 2

        def __getattr__(self, name: str) -> Any:
            if name == "UploadChunks" and self.left:
                self.left -= 1

                def refuse(chunks: Iterator[Any]) -> None:
                    raise Overloaded("busy", retry_after=0.01)

                return refuse
            return super().__getattr__(name)

    stub = Busy(folder_server.transfers())
    made = _transfer.upload_file(stub, run_owner(), big, "big")
    assert made.size == BIG
    assert stub.left == 0


def test_names_that_a_server_must_not_send(tmp_path: Path) -> None:
    class Evil:
        def GetArtifact(self, request: Any) -> Any:
            return pb.GetArtifactResponse(artifact=pb.Artifact(path="d", is_directory=True))

        def ListArtifacts(self, request: Any) -> Any:
            escaping = pb.Artifact(path="d/../../out", size=1, sha256=sha256(b"x"))
            return pb.ListArtifactsResponse(artifacts=[escaping])

        def DownloadArtifact(self, request: Any) -> Any:
            return iter([pb.DownloadArtifactResponse(data=b"x")])

    with pytest.raises(InvalidArgument):
        _transfer.download(Evil(), run_owner(), "d", tmp_path / "in")
    assert not (tmp_path / "out").exists()


def test_chunks_are_protobuf_s_own() -> None:
    for offset, data in ((0, b""), (1, b"x"), (2**40, noise(200))):
        raw = write_upload(UploadChunk("u" * 32, offset, data))
        assert write_upload(UploadChunk("u" * 32, offset, [data[:1], data[1:7], data[7:]])) == raw
        message = pb.UploadChunksRequest.FromString(raw)
        assert (message.upload_id, message.offset, message.data) == ("u" * 32, offset, data)
        answer = pb.DownloadArtifactResponse(
            artifact=pb.Artifact(path="p", size=7), data=data, crc32=2**32 - 1
        )
        chunk = read_download(answer.SerializeToString())
        assert (chunk.artifact, bytes(chunk.data), chunk.crc32) == (
            answer.artifact,
            data,
            2**32 - 1,
        )
        assert chunk.HasField("artifact")


def test_bars_are_for_terminals_and_long_transfers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert progress.is_shown(10_000_000)
    assert not progress.is_shown(9_999_999)
    monkeypatch.setenv(progress.DISABLE, "1")
    assert not progress.is_shown(2**40)
    monkeypatch.delenv(progress.DISABLE)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert not progress.is_shown(2**40)
    assert upload.SMALL_BYTES <= 4 * MIB

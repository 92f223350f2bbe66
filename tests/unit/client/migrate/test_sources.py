"""What is no source, and what of one cannot be read, is told with the way out."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from runstone._migrate.files import FileCopy
from runstone._migrate.model import FilesOutOfReach, SourceFile, SourceUnreadable
from runstone._migrate.rest import RestError
from runstone._migrate.source import opened
from runstone._migrate.trees import LocalTree, Places, ServerTree, SubTree, proxied, proxy_path
from runstone._transfer.local import LocalFile, Reader


def test_a_text_that_is_no_source(tmp_path: Path) -> None:
    for text, said in (
        ("ftp://host/x", "must be a tracking server's URL"),
        (str(tmp_path / "none"), "there is no folder"),
        (str(tmp_path), "no mlruns folder"),
        (f"sqlite:///{tmp_path}/none.db", "there is no file"),
    ):
        with pytest.raises(SourceUnreadable, match=said):
            opened(text)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([], "no database of MLflow"),
        (["CREATE TABLE alembic_version (version_num TEXT)"], "no database of MLflow"),
        (
            [
                "CREATE TABLE alembic_version (version_num TEXT)",
                "INSERT INTO alembic_version VALUES ('0123456789ab')",
            ],
            r"schema 0123456789ab; those of MLflow 2\.0 to 3\.17 are known",
        ),
    ],
)
def test_a_database_of_something_else(tmp_path: Path, statements: list[str], said: str) -> None:
    file = tmp_path / "other.db"
    connection = sqlite3.connect(file)
    for each in ["CREATE TABLE t (a INT)", *statements]:
        connection.execute(each)
    connection.commit()
    connection.close()
    before = file.read_bytes()
    with pytest.raises(SourceUnreadable, match=said):
        opened(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_files_of_places_that_are_not_read_directly(tmp_path: Path) -> None:
    places = Places()
    for uri, said in (
        ("mlflow-artifacts:/1/abc/artifacts", "--artifacts"),
        ("gs://bucket/x", "import from its URL"),
        ("/no/such/root/1/run/artifacts", "there is no folder /no/such/root"),
    ):
        with pytest.raises(FilesOutOfReach, match=said):
            places.tree(uri)
    (tmp_path / "1" / "abc" / "artifacts").mkdir(parents=True)
    (tmp_path / "1" / "abc" / "artifacts" / "f").write_bytes(b"123")
    for root in (str(tmp_path), tmp_path.as_uri()):
        tree = Places(root).tree("mlflow-artifacts://host/1/abc/artifacts")
        assert tree.files() == [SourceFile("f", 3)]
    # A run without files has no folder, and its experiment's may be missing too.
    assert places.tree(f"{tmp_path}/2/run/artifacts").files() == []


def test_paths_of_a_proxy_by_both_of_its_schemes() -> None:
    assert proxy_path("mlflow-artifacts:/1/a%20b") == "1/a b"
    assert proxy_path("http://host/api/2.0/mlflow-artifacts/artifacts/1/x") == "1/x"
    assert proxy_path("s3://bucket/1") is None
    assert proxy_path("/folder") is None


def test_a_part_of_a_tree_is_a_folder_or_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_bytes(b"1")
    (tmp_path / "model.txt").write_bytes(b"22")
    whole = LocalTree(tmp_path)
    folder = SubTree(whole, "model")
    assert folder.files() == [SourceFile("MLmodel", 1)]
    assert folder.local("MLmodel") == tmp_path / "model" / "MLmodel"
    single = SubTree(whole, "model.txt")
    assert single.files() == [SourceFile("model.txt", 2)]
    assert single.local("model.txt") == tmp_path / "model.txt"
    assert SubTree(whole, "none").files() == []
    assert len(SubTree(whole, "").files()) == 2


def test_what_a_folder_cannot_give_is_told_once_and_the_rest_is_copied(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "f").write_bytes(b"123")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "g").write_bytes(b"4")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "nothing").symlink_to(tmp_path / "none")
    (root / "deep" / "er" / "circle").symlink_to(root / "deep")
    (root / "itself").symlink_to(root / "itself")
    tree = LocalTree(root)
    found = tree.files()
    assert found == [
        SourceFile("deep/er/circle", 0),
        SourceFile("deep/er/f", 3),
        SourceFile("itself", 0),
        SourceFile("linked/g", 1),
        SourceFile("nothing", 0),
    ]
    sent, lost = [], []

    def send(files: Sequence[LocalFile]) -> None:
        for each in files:
            with Reader(each.source):
                sent.append(each.path)

    copy = FileCopy(tree, send, lost.append, "run 1")
    copy.copy(found)
    assert sent == ["deep/er/f", "linked/g"]
    assert len(lost) == 3
    assert copy.out_of_reach


@pytest.mark.parametrize(
    ("number", "away"), [(errno.EACCES, False), (errno.ESTALE, True), (errno.EIO, True)]
)
def test_a_folder_whose_disk_is_away_ends_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, away: bool
) -> None:
    (tmp_path / "f").write_bytes(b"")

    def fails(*_: object, **__: object) -> None:
        raise OSError(number, "no", str(tmp_path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", fails)
        with pytest.raises(FilesOutOfReach, match="no") as raised:
            LocalTree(tmp_path).files()
    assert raised.value.away == away


@pytest.mark.parametrize(("status", "away"), [(404, False), (503, True), (0, True), (401, True)])
def test_a_server_that_is_away_stays_away(tmp_path: Path, status: int, away: bool) -> None:
    class Server:
        def json(self, *_: object) -> None:
            raise RestError("no", status)

        fetch = json

    tree = proxied(Server(), "1/run/artifacts")  # type: ignore[arg-type]
    with pytest.raises(FilesOutOfReach, match="no") as listed:
        tree.files()
    with pytest.raises(FilesOutOfReach, match="no") as fetched:
        tree.fetch("f", tmp_path / "f")
    assert (listed.value.away, fetched.value.away) == (away, away)


def test_a_directory_that_a_server_lists_in_itself_is_read_once() -> None:
    def entries(directory: str) -> Iterator[tuple[str, bool, int]]:
        yield "d", True, 0
        yield f"{directory}f", False, 3

    tree = ServerTree(None, entries, str)  # type: ignore[arg-type]
    assert tree.files() == [SourceFile("df", 3), SourceFile("f", 3)]

"""What the rows promise, on each database."""

import pytest

from runstone_artifact.errors import (
    BytesCollected,
    OwnerNotFound,
    OwnerSealed,
    PathConflict,
    UploadBusy,
    UploadNotFound,
)
from runstone_artifact.model import Blob, Directory, File, NewFile, Owner, Part, Totals, Upload
from runstone_artifact.sqlstore import SqlArtifactStore
from runstone_kit.errors import InvalidArgument
from support.artifact import run, sha256, version

NOW = 1_700_000_000_000
LATER = NOW + 10_000_000

Rows = SqlArtifactStore


def key(number: int) -> str:
    return f"{number:032x}"


def digest(text: str) -> str:
    return sha256(text.encode())


def store(rows: Rows, owner: Owner, *paths: str, content: str | None = None) -> None:
    """Commits files whose content is their path, unless one is given for all."""
    texts = {path: path if content is None else content for path in paths}
    missing = {digest(text): text for text in texts.values()}
    for known in rows.blobs(missing):
        del missing[known]
    used = rows.known_objects([sha[:32] for sha in missing])
    blobs = [
        Blob(sha, len(text), sha[32:] if sha[:32] in used else sha[:32])
        for sha, text in missing.items()
    ]
    if blobs:
        rows.plan_objects([(blob.object_key, blob.size) for blob in blobs], NOW)
    files = [NewFile(path, digest(text), len(text)) for path, text in texts.items()]
    rows.commit_files(owner, files, blobs, NOW)


def new_upload(number: int = 1, **changes: object) -> Upload:
    values: dict[str, object] = {
        "upload_id": key(number),
        "owner": run(),
        "path": "big",
        "size": 10,
        "object_key": key(1000 + number),
        "update_ms": NOW,
    }
    return Upload(**{**values, **changes})  # type: ignore[arg-type]


def paths_of(found: list[File] | list[File | Directory]) -> list[str]:
    return [each.path + ("/" if isinstance(each, Directory) else "") for each in found]


# --- Files ------------------------------------------------------------------------------------


def test_committed_files_are_found(rows: Rows) -> None:
    store(rows, run(), "a/b.txt", "c")
    found = rows.find(run(), "a/b.txt")
    assert found == File("a/b.txt", digest("a/b.txt"), 7, NOW)
    assert rows.find(run(), "a") == Directory("a")
    assert rows.find(run(), "") == Directory("")
    assert rows.find(run(), "b") is None
    assert rows.find(run("c" * 32), "") is None
    file, blob = rows.locate(run(), ["c", "a", "nothing"])["c"]
    assert (file.path, blob.sha256, blob.whole) == ("c", digest("c"), True)


def test_a_file_is_replaced(rows: Rows) -> None:
    store(rows, run(), "f", content="old")
    store(rows, run(), "f", content="new one")
    found = rows.find(run(), "f")
    assert isinstance(found, File)
    assert (found.sha256, found.size) == (digest("new one"), 7)


def test_same_bytes_are_kept_once(rows: Rows) -> None:
    store(rows, run(), "f", "g/h", content="same")
    store(rows, run("d" * 32), "i", content="same")
    assert rows.count_garbage(LATER) == Totals()
    assert len(rows.blobs_after("", 10)) == 1


@pytest.mark.parametrize(
    ("there", "new"),
    [
        (["a"], ["a/b"]),
        (["a/b"], ["a"]),
        (["a/b/c"], ["a/b"]),
        ([], ["x", "x/y"]),
        (["a"], ["a/b/c"]),
    ],
)
def test_a_path_is_a_file_or_a_directory(rows: Rows, there: list[str], new: list[str]) -> None:
    if there:
        store(rows, run(), *there)
    with pytest.raises(PathConflict):
        store(rows, run(), "harmless", *new)
    assert paths_of(rows.list_tree(run(), "", "", 10)) == there


def test_names_that_only_look_alike_do_not_conflict(rows: Rows) -> None:
    store(rows, run(), "a/b", "a-b", "a.b", "a0", "ab", "A", "a b")
    assert len(rows.list_tree(run(), "", "", 100)) == 7


def test_a_planned_object_that_was_collected_is_refused(rows: Rows) -> None:
    blob = Blob(digest("x"), 1, key(1))
    rows.plan_objects([(key(1), 1)], NOW)
    assert rows.take_garbage(LATER, 10) == [(key(1), 1)]
    with pytest.raises(BytesCollected):
        rows.commit_files(run(), [NewFile("x", blob.sha256, 1)], [blob], NOW)
    rows.forget_objects([key(1)])
    with pytest.raises(BytesCollected):
        rows.commit_files(run(), [NewFile("x", blob.sha256, 1)], [blob], NOW)
    assert rows.find(run(), "x") is None


def test_a_known_blob_that_was_collected_is_refused(rows: Rows) -> None:
    store(rows, run(), "x")
    rows.delete_files(run(), "x")
    assert rows.take_garbage(LATER, 10) == [(digest("x")[:32], 1)]
    with pytest.raises(BytesCollected):
        rows.commit_files(run(), [NewFile("y", digest("x"), 1)], [], NOW)


def test_planned_objects_are_dropped_unless_stored(rows: Rows) -> None:
    store(rows, run(), "x")
    rows.plan_objects([(key(1), 5)], NOW)
    rows.drop_planned([key(1), digest("x")[:32]])
    assert rows.known_objects([key(1), digest("x")[:32], key(7)]) == {digest("x")[:32]}


# --- Listing ----------------------------------------------------------------------------------

TREE = ["a/1", "a/2/x", "a-b", "a.b", "b/c/d/e", "b0", "c", "é/ü", "🎉"]


def test_children_come_in_the_order_of_their_paths(rows: Rows) -> None:
    store(rows, run(), *TREE)
    store(rows, run("e" * 32), "other")
    expected = ["a/", "a-b", "a.b", "b/", "b0", "c", "é/", "🎉"]
    assert paths_of(rows.list_children(run(), "", "", 100)) == expected
    assert paths_of(rows.list_children(run(), "a", "", 100)) == ["a/1", "a/2/"]
    assert paths_of(rows.list_children(run(), "b/c", "", 100)) == ["b/c/d/"]
    assert rows.list_children(run(), "c", "", 100) == []
    assert rows.list_children(run(), "nothing", "", 100) == []


def test_children_are_paged(rows: Rows) -> None:
    store(rows, run(), *TREE, *(f"many/{number:03}" for number in range(200)))
    seen: list[str] = []
    after = ""
    while page := rows.list_children(run(), "", after, 2):
        assert len(page) <= 2
        seen += paths_of(page)
        after = page[-1].path
    assert seen == ["a/", "a-b", "a.b", "b/", "b0", "c", "many/", "é/", "🎉"]


def test_a_tree_comes_in_the_order_of_its_paths(rows: Rows) -> None:
    store(rows, run(), *TREE)
    assert paths_of(rows.list_tree(run(), "", "", 100)) == sorted(TREE)
    assert paths_of(rows.list_tree(run(), "", "a.b", 2)) == ["a/1", "a/2/x"]
    assert paths_of(rows.list_tree(run(), "a", "", 100)) == ["a/1", "a/2/x"]
    assert paths_of(rows.list_tree(run(), "c", "", 100)) == ["c"]


# --- Deleting ---------------------------------------------------------------------------------


def test_a_file_a_directory_and_everything_are_deleted(rows: Rows) -> None:
    store(rows, run(), *TREE)
    assert rows.delete_files(run(), "nothing") == 0
    assert rows.delete_files(run(), "c") == 1
    assert rows.delete_files(run(), "a") == 2
    assert paths_of(rows.list_tree(run(), "", "", 100)) == sorted(set(TREE) - {"c", "a/1", "a/2/x"})
    assert rows.delete_files(run(), "") == len(TREE) - 3
    assert rows.delete_files(run(), "") == 0


# --- Model versions ---------------------------------------------------------------------------


def test_a_version_must_be_opened_and_not_sealed(rows: Rows) -> None:
    with pytest.raises(OwnerNotFound):
        store(rows, version(), "x")
    with pytest.raises(OwnerNotFound):
        rows.seal_owner(version())
    rows.open_owner(version(), NOW)
    rows.open_owner(version(), NOW)
    store(rows, version(), "x", "dir/yy")
    assert rows.seal_owner(version()) == Totals(2, 7)
    assert rows.seal_owner(version()) == Totals(2, 7)
    for refused in (
        lambda: store(rows, version(), "z"),
        lambda: rows.open_owner(version(), NOW),
        lambda: rows.delete_files(version(), "x"),
        lambda: rows.check_writable(version(), "z"),
    ):
        with pytest.raises(OwnerSealed):
            refused()
    assert rows.delete_files(version(), "") == 2
    with pytest.raises(OwnerNotFound):
        rows.seal_owner(version())


# --- Copies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "below", "expected"),
    [
        ("", "", ["m/MLmodel", "m/d/w", "t"]),
        ("m", "", ["MLmodel", "d/w"]),
        ("m", "new/place", ["new/place/MLmodel", "new/place/d/w"]),
        ("m/d/w", "", ["w"]),
        ("nothing", "", []),
    ],
)
def test_a_copy_shares_the_bytes(rows: Rows, path: str, below: str, expected: list[str]) -> None:
    store(rows, run(), "m/MLmodel", "m/d/w", "t")
    copied = rows.copy_files((run(), path), (version(), below), seal=False, now_ms=LATER)
    assert copied.count == len(expected)
    assert paths_of(rows.list_tree(version(), "", "", 100)) == expected
    rows.delete_files(run(), "")
    kept = {file.sha256 for file in rows.list_tree(version(), "", "", 100)}
    assert rows.count_garbage(LATER + 1).count == 3 - len(kept)


def test_a_copy_that_seals_may_be_repeated_as_it_was(rows: Rows) -> None:
    store(rows, run(), "m/a", "m/b")
    for _ in range(2):
        copied = rows.copy_files((run(), "m"), (version(), ""), seal=True, now_ms=NOW)
        assert copied == Totals(2, 6)
    store(rows, run(), "m/c")
    with pytest.raises(OwnerSealed):
        rows.copy_files((run(), "m"), (version(), ""), seal=True, now_ms=NOW)


def test_a_copy_of_nothing_that_seals_may_be_repeated(rows: Rows) -> None:
    for _ in range(2):
        assert rows.copy_files((run(), ""), (version(), ""), seal=True, now_ms=NOW) == Totals()


def test_a_copy_makes_no_illegal_path(rows: Rows) -> None:
    store(rows, run(), "x" * 200 + "/" + "y" * 200, "dir/f")
    with pytest.raises(InvalidArgument, match="destination_path"):
        rows.copy_files((run(), ""), (version(), "/".join(["z" * 200] * 4)), seal=False, now_ms=NOW)
    store(rows, run("f" * 32), "dir")
    with pytest.raises(PathConflict):
        rows.copy_files((run(), ""), (run("f" * 32), ""), seal=False, now_ms=NOW)


# --- Uploads ----------------------------------------------------------------------------------


def test_an_upload_is_held_by_one(rows: Rows) -> None:
    rows.add_upload(new_upload())
    assert rows.hold_upload(key(1), "me", NOW, NOW + 100) == new_upload()
    with pytest.raises(UploadBusy):
        rows.hold_upload(key(1), "you", NOW + 99, NOW + 200)
    rows.hold_upload(key(1), "me", NOW + 99, NOW + 150)
    rows.release_upload(key(1), "you")
    with pytest.raises(UploadBusy):
        rows.hold_upload(key(1), "you", NOW + 99, NOW + 200)
    rows.release_upload(key(1), "me")
    rows.hold_upload(key(1), "you", NOW + 99, NOW + 200)
    # Not let go, but its time is over.
    rows.hold_upload(key(1), "third", NOW + 200, NOW + 300)
    with pytest.raises(UploadBusy):
        rows.note_progress(new_upload(offset=5), "you", NOW + 300)


def test_an_upload_is_removed_by_its_holder_alone(rows: Rows) -> None:
    rows.add_upload(new_upload())
    rows.hold_upload(key(1), "me", NOW, NOW + 100)
    assert not rows.remove_upload(key(1), "you")
    assert rows.upload(key(1)) == new_upload()
    assert rows.remove_upload(key(1), "me")
    with pytest.raises(UploadNotFound):
        rows.upload(key(1))


def test_progress_and_parts_are_kept(rows: Rows) -> None:
    rows.add_upload(new_upload())
    rows.hold_upload(key(1), "me", NOW, NOW + 100)
    parts = (Part(1, 5, "e1"), Part(2, 3, "e2"))
    rows.note_progress(new_upload(offset=5, parts=parts[:1]), "me", NOW + 100)
    changed = new_upload(offset=8, parts=parts[1:], found_sha256="f" * 64, update_ms=NOW + 9)
    rows.note_progress(changed, "me", NOW + 100)
    assert rows.upload(key(1)) == new_upload(
        offset=8, parts=parts, found_sha256="f" * 64, update_ms=NOW + 9
    )


def test_unknown_uploads(rows: Rows) -> None:
    for call in (
        lambda: rows.upload(key(9)),
        lambda: rows.hold_upload(key(9), "me", NOW, NOW),
        lambda: rows.note_progress(new_upload(9), "me", NOW),
    ):
        with pytest.raises(UploadNotFound):
            call()
    assert not rows.remove_upload(key(9), "me")
    rows.release_upload(key(9), "me")


def test_a_committed_upload_is_a_file_and_answers_again(rows: Rows) -> None:
    rows.add_upload(new_upload())
    rows.hold_upload(key(1), "me", NOW, NOW + 100)
    blob = Blob(digest("big"), 10, key(1001))
    done = rows.commit_upload(new_upload(), "me", blob, LATER)
    assert done.artifact == File("big", digest("big"), 10, LATER)
    assert rows.find(run(), "big") == done.artifact
    assert rows.hold_upload(key(1), "you", LATER, LATER).artifact == done.artifact
    assert rows.blobs([digest("big")]) == {digest("big"): blob}


def test_an_upload_of_known_bytes_leaves_its_object_unknown(rows: Rows) -> None:
    store(rows, run(), "x")
    rows.add_upload(new_upload(size=1))
    rows.hold_upload(key(1), "me", NOW, NOW + 100)
    rows.commit_upload(new_upload(size=1), "me", Blob(digest("x"), 1, key(1001)), NOW)
    assert not rows.remove_upload(key(1), "me")
    assert not rows.remove_upload(key(1), "")
    assert rows.upload(key(1)).artifact is not None
    assert rows.take_abandoned_uploads(LATER, NOW + 100_000_000, 10) == []
    assert rows.known_objects([key(1001)]) == set()
    assert rows.count_garbage(LATER) == Totals()


def test_an_upload_meets_what_any_commit_meets(rows: Rows) -> None:
    store(rows, run(), "big/inside")
    rows.add_upload(new_upload())
    rows.hold_upload(key(1), "me", NOW, NOW + 100)
    with pytest.raises(PathConflict):
        rows.commit_upload(new_upload(), "me", Blob(digest("b"), 10, key(1001)), NOW)
    assert rows.upload(key(1)).artifact is None
    assert rows.blobs([digest("b")]) == {}


# --- Garbage ----------------------------------------------------------------------------------


def test_garbage_is_what_no_file_refers_to(rows: Rows) -> None:
    store(rows, run(), "a", "bb", "ccc")
    rows.plan_objects([(key(1), 50)], NOW)
    assert rows.count_garbage(NOW) == Totals()
    assert rows.count_garbage(NOW + 1) == Totals(1, 50)
    rows.delete_files(run(), "bb")
    assert rows.count_garbage(NOW + 1) == Totals(2, 52)
    assert sorted(rows.take_garbage(NOW + 1, 10)) == sorted([(key(1), 50), (digest("bb")[:32], 2)])
    # Until the bytes are gone, a collection that broke off begins with them again.
    assert rows.count_garbage(NOW + 1) == Totals(2, 52)
    assert rows.blobs([digest("bb")]) == {}
    rows.forget_objects([key(1), digest("bb")[:32], digest("a")[:32]])
    assert rows.count_garbage(NOW + 1) == Totals()
    assert set(rows.blobs([digest("a"), digest("ccc")])) == {digest("a"), digest("ccc")}


def test_a_shared_object_goes_when_all_in_it_are_free(rows: Rows) -> None:
    blobs = [Blob(digest(text), 1, key(1), at, whole=False) for at, text in enumerate("xyz")]
    rows.plan_objects([(key(1), 3)], NOW)
    files = [NewFile(text, digest(text), 1) for text in "xyz"]
    rows.commit_files(run(), files, blobs, NOW)
    rows.delete_files(run(), "x")
    rows.delete_files(run(), "y")
    assert rows.take_garbage(LATER, 10) == []
    store(rows, run(), "again", content="x")
    rows.delete_files(run(), "z")
    assert rows.take_garbage(LATER, 10) == []
    rows.delete_files(run(), "again")
    assert rows.take_garbage(LATER, 10) == [(key(1), 3)]


def test_abandoned_uploads_are_taken_unless_held(rows: Rows) -> None:
    for number in (1, 2, 3):
        rows.add_upload(new_upload(number, path=f"f{number}"))
    rows.hold_upload(key(2), "me", LATER, LATER + 100)
    rows.hold_upload(key(3), "me", NOW, NOW + 100)
    rows.commit_upload(new_upload(3, path="f3"), "me", Blob(digest("3"), 10, key(1003)), NOW)
    assert rows.abandoned_uploads(NOW, LATER) == 0
    assert rows.abandoned_uploads(NOW + 1, LATER) == 1
    taken = rows.take_abandoned_uploads(NOW + 1, LATER, 10)
    assert [each.upload_id for each in taken] == [key(1)]
    assert rows.known_uploads([key(1), key(2), key(3)]) == {key(2), key(3)}
    # The committed one is forgotten a day later, and its file stays.
    rows.take_abandoned_uploads(NOW, NOW + 86_400_001, 10)
    assert rows.known_uploads([key(3)]) == set()
    assert rows.find(run(), "f3") is not None


def test_referrers_name_owner_and_path(rows: Rows) -> None:
    store(rows, run(), "a", "b/c", content="same")
    rows.copy_files((run(), ""), (version(), ""), seal=True, now_ms=NOW)
    found = rows.referrers(digest("same"), 10)
    assert found == sorted(
        f"{owner}/{path}" for owner in (run(), version()) for path in ("a", "b/c")
    )
    assert len(rows.referrers(digest("same"), 3)) == 3


def test_longest_path_of_widest_characters(rows: Rows) -> None:
    path = "/".join(["🎉" * 51] * 5)[:256]
    assert len(path.encode()) <= 1024
    store(rows, Owner(run().kind, "r" * 256), path)
    assert paths_of(rows.list_tree(Owner(run().kind, "r" * 256), "", "", 10)) == [path]

"""Who owns a data folder, in one process: a lock of another descriptor is another owner's."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from runstone_suite import datadir
from runstone_suite.datadir import DataDir, HeldByAnother, SuiteError, owner_of


def foreground(path: Path) -> DataDir:
    return DataDir(path, mode="foreground", version="1")


def test_claim_publish_release(tmp_path: Path) -> None:
    folder = foreground(tmp_path / "new" / "data")
    folder.claim()
    status_file = tmp_path / "new" / "data" / "suite.json"
    assert not status_file.exists()
    owner = owner_of(folder.path)
    assert owner is not None
    assert (owner.pid, owner.mode, owner.address) == (os.getpid(), "foreground", "")
    folder.publish(address="unix:/x.sock", tcp="127.0.0.1:1", http="http://127.0.0.1:2")
    said = json.loads(status_file.read_text("utf-8"))
    assert said == {
        "pid": os.getpid(),
        "mode": "foreground",
        "version": "1",
        "address": "unix:/x.sock",
        "tcp": "127.0.0.1:1",
        "http": "http://127.0.0.1:2",
    }
    folder.withdraw()
    assert not status_file.exists()
    assert owner_of(folder.path) == datadir.Status(**said)
    folder.release()
    assert owner_of(folder.path) is None


def test_a_second_owner_is_told_of_the_first(tmp_path: Path) -> None:
    first = foreground(tmp_path)
    first.claim()
    first.publish(address="unix:/x.sock", tcp="127.0.0.1:77")
    with pytest.raises(HeldByAnother, match=rf"pid {os.getpid()}, at 127.0.0.1:77 and unix:/x"):
        foreground(tmp_path).claim()
    background = DataDir(tmp_path, mode="background", version="1")
    with pytest.raises(HeldByAnother):
        background.claim()
    first.release()
    background.claim()
    background.release()


def test_claim_clears_what_a_killed_owner_left(tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text('{"pid": 1}', "utf-8")
    folder = foreground(tmp_path)
    folder.claim()
    assert not (tmp_path / "suite.json").exists()
    folder.release()


def test_a_stale_name_in_the_lock_is_nobody(tmp_path: Path) -> None:
    folder = foreground(tmp_path)
    folder.claim()
    folder.release()
    assert (tmp_path / "suite.lock").read_text("utf-8")
    assert owner_of(tmp_path) is None


def test_clients_keep_the_folder_in_use(tmp_path: Path) -> None:
    folder = DataDir(tmp_path, mode="background", version="1")
    folder.claim()
    with (tmp_path / "clients.lock").open("w") as client:
        fcntl.flock(client, fcntl.LOCK_SH)
        assert not folder.nobody_uses_it()
    assert folder.nobody_uses_it()
    with (tmp_path / "clients.lock").open("r") as late:
        with pytest.raises(BlockingIOError):
            fcntl.flock(late, fcntl.LOCK_SH | fcntl.LOCK_NB)
        folder.clients_may_join()
        fcntl.flock(late, fcntl.LOCK_SH | fcntl.LOCK_NB)
    folder.release()


def test_a_long_path_has_its_socket_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    short = foreground(Path("/tmp/x"))
    assert short.socket_path() == Path("/tmp/x").resolve() / "runstone.sock"
    long, other = foreground(tmp_path / ("d" * 100)), foreground(tmp_path / ("e" * 100))
    assert len(os.fsencode(long.socket_path())) <= datadir.LONGEST_SOCKET_PATH
    assert long.socket_path() == foreground(tmp_path / ("d" * 100)).socket_path()
    assert long.socket_path() != other.socket_path()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(SuiteError, match="no folder"):
        foreground(tmp_path / name).claim()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    # Root writes where it likes, but not into /proc.
    with pytest.raises(SuiteError, match="/proc/nothing/here cannot be"):
        foreground(Path("/proc/nothing/here")).claim()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["notes.txt"], "it holds notes.txt;"),
        (["0/meta.yaml", "models/"], "it holds 0/, models/ (an MLflow folder);"),
        (["mlflow.db"], "it holds mlflow.db (an MLflow folder);"),
        (["a", "b", "c", "d", "e"], "it holds a, b, c and 2 more;"),
    ],
)
def test_somebody_elses_folder_is_left_alone(tmp_path: Path, names: list[str], said: str) -> None:
    fill(tmp_path, names)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SuiteError) as refused:
        foreground(tmp_path).claim()
    assert said in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "names",
    [
        [],
        [".gitignore", "lost+found/"],
        ["notes.txt", "tracking.db", "objects/"],
        ["suite.lock", "notes.txt"],
    ],
)
def test_a_folder_that_is_ours_or_can_become_it(tmp_path: Path, names: list[str]) -> None:
    fill(tmp_path, names)
    folder = foreground(tmp_path)
    folder.claim()
    folder.release()


def fill(folder: Path, names: list[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()

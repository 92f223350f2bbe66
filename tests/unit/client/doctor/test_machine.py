"""Installation, folders, processes: what each looks like when it is sick."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from runstone._doctor import folders, installation, processes
from runstone._doctor.folders import Use
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line


def distribution(folder: Path, name: str, version: str, *needs: str) -> None:
    """Metadata of a package that is not there."""
    made = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    made.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in needs]
    (made / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")


def found(look: Callable[[Asked, str], Iterator[Line]], **environment: str) -> dict[str, Line]:
    return {each.name: each for each in look(Asked(environment=environment), "x")}


def test_this_installation() -> None:
    assert found(installation.python)["x"].status == OK
    assert found(installation.libraries)["x"].status == OK
    assert found(installation.loaded)["x"].status == OK
    assert "numpy" in found(installation.optional)["x"].details["installed"]


def test_a_protobuf_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "protobuf", "3.20.1")
    monkeypatch.syspath_prepend(tmp_path)
    line = found(installation.libraries)["x.protobuf"]
    assert line.status == FAILURE
    assert line.summary.startswith("protobuf 3.20.1 is too old")
    assert line.fix.startswith("pip install --upgrade 'protobuf>=")


def test_a_library_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "runstone", "0.1.0", "sparkle>=2.0", "numpy>=2 ; extra == 'numpy'")
    monkeypatch.syspath_prepend(tmp_path)
    line = found(installation.libraries)["x"]
    assert (line.status, line.fix) == (FAILURE, "pip install 'sparkle>=2.0'")


def test_two_releases_over_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "runstone", "9.9.9")
    monkeypatch.syspath_prepend(tmp_path)
    line = found(installation.packages)["x"]
    assert line.status == FAILURE
    assert "9.9.9" in line.summary


def test_another_copy_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runstone").mkdir()
    (tmp_path / "runstone" / "_version.py").touch()
    monkeypatch.setattr("sys.path", [*installation.sys.path, str(tmp_path)])
    line = found(installation.packages)["x.path"]
    assert line.status == WARNING
    assert str(tmp_path / "runstone") in line.details["others"]


def test_a_program_of_another_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "runstone"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found(installation.packages)["x.program"].status == WARNING


def use(path: Path) -> Use:
    return Use("things", path, "THINGS_DIR", local=True, lasting=True)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def is_of(kind: str = "ext4", free: int = 2**40, inodes: int = 10**9) -> None:
        monkeypatch.setattr(folders, "file_system", lambda _path: (kind, "/"))
        said = SimpleNamespace(
            f_bavail=free // 4096, f_frsize=4096, f_blocks=2**30, f_files=2**30, f_favail=inodes
        )
        monkeypatch.setattr(folders.os, "statvfs", lambda _path: said)

    return is_of


def test_a_good_folder_is_left_as_it_was(tmp_path: Path, disk: Callable[..., None]) -> None:
    disk()
    assert folders.judged("x", use(tmp_path)).status == OK
    assert folders.judged("x", use(tmp_path / "new" / "one")).status == OK
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ({"kind": "nfs4"}, WARNING, "network"),
        ({"kind": "tmpfs"}, WARNING, "reboot"),
        ({"free": 2**29}, WARNING, "little"),
        ({"free": 2**20}, FAILURE, "almost full"),
        ({"inodes": 5000}, WARNING, "5000 files"),
        ({"inodes": 0}, FAILURE, "0 files"),
    ],
)
def test_disks(
    tmp_path: Path, disk: Callable[..., None], how: dict[str, object], status: str, words: str
) -> None:
    disk(**how)
    line = folders.judged("x", use(tmp_path))
    assert line.status == status
    assert words in line.summary
    assert "THINGS_DIR" in line.fix


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert folders.judged("x", use(tmp_path / "file")).summary.endswith("is no folder")
    # Nobody makes files there, root neither.
    line = folders.judged("x", use(Path("/proc")))
    assert line.status == FAILURE
    assert "cannot be written" in line.summary


def test_the_nearest_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "a / ext4 rw\nb /data nfs rw\nc /data/my\\040own xfs rw\nd /database tmpfs rw\n", "utf-8"
    )
    for path, wanted in {
        "/": "ext4",
        "/data/x": "nfs",
        "/data/my own/y": "xfs",
        "/datab": "ext4",
        "/database": "tmpfs",
    }.items():
        assert folders.file_system(Path(path), mounts)[0] == wanted
    assert folders.file_system(Path("/"), tmp_path / "none") == ("", "")


@pytest.mark.parametrize(
    ("environment", "status", "words"),
    [
        ({}, OK, "alone"),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, OK, "rank 3"),
        ({"RANK": "0", "WORLD_SIZE": "1"}, OK, "alone"),
        ({"RANK": "3"}, WARNING, "WORLD_SIZE is not set"),
        ({"SLURM_PROCID": "x", "SLURM_NTASKS": "2"}, WARNING, "no rank"),
    ],
)
def test_ranks(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], status: str, words: str
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    line = found(processes.ranks, **environment)["x"]
    assert line.status == status
    assert words in line.summary


def test_forks_and_grpc() -> None:
    assert found(processes.forks)["x"].status == OK
    assert found(processes.forks, GRPC_ENABLE_FORK_SUPPORT="1")["x"].status == WARNING
    assert found(processes.forks, GRPC_ENABLE_FORK_SUPPORT="0")["x"].status == OK
    assert found(processes.grpc_settings, GRPC_TRACE="all")["x"].status == WARNING
    proxy = {"https_proxy": "http://proxy:3128"}
    assert list(found(processes.grpc_settings, **proxy)) == ["x"]


def test_a_proxy_is_told_where_it_is_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", "runstone://far.example")
    lines = found(processes.grpc_settings, https_proxy="http://proxy:3128")
    assert lines["x.proxy"].status == WARNING
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", "runstone://127.0.0.1")
    assert "x.proxy" not in found(processes.grpc_settings, https_proxy="http://proxy:3128")


@pytest.mark.parametrize(("soft", "status"), [(65536, OK), (256, WARNING), (20, FAILURE)])
def test_open_files(monkeypatch: pytest.MonkeyPatch, soft: int, status: str) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (soft, 65536))
    assert found(processes.open_files)["x"].status == status

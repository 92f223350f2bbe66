"""Where projects come from. What is hostile runs nothing and writes nothing, and is refused."""

from __future__ import annotations

import os
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runstone._projects import archives, git, sources
from runstone.exceptions import LibraryMissing, ProjectInvalid

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


def in_git(folder: Path, *arguments: str) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits: the first is v1, the second is main and has a project in a folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    folder = tmp_path / "repository"
    (folder / "models").mkdir(parents=True)
    in_git(folder, "init", "-q", "-b", "main")
    (folder / "train.py").write_text("one")
    in_git(folder, "add", ".")
    in_git(folder, "commit", "-qm", "one")
    in_git(folder, "tag", "v1")
    (folder / "train.py").write_text("two")
    (folder / "models" / "train.py").write_text("inner")
    in_git(folder, "add", ".")
    in_git(folder, "commit", "-qm", "two")
    return folder


@pytest.mark.parametrize(
    ("uri", "where", "subdirectory"),
    [
        ("https://example.com/a/b.git", "https://example.com/a/b.git", ""),
        ("git+https://example.com/a/b#c/d", "https://example.com/a/b", "c/d"),
        ("ssh://git@example.com/a/b", "ssh://git@example.com/a/b", ""),
        ("git+ssh://git@example.com:22/a", "ssh://git@example.com:22/a", ""),
        ("git@example.com:a/b.git#c", "git@example.com:a/b.git", "c"),
    ],
)
def test_repositories(uri: str, where: str, subdirectory: str) -> None:
    assert sources.parse(uri) == sources.Place("git", where, subdirectory)


HOSTILE = [
    "ext::sh -c 'touch canary'",
    "git+ext::sh -c touch% canary",
    "fd::17",
    "--upload-pack=touch canary",
    "-u./canary",
    "ssh://-oProxyCommand=touch%20canary/x",
    "ssh://-oProxyCommand=touch@example.com/x",
    "git@-oProxyCommand=touch:x",
    "git@example.com:-x",
    "git://example.com/x",
    "http://example.com/x",
    "http://example.com/x.zip#y/../../z",
    "ftp://example.com/x",
    "git+file:///etc",
    "git+http://example.com/x",
    "file://elsewhere/x",
    "https:///x",
    "https://example.com",
    "https://example.com/x#../y",
    "https://example.com/x#/y",
    "https://example.com/x\n--upload-pack=y",
    "https://example.com/x\0",
    "",
    " ",
    "nowhere",
]


@pytest.mark.parametrize("uri", HOSTILE)
def test_a_uri_that_is_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    monkeypatch.setattr(subprocess, "run", lambda *given, **_: called.append(given))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectInvalid):
        sources.fetch(uri)
    assert called == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "version",
    ["--upload-pack=x", "-x", "a b", "a..b", "a@{1}", "a^", "a:b", "", "a\nb", "../x", "a*"],
)
def test_a_version_that_is_refused(version: str, repository: Path) -> None:
    with pytest.raises(ProjectInvalid, match="is no branch, tag or commit"):
        sources.fetch(str(repository), version)


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    found = sources.fetch("a")
    assert (found.kind, found.folder, found.commit) == ("folder", tmp_path / "a", None)
    assert sources.fetch("a#b").folder == tmp_path / "a" / "b"
    assert sources.fetch((tmp_path / "a").as_uri()).folder == tmp_path / "a"
    with pytest.raises(ProjectInvalid, match="has no folder 'c'"):
        sources.fetch("a#c")
    with pytest.raises(ProjectInvalid, match="is in none"):
        sources.fetch("a", "v1")
    (tmp_path / "a" / "out").symlink_to("..")
    with pytest.raises(ProjectInvalid, match="leads out"):
        sources.fetch("a#out")


def test_a_folder_of_a_repository(repository: Path) -> None:
    in_git(repository, "remote", "add", "origin", "https://me:secret@example.com/a.git")
    found = sources.fetch(str(repository / "models"))
    assert (found.root, found.subdirectory) == (repository, "models")
    assert found.commit == in_git(repository, "rev-parse", "HEAD")
    assert found.repository == "https://example.com/a.git"
    (repository / ".gitignore").write_text("build")
    (repository / "build").mkdir()
    assert sources.fetch(str(repository / "build")).commit is None


def test_a_version_of_a_folder_is_checked_out_beside_it(repository: Path) -> None:
    first = in_git(repository, "rev-parse", "v1")
    (repository / "train.py").write_text("changed")
    for version in ("v1", first, first[:8]):
        found = sources.fetch(str(repository), version)
        assert (found.folder / "train.py").read_text() == "one"
        assert (found.kind, found.commit, found.branch) == ("git", first, None)
        sources.discard(found)
        assert not found.folder.exists()
    found = sources.fetch(f"{repository}#models", "main")
    assert (found.folder / "train.py").read_text() == "inner"
    assert (found.branch, found.version, found.subdirectory) == ("main", "main", "models")
    assert (repository / "train.py").read_text() == "changed"
    sources.discard(found)
    for version in ("v2", "abcdef12", "0" * 40):
        with pytest.raises(ProjectInvalid, match=f"has no (branch, tag or )?commit '{version}'"):
            sources.fetch(str(repository), version)
    assert list((repository.parent / "tmp").iterdir()) == []


def test_repositories_of_this_machine_by_consent(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"git+{repository.as_uri()}#models"
    with pytest.raises(ProjectInvalid, match="RUNSTONE_ALLOW_FILE_REPOSITORIES=true only"):
        sources.fetch(uri)
    monkeypatch.setenv("RUNSTONE_ALLOW_FILE_REPOSITORIES", "true")
    storage = repository.parent / "storage"
    found = sources.fetch(uri, storage=storage)
    assert (found.folder / "train.py").read_text() == "inner"
    assert found.repository == repository.as_uri()
    sources.discard(found)
    # What was put where somebody said stays there.
    assert found.folder.is_relative_to(storage)
    assert found.folder.exists()


def test_a_checkout_runs_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks of templates and of the caller's git, submodules, and what a git around it says."""
    canary = repository.parent / "canary"
    hook = f"#!/bin/sh\ntouch {canary}\n"
    template = repository.parent / "template" / "hooks"
    template.mkdir(parents=True)
    (template / "post-checkout").write_text(hook)
    (template / "post-checkout").chmod(0o755)
    (repository.parent / ".gitconfig").write_text(
        f"[init]\ntemplateDir = {template.parent}\n[core]\nhooksPath = {template}\n"
        f"fsmonitor = {template}/post-checkout\n[protocol]\nallow = always\n"
        "[submodule]\nrecurse = true\n"
    )
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    (repository / ".gitmodules").write_text(
        f'[submodule "x"]\npath = x\nurl = {repository.as_uri()}\nupdate = !touch {canary}\n'
    )
    monkeypatch.delenv("GIT_DIR")
    in_git(repository, "add", ".")
    commit = in_git(repository, "rev-parse", "HEAD")
    in_git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    in_git(repository, "-c", "core.hooksPath=/dev/null", "commit", "-qm", "three")
    canary.unlink(missing_ok=True)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    found = sources.fetch(str(repository), "main")
    assert not canary.exists()
    assert list((found.folder / "x").iterdir()) == []
    git.changes(found.root)
    assert not canary.exists()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../out", "models/../..", ".git/config"])
def test_links_that_lead_out(repository: Path, target: str) -> None:
    (repository / "models" / "link").symlink_to(target if target[0] in "/." else f"../{target}")
    if target == ".git/config":
        (repository / "models" / "link").unlink()
        (repository / "link").symlink_to(target)
    in_git(repository, "add", ".")
    in_git(repository, "commit", "-qm", "link")
    with pytest.raises(ProjectInvalid, match="is a link that leads out of the project"):
        sources.fetch(str(repository), "main")
    assert list((repository.parent / "tmp").iterdir()) == []


def test_links_in_a_circle(repository: Path) -> None:
    (repository / "loop").symlink_to("loop")
    try:
        sources.check_links(repository)
    except ProjectInvalid as error:
        assert "link in a circle" in error.message  # noqa: PT017 - Python 3.13 sees no error


def test_where_what_is_fetched_is_put_is_made(repository: Path, tmp_path: Path) -> None:
    sources.fetch(str(repository), None, tmp_path / "new" / "storage")
    assert (tmp_path / "new" / "storage").is_dir()


def test_links_within(repository: Path) -> None:
    (repository / "models" / "link").symlink_to("../train.py")
    in_git(repository, "add", ".")
    in_git(repository, "commit", "-qm", "link")
    assert (sources.fetch(f"{repository}#models", "main").folder / "link").read_text() == "two"


def test_changes_are_a_patch_that_can_be_applied(repository: Path) -> None:
    (repository / "train.py").write_text("changed\n")
    (repository / "models" / "train.py").write_bytes(b"\0\xff")
    (repository / "new" / "deep").mkdir(parents=True)
    (repository / "new" / "deep" / "ä b").touch()
    # What a diff shows in other ways elsewhere is the same here.
    in_git(repository, "config", "diff.external", "touch canary")
    in_git(repository, "config", "diff.noprefix", "true")
    patch, untracked = git.changes(repository)
    assert untracked == ["new/"]
    found = sources.fetch(str(repository), "main")
    subprocess.run(["git", "apply"], input=patch, cwd=found.root, check=True)
    assert (found.root / "train.py").read_text() == "changed\n"
    assert (found.root / "models" / "train.py").read_bytes() == b"\0\xff"
    assert not (repository / "canary").exists()


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert sources.fetch(str(repository)).commit is None
    with pytest.raises(LibraryMissing, match="git is not installed"):
        sources.fetch("https://example.com/a/b")


def test_a_repository_that_cannot_be_had(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(ProjectInvalid, match="git fetch failed") as caught:
        sources.fetch(f"https://me:secret@127.0.0.1:{free_port}/a")
    assert "secret" not in str(caught.value)


def zipped(path: Path, *entries: zipfile.ZipInfo | str, content: bytes = b"print()") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            archive.writestr(entry, content)
    return path


def packed(method: int) -> zipfile.ZipInfo:
    """writestr packs an entry by its own method."""
    found = zipfile.ZipInfo("train.py")
    found.compress_type = method
    return found


def special(name: str, mode: int) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.create_system, found.external_attr = 3, mode << 16
    return found


def test_an_archive(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "MLproject", "inner/", special("inner/x.sh", 0o100755))
    found = sources.fetch(f"{path}#inner", storage=tmp_path / "storage")
    assert (found.kind, found.commit, len(found.digest or "")) == ("zip", None, 64)
    assert os.access(found.folder / "x.sh", os.X_OK)
    with pytest.raises(ProjectInvalid, match="an archive has none"):
        sources.fetch(str(path), "v1")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["../canary"], "leads out of the archive"),
        (["a/../../canary"], "leads out of the archive"),
        (["/canary"], "leads out of the archive"),
        (["C:canary"], "leads out of the archive"),
        (["..\\canary"], "can be read in two ways"),
        ([special("link", stat.S_IFLNK | 0o777)], "is neither a file nor a folder"),
        ([special("pipe", stat.S_IFIFO | 0o666)], "is neither a file nor a folder"),
        (["a.py", "A.py"], "stands twice"),
        (["a", "a/"], "stands twice"),
        ([".git/config"], "belongs to git"),
        (["x/.GIT/hooks/y"], "belongs to git"),
        ([packed(zipfile.ZIP_BZIP2)], "a method other than deflate"),
        ([packed(zipfile.ZIP_LZMA)], "a method other than deflate"),
    ],
)
def test_an_archive_that_is_refused(
    tmp_path: Path, entries: list[zipfile.ZipInfo | str], said: str
) -> None:
    path = zipped(tmp_path / "a.zip", "first.py", *entries)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ProjectInvalid, match=said):
        archives.unpack(path, target)
    assert list(target.iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zip", "target"]


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "target"
    target.mkdir()
    monkeypatch.setattr(archives, "RATIO_FLOOR", 1 << 20)
    bomb = zipped(tmp_path / "a.zip", "a", "b", content=bytes(1 << 20))
    with pytest.raises(ProjectInvalid, match="zip bomb"):
        archives.unpack(bomb, target)
    monkeypatch.setattr(archives, "MAX_FILES", 1)
    with pytest.raises(ProjectInvalid, match="has 2 entries"):
        archives.unpack(bomb, target)
    assert list(target.iterdir()) == []


def test_an_archive_that_says_less_than_it_holds(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "a", content=bytes(50_000))
    damaged = path.read_bytes().replace((50_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(damaged)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ProjectInvalid):
        archives.unpack(path, target)
    assert sum(each.stat().st_size for each in target.iterdir()) <= 10


@pytest.mark.parametrize("damage", [lambda content: content[:-30], lambda _: b"no zip"])
def test_what_is_no_archive(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = zipped(tmp_path / "a.zip", "a")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ProjectInvalid, match="no zip archive that can be read"):
        archives.unpack(path, tmp_path)

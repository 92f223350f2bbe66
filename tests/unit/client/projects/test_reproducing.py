"""What is needed to run something again: found, rebuilt, or said to be missing."""

import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runstone._entities.artifacts import FileInfo
from runstone._entities.tracking import Run, RunData, RunInfo
from runstone._projects import git, recording, reproducing, running, sources
from runstone._projects.launch import Launch, Source
from runstone._projects.mlproject import load
from runstone._projects.reproducing import Recipe
from runstone.exceptions import ArtifactNotFound, ProjectInvalid
from support.projects import in_git, project

RUN_ID = "0123456789abcdef0123456789abcdef"


class Kept:
    """A client with one run and its files."""

    def __init__(self, tags: Mapping[str, str] | None = None, **files: bytes) -> None:
        self.files = dict(files)
        self.tags = dict(tags or {})

    def get_run(self, run_id: str) -> Run:
        data = RunData(params={"alpha": "1"}, tags=self.tags)
        return Run(RunInfo(run_id, "7", "x", "FINISHED"), data)

    def get_artifact(self, run_id: str, path: str) -> FileInfo:
        if path not in self.files:
            raise ArtifactNotFound(path)
        return FileInfo(path, False, len(self.files[path]))

    def read_bytes(self, run_id: str, path: str) -> bytes:
        if path not in self.files:
            raise ArtifactNotFound(path)
        return self.files[path]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "tmp"
    found.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(found))
    return found


def recorded(source: Source, **more: Any) -> Kept:
    """A run of a source as it is now, by what records runs."""
    launch = Launch(
        run_id=RUN_ID,
        experiment_id="7",
        project=load(source.folder),
        source=source,
        entry_point="main",
        parameters={"alpha": "0.5"},
        argv=("python", "train.py", "0.5"),
        environment={},
        **more,
    )
    files: dict[str, bytes] = {}
    changes = recording._changes(source, files)
    given, here = {"alpha": 0.5}, Path("/somewhere")
    record = recording.record(launch, "python train.py {alpha}", given, None, changes, [], here)
    files[recording.RECORD] = json.dumps(record).encode()
    return Kept({"mlflow.source.name": recording.source_name(source)}, **files)


def recipe(client: Kept) -> Recipe:
    return reproducing.recipe(client, RUN_ID)  # type: ignore[arg-type]


def rebuilt(client: Kept) -> Source:
    return reproducing.rebuilt(client, recipe(client))  # type: ignore[arg-type]


def test_the_source_is_as_it_was_with_its_changes(tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / "p"
    commit = project(folder)
    (folder / "train.py").write_text("changed")
    (folder / "new.bin").write_bytes(bytes(range(256)))
    in_git(folder, "add", "new.bin")
    client = recorded(sources.fetch(str(folder)))
    # What happens to the folder later has nothing to do with the run.
    in_git(folder, "add", ".")
    in_git(folder, "commit", "-qm", "two")
    (folder / "train.py").write_text("changed again")
    source = rebuilt(client)
    try:
        assert source.folder != folder
        assert source.commit == commit
        assert (source.folder / "train.py").read_text() == "changed"
        assert (source.folder / "new.bin").read_bytes() == bytes(range(256))
        # The changes are recorded again, byte by byte, as those of this run.
        files: dict[str, bytes] = {}
        again = recording._changes(source, files)
        assert again is not None
        assert files[recording.PATCH] == client.files[recording.PATCH]
        assert recording.source_name(source) == client.tags["mlflow.source.name"]
    finally:
        sources.discard(source)
    assert list(scratch.iterdir()) == []
    assert (folder / "train.py").read_text() == "changed again"


def test_a_clone_is_where_the_commit_is_when_the_folder_is_gone(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = project(tmp_path / "p")
    client = recorded(sources.fetch(str(tmp_path / "p")))
    record = json.loads(client.files[recording.RECORD])
    record["source"] |= {"root": str(tmp_path / "gone"), "repository": str(tmp_path / "p")}
    client.files[recording.RECORD] = json.dumps(record).encode()
    source = rebuilt(client)
    assert (source.commit, source.repository) == (commit, str(tmp_path / "p"))
    sources.discard(source)


def test_a_source_that_is_gone_says_where_it_was_looked_for(tmp_path: Path, scratch: Path) -> None:
    commit = project(tmp_path / "p")
    client = recorded(sources.fetch(str(tmp_path / "p")))
    (tmp_path / "p").rename(tmp_path / "q")
    with pytest.raises(ProjectInvalid, match=rf"commit {commit}, is gone: {tmp_path}/p: there is"):
        rebuilt(client)
    assert list(scratch.iterdir()) == []


def test_a_commit_that_is_gone_is_told(tmp_path: Path, scratch: Path) -> None:
    project(tmp_path / "p")
    client = recorded(sources.fetch(str(tmp_path / "p")))
    (tmp_path / "p").rename(tmp_path / "old")
    project(tmp_path / "p", {"MLproject": "name: other\n"})
    with pytest.raises(ProjectInvalid, match="is gone"):
        rebuilt(client)


def test_changes_that_were_too_large_are_told(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_PATCH_BYTES", 10)
    commit = project(tmp_path / "p")
    (tmp_path / "p" / "train.py").write_text("changed a lot")
    client = recorded(sources.fetch(str(tmp_path / "p")))
    with pytest.raises(ProjectInvalid, match=f"were not kept: larger than 10 .*commit is {commit}"):
        rebuilt(client)


EVIL_PATCHES = [
    """\
diff --git a/../evil b/../evil
new file mode 100644
--- /dev/null
+++ b/../evil
@@ -0,0 +1 @@
+evil
""",
    """\
diff --git a/.git/hooks/evil b/.git/hooks/evil
new file mode 100755
--- /dev/null
+++ b/.git/hooks/evil
@@ -0,0 +1 @@
+evil
""",
    """\
diff --git a/evil b/evil
new file mode 120000
--- /dev/null
+++ b/evil
@@ -0,0 +1 @@
+/etc/passwd
\\ No newline at end of file
""",
]


@pytest.mark.parametrize("name", [recording.RECORD, recording.PATCH])
def test_what_is_larger_than_a_record_is_not_read(
    tmp_path: Path, scratch: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "p"
    project(folder)
    (folder / "train.py").write_text("changed")
    client = recorded(sources.fetch(str(folder)))
    monkeypatch.setattr(recording, "MAX_PATCH_BYTES", 4 << 20)
    client.files[name] = client.files[name].ljust((4 << 20) + 1)
    with pytest.raises(ProjectInvalid, match=rf"{name} .* has 4194305 bytes"):
        rebuilt(client)
    assert list(scratch.iterdir()) == []


def test_a_patch_that_leads_out_is_refused(tmp_path: Path, scratch: Path) -> None:
    project(tmp_path / "p")
    (tmp_path / "p" / "train.py").write_text("changed")
    client = recorded(sources.fetch(str(tmp_path / "p")))
    for evil in EVIL_PATCHES:
        client.files[recording.PATCH] = evil.encode()
        with pytest.raises(ProjectInvalid, match=r"git apply failed|leads out of the project"):
            rebuilt(client)
    assert list(scratch.iterdir()) == []
    assert not list(tmp_path.rglob("evil"))


def test_a_folder_without_git_cannot_be_had_back(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text("name: x\n")
    client = recorded(sources.fetch(str(tmp_path)))
    with pytest.raises(ProjectInvalid, match=r"in no git repository.*recorded are its parameters"):
        rebuilt(client)


def test_an_archive_must_be_the_same(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "p.zip"

    def write(text: str) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("MLproject", f"name: {text}\n")

    write("one")
    before = sources.fetch(str(path))
    client = recorded(before)
    sources.discard(before)
    sources.discard(rebuilt(client))
    write("two")
    with pytest.raises(ProjectInvalid, match="is not the archive that run"):
        rebuilt(client)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (
            {"mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL"},
            "recorded are source train.py, 1 params; missing are its command line",
        ),
        (
            {
                "mlflow.source.name": "https://x.lab/y",
                "mlflow.source.type": "PROJECT",
                "mlflow.source.git.commit": "abc",
                "mlflow.project.entryPoint": "main",
            },
            "commit abc, entry point main, 1 params; missing are uncommitted changes.*runstone run",
        ),
    ],
)
def test_a_run_that_was_no_project_says_what_is_known(tags: dict[str, str], said: str) -> None:
    with pytest.raises(ProjectInvalid, match=said):
        recipe(Kept(tags))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"{", "is damaged"),
        (b"[]", "is damaged"),
        (b'{"format": 1}', "is damaged: KeyError"),
        (b'{"format": 99, "runstone": "9.9"}', "recorded by Runstone 9.9, which is newer"),
    ],
)
def test_a_record_that_cannot_be_read(record: bytes, said: str) -> None:
    with pytest.raises(ProjectInvalid, match=said):
        recipe(Kept(**{recording.RECORD: record}))


def test_paths_are_seen_from_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project(tmp_path / "p")
    config = {"kube-job-template-path": "job.yaml"}
    client = recorded(
        sources.fetch(str(tmp_path / "p")), backend="kubernetes", backend_config=config
    )
    begun: dict[str, Any] = {}
    monkeypatch.setattr(running, "start", lambda *args, **more: begun.update(more, wishes=args[5]))
    reproducing.start(client, recipe(client))  # type: ignore[arg-type]
    assert begun["wishes"].paths_from == Path("/somewhere")
    assert begun["wishes"].backend_config == {"kube-job-template-path": "/somewhere/job.yaml"}
    # It has the tag from its first moment on.
    assert begun["tags"] == {"runstone.reproduces": RUN_ID}
    # An older record does not say it.
    record = json.loads(client.files[recording.RECORD])
    del record["paths_from"]
    record |= {"given": {"data": "x.csv"}, "argv": ["cat", "/then/x.csv"]}
    client.files[recording.RECORD] = json.dumps(record).encode()
    with caplog.at_level(logging.WARNING):
        reproducing._warn(recipe(client), "local")
    assert "from where parameter data was seen" in caplog.text


@pytest.mark.parametrize(
    "changes", ['"x"', '{"untracked": 5}', '{"untracked": [], "untracked_count": "q"}']
)
def test_changes_that_are_none(changes: str) -> None:
    record = (
        '{"format": 1, "entry_point": "main", "given": {}, "environment": {}, "backend": "local",'
        ' "backend_config": {}, "docker_args": {}, "build_image": false,'
        f' "source": {{"uri": "/x", "changes": {changes}}}}}'
    )
    with pytest.raises(ProjectInvalid, match=r"is damaged: ValueError: source\.changes"):
        recipe(Kept(**{recording.RECORD: record.encode()}))


def test_a_record_that_is_nested_without_end() -> None:
    with pytest.raises(ProjectInvalid, match="is damaged: RecursionError"):
        recipe(Kept(**{recording.RECORD: b"[" * 200_000}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("env", "API_TOKEN=s3cret"),
        ("e", ["A=1", "DB_PASSWORD=s3cret"]),
        ("label", "https://me:s3cret@host"),
    ],
)
def test_secrets_in_options_of_docker_are_not_recorded(name: str, value: Any) -> None:
    found = recording._without_secrets({name: value, "gpus": "all"})
    assert found["gpus"] == "all"
    assert "s3cret" not in json.dumps(found)
    assert reproducing._hides(found)


def test_a_secret_of_the_configuration_must_be_given_anew(tmp_path: Path) -> None:
    project(tmp_path / "p")
    config = {"image": "x", "api-token": "hush"}
    client = recorded(sources.fetch(str(tmp_path / "p")), backend="other", backend_config=config)
    assert b"hush" not in client.files[recording.RECORD]
    with pytest.raises(ProjectInvalid, match=r"had a secret in it.*give it anew"):
        reproducing.start(client, recipe(client))  # type: ignore[arg-type]


def test_files_that_git_did_not_know_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project(tmp_path / "p")
    for number in range(7):
        (tmp_path / "p" / f"data{number}.csv").touch()
    client = recorded(sources.fetch(str(tmp_path / "p")))
    with caplog.at_level(logging.WARNING):
        reproducing._warn(recipe(client), "local")
    assert "data0.csv, data1.csv" in caplog.text
    assert "and 2 more" in caplog.text


def test_git_makes_the_same_patch_of_the_same_changes(tmp_path: Path) -> None:
    project(tmp_path / "p")
    (tmp_path / "p" / "train.py").write_text("changed")
    patch, _ = git.changes(tmp_path / "p")
    assert b"index " in patch
    (line,) = [each for each in patch.splitlines() if each.startswith(b"index ")]
    assert len(line.split()[1]) == 40 + 2 + 40

"""Projects as users run them: recorded, chained, ended, and from a repository or an archive."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

import runstone
from runstone.cli import main
from runstone.exceptions import ExecutionException, InvalidArgument, ParamImmutable, ProjectInvalid
from support import fluent
from support.processes import wait_until
from support.projects import statuses
from support.suites import clean_environment

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")

MLPROJECT = """
name: demo
entry_points:
  main:
    parameters: {alpha: {type: float, default: 0.1}, text: {default: plain}}
    command: python train.py --alpha {alpha} --text={text}
  fails: {command: sh -c 'exit 3'}
  nowhere: {command: no-such-program}
  waits:
    command: "sleep 300 & echo $! > child; echo $$ > own; wait"
    shell: true
  writes:
    parameters: {what: string}
    command: echo {what} >> "$OUT"
    shell: true
  chain:
    parameters: {what: {default: x}}
    steps:
      - {run: writes, name: one, parameters: {what: "1{what}"}}
      - {run: writes, name: two, parameters: {what: "2 {steps.one.run_id}"}}
  broken:
    steps: [fails, {run: writes, parameters: {what: never}}]
  parent: {command: python parent.py}
  reads: {parameters: {file: path}, command: "cat {file}"}
  tells: {command: 'echo "$RUNSTONE_EXPERIMENT_ID" >> "$OUT"', shell: true}
"""

TRAIN = """
import sys
import runstone
with runstone.start_run() as run:
    runstone.log_metric("loss", 0.5)
    runstone.log_dict({"argv": sys.argv[1:]}, "seen.json")
"""

PARENT = """
import os, runstone
with runstone.start_run():
    runstone.projects.run(".", "writes", parameters={"what": "inner"})
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("projects")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def project(data_dir: Path, tmp_path: Path) -> Iterator[Path]:
    """A project in the working folder."""
    (tmp_path / "MLproject").write_text(MLPROJECT)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "parent.py").write_text(PARENT)
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir), OUT=str(tmp_path / "out")):
        yield tmp_path


def record(run_id: str) -> dict[str, Any]:
    return dict(runstone.artifacts.load_dict(f"runs:/{run_id}/source/project.json"))


def children(run_id: str) -> list[Any]:
    text = f"tags.`mlflow.parentRunId` = '{run_id}'"
    found = runstone.search_runs(
        filter_string=text, search_all_experiments=True, output_format="list"
    )
    return sorted(found, key=lambda run: run.info.start_time)


def test_a_run_is_recorded_and_the_command_resumes_it(project: Path) -> None:
    value = "it's; $(touch canary)"
    given = {"alpha": 0.25, "text": value, "extra": "a b"}
    submitted = runstone.run(".", parameters=given, run_name="first", experiment_name="recorded")
    assert submitted.get_status() == "FINISHED"
    run = runstone.get_run(submitted.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.info.experiment_id == runstone.get_experiment_by_name("recorded").experiment_id
    assert run.data.params == {"alpha": "0.25", "text": value, "extra": "a b"}
    assert run.data.metrics == {"loss": 0.5}
    tags = {k: v for k, v in run.data.tags.items() if k not in {"mlflow.user", "mlflow.runName"}}
    assert tags == {
        "mlflow.source.name": str(project),
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": "main",
        "mlflow.project.backend": "local",
    }
    seen = runstone.artifacts.load_dict(f"runs:/{submitted.run_id}/seen.json")
    assert seen["argv"] == ["--alpha", "0.25", f"--text={value}", "--extra", "a b"]
    assert not (project / "canary").exists()
    kept = record(submitted.run_id)
    assert kept["source"]["uri"] == str(project)
    assert kept["source"]["changes"] is None
    assert kept["given"] == {"alpha": "0.25", "text": value, "extra": "a b"}
    assert kept["argv"] == ["python", "train.py", *seen["argv"]]
    assert kept["environment"]["files"] == ["source/environment/MLproject"]
    path = f"runs:/{submitted.run_id}/source/environment/MLproject"
    assert runstone.artifacts.load_text(path) == MLPROJECT


def test_what_is_wrong_makes_no_run() -> None:
    def count() -> int:
        return len(runstone.search_runs(search_all_experiments=True, output_format="list"))

    before = count()
    wrong: list[dict[str, Any]] = [
        {"entry_point": "mian"},
        {"parameters": {"alpha": "x"}},
        {"parameters": {"text": "a\0"}},
        {"backend": "nowhere"},
        {"backend_config": {"a": 1}},
        {"env_manager": "pipenv"},
        {"env_manager": "conda"},
        {"version": "v1"},
        {"uri": "ext::sh"},
        {"experiment_name": "unmade", "entry_point": "mian"},
        {"experiment_name": "unmade", "parameters": {"-x": 1}},
    ]
    for each in wrong:
        with pytest.raises(ProjectInvalid):
            runstone.run(**{"uri": ".", **each})
    assert count() == before
    assert runstone.get_experiment_by_name("unmade") is None


@pytest.mark.parametrize(
    ("entry_point", "said"),
    [("fails", "failed: exit code 3"), ("nowhere", "there is no program 'no-such-program'")],
)
def test_a_run_that_fails_says_how(entry_point: str, said: str) -> None:
    with pytest.raises(ExecutionException, match=said) as caught:
        runstone.run(".", entry_point)
    assert runstone.get_run(caught.value.metadata["run_id"]).info.status == "FAILED"


def test_a_chain(project: Path) -> None:
    submitted = runstone.run(".", "chain", parameters={"what": "; x"})
    one, two = children(submitted.run_id)
    assert (project / "out").read_text() == f"1; x\n2 {one.info.run_id}\n"
    assert two.data.params == {"what": f"2 {one.info.run_id}"}
    assert runstone.get_run(submitted.run_id).info.status == "FINISHED"
    with pytest.raises(ExecutionException, match="step 'fails' failed: exit code 3 ") as caught:
        runstone.run(".", "broken")
    assert [run.info.status for run in children(caught.value.metadata["run_id"])] == ["FAILED"]
    assert "never" not in (project / "out").read_text()


def test_a_program_that_runs_its_project(project: Path) -> None:
    submitted = runstone.run(".", "parent")
    assert (project / "out").read_text() == "inner\n"
    (child,) = children(submitted.run_id)
    assert child.data.tags["mlflow.project.entryPoint"] == "writes"


def test_beside_this_program_and_cancelled(project: Path) -> None:
    submitted = runstone.run(".", "waits", synchronous=False)
    pids = [int(text) for text in wait_until(partial(written, project), 20, "a child")]
    assert submitted.get_status() == "RUNNING"
    submitted.cancel()
    assert submitted.wait() is False
    assert submitted.get_status() == "KILLED"
    assert runstone.get_run(submitted.run_id).info.status == "KILLED"
    wait_until(lambda: not any(map(alive, pids)), 20, "the end of all of them")
    submitted = runstone.run(".", "writes", parameters={"what": "a"}, synchronous=False)
    assert submitted.wait() is True
    assert runstone.get_run(submitted.run_id).info.status == "FINISHED"


def written(project: Path) -> list[str] | None:
    found = [project / name for name in ("child", "own")]
    texts = [path.read_text() if path.exists() else "" for path in found]
    return texts if all(text.endswith("\n") for text in texts) else None


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_the_command_line_is_interrupted(
    project: Path, data_dir: Path, number: signal.Signals, code: int
) -> None:
    # Whoever runs the tests by nohup has them, and what they start, ignore SIGHUP.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "runstone.cli",
            "run",
            ".",
            "-e",
            "waits",
            "--run-name",
            number.name,
        ],
        env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir)),
    )
    signal.signal(signal.SIGHUP, before)
    pids = [int(text) for text in wait_until(partial(written, project), 30, "a child")]
    process.send_signal(number)
    assert process.wait(30) == code
    wait_until(lambda: not any(map(alive, pids)), 20, "the end of all of them")
    (run,) = runstone.search_runs(
        filter_string=f"attributes.run_name = '{number.name}'", output_format="list"
    )
    assert run.info.status == "KILLED"


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def told(capture: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capture.readouterr()
    code = main(["run", *arguments])
    out, err = capture.readouterr()
    return code, out, err


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, ".", "-P", "alpha=2", "-P", "b=3", "--run-name", "n", "--json")
    assert code == 0
    answer = json.loads(out)
    assert runstone.get_run(answer["run_id"]).data.params == {
        "alpha": "2", "text": "plain", "b": "3",
    }  # fmt: skip
    code, _, err = told(capsys, ".", "-e", "fails")
    assert (code, "failed: exit code 3" in err) == (1, True)
    for wrong in (["-P", "a"], ["-P", "a=1", "-P", "a=2"], ["-A", "-x"], ["--no-wait"]):
        assert told(capsys, ".", *wrong)[0] == 2


def in_git(folder: Path, *arguments: str) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


def test_a_repository(project: Path) -> None:
    in_git(project, "init", "-q", "-b", "main")
    (project / ".gitignore").write_text("out")
    in_git(project, "add", ".")
    in_git(project, "commit", "-qm", "one")
    commit = in_git(project, "rev-parse", "HEAD")
    (project / "train.py").write_text("changed")
    (project / "new.txt").touch()
    dirty = runstone.run(".", "writes", parameters={"what": 1}).run_id
    tags = runstone.get_run(dirty).data.tags
    assert tags["mlflow.source.name"] == f"file://{project}"
    assert tags["mlflow.source.git.commit"] == commit
    changes = record(dirty)["source"]["changes"]
    assert changes["untracked"] == ["new.txt"]
    patch = runstone.artifacts.load_text(f"runs:/{dirty}/source/diff.patch")
    assert "+changed" in patch
    clean = runstone.run(".", "chain", version="main").run_id
    for run_id in (clean, children(clean)[0].info.run_id):
        tags = runstone.get_run(run_id).data.tags
        assert tags["mlflow.source.git.branch"] == tags["mlflow.project.version"] == "main"
        assert record(run_id)["source"]["changes"] is None


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def served(project: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=project))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_archive(project: Path, served: str) -> None:
    with zipfile.ZipFile(project / "a.zip", "w") as archive:
        archive.writestr("inner/MLproject", MLPROJECT)
    for uri, query in ((f"file://{project}/a.zip", ""), (f"{served}/a.zip", "?key=secret")):
        run_id = runstone.run(f"{uri}{query}#inner", "writes", parameters={"what": "z"}).run_id
        assert runstone.get_run(run_id).data.tags["mlflow.source.name"] == f"{uri}#inner"
        assert len(record(run_id)["source"]["digest"]) == 64
    assert (project / "out").read_text() == "z\nz\n"
    with pytest.raises(ProjectInvalid, match="cannot be fetched: HTTP Error 404"):
        runstone.run(f"{served}/b.zip")


def test_an_environment_of_its_own(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    (project / "python_env.yaml").write_text(f'python: "3.{sys.version_info.minor}"\n')
    (project / "where.py").write_text("import sys; print(sys.prefix, sys.path)")
    for _ in range(2):
        run_id = runstone.run(".", "where.py").run_id
    (place,) = (project / "cache" / "runstone" / "project-environments").iterdir()
    out = capfd.readouterr().out
    assert out.count(str(place)) >= 2
    assert os.environ.get("PYTHONPATH", "nothing of this one") not in out
    assert runstone.get_run(run_id).data.tags["mlflow.project.env"] == "virtualenv"
    assert record(run_id)["environment"] == {
        "manager": "virtualenv",
        "kind": "python_env",
        "image": None,
        "files": ["source/environment/MLproject", "source/environment/python_env.yaml"],
        "python": None,
    }
    (project / "python_env.yaml").write_text("python: 3.11\n")
    with pytest.raises(ProjectInvalid, match="must be a version in quotes"):
        runstone.run(".", "where.py")


def test_another_backend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from runstone._projects import backends

    launches = []

    class Submitted:
        run_id, failure = "", "no room"

        def get_status(self) -> str:
            return "FAILED"

        def wait(self) -> bool:
            return False

        def cancel(self) -> None: ...

    class Other:
        def check(self, config: Any) -> None:
            assert config in ({"queue": "gpu", "token": "t"}, {})

        def submit(self, launch: Any) -> Submitted:
            launches.append(launch)
            found = Submitted()
            found.run_id = launch.run_id
            return found

    monkeypatch.setattr(backends, "_others", lambda: {"other": "other_backend:Other"})
    module = ModuleType("other_backend")
    vars(module)["Other"] = Other
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(ExecutionException, match="failed: no room"):
        runstone.run(".", "fails", backend="other", backend_config='{"queue":"gpu","token":"t"}')
    (launch,) = launches
    assert launch.argv == ("sh", "-c", "exit 3")
    assert launch.environment["RUNSTONE_RUN_ID"] == launch.run_id
    assert record(launch.run_id)["backend_config"] == {"queue": "gpu", "token": "***"}
    # Nobody is there for the end, and a path is one of where it runs.
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    aside = ("-b", "other", "--no-wait")
    assert told(capsys, ".", "-e", "reads", "-P", "file=/mnt/none/x", *aside)[0] == 0
    assert launches[-1].argv == ("cat", "/mnt/none/x")
    code, _, err = told(capsys, ".", "-e", "chain", "--run-name", "steps aside", *aside)
    assert (code, "has steps" in err, statuses("steps aside")) == (1, True, [])
    assert list(scratch.iterdir()) == []


ASIDE = """
import atexit, sys, runstone
begun = runstone.run(".", sys.argv[1], synchronous=False)
print(begun.run_id, flush=True)

def interrupted():
    raise KeyboardInterrupt

if sys.argv[2] == "while it ends":
    atexit.register(interrupted)
elif sys.argv[2] == "in its last line":
    interrupted()
"""


@pytest.mark.parametrize(
    ("entry_point", "interrupted", "status"),
    [
        ("chain", "never", "FINISHED"),
        ("waits", "by Ctrl-C", "KILLED"),
        ("waits", "in its last line", "KILLED"),
        ("waits", "while it ends", "KILLED"),
    ],
)
def test_a_program_that_ends_waits_or_ends_what_it_began(
    project: Path, data_dir: Path, entry_point: str, interrupted: str, status: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ASIDE, entry_point, interrupted],
        env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir), OUT=str(project / "out")),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    # Interrupted before it is told, the program has no run to speak of.
    run_id = process.stdout.readline().strip()
    if interrupted == "by Ctrl-C":
        wait_until(partial(written, project), 30, "a child")
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert runstone.get_run(run_id).info.status == status
    if interrupted == "by Ctrl-C":
        pids = [int(text) for text in written(project) or ()]
        wait_until(lambda: not any(map(alive, pids)), 20, "the end of all of them")


def test_what_only_conda_understands_is_left_to_it(project: Path) -> None:
    dependencies = 'dependencies: ["conda-forge::numpy", "numpy 1.26.*", "python>3.8"]\n'
    (project / "conda.yaml").write_text(dependencies)
    (project / "MLproject").write_text(f"conda_env: conda.yaml\n{MLPROJECT}")
    given = {"parameters": {"what": "x"}, "env_manager": "local"}
    run_id = runstone.run(".", "writes", **given).run_id
    assert "source/environment/conda.yaml" in record(run_id)["environment"]["files"]
    with pytest.raises(ProjectInvalid, match="a dependency is"):
        runstone.run(".", "writes", **{**given, "env_manager": "uv"}, run_name="refused")
    assert statuses("refused") == []


def test_a_run_that_is_used_again_stays_in_its_experiment(project: Path) -> None:
    first = runstone.run(".", "tells", experiment_name="its own")
    runstone.run(".", "tells", run_id=first.run_id)
    own = runstone.get_run(first.run_id).info.experiment_id
    assert (project / "out").read_text().split() == [own, own]
    for other in ({"experiment_id": "0"}, {"experiment_name": "never made"}):
        with pytest.raises(InvalidArgument, match=f"is in experiment {own}, not in"):
            runstone.run(".", "tells", run_id=first.run_id, **other)
    assert runstone.get_experiment_by_name("never made") is None


def test_a_run_that_cannot_be_used_again_stays_as_it_was() -> None:
    first = runstone.run(".", "writes", parameters={"what": "x"})
    with pytest.raises(ParamImmutable):
        runstone.run(".", "writes", parameters={"what": "y"}, run_id=first.run_id)
    assert runstone.get_run(first.run_id).info.status == "FINISHED"

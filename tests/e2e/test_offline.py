"""Offline mode as users run it: no server in sight, and all of it on one afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone._offline import layout, records
from runstone.cli import main
from runstone.entities import Run, ViewType
from support import fluent
from support.processes import wait_until
from support.suites import clean_environment, suite

MARK = "runstone.offlineRunId"


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with suite(tmp_path_factory.mktemp("offline") / "data", "--grpc-port", "0") as started:
        yield f"runstone://{started.status['tcp']}"


@pytest.fixture
def client(uri: str) -> Iterator[runstone.Client]:
    opened = runstone.Client(uri)
    yield opened
    opened.close()


@pytest.fixture
def synced(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """synced("--clean"): the report of a sync of the offline folder that succeeds."""

    def call(*options: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        folder = str(tmp_path / "runstone-offline")
        assert main(["sync", folder, "--tracking-uri", uri, "--json", *options]) == code
        out, err = capsys.readouterr()
        # Progress is for terminals.
        assert err == ""
        said: dict[str, Any] = json.loads(out)
        return said

    return call


def started(text: str, folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    path = folder / "train.py"
    path.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(path), *arguments],
        cwd=folder,
        env=clean_environment(RUNSTONE_MODE="offline", **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out.split()


def stored(client: runstone.Client, run_id: str) -> Run:
    """The one run on the server that an offline run became."""
    every = [each.experiment_id for each in client.search_experiments(ViewType.ALL)]
    found = client.search_runs(every, f"tags.`{MARK}` = '{run_id}'", ViewType.ALL)
    assert len(found) == 1
    return found[0]


def points(client: runstone.Client, run_id: str, key: str) -> list[tuple[int, float, int, Any]]:
    history = client.get_metric_history(run_id, key)
    # The count has repetitions, which a history shows once.
    counts = {each.key: each.count for each in client.list_metric_keys(run_id)}
    assert len(history) == counts.get(key, 0)
    return [(each.step, each.value, each.timestamp, each.rank) for each in history]


EVERYTHING = """
    import os, runstone
    from runstone.entities import Dataset

    runstone.set_experiment("offline everything")
    runstone.set_experiment_tag("team", "risk")
    runstone.start_run(run_name="parent", tags={"given": "yes"}, description="a note")
    runstone.log_params({"lr": 0.1, "layers": 3})
    runstone.log_metric("loss", 0.5, step=1, timestamp=1_700_000_000_123)
    runstone.log_metrics({"loss": 0.25, "acc": float("nan")}, step=2, timestamp=1_700_000_001_000)
    runstone.log_metric("acc", 1, step=3, synchronous=True, timestamp=1_700_000_002_000)
    runstone.set_tag("phase", "first")
    runstone.set_tags({"phase": "second", "draft": "yes"})
    runstone.delete_tag("draft")
    runstone.log_input(Dataset("wine", "a1b2", "local", "wine.csv"), context="training")
    os.makedirs("report/deep")
    for name, text in (("report/a.txt", "A"), ("report/deep/b.txt", "B"), ("one.txt", "before")):
        with open(name, "w") as file:
            file.write(text)
    runstone.log_artifacts("report", "html")
    runstone.log_artifact("one.txt")
    with open("one.txt", "w") as file:
        file.write("changed later")
    with open("big.bin", "wb") as file:
        file.write(bytes(range(256)) * 12_000)
    runstone.log_artifact("big.bin", "models")
    runstone.log_text("epoch 1", "log.txt")
    runstone.log_text("epoch 2", "log.txt")
    runstone.log_dict({"classes": [0, 1]}, "labels.json")
    runstone.log_table({"x": [1]}, "rows.json")
    runstone.log_table({"x": [2]}, "rows.json")
    with runstone.start_run(run_name="child", nested=True) as child:
        runstone.log_metric("m", 7)
    parent = runstone.active_run()
    runstone.end_run("FAILED")
    with runstone.start_run(run_id=parent.info.run_id):
        runstone.log_metric("loss", 0.125, step=3, timestamp=1_700_000_003_000)
    again = runstone.get_run(parent.info.run_id)
    assert again.data.metrics["loss"] == 0.125 and again.data.params["layers"] == "3"
    print(parent.info.run_id, child.info.run_id)
    print(parent.info.start_time, again.info.end_time)
    """


def test_everything_that_was_logged_arrives(
    client: runstone.Client, tmp_path: Path, synced: Callable[..., dict[str, Any]]
) -> None:
    # Nobody listens there, so that calling it would fail; and nothing else is made.
    process = started(EVERYTHING, tmp_path, RUNSTONE_TRACKING_URI="runstone://127.0.0.1:1")
    parent_id, child_id, start, end = said(process)
    assert not (tmp_path / "runstone-data").exists()
    assert not Path(os.environ["XDG_STATE_HOME"]).exists()
    report = synced()
    assert (report["runs_created"], report["params"], report["points"]) == (2, 2, 6)
    assert report["complete"]
    assert report["live_processes"] == 0
    run = stored(client, parent_id)
    assert {each["run_id"]: each["server_run_id"] for each in report["runs"]}[parent_id] == (
        run.info.run_id
    )
    assert (run.info.run_name, run.info.status) == ("parent", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (int(start), int(end))
    experiment = client.get_experiment(run.info.experiment_id)
    assert (experiment.name, experiment.tags) == ("offline everything", {"team": "risk"})
    assert run.data.params == {"lr": "0.1", "layers": "3"}
    tags = run.data.tags
    assert (tags["given"], tags["phase"], tags["mlflow.note.content"]) == (
        "yes",
        "second",
        "a note",
    )
    assert "draft" not in tags
    assert tags["mlflow.source.name"].endswith("train.py")
    assert points(client, run.info.run_id, "loss") == [
        (1, 0.5, 1_700_000_000_123, None),
        (2, 0.25, 1_700_000_001_000, None),
        (3, 0.125, 1_700_000_003_000, None),
    ]
    assert [each[0] for each in points(client, run.info.run_id, "acc")] == [2, 3]
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.tags[0].value) == ("wine", "training")
    fetched = Path(client.download_artifacts(run.info.run_id, "", tmp_path / "fetched"))
    found = {str(p.relative_to(fetched)): p.read_bytes() for p in fetched.rglob("*") if p.is_file()}
    assert json.loads(found.pop("labels.json")) == {"classes": [0, 1]}
    assert json.loads(found.pop("rows.json"))["data"] == [[1], [2]]
    assert found == {
        "html/a.txt": b"A",
        "html/deep/b.txt": b"B",
        "one.txt": b"before",
        "models/big.bin": bytes(range(256)) * 12_000,
        "log.txt": b"epoch 2",
    }
    child = stored(client, child_id)
    assert child.data.tags["mlflow.parentRunId"] == run.info.run_id
    assert (child.data.metrics, child.info.status) == ({"m": 7.0}, "FINISHED")
    # Again, nothing is left to do; and delivered anew, nothing is there twice.
    before = client.get_run(run.info.run_id)
    repeated = synced()
    assert (repeated["runs_created"], repeated["points"], repeated["files"]) == (0, 0, 0)
    assert synced("--again")["runs_created"] == 0
    assert client.get_run(run.info.run_id) == before
    assert synced("--clean")["removed"] == 1
    assert layout.parts(tmp_path / "runstone-offline") == []
    assert synced()["runs"][0]["server_run_id"] == run.info.run_id


def test_what_the_server_refuses_is_told_and_the_rest_delivered(
    client: runstone.Client, tmp_path: Path, synced: Callable[..., dict[str, Any]]
) -> None:
    gone = client.create_experiment("deleted meanwhile")
    client.delete_experiment(gone)
    with fluent.fresh(tmp_path, RUNSTONE_MODE="offline"):
        with runstone.start_run() as run:
            runstone.log_param("early", 1)
        with runstone.start_run() as doomed:
            pass
        assert synced()["complete"]
        client.log_param(stored(client, run.info.run_id).info.run_id, "late", "theirs")
        client.delete_run(stored(client, doomed.info.run_id).info.run_id)
        with runstone.start_run(run_id=run.info.run_id):
            runstone.log_params({"late": "ours", "other": 2})
            runstone.log_params({"fine": 3})
            runstone.log_input(runstone.entities.Dataset("", "", "", ""))
            runstone.log_text("a file", "place")
            runstone.log_text("below it", "place/below.txt")
            runstone.log_text("another", "fine.txt")
            runstone.log_metric("m", 1)
        with runstone.start_run(run_id=doomed.info.run_id):
            runstone.log_metrics({"m": 1, "n": 2})
            runstone.log_text("too late", "late.txt")
    # Another process: what one has logged waits together.
    with fluent.fresh(tmp_path, RUNSTONE_MODE="offline"):
        runstone.set_experiment("deleted meanwhile")
        with runstone.start_run(run_name="waits") as waits:
            runstone.log_metric("m", 1)
    report = synced(code=1)
    told = "\n".join(report["refused"])
    for what in ("params late, other", "file place/below.txt", "file late.txt", "2 points"):
        assert what in told
    assert "a change of run" in told
    found = stored(client, run.info.run_id)
    assert found.data.params == {"early": "1", "late": "theirs", "fine": "3"}
    assert found.data.metrics == {"m": 1.0}
    files = {each.path for each in client.list_artifacts(found.info.run_id)}
    assert files == {"place", "fine.txt"}
    assert any(waits.info.run_id in each and "deleted" in each for each in report["waiting"])
    # What was only waiting goes, when it can.
    client.restore_experiment(gone)
    report = synced(code=1)
    assert (report["waiting"], report["runs_created"], report["points"]) == ([], 1, 1)
    assert stored(client, waits.info.run_id).info.status == "FINISHED"


STEPS = """
    import os, sys, runstone

    run_id, last = sys.argv[1], int(sys.argv[3])
    record = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
    seen = os.pread(record, 16, 0).ljust(16, b"\\0")
    first = int.from_bytes(seen[:8], "little")
    if run_id == "new":
        runstone.set_experiment("offline steps")
    run = runstone.start_run(run_id=None if run_id == "new" else run_id)
    os.pwrite(record, run.info.run_id.encode(), 16)
    for step in range(first, last):
        os.pwrite(record, (step + 1).to_bytes(8, "little"), 0)
        runstone.log_metrics({"a": step, "b": -step}, step=step, timestamp=1_700_000_000_000 + step)
        if step % 5 == 0:
            runstone.log_param(f"p{step}", step)
            runstone.set_tag("last", step)
            runstone.log_text(str(step), f"steps/{step}.txt")
            runstone.log_text(str(step), "last.txt")
        os.pwrite(record, (step + 1).to_bytes(8, "little"), 8)
    """
"""Logs to the run that it is named, from where the process before came to, and notes how far."""

ENDLESS = 10**9


class Steps:
    """The script above, in many lives of one run, and what must be stored of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record"
        self.process: subprocess.Popen[str] | None = None
        # Steps that a killed life had begun and not ended: they may be stored or not.
        self.open: set[int] = set()

    def start(self, last: int = ENDLESS) -> None:
        run_id = self.run_id if self.record.exists() else "new"
        self.process = started(STEPS, self.folder, run_id, str(self.record), str(last))

    def _seen(self) -> bytes:
        return self.record.read_bytes() if self.record.exists() else b""

    @property
    def run_id(self) -> str:
        return self._seen()[16:].decode()

    @property
    def begun(self) -> int:
        return int.from_bytes(self._seen()[:8], "little")

    @property
    def done(self) -> int:
        return int.from_bytes(self._seen()[8:16], "little")

    def wait(self, steps: int) -> None:
        process = self.process
        assert process is not None
        wait_until(lambda: self.done >= steps or process.poll() is not None, 60.0, f"step {steps}")
        assert self.done >= steps, process.stderr and process.stderr.read()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate(timeout=60)
        self.open |= set(range(self.done, self.begun))

    def check(self, client: runstone.Client) -> None:
        """Asserts done ⊆ stored ⊆ begun, each once and as it was logged."""
        run = stored(client, self.run_id)
        run_id = run.info.run_id
        must = set(range(self.begun)) - self.open
        for key, sign in (("a", 1), ("b", -1)):
            found = points(client, run_id, key)
            assert must <= {each[0] for each in found} <= must | self.open
            assert all(
                each == (each[0], sign * each[0], 1_700_000_000_000 + each[0], None)
                for each in found
            )
        fives = {each for each in must if each % 5 == 0}
        params = {int(key[1:]): value for key, value in run.data.params.items()}
        assert fives <= set(params) <= fives | self.open
        assert all(value == str(step) for step, value in params.items())
        files = client.list_artifacts(run_id, "steps")
        steps = {int(Path(each.path).stem) for each in files}
        assert fives <= steps <= fives | self.open
        assert int(run.data.tags["last"]) in {max(fives), *self.open}
        assert int(client.read_bytes(run_id, "last.txt")) in {max(fives), *self.open}
        some = max(fives)
        assert client.read_bytes(run_id, f"steps/{some}.txt") == str(some).encode()


@pytest.mark.faults
def test_a_kill_at_any_line_loses_nothing(
    client: runstone.Client, tmp_path: Path, synced: Callable[..., dict[str, Any]]
) -> None:
    steps, chance = Steps(tmp_path), random.Random(7)
    done = 0
    for _ in range(3):
        steps.start()
        done += chance.randrange(1, 60)
        steps.wait(done)
        steps.kill()
        done = steps.done
    assert synced()["complete"]
    steps.check(client)
    assert stored(client, steps.run_id).info.status == "RUNNING"
    # The next life is synced while it goes on, and again after its end.
    steps.start(done + 300)
    steps.wait(done + 20)
    report = synced()
    assert report["complete"]
    steps.process and steps.process.communicate(timeout=60)
    assert synced()["live_processes"] == 0
    steps.check(client)
    assert stored(client, steps.run_id).info.status == "FINISHED"


@pytest.mark.faults
def test_a_sync_may_be_killed_again_and_again(
    uri: str, client: runstone.Client, tmp_path: Path, synced: Callable[..., dict[str, Any]]
) -> None:
    steps, chance = Steps(tmp_path), random.Random(11)
    steps.start(200)
    steps.wait(200)
    assert steps.process is not None
    steps.process.communicate(timeout=60)
    folder = tmp_path / "runstone-offline"
    command = [sys.executable, "-m", "runstone.cli", "sync", str(folder), "--tracking-uri", uri]
    killed = 0
    for _ in range(3):
        sync = subprocess.Popen(
            command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        goal = noted(folder) + chance.randrange(1, 4)
        wait_until(
            lambda goal=goal, sync=sync: sync.poll() is not None or noted(folder) >= goal,
            60.0,
            "a part of the sync",
        )
        sync.kill()
        sync.communicate(timeout=60)
        killed += sync.returncode == -signal.SIGKILL
    assert killed
    assert synced()["complete"]
    steps.check(client)
    assert synced()["points"] == 0


def noted(folder: Path) -> int:
    """How often a sync has noted what it did."""
    return len(records.read(folder / layout.DELIVERED).records)

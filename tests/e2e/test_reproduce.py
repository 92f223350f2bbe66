"""Runs compared, and run again: by the command line, on real projects in git."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Client
from runstone.cli import main
from runstone.entities import Dataset, DatasetInput, InputTag, Metric
from support import fluent
from support.projects import TRAIN, project
from support.suites import clean_environment, suite
from support.terminal import shown_on_terminal

DIFFERENT = 4


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with suite(tmp_path_factory.mktemp("reproduce") / "data", "--grpc-port", "0") as started:
        yield f"runstone://{started.status['tcp']}"


@pytest.fixture
def client(uri: str) -> Iterator[Client]:
    found = Client(uri)
    yield found
    found.close()


class Called:
    """Calls of the command line in a folder, in this process."""

    def __init__(self, uri: str, capture: pytest.CaptureFixture[str]) -> None:
        self.uri = uri
        self.capture = capture

    def __call__(self, *arguments: str) -> tuple[int, Any, str]:
        """Exit code, the answer in JSON (None without one), standard error."""
        self.capture.readouterr()
        code = main(["--tracking-uri", self.uri, *arguments, "--json"])
        out, err = self.capture.readouterr()
        return code, json.loads(out) if out else None, err


@pytest.fixture
def call(uri: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Called]:
    with fluent.fresh(tmp_path, RUNSTONE_TRACKING_URI=uri):
        yield Called(uri, capfd)


def made(client: Client, **params: str) -> str:
    run_id = client.create_run("0").info.run_id
    client.log_batch(run_id, params=params, tags={"team": "blue", "mlflow.note.content": "x"})
    return run_id


def differences(client: Client, a: str, b: str, **options: Any) -> list[tuple[str, str, Any, Any]]:
    found = client.diff_runs(a, b, **options)
    return [(each.kind, each.key, each.a, each.b) for each in found.differences]


def test_runs_with_the_same_in_them_differ_in_nothing(client: Client) -> None:
    a, b = made(client, lr="0.1"), made(client, lr="0.1")
    for run_id in (a, b):
        client.log_batch(run_id, [Metric("nan", math.nan), Metric("inf", math.inf)])
        client.put_artifacts(run_id, {"w.bin": b"same"})
    client.log_metric(a, "system/cpu_utilization_percentage", 3.0)
    client.set_tag(a, "mlflow.note.content", "another note")
    found = client.diff_runs(a, b)
    assert (found.same, found.differences) == (True, [])
    assert (found.compared["param"], found.compared["artifact"]) == (1, 1)


def test_each_kind_of_difference_is_found(client: Client) -> None:
    a, b = made(client, lr="0.1", only="a"), made(client, lr="0.2")
    client.set_tag(b, "team", "red")
    client.set_tag(b, "mlflow.source.git.commit", "c2")
    client.log_metric(a, "loss", 0.5)
    client.log_metric(b, "loss", math.nan)
    for run_id, text, digest in ((a, "1", "d1"), (b, "2", "d2")):
        lines = f"numpy==2.{text}\nscipy==1.0\n".encode()
        client.put_artifacts(
            run_id,
            {
                "w.bin": text.encode(),
                f"{text}.txt": b"",
                "source/diff.patch": text.encode(),
                "source/project.json": text.encode(),
                "source/environment/requirements.txt": lines,
            },
        )
        dataset = Dataset("iris", digest, "local", "iris.csv")
        client.log_inputs(
            run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])]
        )
    client.set_terminated(b, "FAILED")
    found = differences(client, a, b)
    assert [(kind, key) for kind, key, _, _ in found] == [
        ("source", "commit"),
        ("source", "uncommitted changes"),
        ("environment", "numpy"),
        ("param", "lr"),
        ("param", "only"),
        ("tag", "team"),
        ("input", "iris (train)"),
        ("status", "status"),
        ("metric", "loss"),
        ("artifact", "1.txt"),
        ("artifact", "2.txt"),
        ("artifact", "w.bin"),
    ]
    values = {(kind, key): (one, other) for kind, key, one, other in found}
    assert values["environment", "numpy"] == ("2.1", "2.2")
    assert values["param", "only"] == ("a", None)
    assert values["input", "iris (train)"] == ("d1", "d2")


def test_metrics_may_be_apart_as_far_as_is_said(client: Client) -> None:
    a, b = made(client), made(client)
    client.log_metric(a, "loss", 1.0)
    client.log_metric(b, "loss", 1.0001)
    assert len(differences(client, a, b)) == 1
    assert differences(client, a, b, tolerance=1e-3) == []
    with pytest.raises(runstone.exceptions.InvalidField, match="tolerance"):
        client.diff_runs(a, b, tolerance=1.0)


def test_diff_by_the_command_line_fits_80_columns(client: Client, call: Called, uri: str) -> None:
    a, b = made(client, note="long " * 200, lr="0.1"), made(client, note="x", lr="0.1")
    client.put_artifacts(a, {"a/rather/long/path/to/a/file/that/is/not/short.bin": b"1"})
    code, found, _ = call("runs", "diff", a[:12], b)
    assert (code, found["same"], found["differences"][0]["key"]) == (DIFFERENT, False, "note")
    client.log_metric(a, "loss", math.nan)
    _, found, _ = call("runs", "diff", a, b)
    assert [each["a"] for each in found["differences"] if each["kind"] == "metric"] == ["NaN"]
    assert call("runs", "diff", a, a)[0] == 0
    assert call("runs", "diff", a, "0" * 32)[0] == 1
    command = [sys.executable, "-m", "runstone.cli", "--tracking-uri", uri, "runs", "diff", a, b]
    code, lines = shown_on_terminal(command, 80, clean_environment())
    assert code == DIFFERENT
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:2] == ["WHAT", "KEY"]


def test_a_run_is_repeated_with_its_uncommitted_changes(
    client: Client, call: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "p"
    project(folder)
    (folder / "train.py").write_text(TRAIN.replace("1 - float", "2 - float"))
    code, first, err = call("run", str(folder), "-P", "alpha=0.5")
    assert code == 0, err
    # The folder goes on; the run does not.
    (folder / "train.py").write_text("raise SystemExit(1)")
    code, found, _ = call("runs", "reproduce", first["run_id"])
    assert (code, found["same"]) == (0, True), found
    again = client.get_run(found["run_id_b"])
    assert again.data.tags["runstone.reproduces"] == first["run_id"]
    assert (again.data.params, again.data.metrics) == ({"alpha": "0.5"}, {"loss": 1.5})
    # What is not the same is told, and by the exit code.
    monkeypatch.setenv("NOISE", "0.25")
    code, found, _ = call("runs", "reproduce", again.info.run_id)
    assert code == DIFFERENT
    (difference,) = found["differences"]
    assert (difference["kind"], difference["key"], difference["b"]) == ("metric", "noise", 0.25)


def test_a_run_that_fails_again_is_noted_too(client: Client, call: Called, tmp_path: Path) -> None:
    project(tmp_path / "p", {"x.py": "import sys; sys.exit(3)"})
    code, _, err = call("run", str(tmp_path / "p"), "-e", "x.py")
    assert code == 1
    first = json.loads(err.splitlines()[-1])["error"]["metadata"]["run_id"]
    code, _, err = call("runs", "reproduce", first)
    assert code == 1
    again = json.loads(err.splitlines()[-1])["error"]["metadata"]["run_id"]
    run = client.get_run(again)
    assert (run.info.status, run.data.tags["runstone.reproduces"]) == ("FAILED", first)


def test_a_plain_script_says_what_is_missing(client: Client, call: Called) -> None:
    run_id = made(client)
    code, _, err = call("runs", "reproduce", run_id)
    assert (code, "was not made by `runstone run`" in err) == (1, True)

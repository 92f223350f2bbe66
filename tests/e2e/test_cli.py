"""Every command of `runstone`, for people and with --json, against a suite that runs."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

import runstone
from support import fluent
from support.commands import Caller, leaves
from support.processes import wait_until
from support.suites import suite

UNKNOWN_RUN = "0" * 32

# They need no server that runs, and have tests of their own below.
WITHOUT_SUITE = {"completion", "server", "ui", "db current", "db upgrade"}
ELSEWHERE = {
    "models serve": "test_serving.py, as the process that it is",
    "run": "test_projects.py, in a folder of its own",
    "runs diff": "test_reproduce.py: the exit code says whether runs differ",
    "runs reproduce": "test_reproduce.py",
    **dict.fromkeys(
        ("auth create-token", "auth login", "auth logout", "auth status"),
        "test_auth.py, on a server that asks for tokens",
    ),
    **dict.fromkeys(("import mlflow", "export mlflow"), "tests/compat, where an MLflow is"),
}
"""Commands that other tests call, and which."""


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with suite(tmp_path_factory.mktemp("cli") / "data", "--grpc-port", "0") as started:
        yield f"runstone://{started.status['tcp']}"


@pytest.fixture
def call(uri: str, capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(uri, capsys)


def test_every_command(call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_experiments(call)
    run_id = use_runs(call)
    use_artifacts(call, run_id, tmp_path)
    use_models(call, run_id, tmp_path)
    use_served_models(call, tmp_path, monkeypatch)
    use_webhooks(call, tmp_path)
    use_governance(call)
    use_sync(call, tmp_path)
    use_doctor(call)
    use_gc(call, run_id, tmp_path)
    assert call.called | WITHOUT_SUITE | ELSEWHERE.keys() == set(map(" ".join, leaves()))


def use_sync(call: Caller, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with fluent.fresh(tmp_path, RUNSTONE_MODE="offline", RUNSTONE_OFFLINE_DIR=str(kept)):
        with runstone.start_run(run_name="far away") as run:
            runstone.log_metric("m", 1)
        # The mode is the training's, not the command line's, in whose shell it may be set.
        said = call.said("sync", str(kept))
    assert said.startswith(f"Run {run.info.run_id} far away is ")
    assert "1 new run, 0 params, 0 tags, 1 point, 0 inputs, 0 files (0 B)." in said
    assert call.told("sync", str(kept))["complete"]
    code, _, err = call.raw("sync", str(tmp_path))
    assert (code, err.startswith("Error: ")) == (1, True)


def use_doctor(call: Caller) -> None:
    said = call.said("doctor")
    assert f"service.tracking\tok\tthe tracking service at {call.uri} answers" in said
    told = call.told("doctor")
    assert told["counts"]["failure"] == 0
    assert {"name", "group", "status", "summary", "details", "fix"} == set(told["checks"][0])


def use_experiments(call: Caller) -> None:
    made = call.told("experiments", "create", "iris", "--tag", "team=blue")
    assert (made["name"], made["tags"]) == ("iris", {"team": "blue"})
    experiment_id = made["experiment_id"]
    assert "Created experiment" in call.said("experiments", "create", "other")
    assert {row["name"] for row in call.told("experiments", "list")} == {"Default", "iris", "other"}
    table = call.said("experiments", "list", "--limit", "2")
    assert table.splitlines()[0].split()[:2] == ["ID", "NAME"]
    assert len(table.splitlines()) == 3
    found = call.told("experiments", "search", "--filter", "tags.team = 'blue'")
    assert [row["experiment_id"] for row in found] == [experiment_id]
    assert call.told("experiments", "get", "iris", "--name")["experiment_id"] == experiment_id
    assert "iris" in call.said("experiments", "get", experiment_id)
    assert call.told("experiments", "rename", "other", "another", "--name")["name"] == "another"
    assert "Deleted" in call.said("experiments", "delete", "another", "--name", "--yes")
    deleted = call.told("experiments", "list", "--view", "deleted")
    assert [row["name"] for row in deleted] == ["another"]
    assert "Restored" in call.said("experiments", "restore", "another", "--name")
    assert "active already" in call.said("experiments", "restore", "another", "--name")
    call.told("experiments", "delete", "another", "--name")
    assert call.told("experiments", "tag", "set", "iris", "goal=a=b") == {"tags": {"goal": "a=b"}}
    assert call.said("experiments", "tag", "delete", "iris", "goal") == "Deleted goal.\n"
    # What MLflow's command line is called with.
    assert "iris" in call.said("experiments", "get", "--experiment-id", experiment_id)


def use_runs(call: Caller) -> str:
    client = runstone.Client(call.uri)
    experiment = client.get_experiment_by_name("iris")
    assert experiment is not None
    kept, spare = (
        client.create_run(experiment.experiment_id, run_name=name).info.run_id
        for name in ("kept", "spare")
    )
    client.log_batch(kept, params={"lr": "0.1"}, tags={"color": "red"})
    for step, value in enumerate((0.5, float("nan"), 0.75)):
        client.log_metric(kept, "acc", value, step=step)
    search = ("runs", "search", "--experiment", "iris")
    found = call.told(*search, "--filter", "metrics.acc > 0.7 AND params.lr = '0.1'")
    assert [row["run_id"] for row in found] == [kept]
    assert found[0]["metrics"][0]["value"] == 0.75
    ordered = call.told(*search, "--order-by", "attributes.run_name ASC")
    assert [row["name"] for row in ordered] == ["kept", "spare"]
    assert {row["run_id"] for row in call.told("runs", "list")} == {kept, spare}
    piped = call.said("runs", "list", "--experiment", experiment.experiment_id).splitlines()
    shown = dict(zip(*(line.split("\t") for line in piped[:2]), strict=True))
    assert shown["RUN"] in {kept, spare}
    assert {"metrics.acc", "params.lr"} <= set(shown)
    assert call.said(*search, "--columns", "name,metrics.acc", "--limit", "0").splitlines() == [
        "NAME\tmetrics.acc",
        *("spare\t", "kept\t0.75"),
    ]
    assert call.told("runs", "get", kept)["tags"]["color"] == "red"
    assert "params.lr\t0.1" in call.said("runs", "describe", kept[:8]).splitlines()
    points = call.told("runs", "metric", kept[:8], "acc")
    assert [(point["step"], point["value"]) for point in points] == [
        (0, 0.5),
        (1, "NaN"),
        (2, 0.75),
    ]
    assert "Deleted" in call.said("runs", "delete", spare, "--yes")
    assert call.told("runs", "restore", spare[:8]) == {"run_ids": [spare]}
    assert call.said("runs", "restore", spare) == f"Active already: {spare}.\n"
    call.told("runs", "delete", spare)
    use_runs_by_hand(call, str(kept))
    use_export(call, str(kept))
    return str(kept)


def use_runs_by_hand(call: Caller, kept: str) -> None:
    made = call.told("runs", "create", "--experiment", "iris", "--name", "hand", "--tag", "a=b")
    assert (made["status"], made["tags"]["a"]) == ("RUNNING", "b")
    run_id = made["run_id"]
    assert call.told("runs", "tag", "set", run_id[:8], "color=blue") == {"tags": {"color": "blue"}}
    assert call.told("runs", "tag", "delete", run_id, "a") == {"keys": ["a"]}
    assert call.said("runs", "end", run_id[:8], "--status", "failed").endswith(" is failed.\n")
    ended = call.told("runs", "get", run_id)
    assert (ended["status"], ended["tags"]["color"]) == ("FAILED", "blue")
    assert ended["end_time"] is not None
    rows = {row["key"]: row for row in call.told("runs", "compare", kept[:8], run_id)}
    assert rows["lr"]["values"] == {kept: "0.1", run_id: None}
    assert "experiment_id" not in rows
    table = call.said("runs", "compare", kept, run_id, "--all").splitlines()
    assert table[0].split("\t") == ["KIND", "KEY", kept, run_id]
    assert any(line.startswith("attribute\texperiment_id\t") for line in table)
    code, _, err = call.raw("runs", "compare", kept, kept[:8])
    assert (code, "two runs at least" in err) == (2, True)
    call.told("runs", "delete", "--run-id", run_id)


def use_export(call: Caller, kept: str) -> None:
    evil = runstone.Client(call.uri)
    evil.log_batch(kept, params={"p": "=1+1", "n": "-0.5", "lines": 'one\ntwo,"three"'})
    code, out, err = call.raw("experiments", "export", "iris")
    assert (code, err) == (0, "")
    [row] = csv.DictReader(io.StringIO(out))
    assert (row["run_id"], row["name"], row["metrics.acc"]) == (kept, "kept", "0.75")
    assert (row["params.p"], row["params.n"]) == ("'=1+1", "-0.5")
    assert row["params.lines"] == 'one\ntwo,"three"'
    code, out, _ = call.raw("experiments", "export", "-x", "iris", "--raw")
    assert next(csv.DictReader(io.StringIO(out)))["params.p"] == "=1+1"
    assert call.told("experiments", "export", "iris", "--filter", "params.p = '=1+1'")["name"] == (
        "kept"
    )


def use_artifacts(call: Caller, run_id: str, folder: Path) -> None:
    (folder / "sent" / "deep").mkdir(parents=True)
    (folder / "sent" / "deep" / "weights.bin").write_bytes(b"weights")
    (folder / "notes.txt").write_text("notes", "utf-8")
    assert call.told("artifacts", "log", str(folder / "sent"), f"runs:/{run_id}/model")
    assert "Logged" in call.said("artifacts", "log", str(folder / "notes.txt"), run_id)
    listed = call.told("artifacts", "list", run_id[:8], "-r")
    assert [row["path"] for row in listed] == ["model/deep/weights.bin", "notes.txt"]
    assert "model/" in call.said("artifacts", "list", run_id)
    assert "deep/" in call.said("artifacts", "list", run_id, "model/")
    for unknown in ((run_id, "modle"), (f"runs:/{run_id}/modle", "-r")):
        code, out, err = call.raw("artifacts", "list", *unknown)
        assert (code, out) == (1, "")
        assert err == f"Error: there is no artifact runs/{run_id}/modle\n"
    to = folder / "back"
    got = call.told("artifacts", "download", run_id, "model", "--to", str(to))
    assert (Path(got["path"]) / "deep" / "weights.bin").read_bytes() == b"weights"
    call.said("artifacts", "download", f"runs:/{run_id[:8]}/notes.txt", "--to", str(to))
    use_archives(call, run_id, folder)
    assert call.told("artifacts", "delete", run_id, "notes.txt") == {"deleted": 1}
    assert call.told("artifacts", "scrub")["damaged"] == []
    assert "0 damaged" in call.said("artifacts", "scrub", "--max-bytes", "1000000")


def use_archives(call: Caller, run_id: str, folder: Path) -> None:
    archive = folder / "run.tar.gz"
    made = call.told("artifacts", "archive", run_id[:8], "-o", str(archive))
    assert (made["files"], made["size"]) == (2, len("weights" + "notes"))
    first = archive.read_bytes()
    assert "Wrote 2 files" in call.said("artifacts", "archive", run_id, "-o", str(archive))
    assert archive.read_bytes() == first
    empty = call.told("runs", "create")["run_id"]
    said = call.said("artifacts", "restore", str(archive), f"runs:/{empty}/back")
    assert said.endswith("; 2 sent, 0 there already.\n")
    again = call.told("artifacts", "restore", str(archive), f"runs:/{empty}/back")
    assert (again["files"], again["sent"]) == (2, 0)
    assert call.told("artifacts", "verify", f"runs:/{empty}/back", str(archive))["problems"] == []
    assert "0 problems" in call.said("artifacts", "verify", empty)
    (folder / "other").mkdir()
    (folder / "other" / "notes.txt").write_text("NOTES", "utf-8")
    code, out, _ = call.raw("artifacts", "verify", run_id, str(folder / "other"), "--json")
    assert (code, json.loads(out)["problems"]) == (
        1,
        [
            {"path": "model/deep/weights.bin", "problem": "only stored"},
            {"path": "notes.txt", "problem": "different"},
        ],
    )
    code, _, err = call.raw(
        "artifacts", "restore", str(archive), empty, "--max-unpacked-bytes", "100"
    )
    assert (code, "unpacks to more than 100 bytes" in err) == (1, True)
    call.told("artifacts", "delete", empty)


def use_webhooks(call: Caller, folder: Path) -> None:
    (folder / "secret").write_text("hush\n", "utf-8")
    made = call.told(
        *(
            "webhooks",
            "create",
            "ci",
            "https://hooks.invalid/x",
            "--event",
            "model_version.created",
        ),
        *("--secret-file", str(folder / "secret"), "--status", "disabled"),
    )
    assert (made["has_secret"], made["status"]) == (True, "DISABLED")
    webhook_id = made["webhook_id"]
    assert call.told("webhooks", "list") == [made]
    assert "\tmodel_version.created\t" in call.said("webhooks", "list")
    assert "hush" not in call.said("webhooks", "get", webhook_id)
    event = ("--event", "model_version_stage.transitioned")
    changed = call.told("webhooks", "update", webhook_id, *event, "--no-secret")
    assert changed["events"] == ["MODEL_VERSION_STAGE_TRANSITIONED"]
    assert not changed["has_secret"]
    code, out, _ = call.raw("webhooks", "test", webhook_id)
    assert (code, out) == (1, "Not delivered: the host name cannot be resolved.\n")
    assert call.told("webhooks", "delete", webhook_id) == {"webhook_id": webhook_id}


def use_models(call: Caller, run_id: str, folder: Path) -> None:
    assert (
        call.told("models", "create", "net", "--description", "d", "--tag", "a=b")["name"] == "net"
    )
    made = call.told("models", "register", "net", "--run", run_id[:8], "--path", "model")
    assert (made["version"], made["status"]) == (1, "READY")
    assert "version 2" in call.said("models", "register", "net", "--from", str(folder / "sent"))
    listed = call.told("artifacts", "list", "models:/net/latest", "-r")
    assert [row["path"] for row in listed] == ["deep/weights.bin"]
    assert [row["name"] for row in call.told("models", "list")] == ["net"]
    assert "net" in call.said("models", "search", "--filter", "tags.a = 'b'")
    assert [row["version"] for row in call.told("models", "versions", "net")] == [2, 1]
    assert "\tReady\t" in call.said("models", "versions")
    assert call.told("models", "get", "net", "1")["run_id"] == run_id
    assert "net" in call.said("models", "get", "net")
    call.said("models", "create", "spare")
    assert call.told("models", "rename", "spare", "spare2")["name"] == "spare2"
    assert call.told("models", "delete", "spare2") == {"name": "spare2"}
    use_copied_models(call, folder)


def use_copied_models(call: Caller, folder: Path) -> None:
    assert call.told("models", "tag", "set", "net", "c=d")["tags"] == {"a": "b", "c": "d"}
    call.said("models", "tag", "delete", "net", "c")
    tagged = call.told("models", "tag", "set", "net", "good=yes", "--version", "latest")
    assert (tagged["version"], tagged["tags"]) == (2, {"good": "yes"})
    assert call.told("models", "update", "net", "--description", "better")["description"] == (
        "better"
    )
    assert "version 2" in call.said("models", "update", "net", "2", "--description", "second")
    copied = call.told("models", "copy", "net", "2", "copied")
    assert (copied["version"], copied["source"]) == (1, "models:/net/2")
    assert (copied["tags"], copied["description"]) == ({"good": "yes"}, "second")
    archive = str(folder / "net.tar.gz")
    assert call.told("models", "export", "net", "-o", archive)["versions"] == [1, 2]
    brought = call.told("models", "import", archive, "--name", "brought", "--keep-stages")
    assert brought["versions"] == [
        {"source_version": 1, "version": 1, "new": True},
        {"source_version": 2, "version": 2, "new": True},
    ]
    again = call.said("models", "import", archive, "--name", "brought").splitlines()
    assert again[1:] == ["1\t1\tThere already", "2\t2\tThere already"]
    files = call.told("artifacts", "list", "models:/brought/2", "-r")
    assert [row["path"] for row in files] == ["deep/weights.bin"]
    for name in ("copied", "brought"):
        call.told("models", "delete", name)


def use_served_models(call: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = folder / "doubling"
    estimator = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    runstone.sklearn.save_model(estimator, kept)
    rows = folder / "rows.json"
    rows.write_text('{"inputs": [[3.0]]}')
    out = folder / "predictions.json"
    code, said, _ = call.raw("models", "predict", "-m", str(kept), "-i", str(rows))
    assert (code, json.loads(said)) == (0, {"predictions": [pytest.approx(6.0)]})
    code, _, _ = call.raw(
        "models", "predict", "-m", str(kept), "-i", str(rows), "-t", "json", "-o", str(out)
    )
    assert (code, json.loads(out.read_text())) == (0, {"predictions": [pytest.approx(6.0)]})
    rows.write_text("[]")
    code, _, err = call.raw("models", "predict", "-m", str(kept), "-i", str(rows))
    assert (code, err.startswith("Error: the body must be a JSON object")) == (1, True)

    context = folder / "context"
    made = call.told("models", "generate-dockerfile", "-m", str(kept), "-d", str(context))
    assert Path(made["dockerfile"]).read_text().startswith("FROM python:")
    monkeypatch.setenv("PATH", str(folder))
    code, _, err = call.raw("models", "build-docker", "-m", str(kept), "-n", "doubling:1")
    assert (code, "docker is not installed" in err) == (1, True)
    monkeypatch.undo()
    manifest = ("models", "generate-manifest", "--image", "doubling:1", "--name", "doubling")
    assert "kind: Deployment" in call.said(*manifest)
    assert "kind: Service" in call.told(*manifest)["manifest"]
    written = call.told(*manifest, "-o", str(folder / "manifest.yaml"))["manifest"]
    assert "kind: Service" in Path(written).read_text()
    (kept / "requirements.txt").unlink()
    code, _, err = call.raw("models", "prepare-env", "-m", str(kept))
    assert (code, "requirements.txt cannot be read" in err) == (1, True)


def use_governance(call: Caller) -> None:
    moved = call.told("models", "transition", "net", "1", "Staging", "--comment", "try")
    assert moved["model_version"]["stage"] == "STAGING"
    ask = ("models", "request-transition", "net", "2", "production")
    asked = call.told(*ask, "--archive-existing-versions")
    assert asked["state"] == "OPEN"
    assert asked["transition_request_id"] in call.said("models", "requests", "net")
    assert "Approved" in call.said("models", "approve", asked["transition_request_id"])
    again = call.told("models", "request-transition", "net", "1", "Production")
    assert call.told("models", "reject", again["transition_request_id"])["state"] == "REJECTED"
    states = [row["state"] for row in call.told("models", "requests", "--state", "all")]
    assert sorted(states) == ["APPROVED", "REJECTED"]
    assert call.told("models", "alias", "set", "net", "@champion", "2")["aliases"] == {
        "champion": 2
    }
    assert call.told("models", "get", "net", "@champion")["version"] == 2
    assert call.told("models", "get", "net", "Production")["version"] == 2
    assert "Deleted" in call.said("models", "alias", "delete", "net", "champion")
    comment = call.told("models", "comments", "add", "net", "2", "fine")["comment_id"]
    assert "Changed" in call.said("models", "comments", "edit", comment, "very fine")
    assert call.told("models", "comments", "list", "net", "2")[0]["text"] == "very fine"
    assert call.told("models", "comments", "delete", comment) == {"comment_id": comment}
    actions = [row["action"] for row in call.told("models", "audit", "net")]
    assert actions.count("ApproveTransitionRequest") == 1
    assert "TransitionModelVersionStage" in call.said("models", "audit", "net", "1")


def use_gc(call: Caller, run_id: str, folder: Path) -> None:
    would = call.told("gc", "--dry-run")
    assert (len(would["run_ids"]), would["dry_run"]) == (2, True)
    assert "0 runs" in call.said("gc", "--yes", "--older-than", "1d")
    removed = call.told("gc")
    assert removed["run_ids"] == would["run_ids"]
    # What was uploaded today and belongs to no run any more is too young to go.
    wait_until(lambda: call.told("gc", "--dry-run")["held_bytes"] == len("notes"))
    assert "Held back by --objects-older-than: 1 stored object (5 B)" in call.said("gc", "--yes")
    assert len(removed["experiment_ids"]) == 1
    assert call.told("gc")["run_ids"] == []
    # A version keeps its files when the run that it came from is gone.
    code, _, warning = call.raw("runs", "delete", run_id[:8], "--yes")
    assert code == 0
    assert warning == (
        f"Warning: version 1 of model 'net' (Staging) came from run {run_id};"
        " the version keeps its own files.\n"
    )
    assert call.told("gc", "--objects-older-than", "1s")["run_ids"] == [run_id]
    got = call.told("artifacts", "download", "models:/net/1", "--to", str(folder / "kept"))
    assert (Path(got["path"]) / "deep" / "weights.bin").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("runs", "get", UNKNOWN_RUN), "RUN_NOT_FOUND"),
        (("runs", "search", "--filter", "metrics."), "FILTER_INVALID"),
        (("experiments", "create", "Default"), "EXPERIMENT_NAME_TAKEN"),
        (("models", "get", "nobody"), "MODEL_NOT_FOUND"),
        (("artifacts", "list", "models:/nobody/1"), "MODEL_NOT_FOUND"),
        (("artifacts", "list", UNKNOWN_RUN), "RUN_NOT_FOUND"),
        (("artifacts", "list", f"runs:/{UNKNOWN_RUN}/model"), "RUN_NOT_FOUND"),
        (("artifacts", "download", UNKNOWN_RUN[:8]), "RUN_NOT_FOUND"),
        (("artifacts", "delete", UNKNOWN_RUN, "--yes"), "RUN_NOT_FOUND"),
        (("runs", "delete", UNKNOWN_RUN[:8], "--yes"), "RUN_NOT_FOUND"),
        (("models", "register", "net", "--run", UNKNOWN_RUN), "RUN_NOT_FOUND"),
    ],
)
def test_a_failed_call_is_one_line_and_code_1(
    call: Caller, arguments: tuple[str, ...], reason: str
) -> None:
    code, out, err = call.raw(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    code, out, err = call.raw(*arguments, "--json")
    assert (code, out) == (1, "")
    assert json.loads(err)["error"]["reason"] == reason


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "get"),
        ("nothing",),
        ("runs", "list", "--view", "some"),
        ("models", "register", "net"),
        ("models", "get", "net", "Nowhere"),
        ("webhooks", "create", "x", "https://example.org/", "--event", "model.made"),
        ("webhooks", "update", UNKNOWN_RUN),
        ("experiments", "create", "x", "--tag", "novalue"),
        ("gc", "--older-than", "soon"),
        ("artifacts", "list", "models:/net"),
    ],
)
def test_a_wrong_command_line_is_code_2(call: Caller, arguments: tuple[str, ...]) -> None:
    code, out, err = call.raw(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    code, out, err = call.raw(*arguments, "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["kind"] == "UsageError"


def test_a_local_file_that_is_missing_is_code_1(call: Caller, tmp_path: Path) -> None:
    run_id = runstone.Client(call.uri).create_run("0").info.run_id
    code, _, err = call.raw("artifacts", "log", str(tmp_path / "none"), run_id)
    assert code == 1
    assert "none" in err

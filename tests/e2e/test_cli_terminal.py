"""What the command line shows on terminals of 80 and 140 columns, and what it answers to."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from support.suites import clean_environment, suite
from support.terminal import shown_on_terminal

COMMAND = str(Path(sys.executable).with_name("runstone"))
RUNS = 15


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with suite(tmp_path_factory.mktemp("terminal") / "data", "--grpc-port", "0") as started:
        uri = f"runstone://{started.status['tcp']}"
        log_runs(runstone.Client(uri), tmp_path_factory.mktemp("files"))
        yield uri


def log_runs(client: runstone.Client, folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"weights")
    experiment = client.create_experiment("trees")
    for number in range(RUNS):
        run = client.create_run(experiment, run_name=f"depth {number}, with a name of some length")
        params = {"optimizer": "adam", "depth": str(number), "notes": "a long note " * 20}
        client.log_batch(run.info.run_id, params=params)
        for key in ("train_loss", "val_accuracy", "f1", "epoch_seconds"):
            client.log_metric(run.info.run_id, key, number / 7)
    client.upload(folder / "weights.bin", "model", run_id=run.info.run_id)
    client.create_registered_model("forest")
    client.create_model_version("forest", f"runs:/{run.info.run_id}/model")
    client.transition_model_version_stage("forest", 1, "Production")


def seen(uri: str, columns: int, *arguments: str, typed: str = "", code: int = 0) -> list[str]:
    """The lines on a terminal, none of which it had to wrap."""
    command = [COMMAND, "--tracking-uri", uri, *arguments]
    ended, lines = shown_on_terminal(command, columns, clean_environment(), typed)
    assert ended == code, lines
    return lines


SEARCH = ("runs", "search", "--order-by", "metrics.val_accuracy DESC")


@pytest.mark.parametrize(
    ("columns", "headings"),
    [(80, "val_accuracy"), (140, "val_accuracy epoch_seconds f1 train_loss depth")],
)
def test_a_search_is_one_line_a_run(uri: str, columns: int, headings: str) -> None:
    lines = seen(uri, columns, *SEARCH)
    assert max(map(len, lines)) <= columns
    heading, *rows = lines[: RUNS + 1]
    fixed = ["RUN", "NAME", "STATUS", "STARTED", "DURATION"]
    assert heading.split()[: 5 + len(headings.split())] == [*fixed, *headings.split()]
    found = runstone.Client(uri).search_runs(["1"], order_by=["metrics.val_accuracy DESC"])
    assert [row.split()[0] for row in rows] == [run.info.run_id[:8] for run in found]
    end = heading.index("val_accuracy") + len("val_accuracy")
    assert [row[:end].split()[-1] for row in rows[:2]] == ["2", "1.857"]
    rest = " ".join(lines[RUNS + 1 :])
    assert f"{7 - len(headings.split())} more column" in rest
    assert "choose with --columns" in rest


def test_what_is_left_out_is_said_and_can_be_chosen(uri: str) -> None:
    lines = seen(uri, 80, *SEARCH, "--limit", "2", "--columns", "run_id,params.depth,metrics.f1")
    assert [line.split()[1:] for line in lines[:3]] == [
        ["depth", "f1"],
        ["14", "2"],
        ["13", "1.857"],
    ]
    assert lines[3:] == ["There are more than these 2 runs (--limit 0 shows all)."]
    assert seen(uri, 80, "runs", "search", "--filter", "metrics.f1 > 99") == ["No runs match."]


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize(
    "arguments",
    ["models audit", "models versions", "models list", "experiments list", "artifacts scrub"],
)
def test_no_table_is_wider_than_the_terminal(uri: str, columns: int, arguments: str) -> None:
    lines = seen(uri, columns, *arguments.split())
    assert max(map(len, lines)) <= columns
    assert not [line for line in lines if "…" in line]


def test_one_run_is_shown_whole(uri: str) -> None:
    [run] = runstone.Client(uri).search_runs(["1"], "attributes.run_name LIKE 'depth 14,%'")
    lines = seen(uri, 80, "runs", "get", run.info.run_id[:8])
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["run", "id", run.info.run_id]
    assert any(line.split() == ["status", "Running"] for line in lines)
    params = [line.split("=")[0].split()[-1] for line in lines if "=" in line][:3]
    assert params == ["depth", "notes", "optimizer"]


def test_no_means_that_nothing_is_deleted(uri: str) -> None:
    client = runstone.Client(uri)
    [run] = client.search_runs(["1"], "attributes.run_name LIKE 'depth 14,%'")
    lines = seen(uri, 140, "runs", "delete", run.info.run_id[:8], typed="n\n", code=3)
    assert f"version 1 of model 'forest' (Production) came from run {run.info.run_id}" in lines[1]
    assert lines[-1].endswith("Nothing deleted.")
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"

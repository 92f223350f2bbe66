"""Fills an MLflow with one of everything, through its own client: run with its interpreter.

    python fill_mlflow.py URI        fill it
    python fill_mlflow.py URI grow   what happens there later

The same on a server, a database and a folder.
"""

import json
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

START = 1_700_000_000_000
POINTS = 1_500


def main() -> None:
    """See the module."""
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    if sys.argv[2:] == ["grow"]:
        grow(client)
        return
    first = client.create_experiment("first", tags={"team": "vision", "mlflow.note.content": "# Ä"})
    second = client.create_experiment("second / with a slash")
    gone = client.create_experiment("gone", tags={"why": "old"})
    parent = rich_run(client, first)
    nested_runs(client, first, second, parent)
    plain_runs(client, second)
    in_default = client.create_run("0", run_name="in Default", start_time=START)
    client.set_terminated(in_default.info.run_id, end_time=START + 1)
    of_gone = client.create_run(gone, run_name="of gone", start_time=START)
    client.log_metric(of_gone.info.run_id, "loss", 0.5, timestamp=START, step=1)
    client.log_text(of_gone.info.run_id, "kept", "kept.txt")
    client.set_terminated(of_gone.info.run_id, end_time=START + 5)
    models(client, first, parent)
    client.delete_experiment(gone)


def rich_run(client: MlflowClient, experiment_id: str) -> str:
    """A run with all that a run can have; returns its id."""
    run = client.create_run(
        experiment_id,
        start_time=START + 7,
        tags={"mlflow.user": "somebody", "mlflow.source.git.commit": "abc"},
        run_name="the rich one",
    )
    run_id: str = run.info.run_id
    client.log_batch(
        run_id,
        metrics=[
            Metric("loss/train", 1 / (step + 1), START + step // 3, step) for step in range(900)
        ],
        params=[Param("lr", "0.1"), Param("long", "x" * 6000), Param("a b-c.d:e/f", "ü\nline two")],
        tags=[RunTag("note", "several\nlines\t"), RunTag("long", "y" * 5000), RunTag("empty", "")],
    )
    for start in range(900, POINTS, 800):
        client.log_batch(
            run_id,
            metrics=[
                Metric("loss/train", 1 / (step + 1), START + step // 3, step)
                for step in range(start, min(start + 800, POINTS))
            ],
        )
    strange = [float("nan"), float("inf"), float("-inf"), -0.0, 1e-308, 0.1]
    client.log_batch(
        run_id,
        metrics=[Metric("strange", value, START, step - 2) for step, value in enumerate(strange)],
    )
    # The latest of the next is not the last one written, and one point is written twice.
    for step, value in ((5, 0.5), (1, 0.1), (5, 0.5), (-3, 7.0)):
        client.log_metric(run_id, "out of order", value, timestamp=START + step, step=step)
    client.log_inputs(
        run_id,
        [
            DatasetInput(
                Dataset("train set", "12ab", "local", '{"uri": "/x"}', '{"a": 1}', '{"rows": 3}'),
                [InputTag("mlflow.data.context", "training")],
            ),
            DatasetInput(Dataset("bare", "34cd", "http", "{}"), []),
        ],
    )
    files(client, run_id)
    history = [{"run_id": run_id, "artifact_path": "model", "flavors": {}, "model_uuid": "u"}]
    client.set_tag(run_id, "mlflow.log-model.history", json.dumps(history))
    client.set_terminated(run_id, "FAILED", end_time=START + 99_000)
    return run_id


def files(client: MlflowClient, run_id: str) -> None:
    """Files large and small, in folders, one of them empty."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "model" / "data").mkdir(parents=True)
        (root / "model" / "MLmodel").write_text(f"run_id: {run_id}\n")
        (root / "model" / "data" / "weights.bin").write_bytes(bytes(range(256)) * 6000)
        (root / "empty").write_bytes(b"")
        (root / "with blank & ümlaut #1.txt").write_text("strange name")
        client.log_artifacts(run_id, folder)


def nested_runs(client: MlflowClient, first: str, second: str, parent: str) -> None:
    """Children, one of them in another experiment, a grandchild, and one whose parent is gone."""
    child = client.create_run(
        first, tags={"mlflow.parentRunId": parent}, run_name="child", start_time=START + 1
    ).info.run_id
    client.set_terminated(child, end_time=START + 2)
    for experiment, above in ((second, child), (first, "0" * 32)):
        run = client.create_run(
            experiment,
            tags={"mlflow.parentRunId": above},
            run_name=f"below {above[:1]}",
            start_time=START,
        )
        client.set_terminated(run.info.run_id, "KILLED", end_time=START + 3)


def plain_runs(client: MlflowClient, experiment_id: str) -> None:
    """Many small runs; some are deleted, one goes on, one waits."""
    for number in range(6):
        run = client.create_run(
            experiment_id, run_name=f"plain {number}", start_time=START + number
        ).info.run_id
        client.log_batch(
            run,
            metrics=[Metric("acc", number / 10, START, 0), Metric("acc", 0.9, START + 1, 1)],
            params=[Param("number", str(number))],
        )
        if number < 4:
            client.set_terminated(run, end_time=START + 1000)
        if number in (2, 3):
            client.delete_run(run)
        if number == 5:
            client.update_run(run, "SCHEDULED")
    going_on = client.create_run(experiment_id, run_name="goes on", start_time=START + 50)
    client.log_metric(going_on.info.run_id, "acc", 0.25, timestamp=START, step=0)
    client.log_text(going_on.info.run_id, "so far", "log.txt")


def models(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    """A model with four versions, the second of which was deleted; and one without versions."""
    client.create_registered_model("churn", tags={"owner": "me"}, description="who leaves\n")
    artifacts = client.get_run(run_id).info.artifact_uri
    for number in range(1, 4):
        client.create_model_version(
            "churn",
            f"{artifacts}/model",
            run_id,
            tags={"number": str(number)},
            description=f"version {number}",
            run_link="http://ci.example/1" if number == 1 else None,
        )
    client.delete_model_version("churn", "2")
    model = client.create_logged_model(experiment_id, "made by itself", source_run_id=run_id)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "MLmodel").write_text("flavors: {}\n")
        (Path(folder) / "weights").write_bytes(b"w" * 1000)
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, "READY")
    client.create_model_version(
        "churn", f"models:/{model.model_id}", run_id, model_id=model.model_id
    )
    client.transition_model_version_stage("churn", "1", "Archived")
    client.transition_model_version_stage("churn", "3", "Production")
    client.set_registered_model_alias("churn", "champion", "3")
    client.set_registered_model_alias("churn", "challenger", "4")
    client.create_registered_model("without versions")


def grow(client: MlflowClient) -> None:
    """A run goes on and ends, one is new, a version and an alias come."""
    experiment = client.get_experiment_by_name("second / with a slash").experiment_id
    (run,) = client.search_runs([experiment], "attributes.run_name = 'goes on'")
    for step in range(1, 6):
        client.log_metric(run.info.run_id, "acc", step / 10, timestamp=START + step, step=step)
    client.log_metric(run.info.run_id, "new key", 1.0, timestamp=START, step=0)
    # As long as before, and something else.
    client.log_text(run.info.run_id, "so FAR", "log.txt")
    client.set_terminated(run.info.run_id, end_time=START + 9000)
    new = client.create_run(experiment, run_name="new since", start_time=START + 60)
    client.set_terminated(new.info.run_id, end_time=START + 61)
    source = client.get_model_version("churn", "3")
    client.create_model_version("churn", source.source, source.run_id)
    client.set_registered_model_alias("churn", "champion", "5")


if __name__ == "__main__":
    main()

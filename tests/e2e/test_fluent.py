"""The fluent API against a real embedded suite, as training scripts use it."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import runstone
from runstone import exceptions
from runstone.entities import Metric, ViewType
from support import fluent
from support.suites import clean_environment


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("fluent")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def process(data_dir: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir), RUNSTONE_USER="ada"):
        runstone.set_experiment(request.node.name)
        yield


def test_a_run_and_all_it_logs() -> None:
    with runstone.start_run(run_name="train", tags={"team": "risk"}, description="why") as run:
        runstone.log_params({"lr": 0.1, "layers": [1, 2], "none": None})
        for step in (3, 1, 2):
            runstone.log_metric("loss", 1 / step, step=step, timestamp=1000 + step)
        runstone.log_metrics({"nan": math.nan, "inf": math.inf, "np": np.float32(0.5)}, step=7)
        runstone.set_tags({"a": 1, "b": 2})
        runstone.delete_tag("b")
        frame = pd.DataFrame({"x": [1, 2]})
        runstone.log_input(runstone.data.from_pandas(frame, name="xs"), context="training")
    found = runstone.get_run(run.info.run_id)
    assert (found.info.run_name, found.info.status, found.info.user_id) == (
        "train",
        "FINISHED",
        "ada",
    )
    assert found.info.start_time is not None
    assert found.info.end_time is not None
    assert found.info.start_time <= found.info.end_time
    assert found.data.params == {"lr": "0.1", "layers": "[1, 2]", "none": "None"}
    assert found.data.metrics["loss"] == 1 / 3
    assert math.isnan(found.data.metrics["nan"])
    assert found.data.metrics["inf"] == math.inf
    summary = found.data.metric_summaries["loss"]
    assert (summary.min, summary.max, summary.count) == (1 / 3, 1.0, 3)
    assert found.data.tags["team"] == "risk"
    assert found.data.tags["a"] == "1"
    assert "b" not in found.data.tags
    assert found.data.tags["mlflow.runName"] == "train"
    assert found.data.tags["mlflow.note.content"] == "why"
    assert found.data.tags["mlflow.user"] == "ada"
    (read,) = found.inputs.dataset_inputs
    assert (read.dataset.name, read.tags[0].value) == ("xs", "training")
    history = runstone.Client().get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.timestamp) for m in history] == [(1, 1001), (2, 1002), (3, 1003)]
    assert runstone.Client().get_metric_history(run.info.run_id, "unknown") == []


def test_what_is_wrong_with_a_metric_is_told_of_its_key() -> None:
    client = runstone.Client()
    run_id = client.create_run("0").info.run_id
    with pytest.raises(exceptions.InvalidField, match=r"^metrics\['a\?'\]\.key m") as caught:
        client.append_metrics(run_id, [Metric("fine", 1.0), Metric("a?", 1.0)])
    assert [each.field for each in caught.value.field_violations] == ["series[1].key"]
    with pytest.raises(exceptions.InvalidField, match=r"metrics\['\.\./b'\]\.key m"):
        client.log_batch(run_id, [Metric("../b", 1.0)])


def test_points_of_ranks_are_read_together_and_alone() -> None:
    client = runstone.Client()
    run_id = client.create_run("0").info.run_id
    client.append_metrics(run_id, {"loss": ([1], [10], [0.5])}, rank=3)
    client.append_metrics(run_id, [Metric("loss", 0.25, 11, 2), Metric("loss", 0.1, 12, 3, rank=0)])
    every = client.get_metric_history(run_id, "loss")
    assert [(point.rank, point.value) for point in every] == [(3, 0.5), (None, 0.25), (0, 0.1)]
    assert client.get_metric_history(run_id, "loss", rank=3) == [Metric("loss", 0.5, 10, 1, 3)]
    assert client.get_run(run_id).data.metrics == {"loss": 0.1}


def test_experiments_from_birth_to_restoration() -> None:
    experiment_id = runstone.create_experiment("born", tags={"a": "1"})
    with pytest.raises(exceptions.ExperimentNameTaken):
        runstone.create_experiment("born")
    with pytest.warns(UserWarning, match="artifact_location is ignored"):
        runstone.create_experiment("located", artifact_location="s3://bucket")
    with runstone.start_run(experiment_id=experiment_id) as run:
        pass
    runstone.delete_experiment(experiment_id)
    assert runstone.get_experiment(experiment_id).lifecycle_stage == "deleted"
    assert runstone.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(exceptions.ExperimentDeleted):
        runstone.set_experiment("born")
    with pytest.raises(exceptions.ExperimentDeleted):
        runstone.start_run(experiment_id=experiment_id)
    deleted = runstone.search_experiments(ViewType.DELETED_ONLY)
    assert [each.name for each in deleted] == ["born"]
    runstone.restore_experiment(experiment_id)
    assert runstone.get_run(run.info.run_id).info.lifecycle_stage == "active"
    client = runstone.Client()
    client.rename_experiment(experiment_id, "renamed")
    found = runstone.get_experiment_by_name("renamed")
    assert found is not None
    assert (found.experiment_id, found.tags) == (experiment_id, {"a": "1"})


def test_runs_are_immutable_where_they_should_be() -> None:
    client = runstone.Client()
    with runstone.start_run() as run:
        runstone.log_param("lr", 0.1)
        runstone.log_param("lr", 0.1)
        with pytest.raises(exceptions.ParamImmutable) as caught:
            runstone.log_param("lr", 0.2)
        assert caught.value.metadata["value"] == "0.1"
        with pytest.raises(exceptions.ParamImmutable):
            client.log_batch(
                run.info.run_id, [Metric("m", 1.0)], params={"lr": 0.3}, tags={"t": "x"}
            )
    found = runstone.get_run(run.info.run_id)
    assert found.data.metrics == {}
    assert "t" not in found.data.tags
    runstone.delete_run(run.info.run_id)
    with pytest.raises(exceptions.RunDeleted):
        client.log_metric(run.info.run_id, "m", 1)
    runstone.restore_run(run.info.run_id)
    client.log_metric(run.info.run_id, "m", 1)
    with pytest.raises(exceptions.RunNotFound):
        runstone.get_run("0" * 32)


def test_searching() -> None:
    for number in range(5):
        with runstone.start_run(run_name=f"r{number}"):
            runstone.log_param("n", number)
            runstone.log_metric("acc", number / 10)
    runs = runstone.search_runs(
        filter_string="metrics.acc > 0.1 AND NOT params.n = '4' OR attributes.run_name = 'r0'",
        order_by=["metrics.acc DESC"],
        output_format="list",
    )
    assert [run.info.run_name for run in runs] == ["r3", "r2", "r0"]
    frame = runstone.search_runs(order_by=["metrics.acc ASC"], max_results=3)
    assert frame["metrics.acc"].tolist() == [0.0, 0.1, 0.2]
    assert frame["params.n"].tolist() == ["0", "1", "2"]
    assert str(frame["start_time"].dtype).endswith("UTC]")
    assert runstone.search_runs(experiment_names=["no such"]).empty
    everywhere = runstone.search_runs(search_all_experiments=True, output_format="list")
    assert len(everywhere) >= 5
    page = runstone.Client().search_runs([runs[0].info.experiment_id], max_results=2)
    assert len(page) == 2
    assert page.token
    with pytest.raises(exceptions.FilterInvalid):
        runstone.search_runs(filter_string="metrics.acc >")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "model" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "a.bin").write_bytes(b"a" * 100)
    (tmp_path / "model" / "deep" / "b.bin").write_bytes(b"")
    with runstone.start_run() as run:
        runstone.log_artifact(tmp_path / "model" / "a.bin", "single")
        runstone.log_artifact(tmp_path / "model", "named")
        runstone.log_artifacts(tmp_path / "model")
        runstone.log_text("ü" * 2_000_000, "big.txt")
        runstone.log_dict({"a": [1]}, "d.yaml")
        runstone.log_image(np.zeros((2, 2)), key="sample/x", step=3)
        with pytest.raises(exceptions.LocalPathError):
            runstone.log_artifact(tmp_path / "missing")
        uri = runstone.get_artifact_uri()
    everything = runstone.Client().list_artifacts(run.info.run_id, recursive=True)
    paths = [file.path for file in everything]
    (image,) = [path for path in paths if path.startswith("images/")]
    assert set(paths) - {image} == {
        "a.bin",
        "big.txt",
        "d.yaml",
        "deep/b.bin",
        "named/model/a.bin",
        "named/model/deep/b.bin",
        "single/a.bin",
    }
    local = Path(runstone.artifacts.download_artifacts(uri, dst_path=tmp_path / "all"))
    assert (local / "named/model/a.bin").read_bytes() == b"a" * 100
    assert runstone.artifacts.load_text(f"{uri}/big.txt") == "ü" * 2_000_000
    one = runstone.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="deep/b.bin", dst_path=tmp_path / "one"
    )
    assert Path(one) == tmp_path / "one/deep/b.bin"
    with pytest.raises(exceptions.ArtifactNotFound):
        runstone.artifacts.download_artifacts(f"{uri}/nothing")
    assert runstone.Client().delete_artifacts(run.info.run_id, "named") == 2


def test_from_run_to_production(tmp_path: Path) -> None:
    client = runstone.Client()
    with runstone.start_run() as run:
        runstone.log_text("v1", "model/weights.txt")
    first = runstone.register_model(f"{run.info.artifact_uri}/model", "churn", tags={"k": "v"})
    assert (first.version, first.run_id, first.status) == (1, run.info.run_id, "READY")
    assert first.tags == {"k": "v"}
    (tmp_path / "weights.txt").write_text("v2")
    second = runstone.register_model(str(tmp_path / "weights.txt"), "churn")
    assert second.source == (tmp_path / "weights.txt").as_uri()
    with pytest.raises(exceptions.SourceNotFound):
        runstone.register_model(f"runs:/{run.info.run_id}/nothing", "churn")
    with pytest.raises(exceptions.LocalPathError):
        runstone.register_model("./nothing", "churn")
    client.transition_model_version_stage("churn", "1", "production")
    request = client.create_transition_request("churn", 2, "Production", True, comment="better")
    client.approve_transition_request(request.transition_request_id)
    assert [each.current_stage for each in client.get_latest_versions("churn")].count(
        "Production"
    ) == 1
    assert client.get_model_version("churn", 1).current_stage == "Archived"
    client.set_registered_model_alias("churn", "champion", 1)
    assert client.get_model_version_by_alias("churn", "champion").version == 1
    load = runstone.artifacts.load_text
    assert load("models:/churn/Production/weights.txt") == "v2"
    assert load("models:/churn@champion/weights.txt") == "v1"
    assert load("models:/churn/latest/weights.txt") == "v2"
    assert load("models:/churn/1/weights.txt") == "v1"
    with pytest.raises(exceptions.InvalidUri, match="models:/churn@champion"):
        load("models:/churn/champion/weights.txt")
    copied = client.copy_model_version(first, "churn-copy")
    assert load(f"models:/churn-copy/{copied.version}/weights.txt") == "v1"
    assert copied.source == "models:/churn/1"
    # A version keeps its files when the run is gone for good.
    client.delete_run(run.info.run_id)
    assert client.purge_runs([run.info.run_id]).run_ids == [run.info.run_id]
    assert load("models:/churn/1/weights.txt") == "v1"
    with pytest.raises(exceptions.ModelInUse):
        client.delete_registered_model("churn")
    stale = client.get_model_version("churn", 2)
    client.update_model_version("churn", 2, "described")
    with pytest.raises(exceptions.EtagMismatch):
        client.update_model_version("churn", 2, "again", etag=stale.etag)
    comment = client.create_comment("churn", 2, "good")
    assert client.update_comment(comment.comment_id, "very good").text == "very good"
    assert [each.text for each in client.list_comments("churn", 2)] == ["very good"]
    actions = [event.action for event in client.list_audit_events("churn", 2)]
    assert "ApproveTransitionRequest" in actions
    assert client.list_audit_events("churn", 2)[0].actor == "ada"


MLFLOW_SCRIPT = """
    import runstone as mlflow
    from runstone import MlflowClient
    from runstone.exceptions import MlflowException

    mlflow.set_experiment("ported")
    with mlflow.start_run(run_name="parent") as parent:
        mlflow.log_param("alpha", 0.5)
        mlflow.log_params({"l1_ratio": 0.1, "seed": 42})
        for epoch in range(3):
            mlflow.log_metrics({"rmse": 1.0 / (epoch + 1), "r2": epoch / 10}, step=epoch)
        mlflow.log_metric("mae", 0.3, synchronous=False).wait()
        mlflow.set_tag("mlflow.note.content", "a note")
        with open("summary.txt", "w") as f:
            f.write("done")
        mlflow.log_artifact("summary.txt")
        mlflow.log_dict({"k": "v"}, "conf/config.json")
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_metric("rmse", 0.2)
        print(mlflow.active_run().info.run_id == parent.info.run_id)

    client = MlflowClient()
    experiment = client.get_experiment_by_name("ported")
    ids = [experiment.experiment_id]
    runs = client.search_runs(ids, "metrics.rmse < 0.3", order_by=["metrics.rmse ASC"])
    print([r.info.run_name for r in runs])
    print([m.value for m in client.get_metric_history(parent.info.run_id, "r2")])
    print(sorted(f.path for f in client.list_artifacts(parent.info.run_id)))
    named = "tags.mlflow.runName = 'parent'"
    df = mlflow.search_runs(experiment_names=["ported"], filter_string=named)
    print(df.loc[0, "params.alpha"], df.loc[0, "metrics.rmse"] < 0.34)
    result = mlflow.register_model(f"runs:/{parent.info.run_id}/conf", "ported-model")
    client.transition_model_version_stage("ported-model", result.version, "Staging")
    print(client.get_latest_versions("ported-model", stages=["Staging"])[0].version)
    try:
        client.get_run("0" * 32)
    except MlflowException as e:
        print(e.error_code)
    old = mlflow.tracking.MlflowClient(mlflow.tracking.get_tracking_uri())
    print(old.get_experiment(experiment.experiment_id).name)
"""


def test_a_script_written_for_mlflow(tmp_path: Path, data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MLFLOW_SCRIPT)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir)),
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "True",
        "['child']",
        "[0.0, 0.1, 0.2]",
        "['conf', 'summary.txt']",
        "0.5 True",
        "1",
        "RESOURCE_DOES_NOT_EXIST",
        "ported",
    ]


def test_processes_and_threads_append_to_one_table_at_once() -> None:
    with runstone.start_run() as run:
        script = textwrap.dedent(f"""
            import sys, threading, runstone

            def append(who):
                for i in range(8):
                    row = {{"who": who, "i": i}}
                    runstone.log_table(row, "rows.json", run_id={run.info.run_id!r})

            threads = [threading.Thread(target=append, args=(sys.argv[1] + t,)) for t in "ab"]
            for each in threads: each.start()
            for each in threads: each.join()
        """)
        writers = [subprocess.Popen([sys.executable, "-c", script, name]) for name in "12"]
        assert [writer.wait(120) for writer in writers] == [0, 0]
    table = runstone.load_table("rows.json", [run.info.run_id])
    expected = {(who, i) for who in ("1a", "1b", "2a", "2b") for i in range(8)}
    assert set(table.itertuples(index=False, name=None)) == expected
    assert len(table) == len(expected)

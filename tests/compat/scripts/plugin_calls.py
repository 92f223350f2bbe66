"""Calls of MLflow's client, and what came of each, as JSON lines that do not depend on the server.

Run by the Python of an environment with MLflow, with MLFLOW_TRACKING_URI. Ids and times are
replaced by the order in which they are first seen; of an error only its code is told.
"""

import json
import math
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException

ID = re.compile(r"\b(m-)?[0-9a-f]{32}\b")
ARTIFACTS = re.compile(r"runs:/#\d+|mlflow-artifacts:/\d+/#\d+/artifacts")
TIMES = {"creation_timestamp", "last_updated_timestamp", "creation_time", "last_update_time"}
LEFT_OUT = {
    *("workspace", "trace_location", "effective_trace_archival_retention"),  # not in MLflow 3.6
    *("artifact_location", "artifact_uri"),  # where a server keeps its files
    *("deployment_job_id", "deployment_job_state"),  # of Databricks
    "user_id",  # Runstone knows it without a tag
}

client = MlflowClient()
seen: dict[str, str] = {}


def plain(value: Any) -> Any:
    """A value as JSON, without what differs from one server to another."""
    if isinstance(value, str):
        named = ID.sub(lambda found: seen.setdefault(found[0], f"#{len(seen)}"), value)
        return ARTIFACTS.sub("artifacts:", named)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {key: plain(each) for key, each in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    told = {}
    for name in dir(type(value)):
        if name.startswith("_") or not isinstance(getattr(type(value), name), property):
            continue
        each = getattr(value, name)
        told[name] = type(each).__name__ if name in TIMES else plain(each)
    return {name: each for name, each in told.items() if name not in LEFT_OUT}


def call(name: str, act: Callable[[], Any]) -> Any:
    """Do it and tell what came of it; returns the result, None after an error."""
    try:
        result = act()
    except MlflowException as error:
        print(json.dumps([name, {"error": error.error_code}]))
        return None
    print(json.dumps([name, plain(result)]))
    return result


def experiments() -> str:
    made = call("create_experiment", lambda: client.create_experiment("one", tags={"team": "a"}))
    call("create_experiment again", lambda: client.create_experiment("one"))
    call("get_experiment", lambda: client.get_experiment(made))
    call("get_experiment unknown", lambda: client.get_experiment("987654"))
    call("get_experiment_by_name", lambda: client.get_experiment_by_name("one"))
    call("get_experiment_by_name unknown", lambda: client.get_experiment_by_name("nobody"))
    call("set_experiment_tag", lambda: client.set_experiment_tag(made, "stage", "x"))
    call("rename_experiment", lambda: client.rename_experiment(made, "uno"))
    other = call("create second", lambda: client.create_experiment("two"))
    call("rename to taken", lambda: client.rename_experiment(other, "uno"))
    call("delete_experiment", lambda: client.delete_experiment(other))
    call("run of deleted", lambda: client.create_run(other))
    call("tag of deleted", lambda: client.set_experiment_tag(other, "a", "b"))
    call("search deleted", lambda: client.search_experiments(ViewType.DELETED_ONLY))
    call("restore_experiment", lambda: client.restore_experiment(other))
    call("search", lambda: client.search_experiments(order_by=["name ASC"]))
    call("search filter", lambda: client.search_experiments(filter_string="tags.team = 'a'"))
    call("search bad", lambda: client.search_experiments(filter_string="nothing"))
    return str(made)


def runs(experiment: str) -> str:
    run = call(
        "create_run",
        lambda: client.create_run(experiment, 1000, {"mlflow.user": "me", "t": "1"}, "first"),
    )
    run_id: str = run.info.run_id
    call("log_param", lambda: client.log_param(run_id, "lr", 0.1))
    call("log_param same", lambda: client.log_param(run_id, "lr", 0.1))
    call("log_param other", lambda: client.log_param(run_id, "lr", 0.2))
    call("log_param bad key", lambda: client.log_param(run_id, "../x", 1))
    call("log_metric", lambda: client.log_metric(run_id, "loss", 0.5, 1000, 1))
    call("log_metric unknown run", lambda: client.log_metric("0" * 32, "loss", 0.5))
    call("log_metric bad key", lambda: client.log_metric(run_id, "a//b", 0.5))
    points = [Metric("loss", 1 / step, 1000 + step, step) for step in range(2, 40)]
    points += [Metric("acc", float("nan"), 1000, 0), Metric("acc", 0.5, 1001, 0)]
    call(
        "log_batch",
        lambda: client.log_batch(run_id, points, [Param("a", "1")], [RunTag("b", "2")]),
    )
    call("log_batch twice", lambda: client.log_batch(run_id, points))
    call("history", lambda: list(client.get_metric_history(run_id, "loss")))
    call("history of nan", lambda: list(client.get_metric_history(run_id, "acc")))
    call("history unknown key", lambda: list(client.get_metric_history(run_id, "nothing")))
    call("history unknown run", lambda: list(client.get_metric_history("0" * 32, "loss")))
    call("set_tag", lambda: client.set_tag(run_id, "x", "y"))
    call("set_tag name", lambda: client.set_tag(run_id, "mlflow.runName", "second"))
    call("delete_tag", lambda: client.delete_tag(run_id, "x"))
    call("delete_tag unknown", lambda: client.delete_tag(run_id, "x"))
    data = Dataset("d", "1a", "local", '{"uri": "f"}', schema='{"a": 1}', profile='{"n": 2}')
    used = DatasetInput(data, [InputTag("mlflow.data.context", "train")])
    call("log_inputs", lambda: client.log_inputs(run_id, [used]))
    call("log_inputs again", lambda: client.log_inputs(run_id, [used]))
    call("get_run", lambda: client.get_run(run_id))
    call("get_run unknown", lambda: client.get_run("0" * 32))
    call("update_run", lambda: client.update_run(run_id, "RUNNING", "third"))
    call("set_terminated", lambda: client.set_terminated(run_id, "FAILED", 5000))
    call("get_run ended", lambda: client.get_run(run_id))
    call("delete_run", lambda: client.delete_run(run_id))
    call("log to deleted", lambda: client.log_param(run_id, "c", 1))
    call("point to deleted", lambda: client.log_metric(run_id, "c", 1.0))
    call("restore_run", lambda: client.restore_run(run_id))
    return run_id


def search(experiment: str) -> None:
    for number in range(5):
        run = client.create_run(experiment, 2000 + number, run_name=f"n{number}")
        client.log_metric(run.info.run_id, "score", float(number), 1, 1)
        client.log_param(run.info.run_id, "even", number % 2 == 0)
        client.set_terminated(run.info.run_id, end_time=9000)
    for text in (
        "metrics.score > 1 and params.even = 'True'",
        "attributes.run_name LIKE 'n%'",
        "attributes.status = 'FINISHED'",
        "tags.`mlflow.runName` = 'n3'",
        "metrics.score = 'x'",
        "no such thing",
    ):
        call(
            f"search_runs {text}",
            lambda text=text: [
                run.info.run_name
                for run in client.search_runs([experiment], text, order_by=["metrics.score DESC"])
            ],
        )
    page = call(
        "search page",
        lambda: client.search_runs(
            [experiment], "metrics.score >= 0", order_by=["start_time ASC"], max_results=2
        ),
    )
    call(
        "search next page",
        lambda: client.search_runs(
            [experiment],
            "metrics.score >= 0",
            order_by=["start_time ASC"],
            max_results=2,
            page_token=page.token,
        ),
    )
    call(
        "search page token of nobody",
        lambda: client.search_runs([experiment], "", max_results=2, page_token="abc"),
    )


def artifacts(run_id: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.txt").write_text("a")
        (folder / "sub").mkdir()
        (folder / "sub" / "b.bin").write_bytes(b"b" * 3000)
        call("log_artifact", lambda: client.log_artifact(run_id, str(folder / "a.txt"), "one/two"))
        call("log_artifact dir", lambda: client.log_artifact(run_id, str(folder / "sub"), "one"))
        call("log_artifacts", lambda: client.log_artifacts(run_id, str(folder), "all"))
    call("log_text", lambda: client.log_text(run_id, "text", "text.txt"))
    call("log_dict", lambda: client.log_dict(run_id, {"a": [1]}, "conf/d.json"))
    call("list", lambda: client.list_artifacts(run_id))
    call("list below", lambda: client.list_artifacts(run_id, "one"))
    call("list file", lambda: client.list_artifacts(run_id, "text.txt"))
    call("list nothing", lambda: client.list_artifacts(run_id, "nothing"))
    for path in ("all", "one/two/a.txt", ""):
        with tempfile.TemporaryDirectory() as name:
            got = client.download_artifacts(run_id, path, name)
            below = sorted(
                str(each.relative_to(Path(name).resolve()))
                for each in Path(name).resolve().rglob("*")
            )
            where = str(Path(got).resolve().relative_to(Path(name).resolve()))
            call(f"download {path}", lambda got=where, below=below: [got, below])
    call("load_text", lambda: mlflow.artifacts.load_text(f"runs:/{run_id}/text.txt"))
    call(
        "load_dict by artifact URI",
        lambda: mlflow.artifacts.load_dict(
            f"{client.get_run(run_id).info.artifact_uri}/conf/d.json"
        ),
    )
    call("download bad path", lambda: client.download_artifacts(run_id, "../x"))


def registry(run_id: str) -> None:
    call("create model", lambda: client.create_registered_model("m", {"k": "v"}, "about"))
    call("create model again", lambda: client.create_registered_model("m"))
    call("create model bad", lambda: client.create_registered_model(""))
    call("get model", lambda: client.get_registered_model("m"))
    call("get model unknown", lambda: client.get_registered_model("nobody"))
    source = f"{client.get_run(run_id).info.artifact_uri}/all"
    made = call(
        "create version",
        lambda: client.create_model_version("m", source, run_id, {"a": "b"}, description="first"),
    )
    call("create second version", lambda: client.create_model_version("m", source, run_id))
    call("create of unknown", lambda: client.create_model_version("nobody", source, run_id))
    call("get version", lambda: client.get_model_version("m", made.version))
    call("get version unknown", lambda: client.get_model_version("m", "77"))
    call("update version", lambda: client.update_model_version("m", "1", "new"))
    call("update model", lambda: client.update_registered_model("m", "newer"))
    call("tag version", lambda: client.set_model_version_tag("m", "1", "x", "y"))
    call("untag version", lambda: client.delete_model_version_tag("m", "1", "x"))
    call("tag model", lambda: client.set_registered_model_tag("m", "x", "y"))
    call("untag model", lambda: client.delete_registered_model_tag("m", "x"))
    call("alias", lambda: client.set_registered_model_alias("m", "best", "2"))
    call("alias bad", lambda: client.set_registered_model_alias("m", "v1", "2"))
    call("by alias", lambda: client.get_model_version_by_alias("m", "best").version)
    call("by alias unknown", lambda: client.get_model_version_by_alias("m", "worst"))
    call("model with alias", lambda: client.get_registered_model("m").aliases)
    call("search models", lambda: [each.name for each in client.search_registered_models()])
    call(
        "search models filter",
        lambda: [each.name for each in client.search_registered_models("name LIKE 'm%'")],
    )
    call(
        "search versions",
        lambda: sorted(each.version for each in client.search_model_versions("name='m'")),
    )
    call("search versions bad", lambda: client.search_model_versions("nothing"))
    call(
        "transition", lambda: client.transition_model_version_stage("m", "1", "Production").version
    )
    call("transition bad", lambda: client.transition_model_version_stage("m", "1", "Nowhere"))
    call(
        "latest", lambda: [each.version for each in client.get_latest_versions("m", ["Production"])]
    )
    with tempfile.TemporaryDirectory() as name:
        got = mlflow.artifacts.download_artifacts("models:/m/1", dst_path=name)
        below = sorted(str(each.relative_to(got)) for each in Path(got).rglob("*"))
        call("download version", lambda: below)
    call("copy", lambda: client.copy_model_version("models:/m@best", "n").name)
    call("delete alias", lambda: client.delete_registered_model_alias("m", "best"))
    call("rename", lambda: client.rename_registered_model("m", "renamed"))
    call("delete version", lambda: client.delete_model_version("renamed", "2"))
    call("delete version again", lambda: client.delete_model_version("renamed", "2"))
    call("archive", lambda: client.transition_model_version_stage("renamed", "1", "Archived").name)
    call("delete model", lambda: client.delete_registered_model("renamed"))
    call("delete model again", lambda: client.delete_registered_model("renamed"))


def models(experiment: str, run_id: str) -> None:
    made = call(
        "create_logged_model",
        lambda: client.create_logged_model(experiment, "lm", run_id, {"a": "b"}, {"p": "1"}, "k"),
    )
    model_id = made.model_id
    call("model bad name", lambda: client.create_logged_model(experiment, "a/b"))
    call("model in unknown", lambda: client.create_logged_model("98765", "a"))
    call("get_logged_model unknown", lambda: client.get_logged_model(f"m-{'0' * 32}"))
    call("set model tags", lambda: client.set_logged_model_tags(model_id, {"x": "y", "z": "1"}))
    call("delete model tag", lambda: client.delete_logged_model_tag(model_id, "z"))
    call("delete model tag again", lambda: client.delete_logged_model_tag(model_id, "z"))
    call("log params", lambda: client.log_model_params(model_id, {"q": "2"}))
    call("outputs", lambda: client.log_outputs(run_id, [LoggedModelOutput(model_id, 3)]))
    call("inputs", lambda: client.log_inputs(run_id, models=[LoggedModelInput(model_id)]))
    named = {"model_id": model_id, "dataset_name": "d", "dataset_digest": "1a"}
    call("model metric", lambda: client.log_metric(run_id, "auc", 0.9, 4000, 3, **named))
    call("run of model", lambda: client.get_run(run_id))
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "weights.bin").write_bytes(b"w" * 5000)
        call("model files", lambda: client.log_model_artifacts(model_id, name))
    call("list model files", lambda: client.list_logged_model_artifacts(model_id))
    call("finalize", lambda: client.finalize_logged_model(model_id, "READY"))
    call("get_logged_model", lambda: client.get_logged_model(model_id))
    call(
        "search models of experiment",
        lambda: client.search_logged_models([experiment], "metrics.auc > 0.5 AND params.p = '1'"),
    )
    call(
        "search models ordered",
        lambda: client.search_logged_models(
            [experiment], order_by=[{"field_name": "metrics.auc", "ascending": False}]
        ),
    )
    call("search logged bad", lambda: client.search_logged_models([experiment], "nothing"))
    client.create_registered_model("lm")
    call("register", lambda: client.create_model_version("lm", made.model_uri, model_id=model_id))
    with tempfile.TemporaryDirectory() as name:
        got = mlflow.artifacts.download_artifacts("models:/lm/1", dst_path=name)
        call("download registered", lambda: [each.name for each in Path(got).iterdir()])
    other = client.create_logged_model(experiment, "other")
    call("delete_logged_model", lambda: client.delete_logged_model(other.model_id))
    call("get deleted model", lambda: client.get_logged_model(other.model_id))
    call("search after", lambda: len(client.search_logged_models([experiment])))


def prompts() -> None:
    made = call(
        "register_prompt",
        lambda: plain_prompt(
            client.register_prompt("p", "Hello {{name}}", "first", tags={"a": "b"})
        ),
    )
    assert made is not None
    call(
        "register_prompt again",
        lambda: plain_prompt(client.register_prompt("p", [{"role": "user", "content": "{{x}}"}])),
    )
    call("load_prompt", lambda: plain_prompt(client.load_prompt("prompts:/p/1")))
    call("prompt alias", lambda: client.set_prompt_alias("p", "best", 2))
    call("load_prompt by alias", lambda: plain_prompt(client.load_prompt("prompts:/p@best")))
    call("load_prompt unknown", lambda: client.load_prompt("prompts:/q/1", allow_missing=True))
    call("search_prompts", lambda: [each.name for each in client.search_prompts()])
    call("models without prompts", lambda: [m.name for m in client.search_registered_models()])
    call(
        "prompts by name",
        lambda: [each.name for each in client.search_prompts("name LIKE 'p%'")],
    )
    call("delete alias of prompt", lambda: client.delete_prompt_alias("p", "best"))
    call("delete_prompt_version", lambda: client.delete_prompt_version("p", "1"))


def plain_prompt(prompt: Any) -> list[Any]:
    """What counts of a prompt's version."""
    return [prompt.name, int(prompt.version), prompt.template, prompt.commit_message]


def main() -> None:
    experiment = experiments()
    run_id = runs(experiment)
    search(experiment)
    artifacts(run_id)
    registry(run_id)
    models(experiment, run_id)
    prompts()
    sys.stdout.flush()


if __name__ == "__main__":
    main()

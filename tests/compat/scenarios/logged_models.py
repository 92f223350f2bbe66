"""Logged models of MLflow 3: create, finish, read, params, tags, metrics, search, delete, files."""

import mlflow
from _recorder import Recorder
from mlflow.entities import LoggedModelStatus, Metric

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
other = client.create_experiment(f"{r.name}-other")
r.experiment(experiment)
r.experiment(other)
run_id = client.create_run(experiment, 1000, run_name="run").info.run_id

made = r.call(
    "create",
    client.create_logged_model,
    experiment,
    "first",
    run_id,
    {"t": "1"},
    {"lr": "0.1", "n": "5"},
    "Agent",
)
model = made.model_id
r.call("get", client.get_logged_model, model)
r.call("create: bare", client.create_logged_model, experiment)
r.call("create: unknown experiment", client.create_logged_model, "123456789")
r.call("create: unknown run", client.create_logged_model, experiment, "x", "0" * 32)
for wrong in ("a/b", "a:b", "a.b", "a%b", "a'b", "", "n" * 501):
    r.call(f"create: name {wrong[:20]!r}", client.create_logged_model, experiment, wrong)
r.call("create: long param", client.create_logged_model, experiment, "p", params={"k": "v" * 6001})
r.call("create: empty param key", client.create_logged_model, experiment, "p", params={"": "v"})
for status in ("READY", "FAILED", "PENDING", "DONE"):
    r.call(f"finalize: {status}", client.finalize_logged_model, model, status)
r.call("finalize: enum", client.finalize_logged_model, model, LoggedModelStatus.READY)
r.call("finalize: unknown", client.finalize_logged_model, "m-" + "0" * 32, "READY")
r.call("get: unknown", client.get_logged_model, "m-" + "0" * 32)
r.call("get: not an id", client.get_logged_model, "a b")
r.call("tags", client.set_logged_model_tags, model, {"a": "1", "b": 2, "t": "changed"})
r.call("tags: unknown", client.set_logged_model_tags, "m-" + "0" * 32, {"a": "1"})
r.call("tags: none", client.set_logged_model_tags, model, {})
r.call("tags: long", client.set_logged_model_tags, model, {"long": "v" * 8001})
r.call("delete tag", client.delete_logged_model_tag, model, "a")
r.call("delete tag: again", client.delete_logged_model_tag, model, "a")
if hasattr(client, "log_model_params"):
    r.call("params", client.log_model_params, model, {"new": "x"})
    r.call("params: again", client.log_model_params, model, {"new": "x"})
    r.call("params: changed", client.log_model_params, model, {"new": "y"})
r.call(
    "after", lambda: [client.get_logged_model(model).tags, client.get_logged_model(model).params]
)

# --- Metrics ----------------------------------------------------------------------------------

r.call("metric", client.log_metric, run_id, "acc", 0.5, timestamp=10, step=1, model_id=model)
r.call(
    "metric: dataset",
    client.log_metric,
    run_id,
    "acc",
    0.75,
    timestamp=11,
    step=2,
    model_id=model,
    dataset_name="iris",
    dataset_digest="abc",
)
r.call("metric: of no model", client.log_metric, run_id, "acc", 0.9, timestamp=12, step=3)
r.call(
    "metric: unknown model",
    client.log_metric,
    run_id,
    "acc",
    0.9,
    timestamp=13,
    step=4,
    model_id="m-" + "0" * 32,
)
r.call(
    "batch",
    client.log_batch,
    run_id,
    [Metric("f1", 0.25, 14, 0, model_id=model), Metric("f1", 0.5, 15, 1, model_id=model)],
)
r.call(
    "metrics",
    lambda: sorted((client.get_logged_model(model).metrics or []), key=lambda m: (m.key, m.step)),
)
r.call("run's metrics", lambda: client.get_run(run_id).data.metrics)
r.call("run's history", client.get_metric_history, run_id, "acc")

# --- Files ------------------------------------------------------------------------------------

file = r.folder / "weights.txt"
file.write_text("w" * 100)
(r.folder / "folder" / "in").mkdir(parents=True)
(r.folder / "folder" / "in" / "x.txt").write_text("x")
if hasattr(client, "log_model_artifact"):
    r.call("file", client.log_model_artifact, model, str(file))
r.call("files", client.log_model_artifacts, model, str(r.folder / "folder"))
r.call("list", client.list_logged_model_artifacts, model)
r.call("list: folder", client.list_logged_model_artifacts, model, "in")
r.call("list: unknown folder", client.list_logged_model_artifacts, model, "nowhere")
r.call("list: ..", client.list_logged_model_artifacts, model, "..")
r.call("list: unknown", client.list_logged_model_artifacts, "m-" + "0" * 32)
r.call("location", lambda: client.get_logged_model(model).artifact_location)

# --- Search -----------------------------------------------------------------------------------

ids = {}
for number, (name, params, tags, status, metrics) in enumerate(
    (
        ("s-a", {"lr": "0.1", "k": "v"}, {"t": "x"}, "READY", {"acc": 0.9}),
        ("s-b", {"lr": "0.2"}, {"t": "y"}, "READY", {"acc": 0.5, "loss": 1.0}),
        ("s-c", {}, {}, "FAILED", {"acc": 0.7}),
        ("s-d", {"lr": "0.1"}, {"t": "x", "u v": "1"}, None, {}),
    )
):
    ids[name] = client.create_logged_model(other, name, run_id, tags, params, "kind").model_id
    if status:
        client.finalize_logged_model(ids[name], status)
    for key, value in metrics.items():
        client.log_metric(
            run_id,
            f"s/{key}",
            value,
            timestamp=20 + number,
            step=number,
            model_id=ids[name],
            dataset_name="train" if number % 2 else "test",
            dataset_digest=f"d{number % 2}",
        )
r.note("models", ids)


def names(filter_string=None, experiments=(other,), **options):
    found = client.search_logged_models(list(experiments), filter_string, **options)
    return {"names": [each.name for each in found], "more": bool(found.token)}


for filter_string in (
    None,
    "",
    "name = 's-a'",
    "name LIKE 's-%'",
    "name ILIKE 'S-A'",
    "name != 's-a'",
    "attributes.name = 's-a'",
    "status = 'READY'",
    "status = 'FAILED'",
    "model_type = 'kind'",
    "creation_timestamp > 0",
    "last_updated_timestamp > 0",
    "params.lr = '0.1'",
    "params.lr != '0.1'",
    "params.lr LIKE '0.%'",
    "tags.t = 'x'",
    "tags.`u v` = '1'",
    "tags.t IS NULL",
    "metrics.`s/acc` > 0.6",
    "metrics.`s/acc` >= 0.5 AND metrics.`s/loss` < 2",
    "metrics.`s/acc` = 0.7 AND params.lr IS NULL",
    "name IN ('s-a', 's-b')",
    "name NOT IN ('s-a', 's-b')",
    "colour = 'x'",
    "name > 'a'",
    "metrics.x = 'y'",
    "name =",
    "datasets.name = 'train'",
    "name = 's-a' OR name = 's-b'",
):
    r.call(f"filter: {filter_string}", names, filter_string, order_by=[{"field_name": "name"}])
for item, sets in {
    "name": [{"dataset_name": "train"}],
    "name and digest": [{"dataset_name": "test", "dataset_digest": "d0"}],
    "two": [{"dataset_name": "train"}, {"dataset_name": "test"}],
    "no such": [{"dataset_name": "none"}],
    "no name": [{"dataset_digest": "d0"}],
}.items():
    r.call(
        f"datasets: {item}",
        names,
        "metrics.`s/acc` > 0.1",
        datasets=sets,
        order_by=[{"field_name": "name"}],
    )
for order in (
    None,
    [{"field_name": "name", "ascending": False}],
    [{"field_name": "metrics.s/acc"}],
    [{"field_name": "metrics.s/acc", "ascending": False}],
    [{"field_name": "metrics.s/acc", "dataset_name": "train"}],
    [{"field_name": "metrics.s/acc", "dataset_name": "train", "dataset_digest": "d1"}],
    [{"field_name": "creation_timestamp"}],
    [{"field_name": "params.lr"}],
    [{"field_name": "colour"}],
    [{"ascending": True}],
):
    r.call(f"order: {order}", names, order_by=order)
page = client.search_logged_models([other], max_results=3, order_by=[{"field_name": "name"}])
r.note("page 1", [each.name for each in page])
r.call("page 2", names, max_results=3, order_by=[{"field_name": "name"}], page_token=page.token)
r.call("rubbish token", names, page_token="rubbish")
for size in (0, -1, 50, 100000):
    r.call(f"max_results {size}", names, max_results=size, order_by=[{"field_name": "name"}])
r.call("unknown experiment", names, None, ("123456789",))
r.call("no experiment", names, None, ())

# --- Delete -----------------------------------------------------------------------------------

r.call("delete", client.delete_logged_model, ids["s-a"])
r.call("delete: again", client.delete_logged_model, ids["s-a"])
r.call("delete: unknown", client.delete_logged_model, "m-" + "0" * 32)
r.call("get: deleted", client.get_logged_model, ids["s-a"])
r.call("search: deleted", names, order_by=[{"field_name": "name"}])

# --- Fluent -----------------------------------------------------------------------------------

mlflow.set_experiment(experiment_id=experiment)
with mlflow.start_run(run_name="fluent"):
    begun = r.call(
        "fluent: initialize", mlflow.initialize_logged_model, name="fluent", params={"a": 1}
    )
    r.call("fluent: finalize", mlflow.finalize_logged_model, begun.model_id, "READY")
    outside = r.call("fluent: external", mlflow.create_external_model, name="external")
    r.call(
        "fluent: metric",
        mlflow.log_metric,
        "acc",
        0.5,
        step=1,
        timestamp=1,
        model_id=begun.model_id,
    )
    r.call("fluent: tags", mlflow.set_logged_model_tags, begun.model_id, {"x": "y"})
    r.call("fluent: params", mlflow.log_model_params, {"b": "2"}, begun.model_id)
r.call("fluent: get", mlflow.get_logged_model, begun.model_id)
r.call("fluent: last", lambda: mlflow.last_logged_model().name)
r.call(
    "fluent: search",
    lambda: [
        e.name
        for e in mlflow.search_logged_models(
            [experiment], filter_string="name = 'fluent'", output_format="list"
        )
    ],
)
if hasattr(mlflow, "set_active_model"):
    r.call("fluent: active", lambda: mlflow.set_active_model(name="active").name)

r.finish()

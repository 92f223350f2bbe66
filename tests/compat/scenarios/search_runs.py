"""Searching runs: filters of every kind, order, paging, views, several experiments."""

import math

import mlflow
from _recorder import Recorder
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
other = client.create_experiment(f"{r.name}-other")
r.experiment(experiment)
r.experiment(other)

RUNS = (
    # name, start, end, status, metrics, params, tags
    (
        "alpha",
        1000,
        2000,
        "FINISHED",
        {"acc": 0.9, "loss": 1.0},
        {"lr": "0.1", "opt": "Adam"},
        {"t": "x"},
    ),
    (
        "beta",
        2000,
        5000,
        "FAILED",
        {"acc": 0.5},
        {"lr": "0.01", "opt": "adam"},
        {"t": "X", "u v": "1"},
    ),
    ("gamma", 3000, None, "RUNNING", {"acc": math.nan}, {"lr": "0.001"}, {}),
    (
        "delta",
        3200,
        3500,
        "KILLED",
        {"acc": math.inf, "loss": -2.0},
        {"opt": "SGD_1"},
        {"t": "it's"},
    ),
    ("eps%", 4000, 4500, "FINISHED", {"loss": 0.0, "a/b c": 7}, {"empty": ""}, {"t": ""}),
    ("zeta", 5000, None, "SCHEDULED", {}, {}, {"mlflow.user": "ann"}),
)
ids = {}
for name, start, end, status, metrics, params, tags in RUNS:
    run_id = client.create_run(experiment, start, run_name=name).info.run_id
    ids[name] = run_id
    client.log_batch(
        run_id,
        [Metric(key, value, 10, step) for step, (key, value) in enumerate(metrics.items())],
        [Param(key, value) for key, value in params.items()],
        [RunTag(key, value) for key, value in tags.items()],
    )
    if status in ("FINISHED", "FAILED", "KILLED"):
        client.set_terminated(run_id, status, end)
    else:
        client.update_run(run_id, status=status)
# The latest value is what a filter sees, whatever was written last.
client.log_metric(ids["alpha"], "acc", 0.1, timestamp=5, step=-3)
r.note("runs", ids)
deleted = client.create_run(experiment, 9000, run_name="deleted").info.run_id
client.log_metric(deleted, "acc", 0.9, timestamp=1, step=0)
client.delete_run(deleted)
client.create_run(other, 500, run_name="elsewhere")
data = Dataset("iris", "abc123", "http", '{"url": "x"}', '{"cols": 3}', "{}")
client.log_inputs(ids["alpha"], [DatasetInput(data, [InputTag("mlflow.data.context", "train")])])
client.log_inputs(
    ids["beta"],
    [
        DatasetInput(
            Dataset("mnist", "def456", "http", "{}"), [InputTag("mlflow.data.context", "eval")]
        ),
        DatasetInput(data, []),
    ],
)


def names(filter_string="", experiments=(experiment,), **options):
    found = client.search_runs(list(experiments), filter_string, **options)
    return {"names": [each.info.run_name for each in found], "more": bool(found.token)}


for filter_string in (
    "",
    " ",
    "metrics.acc > 0.5",
    "metrics.acc >= 0.5",
    "metrics.acc < 0.6",
    "metrics.acc <= 0.5",
    "metrics.acc = 0.9",
    "metrics.acc == 0.9",
    "metrics.acc != 0.9",
    "metrics.acc > -1e10",
    "metrics.loss = -2",
    "metrics.loss > -2.5",
    "metric.loss < 0.5",
    "metrics.`a/b c` = 7",
    'metrics."a/b c" > 6',
    "metrics.acc = 'x'",
    "metrics.acc LIKE '1'",
    "metrics.acc > 0.5 AND metrics.loss < 2",
    "metrics.acc > 0.5 and params.opt = 'Adam'",
    "metrics.unknown > 0",
    "params.lr = '0.1'",
    "param.lr = '0.1'",
    "parameters.lr = '0.1'",
    "parameter.lr = '0.1'",
    "params.lr != '0.1'",
    'params.lr = "0.1"',
    "params.lr = 0.1",
    "params.opt LIKE 'A%'",
    "params.opt LIKE '%dam'",
    "params.opt ILIKE 'a%'",
    "params.opt ILIKE 'ADAM'",
    "params.opt LIKE 'SGD__'",
    "params.opt LIKE 'SGD\\_1'",
    "params.opt > 'A'",
    "params.opt IN ('Adam')",
    "params.opt IS NULL",
    "params.opt IS NOT NULL",
    "params.empty = ''",
    "tags.t = 'x'",
    "tag.t = 'x'",
    "tags.t != 'x'",
    "tags.t LIKE 'x'",
    "tags.t ILIKE 'x'",
    "tags.`u v` = '1'",
    'tags.t = "it\'s"',
    "tags.t = ''",
    "tags.t IS NULL",
    "tags.t IS NOT NULL",
    "tags.mlflow.runName = 'alpha'",
    "tags.`mlflow.runName` LIKE '%eta'",
    "tags.mlflow.user = 'ann'",
    "attributes.status = 'FINISHED'",
    "attribute.status = 'FINISHED'",
    "attr.status = 'FINISHED'",
    "run.status = 'FINISHED'",
    "status = 'FINISHED'",
    "status != 'FINISHED'",
    "status LIKE 'F%'",
    "status ILIKE 'f%'",
    "status = 'finished'",
    "status IN ('FINISHED')",
    "run_name = 'alpha'",
    "`run name` = 'alpha'",
    "attributes.\"run name\" = 'alpha'",
    "attributes.run_name ILIKE 'ALPHA'",
    "run_name LIKE '%a'",
    "run_name LIKE 'eps%'",
    "run_name != 'alpha'",
    "run_name IN ('alpha')",
    f"run_id = '{ids['alpha']}'",
    f"run_id != '{ids['alpha']}'",
    f"run_id IN ('{ids['alpha']}', '{ids['beta']}')",
    f"run_id NOT IN ('{ids['alpha']}', '{ids['beta']}')",
    f"attributes.run_id in ('{ids['alpha']}')",
    f"run_id LIKE '{ids['alpha'][:31]}%'",
    "run_id IN ()",
    "run_id IN ('a', 5)",
    "start_time > 2000",
    "attributes.start_time >= 3000",
    "start_time = 3000",
    "start_time != 3000",
    "created > 2000",
    "Created > 2000",
    "end_time <= 3500",
    "end_time > 0",
    "end_time IS NULL",
    "start_time = '3000'",
    "user_id = 'ann'",
    "user_id LIKE '%'",
    "artifact_uri LIKE '%artifacts'",
    "artifact_uri = 'x'",
    "lifecycle_stage = 'active'",
    "datasets.name = 'iris'",
    "dataset.name = 'iris'",
    "datasets.name LIKE 'i%'",
    "datasets.name ILIKE 'IRIS'",
    "datasets.name != 'iris'",
    "datasets.name IN ('iris', 'mnist')",
    "datasets.digest = 'abc123'",
    "datasets.digest IN ('def456')",
    "datasets.context = 'train'",
    "dataset.context LIKE '%a%'",
    "datasets.name = 'iris' AND datasets.context = 'train'",
    "datasets.colour = 'x'",
    "datasets.name > 'a'",
    "unknown.key = 'x'",
    "colour = 'x'",
    "metrics.acc",
    "metrics.acc >",
    "metrics.acc > 'x",
    "metrics.acc > 0.5 AND",
    "AND metrics.acc > 0.5",
    "metrics.acc > 0.5 OR metrics.acc < 0.1",
    "NOT metrics.acc > 0.5",
    "(metrics.acc > 0.5)",
    "metrics.acc > 0.5; DROP TABLE runs",
    "metrics.acc BETWEEN 0 AND 1",
    "0.5 < metrics.acc",
    "metrics. > 1",
    ". = 'a'",
    "params.lr = '0.1' -- comment",
    "params.lr = 0.1.2",
    "params.lr='0.1'AND params.opt='Adam'",
    "tags.t = 'x' AND tags.t = 'X'",
    "params.lr = 'größe'",
    "status = FINISHED",
    "metrics.acc > nan",
    "metrics.acc = inf",
    "metrics.acc > 1e400",
):
    shown = filter_string
    for name, run_id in ids.items():
        shown = shown.replace(run_id, f"<{name}>").replace(run_id[:31], f"<{name} cut>")
    r.call(f"filter: {shown}", names, filter_string, order_by=["run_name"])
for order in (
    None,
    [],
    ["metrics.acc"],
    ["metrics.acc ASC"],
    ["metrics.acc DESC"],
    ["metrics.loss DESC"],
    ["metrics.`a/b c`"],
    ["params.lr"],
    ["params.opt DESC"],
    ["tags.t"],
    ["tags.t DESC"],
    ["start_time"],
    ["attributes.start_time DESC"],
    ["start_time", "run_name"],
    ["start_time DESC", "metrics.acc"],
    ["end_time"],
    ["end_time DESC"],
    ["status"],
    ["run_name desc"],
    ["attribute.run_name asc"],
    ["Created"],
    ["user_id"],
    ["unknown"],
    ["metrics.acc sideways"],
    ["metrics.acc ASC, run_name"],
    ["datasets.name"],
    [""],
    ["metrics.unknown", "run_name"],
):
    r.call(f"order: {order}", names, order_by=order)
for item, view in {
    "active": ViewType.ACTIVE_ONLY,
    "deleted": ViewType.DELETED_ONLY,
    "all": ViewType.ALL,
    "unknown": 7,
}.items():
    r.call(f"view: {item}", names, run_view_type=view, order_by=["run_name"])
r.call("two experiments", names, "", (experiment, other), order_by=["run_name"])
r.call("unknown experiment", names, "", ("123456789",))
r.call("no experiment", names, "", ())
r.call("not an experiment", names, "", ("x y",))

# --- Paging -----------------------------------------------------------------------------------


def pages(size, **options):
    found, token, looks = [], None, 0
    while looks == 0 or token:
        page = client.search_runs([experiment], max_results=size, page_token=token, **options)
        found.append([each.info.run_name for each in page])
        token, looks = page.token, looks + 1
    return found


for item, order in {
    "names": ["run_name"],
    "metric": ["metrics.acc DESC", "run_name"],
    "param": ["params.opt", "run_name"],
    "filtered": ["start_time", "run_name"],
}.items():
    extra = {"filter_string": "metrics.loss < 5"} if item == "filtered" else {}
    for size in (1, 2, 4, 100):
        r.call(f"pages: {item} by {size}", pages, size, order_by=order, **extra)
for size in (0, -1, 50000, 50001):
    r.call(f"max_results {size}", names, max_results=size, order_by=["run_name"])
r.call("token: rubbish", names, page_token="rubbish")
r.call("whole run", lambda: client.search_runs([experiment], "run_name = 'alpha'")[0])

# --- Fluent -----------------------------------------------------------------------------------

plain = {"output_format": "list", "order_by": ["run_name"]}
r.call("fluent: list", lambda: [e.info.run_name for e in mlflow.search_runs([experiment], **plain)])
r.call(
    "fluent: by name",
    lambda: [e.info.run_name for e in mlflow.search_runs(experiment_names=[r.name], **plain)],
)
r.call(
    "fluent: all experiments",
    lambda: [
        e.info.run_name
        for e in mlflow.search_runs(
            search_all_experiments=True,
            filter_string=f"run_id IN ('{ids['alpha']}', '{ids['zeta']}')",
            **plain,
        )
    ],
)
r.call("fluent: unknown name", mlflow.search_runs, experiment_names=["no such"], **plain)
r.call("fluent: most", lambda: len(mlflow.search_runs([experiment], max_results=2, **plain)))
r.call("fluent: frame", mlflow.search_runs, [experiment], order_by=["run_name"])
r.call("fluent: frame, columns", lambda: sorted(mlflow.search_runs([experiment]).columns))

r.finish()

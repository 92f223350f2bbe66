"""Metrics: values of every kind, history, batches of a thousand, duplicates, out of order."""

import math

import mlflow
from _recorder import Recorder
from mlflow.entities import Metric

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
r.experiment(experiment)


def new_run():
    return client.create_run(experiment, start_time=1000, run_name="run").info.run_id


def history(run_id, key):
    return [[m.step, m.timestamp, str(m.value)] for m in client.get_metric_history(run_id, key)]


def latest(run_id):
    return {key: str(value) for key, value in client.get_run(run_id).data.metrics.items()}


run_id = new_run()

# --- Values -----------------------------------------------------------------------------------

for item, value in {
    "int": 3,
    "float": 0.1,
    "negative": -2.5,
    "zero": 0.0,
    "negative zero": -0.0,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "nan": math.nan,
    "inf": math.inf,
    "negative inf": -math.inf,
    "third": 1 / 3,
    "text number": "4.5",
    "text": "abc",
    "none": None,
    "true": True,
    "list": [1],
    "big int": 2**70,
}.items():
    key = item.replace(" ", "_")
    r.call(f"value: {item}", client.log_metric, run_id, key, value, timestamp=2000, step=0)
    r.call(f"history: {item}", history, run_id, key)
r.call("latest of values", latest, run_id)

# --- Steps and times --------------------------------------------------------------------------

for item, (step, timestamp) in {
    "negative step": (-5, 2000),
    "large step": (2**62, 2000),
    "step over int64": (2**63, 2000),
    "float step": (1.5, 2000),
    "text step": ("3", 2000),
    "text": ("x", 2000),
    "time 0": (0, 0),
    "negative time": (0, -1),
    "large time": (0, 2**62),
    "float time": (0, 12.7),
    "time is text": (0, "x"),
}.items():
    key = item.replace(" ", "_")
    r.call(f"at: {item}", client.log_metric, run_id, key, 1.0, timestamp=timestamp, step=step)
    r.call(f"at, history: {item}", history, run_id, key)
r.call("no step", client.log_metric, run_id, "no_step", 1.0, timestamp=7)
r.call("no step, history", history, run_id, "no_step")
r.call("no time", client.log_metric, run_id, "no_time", 1.0)
r.call("no time, is now", lambda: client.get_metric_history(run_id, "no_time"))

# --- Latest is the greatest (step, timestamp, value) ------------------------------------------

ordered = new_run()
for value, timestamp, step in (
    (1.0, 100, 5),
    (2.0, 200, 3),
    (3.0, 50, 5),
    (4.0, 100, 5),
    (0.5, 100, 5),
    (9.0, 900, -1),
    (math.nan, 90, 5),
):
    client.log_metric(ordered, "m", value, timestamp=timestamp, step=step)
    r.note(f"latest after {value} at {timestamp}, {step}", latest(ordered))
r.call("history out of order", history, ordered, "m")
client.log_metric(ordered, "m", 4.0, timestamp=100, step=5)
r.call("history after a duplicate", history, ordered, "m")

# --- Names ------------------------------------------------------------------------------------

for item, key in {
    "slashes": "train/loss/1",
    "dots": "a.b",
    "spaces": "a b",
    "colon": "a:b",
    "dash": "a-b_c",
    "umlaut": "größe",
    "250": "k" * 250,
    "251": "k" * 251,
    "empty": "",
    "dot": ".",
    "dot dot": "..",
    "up": "a/../b",
    "leading slash": "/a",
    "trailing slash": "a/",
    "double slash": "a//b",
    "hash": "a#b",
    "question": "a?b",
    "percent": "a%b",
    "backslash": "a\\b",
    "newline": "a\nb",
    "quote": "a'b",
    "none": None,
    "number": 5,
}.items():
    r.call(f"name: {item}", client.log_metric, run_id, key, 1.0, timestamp=1, step=0)
r.call("names", lambda: sorted(client.get_run(run_id).data.metrics))

# --- Batches ----------------------------------------------------------------------------------

batch = new_run()
thousand = [Metric(f"k{n % 10}", float(n), 1000 + n, n) for n in range(1000)]
r.call("batch of 1000", client.log_batch, batch, metrics=thousand)
r.call("batch, latest", latest, batch)
r.call("batch, history", history, batch, "k3")
r.call("batch again", client.log_batch, batch, metrics=thousand)
r.call("batch again, history", lambda: len(history(batch, "k3")))
r.call("batch of 1001", client.log_batch, batch, metrics=[*thousand, Metric("k0", 1.0, 1, 9999)])
r.call("batch of 1001, history", lambda: len(history(batch, "k0")))
r.call("batch of none", client.log_batch, batch)
r.call("batch with duplicates", client.log_batch, batch, metrics=[Metric("d", 1.0, 1, 1)] * 3)
r.call("duplicates, history", history, batch, "d")
r.call(
    "batch with one wrong",
    client.log_batch,
    batch,
    metrics=[Metric("good", 1.0, 1, 1), Metric("b#d", 1.0, 1, 1)],
)
r.call("nothing of it", history, batch, "good")
r.call(
    "batch of specials",
    client.log_batch,
    batch,
    metrics=[Metric("s", v, 1, n) for n, v in enumerate((math.nan, math.inf, -math.inf, 0.0))],
)
r.call("specials, history", history, batch, "s")
r.call("specials, latest", latest, batch)

# --- History ----------------------------------------------------------------------------------

r.call("history: unknown key", history, run_id, "unknown")
r.call("history: unknown run", history, "0" * 32, "m")
r.call("history: empty key", history, run_id, "")
r.call("history: whole", client.get_metric_history, ordered, "m")

# --- Fluent -----------------------------------------------------------------------------------

mlflow.set_experiment(experiment_id=experiment)
with mlflow.start_run() as active:
    r.call("fluent: metric", mlflow.log_metric, "loss", 0.5)
    r.call("fluent: metric at a step", mlflow.log_metric, "loss", 0.25, step=1, timestamp=5)
    r.call("fluent: metrics", mlflow.log_metrics, {"a": 1, "b/c": 2.5}, step=3)
    r.call("fluent: metrics at a time", mlflow.log_metrics, {"a": 3}, step=4, timestamp=12)
    r.call("fluent: into another run", mlflow.log_metric, "else", 1.0, run_id=batch)
    r.call("fluent: wrong value", mlflow.log_metric, "wrong", "abc")
    r.call("fluent: wrong values", mlflow.log_metrics, {"ok": 1.0, "wrong": "abc"})
    r.call("fluent: wrong name", mlflow.log_metric, "wr#ng", 1.0)
r.call("fluent: latest", latest, active.info.run_id)
r.call(
    "fluent: history",
    lambda: [m.step for m in client.get_metric_history(active.info.run_id, "loss")],
)
r.call("fluent: other run", lambda: latest(batch)["else"])

r.finish()

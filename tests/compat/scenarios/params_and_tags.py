"""Params and tags: immutable params, tags that change, limits, long values, names."""

import mlflow
from _recorder import Recorder
from mlflow.entities import Param, RunTag

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
r.experiment(experiment)


def new_run():
    return client.create_run(experiment, start_time=1000, run_name="run").info.run_id


def params(run_id):
    return dict(sorted(client.get_run(run_id).data.params.items()))


def tags(run_id):
    return dict(sorted(client.get_run(run_id).data.tags.items()))


run_id = new_run()

# --- Params -----------------------------------------------------------------------------------

r.call("param", client.log_param, run_id, "lr", 0.1)
r.call("param: the same", client.log_param, run_id, "lr", 0.1)
r.call("param: same text", client.log_param, run_id, "lr", "0.1")
r.call("param: changed", client.log_param, run_id, "lr", 0.2)
for item, value in {
    "none": None,
    "true": True,
    "list": [1, 2],
    "dict": {"a": 1},
    "empty": "",
    "spaces": "  x  ",
    "newline": "a\nb",
    "unicode": "größe ✓ 模型",
    "6000": "v" * 6000,
    "6001": "v" * 6001,
    "20000": "v" * 20000,
    "quote": "it's",
}.items():
    r.call(f"param value: {item}", client.log_param, run_id, f"v {item}", value)
r.call("params", params, run_id)
names = {
    "slashes": "a/b/c",
    "dots": "a.b",
    "colon": "a:b",
    "umlaut": "größe",
    "250": "k" * 250,
    "251": "k" * 251,
    "256": "k" * 256,
    "empty": "",
    "dot": ".",
    "dot dot": "..",
    "up": "a/../b",
    "leading slash": "/a",
    "trailing slash": "a/",
    "hash": "a#b",
    "newline": "a\nb",
    "none": None,
    "number": 5,
}
for item, key in names.items():
    r.call(f"param name: {item}", client.log_param, run_id, key, "x")
    r.call(f"tag name: {item}", client.set_tag, run_id, key, "x")
r.call("param names", lambda: sorted(params(run_id)))
r.call("tag names", lambda: sorted(tags(run_id)))
r.call("param: unknown run", client.log_param, "0" * 32, "a", 1)

# --- Tags -------------------------------------------------------------------------------------

tagged = new_run()
r.call("tag", client.set_tag, tagged, "a", "1")
r.call("tag: changed", client.set_tag, tagged, "a", "2")
for item, value in {
    "none": None,
    "number": 5,
    "empty": "",
    "unicode": "größe ✓ 模型",
    "5000": "v" * 5000,
    "8000": "v" * 8000,
    "8001": "v" * 8001,
    "newline": "a\nb",
}.items():
    r.call(f"tag value: {item}", client.set_tag, tagged, f"v {item}", value)
r.call("tag: note", client.set_tag, tagged, "mlflow.note.content", "# A *note*")
r.call("tags", tags, tagged)
r.call("delete tag", client.delete_tag, tagged, "a")
r.call("delete tag: again", client.delete_tag, tagged, "a")
r.call("delete tag: unknown run", client.delete_tag, "0" * 32, "a")
r.call("delete tag: empty", client.delete_tag, tagged, "")
r.call("tag: unknown run", client.set_tag, "0" * 32, "a", 1)
r.call("tags after delete", lambda: sorted(tags(tagged)))
r.call("delete runName", client.delete_tag, tagged, "mlflow.runName")
r.call("after runName", lambda: client.get_run(tagged).info.run_name)

# --- Batches ----------------------------------------------------------------------------------

batch = new_run()
hundred = [Param(f"p{n:03}", str(n)) for n in range(100)]
r.call("batch of 100 params", client.log_batch, batch, params=hundred)
r.call("batch again", client.log_batch, batch, params=hundred)
r.call("batch of 101 params", client.log_batch, batch, params=[*hundred, Param("p100", "x")])
r.call(
    "batch of 100 tags", client.log_batch, batch, tags=[RunTag(f"t{n}", "x") for n in range(100)]
)
r.call(
    "batch of 101 tags", client.log_batch, batch, tags=[RunTag(f"u{n}", "x") for n in range(101)]
)
r.call("batch: counts", lambda: [len(params(batch)), len(tags(batch))])
other = new_run()
r.call(
    "batch: the same param twice",
    client.log_batch,
    other,
    params=[Param("a", "1"), Param("a", "1")],
)
r.call(
    "batch: param with two values",
    client.log_batch,
    other,
    params=[Param("b", "1"), Param("b", "2")],
)
r.call(
    "batch: tag with two values", client.log_batch, other, tags=[RunTag("t", "1"), RunTag("t", "2")]
)
client.log_param(other, "fixed", "1")
r.call(
    "batch: one changed param",
    client.log_batch,
    other,
    params=[Param("new", "1"), Param("fixed", "2")],
    tags=[RunTag("beside", "x")],
)
r.call(
    "batch: one bad name", client.log_batch, other, params=[Param("new2", "1"), Param("b#d", "2")]
)
r.call("batch: long value", client.log_batch, other, params=[Param("long", "x" * 7000)])
r.call("batch: what is there", lambda: [params(other), tags(other)])

# --- Fluent -----------------------------------------------------------------------------------

mlflow.set_experiment(experiment_id=experiment)
with mlflow.start_run(run_name="fluent") as active:
    r.call("fluent: param", mlflow.log_param, "lr", 0.1)
    r.call("fluent: params", mlflow.log_params, {"a": 1, "b": "two", "c": None})
    r.call("fluent: 150 params", mlflow.log_params, {f"p{n}": n for n in range(150)})
    r.call("fluent: changed", mlflow.log_param, "lr", 0.2)
    r.call("fluent: changed of many", mlflow.log_params, {"lr": 0.3, "d": 4})
    r.call("fluent: tag", mlflow.set_tag, "t", "u")
    r.call("fluent: tags", mlflow.set_tags, {"v": 1, "w": "x"})
    r.call("fluent: delete tag", mlflow.delete_tag, "v")
    r.call("fluent: delete no tag", mlflow.delete_tag, "v")
r.call("fluent: params read", params, active.info.run_id)
r.call("fluent: tags read", lambda: tags(active.info.run_id))

r.finish()

"""Runs: create, nested, update, end, delete, restore, names, and the fluent API around them."""

import mlflow
from _recorder import Recorder
from mlflow.entities import RunStatus, RunTag

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
r.experiment(experiment)

# --- One run ----------------------------------------------------------------------------------

run = r.call(
    "create",
    client.create_run,
    experiment,
    start_time=1700000000000,
    tags={"a": "1", "mlflow.user": "ann"},
    run_name="one",
)
run_id = run.info.run_id
r.call("get", client.get_run, run_id)
r.call("create: name in a tag", client.create_run, experiment, 5, {"mlflow.runName": "tagged"})
r.call("create: both names", client.create_run, experiment, 5, {"mlflow.runName": "x"}, "y")
r.call("create: same name twice", client.create_run, experiment, 5, {"mlflow.runName": "x"}, "x")
r.call("create: no time", lambda: client.create_run(experiment).info.start_time > 1700000000000)
r.call("create: name made up", lambda: len(client.create_run(experiment).info.run_name) > 3)
r.call("create: time 0", lambda: client.create_run(experiment, start_time=0).info)
r.call("update: name", client.update_run, run_id, name="two")
r.call(
    "after name", lambda: [client.get_run(run_id).info.run_name, client.get_run(run_id).data.tags]
)
r.call("tag runName", client.set_tag, run_id, "mlflow.runName", "three")
r.call(
    "after tag", lambda: [client.get_run(run_id).info.run_name, client.get_run(run_id).data.tags]
)
r.call("update: status", client.update_run, run_id, status="SCHEDULED")
r.call("after status", lambda: client.get_run(run_id).info)
r.call("update: nothing", client.update_run, run_id)
for status in ("RUNNING", "FINISHED", "FAILED", "KILLED", "finished", "DONE"):
    r.call(f"update: {status}", client.update_run, run_id, status=status)
    r.call(f"after {status}", lambda: client.get_run(run_id).info.status)
r.call("set terminated", client.set_terminated, run_id)
r.call("after terminated", lambda: client.get_run(run_id).info)
r.call("set terminated: when", client.set_terminated, run_id, "KILLED", 1700000001000)
r.call("after when", lambda: client.get_run(run_id).info)
r.call("set terminated: running", client.set_terminated, run_id, "RUNNING")
r.call("statuses", lambda: [RunStatus.to_string(s) for s in RunStatus.all_status()])

# --- Delete and restore -----------------------------------------------------------------------

r.call("delete", client.delete_run, run_id)
r.call("get: deleted", lambda: client.get_run(run_id).info.lifecycle_stage)
r.call("delete: again", client.delete_run, run_id)
r.call("log metric: deleted", client.log_metric, run_id, "m", 1.0, 1, 1)
r.call("log param: deleted", client.log_param, run_id, "p", 1)
r.call("set tag: deleted", client.set_tag, run_id, "t", 1)
r.call("delete tag: deleted", client.delete_tag, run_id, "a")
r.call("log batch: deleted", client.log_batch, run_id, tags=[RunTag("x", "y")])
r.call("update: deleted", client.update_run, run_id, "FINISHED")
r.call("restore", client.restore_run, run_id)
r.call("restore: again", client.restore_run, run_id)
r.call("get: restored", lambda: client.get_run(run_id).info.lifecycle_stage)

# --- What a user does wrong -------------------------------------------------------------------

for item, wanted in (
    ("unknown", "0" * 32),
    ("not an id", "a b"),
    ("empty", ""),
    ("too long", "a" * 300),
    ("path", "../../x"),
):
    r.call(f"get: {item}", client.get_run, wanted)
    r.call(f"delete: {item}", client.delete_run, wanted)
    r.call(f"restore: {item}", client.restore_run, wanted)
    r.call(f"update: {item}", client.update_run, wanted, "FINISHED")
    r.call(f"terminate: {item}", client.set_terminated, wanted)
    r.call(f"parent: {item}", client.get_parent_run, wanted)
r.call("create: unknown experiment", client.create_run, "123456789")
r.call("create: no experiment", client.create_run, "")
r.call("create: experiment's name", client.create_run, r.name)
r.call("create: text for a time", client.create_run, experiment, "now")
r.call("create: negative time", lambda: client.create_run(experiment, -5).info.start_time)
r.call(
    "create: empty name", lambda: bool(client.create_run(experiment, 5, run_name="").info.run_name)
)
r.call("create: long name", client.create_run, experiment, 5, run_name="n" * 251)
r.call("create: very long name", client.create_run, experiment, 5, run_name="n" * 9000)
r.call("create: empty tag key", client.create_run, experiment, 5, tags={"": "x"})
r.call("create: bad tag key", client.create_run, experiment, 5, tags={"a#b": "x"})
r.call("create: long tag", client.create_run, experiment, 5, tags={"a": "x" * 8001}, run_name="l")
r.call("update: empty name", client.update_run, run_id, name="")
r.call("after empty name", lambda: client.get_run(run_id).info.run_name)

# --- Parents ----------------------------------------------------------------------------------

child = client.create_run(experiment, 7, tags={"mlflow.parentRunId": run_id}, run_name="child")
r.call("parent", lambda: client.get_parent_run(child.info.run_id).info.run_id == run_id)
r.call("no parent", client.get_parent_run, run_id)

# --- Fluent -----------------------------------------------------------------------------------

mlflow.set_experiment(experiment_id=experiment)
with mlflow.start_run(run_name="outer", tags={"x": "y"}, description="about it") as outer:
    r.note("fluent: outer", outer.info)
    r.call("fluent: active", lambda: mlflow.active_run().info.run_id == outer.info.run_id)
    r.call("fluent: second", mlflow.start_run)
    with mlflow.start_run(nested=True, run_name="inner") as inner:
        r.call("fluent: inner's parent", lambda: mlflow.get_parent_run(inner.info.run_id).info)
    r.call("fluent: nested in another", mlflow.start_run, nested=True, parent_run_id=run_id)
    r.call("fluent: artifact uri", mlflow.get_artifact_uri)
    r.call("fluent: artifact uri of a path", mlflow.get_artifact_uri, "a/b")
with mlflow.start_run(nested=True, parent_run_id=run_id, run_name="of another") as other:
    r.call("fluent: of another", lambda: client.get_run(other.info.run_id).data.tags)
r.call("fluent: outer's data", lambda: mlflow.get_run(outer.info.run_id).data)
r.call("fluent: none active", mlflow.active_run)
r.call("fluent: last", lambda: mlflow.last_active_run().info)
with mlflow.start_run(run_id=outer.info.run_id, tags={"again": "1"}):
    r.call("fluent: resumed", lambda: client.get_run(outer.info.run_id).info.status)
r.call("fluent: after resumed", lambda: client.get_run(outer.info.run_id).info)


def failing():
    with mlflow.start_run(run_name="failing"):
        raise ValueError("no")


r.call("fluent: failing", failing)
r.call("fluent: failed", lambda: mlflow.last_active_run().info)
mlflow.start_run(run_name="ended by hand")
r.call("fluent: end", mlflow.end_run, "KILLED")
r.call("fluent: killed", lambda: mlflow.last_active_run().info)
r.call("fluent: delete", mlflow.delete_run, outer.info.run_id)
r.call("fluent: resume deleted", mlflow.start_run, run_id=outer.info.run_id)
r.call("fluent: resume unknown", mlflow.start_run, run_id="0" * 32)
r.call("fluent: unknown experiment", mlflow.start_run, experiment_id="123456789")
r.call("fluent: unknown parent", mlflow.start_run, parent_run_id="0" * 32)
r.call("fluent: run id with another experiment", mlflow.start_run, run_id=run_id, experiment_id="0")
if mlflow.active_run():
    mlflow.end_run()

r.finish()

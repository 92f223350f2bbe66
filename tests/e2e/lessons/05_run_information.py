"""Lesson 5: information on the active run, the last one, and past ones."""

import runstone
from runstone.exceptions import RunNotFound

runstone.set_experiment("information")
print("active before:", runstone.active_run())

with runstone.start_run(run_name="first", description="Only to look at it.") as run:
    print("active inside:", runstone.active_run().info.run_name)
    runstone.log_param("depth", 3)
    for step, loss in enumerate([0.9, 0.5, 0.7]):
        runstone.log_metric("loss", loss, step=step)

print("active after: ", runstone.active_run())
print("last one:     ", runstone.last_active_run().info.run_name)

# All of it can be read later by its id, from any process.
found = runstone.get_run(run.info.run_id)
print("id is hex:    ", len(found.info.run_id), "characters")
print("status:       ", found.info.status)
print("took time:    ", found.info.end_time >= found.info.start_time)
print("files are at: ", found.info.artifact_uri.replace(run.info.run_id, "<run id>"))
print("params:       ", found.data.params)
print("last values:  ", found.data.metrics)
summary = found.data.metric_summaries["loss"]
print("least, most:  ", summary.min, summary.max)
history = runstone.Client().get_metric_history(run.info.run_id, "loss")
print("history:      ", [(point.step, point.value) for point in history])

# A run can be taken up again, such as to add what was measured a day later.
with runstone.start_run(run_id=run.info.run_id):
    runstone.log_metric("test_loss", 0.6)
print("taken up:     ", sorted(runstone.get_run(run.info.run_id).data.metrics))

try:
    runstone.get_run("0" * 32)
except RunNotFound as error:
    print("unknown:      ", error)

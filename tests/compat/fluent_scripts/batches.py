"""Logging in batches and in the background, with the client's own types."""

import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

client = MlflowClient()
experiment = mlflow.set_experiment("batches")
run = client.create_run(experiment.experiment_id)
now = int(time.time() * 1000)
client.log_batch(
    run.info.run_id,
    metrics=[Metric("loss", 1 / (step + 1), now + step, step) for step in range(100)],
    params=[Param("a", "1"), Param("b", "two")],
    tags=[RunTag("kind", "batch")],
)
found = client.get_run(run.info.run_id)
print(found.data.params, found.data.metrics, found.data.tags["kind"])
history = client.get_metric_history(run.info.run_id, "loss")
print(len(history), [point.step for point in history] == list(range(100)))

try:
    client.log_param(run.info.run_id, "a", "2")
except MlflowException as error:
    print(error.error_code)
client.log_param(run.info.run_id, "a", "1")  # the same value is fine
for key, value in (("../up", 1), ("good", "text")):
    try:
        client.log_metric(run.info.run_id, key, value)
    except MlflowException as error:
        print(key, error.error_code)
client.set_terminated(run.info.run_id)

with mlflow.start_run() as other:
    pending = [mlflow.log_metric("x", i, step=i, synchronous=False) for i in range(20)]
    mlflow.log_params({"p": 1, "q": 2}, synchronous=False).wait()
    mlflow.set_tag("t", "v", synchronous=False).wait()
    for each in pending:
        each.wait()
    print(len(client.get_metric_history(other.info.run_id, "x")))
mlflow.flush_async_logging()
read = client.get_run(other.info.run_id)
print(sorted(read.data.params.items()), read.data.tags["t"], read.data.metrics)

client.delete_run(other.info.run_id)
try:
    client.log_param(other.info.run_id, "late", "1")
except MlflowException as error:
    print(error.error_code)

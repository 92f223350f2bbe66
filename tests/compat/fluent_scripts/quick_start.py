"""MLflow's quick start: parameters, metrics, a file, and the run read back."""

import os
import tempfile

import mlflow
from mlflow.tracking import MlflowClient

mlflow.set_experiment("quick start")

with mlflow.start_run(run_name="first") as run:
    mlflow.log_param("lr", 0.01)
    mlflow.log_params({"epochs": 3, "optimizer": "adam", "layers": [64, 32]})
    for epoch in range(3):
        mlflow.log_metric("loss", 1.0 / (epoch + 1), step=epoch)
    mlflow.log_metrics({"accuracy": 0.91, "f1": 0.9})
    mlflow.set_tag("team", "vision")
    mlflow.set_tags({"phase": "test", "attempt": 2})
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "notes.txt")
        with open(path, "w") as notes:
            notes.write("hello")
        mlflow.log_artifact(path)
        mlflow.log_artifact(path, artifact_path="deep/er")
    print("active", mlflow.active_run().info.run_id == run.info.run_id)

print("active", mlflow.active_run())
print("last", mlflow.last_active_run().info.run_name)

found = mlflow.get_run(run.info.run_id)
print(found.info.status, found.info.lifecycle_stage, found.info.run_name)
print(sorted(found.data.params.items()))
print(sorted(found.data.metrics.items()))
print(sorted((k, v) for k, v in found.data.tags.items() if not k.startswith("mlflow.")))
print(found.info.end_time >= found.info.start_time)

client = MlflowClient()
for point in client.get_metric_history(run.info.run_id, "loss"):
    print(point.key, point.step, round(point.value, 4))
for item in client.list_artifacts(run.info.run_id):
    print(item.path, item.is_dir, item.file_size)
for item in client.list_artifacts(run.info.run_id, "deep"):
    print(item.path, item.is_dir)
local = client.download_artifacts(run.info.run_id, "notes.txt")
with open(local) as notes:
    print(notes.read())

experiment = mlflow.get_experiment_by_name("quick start")
print(experiment.name, experiment.lifecycle_stage, experiment.tags)

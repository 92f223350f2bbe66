"""A project that is run with parameters, and again with another entry point."""

from pathlib import Path

import mlflow
import mlflow.projects
from mlflow.exceptions import MlflowException

project = Path("project")
project.mkdir()
(project / "MLproject").write_text(
    """
name: example
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.1}
      name: string
    command: "python train.py --alpha {alpha} --name {name}"
  other:
    command: "python -c 'pass'"
"""
)
(project / "train.py").write_text(
    """
import sys
import mlflow
with mlflow.start_run():
    mlflow.log_metric("arguments", len(sys.argv))
"""
)

mlflow.set_experiment("projects")
submitted = mlflow.projects.run(
    "project", parameters={"alpha": 0.5, "name": "ada"}, env_manager="local", synchronous=True
)
run = mlflow.get_run(submitted.run_id)
print(submitted.get_status(), run.info.status)
print(sorted(run.data.params.items()), run.data.metrics)
print(run.data.tags["mlflow.project.entryPoint"], run.data.tags["mlflow.source.type"])

again = mlflow.run("project", entry_point="other", env_manager="local")
print(again.wait(), mlflow.get_run(again.run_id).info.status)

try:
    mlflow.projects.run("project", parameters={}, env_manager="local")
except MlflowException:
    print("name is missing")

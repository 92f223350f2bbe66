"""Tags that a run gets by itself, notes, experiments' tags, and their life."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

client = MlflowClient()
experiment_id = client.create_experiment("tags", tags={"team": "risk"})
mlflow.set_experiment(experiment_id=experiment_id)
mlflow.set_experiment_tag("reviewed", "no")
mlflow.set_experiment_tags({"budget": 3})
print(sorted(mlflow.get_experiment(experiment_id).tags.items()))

with mlflow.start_run(run_name="named", description="A note.", tags={"own": "1"}) as run:
    mlflow.set_tag("mlflow.note.content", "Another note.")
    mlflow.set_tag("temporary", "x")
    mlflow.delete_tag("temporary")
tags = mlflow.get_run(run.info.run_id).data.tags
print(sorted(key for key in tags if "git" not in key))
print(tags["mlflow.note.content"], tags["mlflow.runName"], tags["mlflow.source.type"])
print(
    tags["mlflow.source.name"].endswith("system_tags.py"), tags["mlflow.user"] == run.info.user_id
)

client.set_tag(run.info.run_id, "mlflow.runName", "renamed")
print(client.get_run(run.info.run_id).info.run_name)
client.update_run(run.info.run_id, name="again")
print(client.get_run(run.info.run_id).data.tags["mlflow.runName"])

client.rename_experiment(experiment_id, "new tags")
client.delete_experiment(experiment_id)
print(client.get_experiment(experiment_id).lifecycle_stage)
deleted = client.search_experiments(
    view_type=ViewType.DELETED_ONLY, filter_string="name = 'new tags'"
)
print([each.name for each in deleted])
try:
    mlflow.set_experiment("new tags")
except MlflowException as error:
    print(error.error_code)
client.restore_experiment(experiment_id)
print(client.get_experiment_by_name("new tags").lifecycle_stage)
print(mlflow.get_experiment_by_name("tags"))
try:
    client.create_experiment("new tags")
except MlflowException as error:
    print(error.error_code)

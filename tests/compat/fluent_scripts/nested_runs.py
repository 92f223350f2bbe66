"""A search over settings: a parent with children, one of which fails, is deleted and restored."""

import mlflow
from mlflow.entities import RunStatus, ViewType
from mlflow.tracking import MlflowClient

experiment_id = mlflow.create_experiment("nested", tags={"purpose": "search"})
client = MlflowClient()
mlflow.set_experiment(experiment_id=experiment_id)

with mlflow.start_run(run_name="parent") as parent:
    mlflow.log_param("strategy", "grid")
    for depth in (1, 2, 3):
        with mlflow.start_run(run_name=f"depth {depth}", nested=True, tags={"depth": str(depth)}):
            mlflow.log_param("depth", depth)
            mlflow.log_metric("score", depth * 0.3)
    try:
        with mlflow.start_run(run_name="broken", nested=True) as broken:
            raise ValueError("no data")
    except ValueError as error:
        print("raised", error)

children = mlflow.search_runs(
    experiment_ids=[experiment_id],
    filter_string=f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'",
    order_by=["attributes.start_time ASC"],
    output_format="list",
)
for child in children:
    print(child.info.run_name, child.info.status, child.data.params, child.data.metrics)
    print(mlflow.get_parent_run(child.info.run_id).info.run_name)
print(mlflow.get_parent_run(parent.info.run_id))

mlflow.delete_run(broken.info.run_id)
print(client.get_run(broken.info.run_id).info.lifecycle_stage)
for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
    print(len(client.search_runs([experiment_id], run_view_type=view)))
client.restore_run(broken.info.run_id)
print(client.get_run(broken.info.run_id).info.lifecycle_stage)

# A run that is made, filled and ended by the client alone.
made = client.create_run(experiment_id, run_name="by hand", tags={"who": "client"})
client.log_param(made.info.run_id, "a", 1)
client.log_metric(made.info.run_id, "m", 2.5, step=3)
client.set_terminated(made.info.run_id, status="FAILED")
ended = client.get_run(made.info.run_id)
print(ended.info.status, RunStatus.from_string(ended.info.status) == RunStatus.FAILED)
print(ended.data.params, ended.data.metrics, ended.data.tags["who"])

# A run that is taken up again.
with mlflow.start_run(run_id=made.info.run_id):
    mlflow.log_metric("m", 3.5, step=4)
print(client.get_run(made.info.run_id).info.status)
print([(m.step, m.value) for m in client.get_metric_history(made.info.run_id, "m")])

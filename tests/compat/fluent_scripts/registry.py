"""The registry through MlflowClient: versions, stages, aliases, tags, searches, deletions."""

import warnings

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LinearRegression

warnings.simplefilter("ignore")  # stages are deprecated in MLflow

mlflow.set_experiment("registry")
client = MlflowClient()
model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
for _ in range(3):
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(model, name="model")
    version = mlflow.register_model(f"runs:/{run.info.run_id}/model", "doubling")
    print(version.name, version.version, version.status, version.run_id == run.info.run_id)

client.update_registered_model("doubling", description="Twice as much.")
client.set_registered_model_tag("doubling", "task", "regression")
client.set_model_version_tag("doubling", "2", "checked", "yes")
client.update_model_version("doubling", "2", description="The second.")
client.transition_model_version_stage("doubling", "1", "Production")
client.transition_model_version_stage("doubling", "2", "Production", archive_existing_versions=True)
client.transition_model_version_stage("doubling", "3", "Staging")
client.set_registered_model_alias("doubling", "champion", "2")
client.set_registered_model_alias("doubling", "challenger", "3")

found = client.get_registered_model("doubling")
print(found.name, found.description, found.tags, sorted(found.aliases.items()))
for each in sorted(client.search_model_versions("name='doubling'"), key=lambda v: int(v.version)):
    print(each.version, each.current_stage, each.description or "none", each.tags)
for each in sorted(client.get_latest_versions("doubling"), key=lambda v: v.current_stage):
    print(each.current_stage, each.version)
print(client.get_latest_versions("doubling", stages=["Production"])[0].version)
print(client.get_model_version_by_alias("doubling", "champion").version)
for uri in ("models:/doubling/2", "models:/doubling@champion", "models:/doubling/Production"):
    print(round(float(mlflow.pyfunc.load_model(uri).predict([[5.0]])[0]), 6))

client.delete_registered_model_alias("doubling", "challenger")
client.delete_model_version_tag("doubling", "2", "checked")
client.delete_registered_model_tag("doubling", "task")
client.transition_model_version_stage("doubling", "3", "None")
client.delete_model_version("doubling", "3")
print(client.get_registered_model("doubling").aliases, client.get_registered_model("doubling").tags)

client.create_registered_model("another", tags={"a": "b"}, description="Empty.")
client.rename_registered_model("another", "renamed")
print([each.name for each in client.search_registered_models(order_by=["name ASC"])])
print([each.name for each in client.search_registered_models("name LIKE 're%'")])
print([each.name for each in mlflow.search_registered_models(filter_string="tags.a = 'b'")])
client.delete_registered_model("renamed")

for call in (
    lambda: client.get_registered_model("renamed"),
    lambda: client.get_model_version("doubling", "9"),
    lambda: client.create_registered_model("doubling"),
    lambda: client.get_model_version_by_alias("doubling", "nobody"),
    lambda: client.transition_model_version_stage("doubling", "2", "Nowhere"),
):
    try:
        call()
    except MlflowException as error:
        print(error.error_code)

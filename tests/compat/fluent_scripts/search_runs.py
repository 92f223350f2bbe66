"""Searches with filters, orders, pages and view types; what is wrong with a filter is an error."""

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

mlflow.set_experiment("searching")
for number in range(8):
    with mlflow.start_run(run_name=f"run {number}"):
        mlflow.log_param("model", "tree" if number % 2 else "linear")
        mlflow.log_param("depth", number)
        mlflow.log_metric("acc", number / 10)
        if number > 3:
            mlflow.log_metric("loss", 1 - number / 10)
        mlflow.set_tag("owner", "ada" if number < 5 else "Grace")

experiment = mlflow.get_experiment_by_name("searching")
client = MlflowClient()

for text in (
    "",
    "metrics.acc > 0.5",
    "metrics.acc >= 0.2 and params.model = 'tree'",
    "params.depth != '3' AND metrics.acc < 0.5",
    "params.model != 'tree'",
    "tags.owner LIKE 'Gr%'",
    "tags.owner ILIKE 'gr%'",
    "metrics.loss < 0.5",
    "attributes.run_name = 'run 2'",
    "run_name LIKE 'run%' AND status = 'FINISHED'",
    "tags.`owner` = 'ada' AND metrics.`acc` = 0.3",
):
    runs = client.search_runs([experiment.experiment_id], text, order_by=["metrics.acc DESC"])
    print(repr(text), [run.info.run_name for run in runs])

for order in (["metrics.loss ASC"], ["params.model ASC", "metrics.acc DESC"], ["tags.owner"]):
    runs = client.search_runs([experiment.experiment_id], order_by=[*order, "run_name ASC"])
    print(order, [run.info.run_name for run in runs])

token, pages = None, []
while True:
    page = client.search_runs(
        [experiment.experiment_id], order_by=["run_name"], max_results=3, page_token=token
    )
    pages.append([run.info.run_name for run in page])
    token = page.token
    if not token:
        break
print(pages)

frame = mlflow.search_runs(
    experiment_names=["searching"], filter_string="metrics.acc > 0.4", order_by=["metrics.acc ASC"]
)
print(frame[["params.model", "params.depth", "metrics.acc", "tags.owner", "status"]].to_string())
print(frame["start_time"].dtype.kind, len(frame))
print(mlflow.search_runs(experiment_names=["no such"], output_format="list"))

for wrong in ("metrics.acc > 'x'", "nothing", "metrics.acc >", "params.a > '1'"):
    try:
        client.search_runs([experiment.experiment_id], wrong)
    except MlflowException as error:
        print(wrong, error.error_code)

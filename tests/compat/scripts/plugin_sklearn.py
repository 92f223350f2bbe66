"""A model of scikit-learn is logged, registered, found and loaded through the plug-in."""

import os

import mlflow
import mlflow.sklearn
import numpy as np
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

NAME = f"line {os.getpid()}"
client = MlflowClient()


def main() -> None:
    experiment = mlflow.set_experiment(NAME).experiment_id
    x = np.arange(20.0).reshape(-1, 1)
    model = LinearRegression().fit(x, 3 * x.ravel() + 1)
    expected = model.predict(x)
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(x, expected),
            serialization_format="cloudpickle",
            registered_model_name=NAME,
        )
        mlflow.log_metric("mse", 0.25, step=3, model_id=info.model_id)
    run_id = run.info.run_id

    logged = client.get_logged_model(info.model_id)
    assert (str(logged.status), logged.source_run_id, logged.name) == ("READY", run_id, "model")
    assert [(each.key, each.value, each.step) for each in logged.metrics] == [("mse", 0.25, 3)]
    outputs = client.get_run(run_id).outputs.model_outputs
    assert [each.model_id for each in outputs] == [info.model_id]
    found = client.search_logged_models([experiment], "metrics.mse < 1")
    assert [each.model_id for each in found] == [info.model_id]
    assert "model/MLmodel" in {each.path for each in client.list_artifacts(run_id, "model")}

    again = mlflow.register_model(f"runs:/{run_id}/model", NAME)
    assert int(again.version) == 2
    client.set_registered_model_alias(NAME, "best", "2")
    for uri in (
        f"models:/{info.model_id}",
        f"runs:/{run_id}/model",
        f"models:/{NAME}/1",
        f"models:/{NAME}@best",
    ):
        assert np.array_equal(mlflow.sklearn.load_model(uri).predict(x), expected), uri
    assert np.array_equal(mlflow.pyfunc.load_model(f"models:/{NAME}/2").predict(x), expected)
    # A version's files are its own.
    client.delete_logged_model(info.model_id)
    client.delete_run(run_id)
    assert np.array_equal(mlflow.sklearn.load_model(f"models:/{NAME}@best").predict(x), expected)


if __name__ == "__main__":
    main()

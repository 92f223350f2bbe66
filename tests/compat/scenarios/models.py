"""Models logged and loaded back: pyfunc from a run, from the registry, by alias, by its id."""

from importlib.util import find_spec

import mlflow
from _recorder import Recorder

r = Recorder()
client = mlflow.MlflowClient()
mlflow.set_experiment(r.name)
experiment = mlflow.get_experiment_by_name(r.name).experiment_id
r.experiment(experiment)


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2 * each for each in model_input]


def predictions(uri):
    return list(mlflow.pyfunc.load_model(uri).predict([1, 2, 3]))


def described(info):
    return {
        "uri": info.model_uri,
        "model_id": info.model_id,
        "flavors": sorted(info.flavors),
        "version": info.registered_model_version,
        "metadata": info.metadata,
        "path": info.artifact_path,
    }


def files(model_id, path=None):
    found = []
    for each in client.list_logged_model_artifacts(model_id, path):
        found.append(each.path)
        if each.is_dir:
            found += files(model_id, each.path)
    return found


with mlflow.start_run(run_name="pyfunc") as run:
    info = mlflow.pyfunc.log_model(
        name="model",
        python_model=Doubler(),
        pip_requirements=[],
        registered_model_name=r.name,
        metadata={"a": 1},
    )
r.note("logged", described(info))
r.call("files", files, info.model_id)
r.call("run", lambda: client.get_run(run.info.run_id).outputs)
r.call(
    "model",
    lambda: [
        client.get_logged_model(info.model_id).status,
        client.get_logged_model(info.model_id).name,
    ],
)
r.call("registered", lambda: client.get_model_version(r.name, "1"))
r.call(
    "run's artifacts",
    lambda: [each.path for each in client.list_artifacts(run.info.run_id, "model")],
)
client.set_registered_model_alias(r.name, "champion", "1")
for item, uri in {
    "its uri": info.model_uri,
    "run": f"runs:/{run.info.run_id}/model",
    "version": f"models:/{r.name}/1",
    "latest": f"models:/{r.name}/latest",
    "alias": f"models:/{r.name}@champion",
    "unknown version": f"models:/{r.name}/99",
    "unknown alias": f"models:/{r.name}@nobody",
    "unknown model": f"models:/{r.name}-none/1",
    "unknown run": f"runs:/{'0' * 32}/model",
    "unknown path": f"runs:/{run.info.run_id}/nowhere",
    "unknown id": "models:/m-" + "0" * 32,
}.items():
    r.call(f"load: {item}", predictions, uri)
r.call("info by uri", lambda: sorted(mlflow.models.get_model_info(f"models:/{r.name}/1").flavors))
again = mlflow.register_model(info.model_uri, r.name)
r.note("registered again", again)
client.transition_model_version_stage(r.name, "2", "Production")
r.call("load: stage", predictions, f"models:/{r.name}/Production")
with mlflow.start_run(run_name="older way"):
    older = mlflow.pyfunc.log_model("older", python_model=Doubler(), pip_requirements=[])
    r.call("older way", lambda: predictions(older.model_uri))
mlflow.pyfunc.save_model(str(r.folder / "saved"), python_model=Doubler(), pip_requirements=[])
with mlflow.start_run(run_name="by hand") as by_hand:
    mlflow.log_artifacts(str(r.folder / "saved"), "hand")
    r.call("by hand", predictions, f"runs:/{by_hand.info.run_id}/hand")
    r.call(
        "by hand: registered",
        mlflow.register_model,
        f"runs:/{by_hand.info.run_id}/hand",
        f"{r.name}-hand",
    )
    r.call("by hand: loaded", predictions, f"models:/{r.name}-hand/1")

if find_spec("sklearn"):
    import numpy as np
    from sklearn.linear_model import LinearRegression

    x = np.arange(12.0).reshape(6, 2)
    with mlflow.start_run(run_name="sklearn") as run:
        fitted = LinearRegression().fit(x, x.sum(axis=1))
        logged = mlflow.sklearn.log_model(
            fitted,
            name="linear",
            input_example=x[:2],
            serialization_format="cloudpickle",
            pip_requirements=[],
        )
        r.call("sklearn: logged", described, logged)
        r.call(
            "sklearn: loaded",
            lambda: mlflow.sklearn.load_model(logged.model_uri).predict(x).round(6).tolist(),
        )
        r.call("sklearn: signature", logged.signature.to_dict)
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run(run_name="autolog") as run:
        LinearRegression().fit(x, x.sum(axis=1))
    mlflow.sklearn.autolog(disable=True)
    found = client.get_run(run.info.run_id)
    r.note("autolog: params", found.data.params)
    r.note("autolog: metrics", sorted(found.data.metrics))
    r.note("autolog: tags", {k: v for k, v in found.data.tags.items() if "estimator" in k})
    r.note("autolog: artifacts", [each.path for each in client.list_artifacts(run.info.run_id)])

r.finish()

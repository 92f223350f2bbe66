"""Trains with libraries while MLflow, or Runstone under its name, logs by itself.

Called with the module, the address, the libraries, and names of trainings when it is not to be all
of them. Prints what each run holds.
"""

import importlib
import json
import sys
import tempfile
import warnings
from pathlib import Path

import autolog_trainings

module, address, libraries, *names = sys.argv[1:]
warnings.simplefilter("ignore")
mlflow = importlib.import_module(module)
mlflow.set_tracking_uri(address)
mlflow.set_experiment("autolog")


LARGEST = sys.float_info.max
"""What MLflow's stores keep for an infinite value."""


def history(client, run_id, key):
    points = client.get_metric_history(run_id, key)
    return [
        [point.step, round(max(-LARGEST, min(LARGEST, float(point.value))), 6)] for point in points
    ]


def importances(client, run_id, path):
    with tempfile.TemporaryDirectory() as folder:
        local = client.download_artifacts(run_id, path, folder)
        return json.loads(Path(local).read_text("utf-8"))


def held(run_id):
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    files = sorted(each.path for each in client.list_artifacts(run_id))
    models = [client.get_logged_model(each.model_id) for each in run.outputs.model_outputs]
    signature = None
    if models:
        info = mlflow.models.get_model_info(f"runs:/{run_id}/model")
        signature = info.signature and info.signature.to_dict()
    return {
        "status": run.info.status,
        "own": "mlflow.autologging" in run.data.tags,
        "params": dict(sorted(run.data.params.items())),
        "metrics": {key: history(client, run_id, key) for key in sorted(run.data.metrics)},
        "tags": {key: run.data.tags[key] for key in run.data.tags if "mlflow." not in key},
        "files": files,
        "importances": {
            path: importances(client, run_id, path) for path in files if path.endswith(".json")
        },
        "datasets": sorted(each.tags[0].value for each in run.inputs.dataset_inputs),
        "models": len(models),
        "signature": signature,
    }


def trained(library, found):
    flavor = importlib.import_module(f"{module}.{library}")
    for name, options, train in getattr(autolog_trainings, library)():
        if names and name not in names:
            continue
        flavor.autolog(**options)
        before = mlflow.last_active_run()
        key = f"{library}: {name}"
        try:
            train(mlflow)
        except Exception as error:
            found[f"{key}, raised"] = type(error).__name__
        run = mlflow.last_active_run()
        same = before is not None and run is not None and before.info.run_id == run.info.run_id
        found[key] = None if run is None or same else held(run.info.run_id)


found = {}
for each in libraries.split(","):
    trained(each, found)
print(json.dumps(found))

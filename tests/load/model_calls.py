"""Logs or loads a small model, as a script of its own does; prints what that took, as JSON.

python model_calls.py runstone|mlflow|mlflow-given log
python model_calls.py runstone|mlflow load URI

The tracking URI comes from the client's own variable. The first time counts the client's import:
the framework was imported before, for the script trained with it. The second is a call of the same
process. `mlflow-given` tells MLflow what the model requires, which it otherwise finds by loading
the model in a process of its own. Needs an environment with both clients and scikit-learn.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

from sklearn.linear_model import LinearRegression

MODEL = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])


def flavor(client: str) -> tuple[Any, Any]:
    """The client, and its module for models of scikit-learn."""
    if client == "runstone":
        import runstone
        import runstone.sklearn

        return runstone, runstone.sklearn
    import mlflow
    import mlflow.sklearn

    return mlflow, mlflow.sklearn


def log(client: str) -> str:
    """The URI of a model that was logged in a run of its own."""
    module, models = flavor(client)
    given = {"pip_requirements": ["scikit-learn"]} if client == "mlflow-given" else {}
    with module.start_run():
        return str(models.log_model(MODEL, name="model", **given).model_uri)


def load(client: str, uri: str) -> str:
    """The URI of a model that was loaded and predicts."""
    _, models = flavor(client)
    assert models.load_model(uri).predict([[3.0]]).round(6).tolist() == [6.0]
    return uri


def main() -> None:
    client, verb, *uri = sys.argv[1:]
    warnings.simplefilter("ignore")
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        done = log(client) if verb == "log" else load(client, *uri)
        seconds.append(time.perf_counter() - begun)
    print(json.dumps({"uri": done, "seconds": seconds}))


if __name__ == "__main__":
    main()

"""A PythonModel around a trained estimator, with artifacts, parameters and a configuration."""

import json

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel
from sklearn.datasets import load_diabetes
from sklearn.tree import DecisionTreeRegressor


class Scaled(PythonModel):
    def load_context(self, context):
        self.inner = mlflow.sklearn.load_model(context.artifacts["inner"])
        with open(context.artifacts["settings"]) as file:
            self.offset = json.load(file)["offset"]

    def predict(self, context, model_input, params=None):
        factor = (params or {}).get("factor", 1.0)
        return self.inner.predict(model_input) * factor + self.offset


class AddN(mlflow.pyfunc.PythonModel):
    def __init__(self, n):
        self.n = n

    def predict(self, context, model_input, params=None):
        return model_input.apply(lambda column: column + self.n)


X, y = load_diabetes(return_X_y=True, as_frame=True)
inner = DecisionTreeRegressor(max_depth=3, random_state=7).fit(X, y)
mlflow.sklearn.save_model(inner, "inner", serialization_format="cloudpickle")
with open("settings.json", "w") as file:
    json.dump({"offset": 1000.0}, file)

mlflow.set_experiment("python models")
signature = infer_signature(X, inner.predict(X), params={"factor": 1.0})
with mlflow.start_run():
    info = mlflow.pyfunc.log_model(
        name="scaled",
        python_model=Scaled(),
        artifacts={"inner": "inner", "settings": "settings.json"},
        signature=signature,
    )
loaded = mlflow.pyfunc.load_model(info.model_uri)
print([round(float(value), 4) for value in loaded.predict(X.head(3))])
print([round(float(value), 4) for value in loaded.predict(X.head(3), params={"factor": 2.0})])
print(type(loaded.unwrap_python_model()).__name__, sorted(loaded.metadata.flavors))
print(loaded.metadata.signature.params)

mlflow.pyfunc.save_model("add", python_model=AddN(5))
added = mlflow.pyfunc.load_model("add").predict(pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]}))
print(added.to_dict("list"))


def shout(model_input: list[str]) -> list[str]:
    return [each.upper() for each in model_input]


with mlflow.start_run():
    info = mlflow.pyfunc.log_model(name="shout", python_model=shout, input_example=["a"])
print(mlflow.pyfunc.load_model(info.model_uri).predict(["hello", "you"]))
print(mlflow.pyfunc.get_model_dependencies(info.model_uri).endswith("requirements.txt"))

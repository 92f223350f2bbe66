"""Lesson 23: one way to use any model.

A program that serves models should not know what they are made of. pyfunc loads an estimator, a
pipeline, a function or a class of yours, and each has the same predict.
"""

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import runstone

X, y = load_diabetes(return_X_y=True, as_frame=True)
X = X[["bmi", "bp", "s5"]]


class Ensemble(runstone.pyfunc.PythonModel):
    """The mean of other models, which it finds among its artifacts."""

    def load_context(self, context):
        self.models = [runstone.pyfunc.load_model(path) for path in context.artifacts.values()]

    def predict(self, context, model_input, params=None):
        return np.mean([model.predict(model_input) for model in self.models], axis=0)


def always_average(model_input: pd.DataFrame) -> np.ndarray:
    return np.full(len(model_input), 152.0)


runstone.set_experiment("universal")
uris = {}
with runstone.start_run():
    for name, model in (
        ("linear", LinearRegression()),
        ("pipeline", make_pipeline(PolynomialFeatures(2), LinearRegression())),
        ("boosting", GradientBoostingRegressor(n_estimators=20, random_state=7)),
    ):
        info = runstone.sklearn.log_model(model.fit(X, y), name=name, input_example=X.head(1))
        uris[name] = info.model_uri
    for name, model, artifacts in (
        ("ensemble", Ensemble(), dict(uris)),
        ("function", always_average, None),
    ):
        info = runstone.pyfunc.log_model(name=name, python_model=model, artifacts=artifacts)
        uris[name] = info.model_uri

for name, uri in uris.items():
    model = runstone.pyfunc.load_model(uri)
    flavors = ", ".join(sorted(model.metadata.flavors))
    print(f"{name:9} {np.round(model.predict(X.head(3)), 1).tolist()} {flavors}")

"""Lesson 13: infer_signature makes a signature from data, of many kinds."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

import runstone
from runstone.models import infer_signature

X, y = load_diabetes(return_X_y=True, as_frame=True)
model = LinearRegression().fit(X, y)

signature = infer_signature(X, model.predict(X))
print("a DataFrame:", len(signature.inputs), "columns, the first is", signature.inputs.inputs[0])
print("predictions:", signature.outputs)

print("an array:   ", infer_signature(np.zeros((5, 3))).inputs)
print("named ones: ", infer_signature({"image": np.zeros((2, 8, 8)), "size": np.ones(2)}).inputs)
print("nested:     ", infer_signature([{"name": "Ada", "scores": [1.0, 2.0]}]).inputs)

# Parameters of a prediction, with their defaults.
print("parameters: ", infer_signature(X, params={"threshold": 0.5, "top": 3}).params)

# A missing value makes a column of integers one of floats: say float when some may be missing.
frame = pd.DataFrame({"age": [30, None], "name": ["Ada", "Grace"]})
print("missing:    ", infer_signature(frame).inputs)

runstone.set_experiment("inferred")
with runstone.start_run():
    info = runstone.sklearn.log_model(model, name="diabetes", signature=signature)
read = runstone.models.get_model_info(info.model_uri).signature
print("kept with the model:", read == signature)

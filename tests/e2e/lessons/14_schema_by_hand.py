"""Lesson 14: a signature written by hand, of Schema and ColSpec.

By hand one says what data alone cannot: that a column may be missing, or that it is a date.
"""

import numpy as np
import pandas as pd

import runstone
from runstone.exceptions import SchemaMismatch
from runstone.models.signature import ModelSignature
from runstone.types import ParamSchema, ParamSpec
from runstone.types.schema import ColSpec, Schema, TensorSpec

inputs = Schema(
    [
        ColSpec("double", "area"),
        ColSpec("long", "rooms"),
        ColSpec("double", "garden", required=False),
    ]
)
outputs = Schema([ColSpec("double", "price")])
params = ParamSchema([ParamSpec("currency", "string", "EUR")])
signature = ModelSignature(inputs=inputs, outputs=outputs, params=params)
print(signature)
print("as JSON:", signature.to_dict()["inputs"])

images = Schema([TensorSpec(np.dtype("float32"), (-1, 28, 28), "image")])
print("tensors:", images)


class Price(runstone.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        garden = model_input.get("garden", 0.0)
        return 1000 * model_input["area"] + 5000 * model_input["rooms"] + 100 * garden


runstone.set_experiment("by hand")
with runstone.start_run():
    info = runstone.pyfunc.log_model(name="price", python_model=Price(), signature=signature)

model = runstone.pyfunc.load_model(info.model_uri)
print("without a garden:", model.predict(pd.DataFrame({"area": [50.0], "rooms": [2]})).tolist())
for frame in (
    pd.DataFrame({"area": [50.0]}),
    pd.DataFrame({"area": [50.0], "rooms": [2.5]}),
):
    try:
        model.predict(frame)
    except SchemaMismatch as error:
        print("refused:", error)

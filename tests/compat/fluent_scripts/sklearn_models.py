"""A model of scikit-learn, with a signature and an example: logged, loaded in three ways."""

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature, infer_signature
from mlflow.models.signature import set_signature
from mlflow.types import DataType
from mlflow.types.schema import ColSpec, Schema
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_iris(return_X_y=True, as_frame=True)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(X, y)

mlflow.set_experiment("models")
signature = infer_signature(X, model.predict_proba(X))
with mlflow.start_run() as run:
    info = mlflow.sklearn.log_model(
        model,
        name="iris",
        signature=signature,
        input_example=X.head(2),
        registered_model_name="iris",
    )

print(info.signature == signature, sorted(info.flavors))
print(info.signature.inputs.input_names())
print([each.name for each in info.signature.inputs.input_types()])
print(info.signature.to_dict()["outputs"])

own = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/iris")
print(type(own).__name__, (own.predict(X) == model.predict(X)).all())
for uri in (info.model_uri, "models:/iris/1", "models:/iris/latest"):
    loaded = mlflow.pyfunc.load_model(uri)
    print((loaded.predict(X) == model.predict(X)).all(), loaded.metadata.run_id == run.info.run_id)
print(loaded.metadata.get_input_schema() == signature.inputs)

try:
    loaded.predict(X.rename(columns={"petal width (cm)": "other"}))
except MlflowException as error:
    print("refused", error.error_code)
try:
    loaded.predict(X.astype({"petal width (cm)": str}))
except MlflowException as error:
    print("refused", error.error_code)

by_hand = ModelSignature(
    inputs=Schema([ColSpec(DataType.double, name) for name in X.columns]),
    outputs=Schema([ColSpec("long")]),
)
mlflow.sklearn.save_model(model, "saved", signature=by_hand)
description = Model.load("saved")
print(description.signature.inputs == by_hand.inputs, sorted(description.flavors))
print(mlflow.models.get_model_info("saved").signature.outputs == by_hand.outputs)
set_signature("saved", signature)
print(mlflow.models.get_model_info("saved").signature == signature)
print(mlflow.pyfunc.load_model("saved").predict(pd.DataFrame(X.head(1))).tolist())

"""Lesson 17: load a model, by each of its addresses."""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso

import runstone

X, y = load_diabetes(return_X_y=True, as_frame=True)
model = Lasso(alpha=0.1).fit(X, y)

runstone.set_experiment("loading")
with runstone.start_run() as run:
    info = runstone.sklearn.log_model(
        model, name="lasso", input_example=X.head(1), registered_model_name="diabetes"
    )
version = info.registered_model_version
client = runstone.Client()
client.set_registered_model_alias("diabetes", "champion", version)
client.transition_model_version_stage("diabetes", version, "Production")
runstone.sklearn.save_model(model, "on-disk")

addresses = {
    "what log_model answered": info.model_uri,
    "the run and the name": f"runs:/{run.info.run_id}/lasso",
    "the version": f"models:/diabetes/{version}",
    "the newest version": "models:/diabetes/latest",
    "the stage": "models:/diabetes/Production",
    "the alias": "models:/diabetes@champion",
    "a folder": "on-disk",
}
expected = model.predict(X)
for what, uri in addresses.items():
    loaded = runstone.pyfunc.load_model(uri)
    print(f"{what:24}", (loaded.predict(X) == expected).all())

# pyfunc only predicts, and holds the signature. The framework gives its own object back.
own = runstone.sklearn.load_model("models:/diabetes@champion")
print(type(own).__name__, "with", (own.coef_ != 0).sum(), "features in use")
described = runstone.models.get_model_info("models:/diabetes@champion")
print("made by the run:", described.run_id == run.info.run_id)

"""Lesson 15: a model of your own code, as a PythonModel.

Around a trained estimator there is often more: files it needs, units, a threshold. A PythonModel
keeps all of it together, and is logged, registered and loaded like any other model.
"""

import json
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import runstone


class Screening(runstone.pyfunc.PythonModel):
    """Says in words what a classifier's probability means."""

    def load_context(self, context):
        """Called once, when the model is loaded."""
        self.words = json.loads(Path(context.artifacts["words"]).read_text())
        self.classifier = runstone.sklearn.load_model(context.artifacts["classifier"])

    def predict(self, context, model_input, params=None):
        benign = self.classifier.predict_proba(model_input)[:, 1]
        limit = (params or {}).get("limit", 0.5)
        words = [self.words["benign" if each >= limit else "malignant"] for each in benign]
        return pd.DataFrame({"benign": benign.round(3), "says": words})


X, y = load_breast_cancer(return_X_y=True, as_frame=True)
classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
runstone.sklearn.save_model(classifier, "classifier")
Path("words.json").write_text(json.dumps({"benign": "harmless", "malignant": "look again"}))

runstone.set_experiment("screening")
with runstone.start_run():
    info = runstone.pyfunc.log_model(
        name="screening",
        python_model=Screening(),
        artifacts={"classifier": "classifier", "words": "words.json"},
        input_example=(X.head(2), {"limit": 0.5}),
    )

model = runstone.pyfunc.load_model(info.model_uri)
some = X.iloc[[0, 19, 73]]
print(model.predict(some).to_string(index=False))
print("and more careful:", model.predict(some, params={"limit": 0.9})["says"].tolist())
print("its own class:", type(model.unwrap_python_model()).__name__)

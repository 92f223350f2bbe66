"""Lesson 24: bring in a model that was trained elsewhere.

import_model registers a file as it is, with its origin and digest, and runs nothing of it. Whoever
loads it decides whether its author is trusted.
"""

from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.svm import SVC

import runstone
from runstone.exceptions import UntrustedModel

# Somebody gave us a file ...
X, y = load_iris(return_X_y=True)
theirs = SVC().fit(X, y)
joblib.dump(theirs, "from-a-colleague.joblib")

# ... which becomes version 1 of a registered model.
version = runstone.models.import_model(
    "from-a-colleague.joblib",
    "iris-inherited",
    source="https://example.com/models/iris",
    tags={"licence": "MIT"},
)
print("version", version.version, version.status)
for key, value in sorted(version.tags.items()):
    if key not in {"runstone.import.at", "runstone.import.by", "runstone.import.sha256"}:
        print("   ", key, "=", value)

try:
    runstone.sklearn.load_model("models:/iris-inherited/1")
except UntrustedModel as error:
    print("refused:", error)

model = runstone.sklearn.load_model("models:/iris-inherited/1", allow_pickle=True)
print("predicts the same:", (model.predict(X) == theirs.predict(X)).all())

# Once it is trusted, keep it in a form that runs nothing, and with what it needs.
with runstone.start_run():
    info = runstone.sklearn.log_model(
        model, name="iris", input_example=X[:2], registered_model_name="iris-inherited"
    )
tags = runstone.Client().get_model_version("iris-inherited", 2).tags
print("version", info.registered_model_version, "is unsafe:", "runstone.unsafe" in tags)
folder = Path(runstone.artifacts.download_artifacts(info.model_uri))
print("files:", sorted(path.name for path in folder.iterdir()))

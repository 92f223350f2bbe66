"""Lesson 16: the conda environment of a model.

Every model has a conda.yaml and a python_env.yaml beside its requirements.txt, with the Python
version and the libraries of today. Give one of your own when something outside of pip is needed.
"""

from pathlib import Path

import yaml
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import runstone

X, y = load_iris(return_X_y=True)
model = DecisionTreeClassifier(max_depth=3, random_state=7).fit(X, y)


def show(title, info):
    path = runstone.pyfunc.get_model_dependencies(info.model_uri, format="conda")
    print(title)
    print("   ", "\n    ".join(Path(path).read_text().splitlines()))


runstone.set_experiment("environments")
with runstone.start_run():
    by_itself = runstone.sklearn.log_model(model, name="by-itself")
    show("By itself:", by_itself)

    environment = {
        "name": "iris",
        "channels": ["conda-forge"],
        "dependencies": ["python=3.11", "pip", {"pip": ["scikit-learn==1.9.1", "skops"]}],
    }
    given = runstone.sklearn.log_model(model, name="given", conda_env=environment)
    show("As a dict:", given)

    environment["name"] = "iris-from-a-file"
    Path("conda.yaml").write_text(yaml.safe_dump(environment))
    read = runstone.sklearn.log_model(model, name="read", conda_env="conda.yaml")
    show("From a file:", read)

folder = Path(runstone.artifacts.download_artifacts(read.model_uri))
print("Files:", sorted(path.name for path in folder.iterdir() if path.is_file()))

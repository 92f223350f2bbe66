"""Data sets as inputs of runs: names, digests, schemas, profiles, sources and contexts."""

import json

import mlflow
import mlflow.data
import numpy as np
import pandas as pd

frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "c"], "z": [True, False, True]})
data = mlflow.data.from_pandas(
    frame, source="https://example.com/data.csv", name="letters", targets="y"
)
print(data.name, data.targets, json.dumps(data.profile), data.df.shape, len(data.digest) > 0)
same = mlflow.data.from_pandas(frame.copy(), name="letters", targets="y")
other = mlflow.data.from_pandas(frame.assign(x=0.0), name="letters", targets="y")
print(same.digest == data.digest, other.digest == data.digest)

array = mlflow.data.from_numpy(np.arange(6.0).reshape(3, 2), targets=np.array([0, 1, 0]), name="a")
print(array.name, array.features.shape, array.targets.tolist())

mlflow.set_experiment("datasets")
with mlflow.start_run() as run:
    mlflow.log_input(data, context="training", tags={"split": "first"})
    mlflow.log_input(array, context="validation")

read = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
for each in sorted(read, key=lambda one: one.dataset.name):
    print(each.dataset.name, each.dataset.digest in {data.digest, array.digest})
    print(sorted((tag.key, tag.value) for tag in each.tags))
letters = next(each.dataset for each in read if each.dataset.name == "letters")
print(json.loads(letters.profile), "example.com" in letters.source)

found = mlflow.search_runs(
    experiment_names=["datasets"],
    filter_string="datasets.name = 'letters' AND dataset.context = 'training'",
    output_format="list",
)
print(len(found))
print(len(mlflow.search_runs(experiment_names=["datasets"], filter_string="datasets.name = 'b'")))

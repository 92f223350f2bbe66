"""Texts, dicts, tables, figures and images; listed, read and downloaded."""

import matplotlib
import mlflow
import mlflow.artifacts
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt

mlflow.set_experiment("artifacts")
with mlflow.start_run() as run:
    mlflow.log_text("two\nlines", "texts/notes.txt")
    mlflow.log_dict({"b": 1, "a": [1, 2, {"c": None}]}, "config.json")
    mlflow.log_dict({"a": [1, 2], "b": 1}, "config.yml")
    mlflow.log_table({"question": ["a", "b"], "score": [0.5, 1.0]}, "table.json")
    mlflow.log_table(pd.DataFrame({"question": ["c"], "score": [0.1]}), "table.json")
    figure, axes = plt.subplots()
    axes.plot([0, 1], [1, 0])
    mlflow.log_figure(figure, "plots/line.png")
    plt.close(figure)
    mlflow.log_image(np.zeros((4, 6, 3), dtype=np.uint8), "images/black.png")

root = f"runs:/{run.info.run_id}"
for item in sorted(mlflow.artifacts.list_artifacts(run_id=run.info.run_id), key=lambda i: i.path):
    print(item.path, item.is_dir)
print(mlflow.artifacts.load_text(f"{root}/texts/notes.txt").splitlines())
print(mlflow.artifacts.load_dict(f"{root}/config.json"))
print(mlflow.artifacts.load_text(f"{root}/config.yml"))
print(mlflow.artifacts.load_image(f"{root}/images/black.png").size)
table = mlflow.load_table("table.json", run_ids=[run.info.run_id])
print(table.to_dict("list"))
more = mlflow.load_table("table.json", run_ids=[run.info.run_id], extra_columns=["run_id"])
print(sorted(more.columns), set(more["run_id"]) == {run.info.run_id})

folder = mlflow.artifacts.download_artifacts(artifact_uri=f"{root}/plots", dst_path="got")
print(folder.replace("\\", "/").rstrip("/").rpartition("/")[2])
one = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="config.json")
with open(one) as file:
    print(file.read())
print(mlflow.get_artifact_uri(None) is not None)

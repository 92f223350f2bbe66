"""Lesson 6: artifacts, the files of a run.

Files of any size go to the server with a digest; the same bytes are stored once.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import runstone

Path("report.txt").write_text("It went well.\n")
Path("tables").mkdir()
for name in ("train", "test"):
    Path("tables", f"{name}.csv").write_text("x,y\n1,2\n")

runstone.set_experiment("artifacts")
with runstone.start_run(run_name="files") as run:
    runstone.log_artifact("report.txt")  # one file
    runstone.log_artifacts("tables", artifact_path="data")  # a folder, under a path of its own
    # What is in memory needs no file.
    runstone.log_text("Trained on a Sunday.", "notes/day.txt")
    runstone.log_dict({"layers": [64, 32], "dropout": 0.1}, "config.yaml")
    runstone.log_table(pd.DataFrame({"word": ["a", "b"], "count": [3, 1]}), "words.json")
    runstone.log_image(np.zeros((8, 8)), "black.png")
    figure = Figure()
    figure.subplots().plot([1, 2, 3], [0.9, 0.5, 0.4])
    runstone.log_figure(figure, "plots/loss.png")
    print("They are kept at", runstone.get_artifact_uri().replace(run.info.run_id, "<run id>"))

for file in runstone.artifacts.list_artifacts(run_id=run.info.run_id):
    print(f"{file.path:12}", "folder" if file.is_dir else f"{file.file_size} bytes")

uri = f"runs:/{run.info.run_id}"
print("text:  ", runstone.artifacts.load_text(f"{uri}/notes/day.txt"))
print("dict:  ", runstone.artifacts.load_dict(f"{uri}/config.yaml"))
print("table: ", runstone.load_table("words.json", run_ids=[run.info.run_id]).to_dict("list"))
folder = runstone.artifacts.download_artifacts(f"{uri}/data", dst_path="copy")
print("folder:", sorted(path.name for path in Path(folder).iterdir()))

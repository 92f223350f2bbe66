"""Lesson 11: a server for a team, on PostgreSQL and an S3 store.

Two addresses say where the server keeps things. You run both stores; any S3 store does, such as
MinIO. Code and calls stay the same: only the tracking URI is another one.

    export RUNSTONE_DATABASE_URL=postgresql://user:password@host:5432/database
    export RUNSTONE_OBJECTS_URL=s3+http://key:secret@host:9000/bucket
"""

import json
import os
import signal
import subprocess

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

import runstone

for name in ("RUNSTONE_DATABASE_URL", "RUNSTONE_OBJECTS_URL"):
    print(name, "is set:", name in os.environ)

subprocess.run(["runstone", "db", "upgrade"], check=True)  # makes or migrates the schemas
X, y = load_diabetes(return_X_y=True, as_frame=True)
model = Ridge(alpha=0.1).fit(X, y)

command = ["runstone", "server", "--grpc-port", "0", "--no-http", "--json"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    said = json.loads(server.stdout.readline())
    # On each desk: export RUNSTONE_TRACKING_URI=runstone://that-machine:5051
    runstone.set_tracking_uri(said["uri"])
    runstone.set_experiment("team")
    with runstone.start_run(run_name="ridge") as run:
        runstone.log_param("alpha", 0.1)  # a row in PostgreSQL
        runstone.log_metric("r2", model.score(X, y))
        runstone.log_text("from my desk", "note.txt")  # an object in the bucket
        runstone.sklearn.log_model(model, name="model", registered_model_name="team-ridge")

    print("run:       ", runstone.get_run(run.info.run_id).data.params)
    print("file:      ", runstone.artifacts.load_text(f"runs:/{run.info.run_id}/note.txt"))
    loaded = runstone.sklearn.load_model("models:/team-ridge/latest")
    print("same model:", (loaded.predict(X) == model.predict(X)).all())
    server.send_signal(signal.SIGINT)
print("The server has ended with code", server.returncode)

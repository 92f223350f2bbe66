"""Lesson 0: install Runstone, and start a first server.

In a terminal:

    python -m venv .venv && . .venv/bin/activate
    pip install runstone-server      # the client, the command line, and the server
    runstone server                  # serves until Ctrl-C

This script does the last line by itself, then asks the server whether it is there.
"""

import json
import signal
import subprocess

import runstone

print("Runstone", runstone.__version__)

# Ports 0 mean "any free one"; without them it is gRPC on 5051, and MLflow's REST API on 5000.
command = ["runstone", "server", "--data-dir", "my-server", "--grpc-port", "0", "--http-port", "0"]
with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as server:
    said = json.loads(server.stdout.readline())  # it says where it serves once it does
    print("The server is ready, and keeps everything in my-server/")

    runstone.set_tracking_uri(said["uri"])
    for experiment in runstone.search_experiments():
        print("It has the experiment", experiment.experiment_id, experiment.name)

    with runstone.start_run(run_name="hello") as run:
        runstone.log_metric("answer", 42)
    print("It keeps:", runstone.get_run(run.info.run_id).data.metrics)

    server.send_signal(signal.SIGINT)  # as Ctrl-C does
print("The server has ended with code", server.returncode)

"""Lesson 27: runstone doctor tells what is wrong, and what to do.

In a terminal it is `runstone doctor`. It says one line for each thing that it looked at: versions,
settings and where they come from, whether each part answers, clocks, room on the disk.
"""

import json
import os
import subprocess

import runstone

runstone.set_experiment("health")
with runstone.start_run():
    runstone.log_metric("fine", 1)

print("$ runstone doctor", flush=True)
ended = subprocess.run(["runstone", "doctor"], check=False)
print("exit code", ended.returncode)

# A machine can read it too; here with an address at which nobody serves.
broken = {**os.environ, "RUNSTONE_TRACKING_URI": "runstone://127.0.0.1:9"}
answer = subprocess.run(
    ["runstone", "doctor", "--json"], env=broken, stdout=subprocess.PIPE, text=True, check=False
)
print("and with a wrong address", answer.returncode)
for line in json.loads(answer.stdout)["checks"]:
    if line["status"] == "failure":
        print("   ", line["name"], "-", line["summary"])

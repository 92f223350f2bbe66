"""Lesson 3: the tracking URI says where runs are kept.

    nothing               ./runstone-data, the embedded suite of the working folder
    file:path             the embedded suite of another folder
    runstone://host:5051  a server (runstones:// through TLS)

The call beats the environment (RUNSTONE_TRACKING_URI), which beats the default.
"""

import os
import subprocess
import sys

import runstone

print("set by anybody:", runstone.is_tracking_uri_set())
print("default:       ", runstone.get_tracking_uri())
with runstone.start_run(run_name="here"):
    runstone.log_param("where", "the working folder")

runstone.set_tracking_uri("file:elsewhere")
print("by the call:   ", runstone.get_tracking_uri())
with runstone.start_run(run_name="there"):
    runstone.log_param("where", "another folder")


def names():
    return [run.info.run_name for run in runstone.search_runs(output_format="list")]


print("in elsewhere:  ", names())
runstone.set_tracking_uri(None)  # back to the environment, or the default
print("in the default:", names())

# Another process is told by its environment; the script itself names no place.
child = "import runstone; print('by environment:', runstone.get_tracking_uri())"
environment = {**os.environ, "RUNSTONE_TRACKING_URI": "file:elsewhere"}
subprocess.run([sys.executable, "-c", child], env=environment, check=True)

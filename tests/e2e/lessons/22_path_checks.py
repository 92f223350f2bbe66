"""Lesson 22: local paths are checked before anything is sent.

What cannot be read is told at once, with its name; the run keeps nothing of it.
"""

import os
from pathlib import Path

import runstone
from runstone.exceptions import LocalPathError, LocalPathMissing

Path("good.txt").write_text("fine")
Path("folder").mkdir()
Path("folder", "inside.txt").write_text("fine too")
os.mkfifo("pipe")

runstone.set_experiment("paths")
with runstone.start_run() as run:
    for what in ("missing.txt", "pipe", "folder/none"):
        try:
            runstone.log_artifact(what)
        except LocalPathError as error:
            print("refused:", error)

    # They are OSErrors too, as Python's own functions raise them.
    try:
        runstone.log_artifacts("no-such-folder")
    except FileNotFoundError as error:
        print(isinstance(error, LocalPathMissing), "a FileNotFoundError")

    # The path within the run is checked as well.
    for path in ("../outside", "/etc", "a//b"):
        try:
            runstone.log_artifact("good.txt", artifact_path=path)
        except runstone.RunstoneException as error:
            print("refused:", error)

    runstone.log_artifact("good.txt")
    runstone.log_artifact("folder")  # a folder is taken with all that is in it

files = runstone.Client().list_artifacts(run.info.run_id)
print("kept:", [file.path for file in files])

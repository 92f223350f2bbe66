"""Lesson 28: files of runs and models from the command line.

Each line that begins with $ is what one types in a terminal.
"""

import shlex
import subprocess
from pathlib import Path

import runstone


def typed(line):
    print("$", line, flush=True)
    subprocess.run(shlex.split(line), check=True)


Path("reports").mkdir()
Path("reports", "monday.txt").write_text("It rained.\n")
Path("reports", "tuesday.txt").write_text("The sun shone.\n")
Path("model.bin").write_bytes(bytes(1000))

runstone.set_experiment("files")
with runstone.start_run(run_name="weather") as run:
    pass
run_id = run.info.run_id[:8]  # the first digits are enough, 4 at least

typed(f"runstone artifacts log model.bin {run_id}")
typed(f"runstone artifacts log reports runs:/{run.info.run_id}/reports")
typed(f"runstone artifacts list {run_id}")
typed(f"runstone artifacts list {run_id} --recursive")
typed(f"runstone artifacts download {run_id} reports --to copy")
print("copied:", sorted(path.name for path in Path("copy").rglob("*.txt")))
typed(f"runstone artifacts delete {run_id} model.bin --yes")
typed(f"runstone --json artifacts list {run_id}")

"""Lesson 29: experiments and runs from the command line.

Each line that begins with $ is what one types in a terminal. A pipe gets lines that other programs
can cut; --json gives all fields.
"""

import shlex
import subprocess

import runstone


def typed(line):
    print("$", line, flush=True)
    subprocess.run(shlex.split(line), check=True)


typed("runstone experiments create kitchen --tag owner=ada")
runstone.set_experiment("kitchen")
for minutes in (5, 8, 12):
    with runstone.start_run(run_name=f"{minutes} minutes") as run:
        runstone.log_param("minutes", minutes)
        runstone.log_metric("taste", 10 - abs(minutes - 8))

typed("""runstone experiments search --filter "name LIKE 'kit%'" """)
typed("runstone experiments get kitchen")
typed(
    "runstone runs search --experiment kitchen --filter 'metrics.taste > 6'"
    " --order-by 'metrics.taste DESC' --columns name,metrics.taste,params.minutes"
)
run_id = run.info.run_id[:8]
typed(f"runstone runs get {run_id}")
typed(f"runstone runs metric {run_id} taste")
typed(f"runstone runs delete {run_id} --yes")
typed("runstone runs list --experiment kitchen --columns name,status")
typed(f"runstone runs restore {run_id}")
typed("runstone experiments rename kitchen canteen")
typed("runstone experiments delete canteen --yes")
typed("runstone experiments restore canteen")
typed("runstone experiments list")

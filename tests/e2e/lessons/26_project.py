"""Lesson 26: a project: a training that others can run, with parameters.

The folder 26_project has a file MLproject, which says what can be run and which parameters it
takes. In a terminal it is run like this; a git address works as well as a folder:

    runstone run 26_project -P alpha=0.5 --env-manager local
"""

import subprocess
from pathlib import Path

import runstone

project = Path(__file__).with_name("26_project")
print((project / "MLproject").read_text())

runstone.set_experiment("projects")
submitted = runstone.projects.run(
    str(project), parameters={"alpha": 0.5}, experiment_name="projects", env_manager="local"
)
run = runstone.get_run(submitted.run_id)
print("status:", submitted.get_status())
print("params:", run.data.params)
print("r2:    ", round(run.data.metrics["r2"], 3))
print("entry: ", run.data.tags["mlflow.project.entryPoint"])

# A parameter of the wrong type is refused before anything is run.
try:
    runstone.projects.run(str(project), parameters={"alpha": "much"}, env_manager="local")
except runstone.RunstoneException as error:
    print("refused:", error)

# The same from the command line, of another entry point.
command = ["runstone", "run", str(project), "--entry-point", "report", "--env-manager", "local"]
ended = subprocess.run([*command, "--experiment-name", "projects"], check=False)
print("exit code", ended.returncode)

"""Lesson 4: create an experiment, and look after it.

set_experiment makes an experiment when it is missing. create_experiment makes it with tags, and
refuses a name that is taken.
"""

import runstone
from runstone.exceptions import ExperimentNameTaken

experiment_id = runstone.create_experiment(
    "house prices", tags={"team": "pricing", "mlflow.note.content": "Which features help?"}
)
experiment = runstone.get_experiment(experiment_id)
print("name     ", experiment.name)
print("tags     ", experiment.tags)
print("stage    ", experiment.lifecycle_stage)
print("created  ", experiment.creation_time is not None)

try:
    runstone.create_experiment("house prices")
except ExperimentNameTaken as error:
    print("refused  ", error)

same = runstone.get_experiment_by_name("house prices")
print("by name  ", same.experiment_id == experiment_id)
print("unknown  ", runstone.get_experiment_by_name("no such experiment"))

# Runs go to the experiment that is set, or to the one that start_run is told.
with runstone.start_run(experiment_id=experiment_id, run_name="a run"):
    runstone.log_metric("rmse", 1.5)

runstone.Client().rename_experiment(experiment_id, "flat prices")
print("renamed  ", runstone.get_experiment(experiment_id).name)

runstone.delete_experiment(experiment_id)
print("deleted  ", runstone.get_experiment(experiment_id).lifecycle_stage)
runstone.restore_experiment(experiment_id)  # until `runstone gc` removes it for good
print("restored ", runstone.get_experiment(experiment_id).lifecycle_stage)

found = runstone.search_experiments(filter_string="tags.team = 'pricing'")
print("found    ", [each.name for each in found])

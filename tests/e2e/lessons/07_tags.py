"""Lesson 7: tags, to find runs again.

Parameters say what a training was given and never change. Tags are notes of yours: they can be
changed and removed at any time, also when the run is long over.
"""

import runstone

runstone.set_experiment("tags")
runstone.set_experiment_tags({"owner": "ada", "stage": "exploring"})

with runstone.start_run(run_name="tagged", tags={"release": "1.0"}) as run:
    runstone.set_tag("engineer", "ada")
    runstone.set_tags({"priority": 1, "draft": True})
    runstone.delete_tag("draft")

with runstone.start_run(run_name="other", tags={"release": "2.0"}):
    runstone.set_tag("engineer", "grace")

# A run that is over is tagged by its id.
client = runstone.Client()
client.set_tag(run.info.run_id, "reviewed", "yes")

tags = runstone.get_run(run.info.run_id).data.tags
print("mine:  ", {key: tags[key] for key in sorted(tags) if not key.startswith("mlflow.")})
# Who ran what is noted by itself, under the names that MLflow gave them.
print("system:", sorted(key for key in tags if key.startswith("mlflow.")))
print("source:", tags["mlflow.source.type"], tags["mlflow.source.name"].rpartition("/")[2])

for text in (
    "tags.engineer = 'ada'",
    "tags.release LIKE '%.0' AND NOT tags.engineer = 'ada'",
    "tags.reviewed = 'yes' OR tags.release = '2.0'",
):
    found = runstone.search_runs(filter_string=text, output_format="list")
    print(f"{text}: {sorted(run.info.run_name for run in found)}")

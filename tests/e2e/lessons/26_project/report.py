"""What the entry point `report` runs: the best run so far."""

import runstone

runs = runstone.search_runs(
    experiment_names=["projects"], filter_string="metrics.r2 > 0", output_format="list"
)
print("Runs with an r2:", len(runs))

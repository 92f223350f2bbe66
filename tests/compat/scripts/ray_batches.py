"""Ray predicts for a data set: by a pickle of one's own, by a server's model, and by what is wrong.

Called with a folder and the address of a suite. Prints what came of it as JSON.
"""

import json
import os
import sys
from pathlib import Path

import pandas as pd
import ray
from sklearn.linear_model import LinearRegression

import runstone

folder, address = sys.argv[1:]
runstone.set_tracking_uri(address)
os.environ["RUNSTONE_TRACKING_URI"] = address
table = pd.DataFrame({"x": [float(each) for each in range(10)], "z": 1.0})
model = LinearRegression().fit(table, table["x"] * 2 + table["z"])


class Counting(runstone.pyfunc.PythonModel):
    """Says which process predicted."""

    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"rows": len(model_input), "process": os.getpid()}, model_input.index)


class Short(runstone.pyfunc.PythonModel):
    """Predicts for the first row alone."""

    def predict(self, context, model_input, params=None):
        return [1.0]


def predicted(uri, **options):
    rows = ray.data.from_pandas(table).repartition(2)
    return runstone.pyfunc.ray_predict(rows, uri, **options).to_pandas()


def refused(uri, **options):
    try:
        predicted(uri, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


here = str(Path(folder) / "model")
runstone.sklearn.save_model(model, here, serialization_format="cloudpickle")
info = runstone.sklearn.log_model(model, name="line", registered_model_name="line")
runstone.Client().set_registered_model_alias("line", "best", 1)
counting = runstone.pyfunc.log_model(name="counting", python_model=Counting()).model_uri
short = runstone.pyfunc.log_model(name="short", python_model=Short()).model_uri

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
try:
    counted = predicted(counting, batch_size=5)
    print(
        json.dumps(
            {
                "folder": sorted(predicted(here)["predictions"].round(6).tolist()),
                "run": sorted(predicted(info.model_uri)["predictions"].round(6).tolist()),
                "alias": sorted(predicted("models:/line@best")["predictions"].round(6).tolist()),
                "batches": sorted(counted["rows"].tolist()),
                "elsewhere": os.getpid() not in set(counted["process"]),
                "short": refused(short),
                "missing": refused("models:/nobody/1"),
                "untrusted": refused(counting, allow_pickle=False),
            }
        )
    )
finally:
    ray.shutdown()

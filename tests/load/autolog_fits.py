"""Small fits of scikit-learn while a library logs them by itself: seconds a fit, as JSON.

Run by the Python of each library's environment: autolog_fits.py mlflow|runstone URI.
"""

import contextlib
import importlib
import json
import logging
import sys
import time
import warnings

FITS = 100
WITH_MODELS = 5
"""MLflow takes seconds to log a model; some show it."""


def seconds_of(fits, fit):
    fit()  # imports, and the first connection
    begin = time.perf_counter()
    for _ in range(fits):
        fit()
    return (time.perf_counter() - begin) / fits


def main(module, uri):
    import numpy as np
    from sklearn.linear_model import Ridge

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    library = importlib.import_module(module)
    importlib.import_module(f"{module}.sklearn")
    library.set_tracking_uri(uri)
    library.set_experiment("fits")
    values = np.random.default_rng(0).normal(size=(100, 5))
    targets = values @ np.arange(5.0)

    def fit():
        Ridge().fit(values, targets)

    found = {"bare": seconds_of(FITS, fit)}
    library.sklearn.autolog(log_models=False)
    found["a run each"] = seconds_of(FITS, fit)
    library.sklearn.autolog(log_models=True)
    found["a run and a model each"] = seconds_of(WITH_MODELS, fit)
    return found


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        result = main(sys.argv[1], sys.argv[2])
    print(json.dumps(result))

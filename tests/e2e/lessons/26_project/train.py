"""What the entry point `main` runs. Its run has begun: start_run goes on with it."""

import argparse

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

import runstone

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float)
parser.add_argument("--intercept")
arguments = parser.parse_args()

X, y = load_diabetes(return_X_y=True)
with runstone.start_run():
    model = Ridge(alpha=arguments.alpha, fit_intercept=arguments.intercept == "yes").fit(X, y)
    runstone.log_metric("r2", model.score(X, y))

"""Trainings of each library: a name, the options of its ``autolog``, and what is called."""

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification, make_regression

X, y = make_classification(120, 5, random_state=0)
X_line, y_line = make_regression(80, 4, noise=5.0, random_state=2)
TABLE = pd.DataFrame(X_line, columns=["a", "b", "c", "d"])

WITHOUT = {"log_models": False}
"""To log a model takes MLflow seconds, and is the same for all of them."""


def in_a_run(train):
    def train_in_a_run(mlflow):
        with mlflow.start_run():
            train(mlflow)

    return train_in_a_run


def xgboost():
    import xgboost

    few = {"max_depth": 2, "eta": 0.5}

    def plain(_):
        xgboost.train(few, xgboost.DMatrix(TABLE, y_line), 4)

    def followed(_):
        train, held_out = xgboost.DMatrix(X[:80], y[:80]), xgboost.DMatrix(X[80:], y[80:])
        both = {**few, "objective": "binary:logistic", "eval_metric": ["logloss", "error@0.6"]}
        evals = [(train, "train"), (held_out, "held_out")]
        xgboost.train(both, train, 40, evals=evals, early_stopping_rounds=2, verbose_eval=False)

    def fitted(_):
        model = xgboost.XGBClassifier(n_estimators=6, max_depth=2, random_state=0)
        model.fit(X[:80], y[:80], eval_set=[(X[80:], y[80:])], verbose=False)

    def linear(_):
        # The updater that always comes to the same.
        few = {"booster": "gblinear", "updater": "coord_descent"}
        xgboost.train(few, xgboost.DMatrix(TABLE, y_line), 2)

    def failing(_):
        xgboost.train({"objective": "no such"}, xgboost.DMatrix(TABLE, y_line), 2)

    yield "plain", {}, plain
    yield "fitted", {}, fitted
    yield "followed", {"importance_types": ["gain", "weight"], **WITHOUT}, followed
    yield "in a run", WITHOUT, in_a_run(plain)
    yield "linear", WITHOUT, linear
    yield "failing", WITHOUT, failing
    yield "left alone", {"exclusive": True, **WITHOUT}, in_a_run(plain)


def lightgbm():
    import lightgbm

    few = {"num_leaves": 4, "verbose": -1, "min_data_in_leaf": 5}

    def plain(_):
        lightgbm.train(few, lightgbm.Dataset(TABLE, y_line), 4)

    def followed(_):
        train = lightgbm.Dataset(X[:80], y[:80])
        held_out = lightgbm.Dataset(X[80:], y[80:], reference=train)
        both = {**few, "objective": "binary", "metric": ["auc", "binary_logloss"]}
        lightgbm.train(
            both,
            train,
            40,
            valid_sets=[train, held_out],
            valid_names=["train", "held out"],
            callbacks=[lightgbm.early_stopping(2, verbose=False)],
        )

    def fitted(_):
        model = lightgbm.LGBMClassifier(n_estimators=6, num_leaves=4, verbose=-1)
        model.fit(X[:80], y[:80], eval_set=[(X[80:], y[80:])])

    def ranked(_):
        model = lightgbm.LGBMRanker(n_estimators=3, verbose=-1)
        group, grades = [40, 40], (np.arange(80) % 4)
        model.fit(
            X[:80], grades, group=group, eval_set=[(X[:80], grades)], eval_group=[group],
            eval_at=[1, 3],
        )  # fmt: skip

    def failing(_):
        lightgbm.train({**few, "objective": "no such"}, lightgbm.Dataset(TABLE, y_line), 2)

    yield "plain", {}, plain
    yield "fitted", {}, fitted
    yield "followed", WITHOUT, followed
    yield "ranked", WITHOUT, ranked
    yield "in a run", WITHOUT, in_a_run(plain)
    yield "failing", WITHOUT, failing
    yield "left alone", {"exclusive": True, **WITHOUT}, in_a_run(plain)


def statsmodels():
    import statsmodels.api
    import statsmodels.formula.api
    from statsmodels.tsa.arima.model import ARIMA

    lines = statsmodels.api.add_constant(TABLE)

    def plain(_):
        statsmodels.api.OLS(y_line, lines).fit()

    def logistic(_):
        statsmodels.api.Logit(y, X).fit(disp=False, maxiter=50)

    def formula(_):
        table = TABLE.assign(target=y_line)
        statsmodels.formula.api.glm("target ~ a + b", table).fit()

    def series(_):
        ARIMA(np.cumsum(y_line), order=(1, 0, 0)).fit()

    def failing(_):
        statsmodels.api.OLS(y_line, lines).fit(method="no such")

    yield "plain", {}, plain
    yield "logistic", WITHOUT, logistic
    yield "formula", WITHOUT, formula
    yield "series", WITHOUT, series
    yield "in a run", WITHOUT, in_a_run(plain)
    yield "failing", WITHOUT, failing
    yield "left alone", {"exclusive": True, **WITHOUT}, in_a_run(plain)


def catboost():
    from catboost import CatBoostClassifier, CatBoostRegressor

    quiet = {"verbose": False, "allow_writing_files": False, "random_seed": 0, "depth": 2}

    def plain(_):
        CatBoostRegressor(iterations=4, **quiet).fit(TABLE, y_line)

    def followed(_):
        model = CatBoostClassifier(iterations=60, learning_rate=0.5, **quiet)
        model.fit(X[:80], y[:80], eval_set=(X[80:], y[80:]), early_stopping_rounds=2)

    def failing(_):
        CatBoostRegressor(iterations=4, loss_function="no such", **quiet).fit(TABLE, y_line)

    yield "plain", {}, plain
    yield "followed", {"log_input_examples": True}, followed
    yield "in a run", WITHOUT, in_a_run(plain)
    yield "failing", WITHOUT, failing
    yield "left alone", {"exclusive": True, **WITHOUT}, in_a_run(plain)

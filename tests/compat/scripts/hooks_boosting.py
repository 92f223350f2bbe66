"""Trains with XGBoost and LightGBM and the callbacks of Runstone, and prints what each run holds.

Called with the server's address, and "killed" to be killed in the midst of the first of two
trainings.
"""

import dataclasses
import json
import os
import pickle
import signal
import sys
import warnings

import lightgbm
import numpy as np
import xgboost
from sklearn.model_selection import GridSearchCV

import runstone
from runstone.integrations.lightgbm import RunstoneCallback as ForLightGBM
from runstone.integrations.xgboost import RunstoneCallback as ForXGBoost
from support.held import held

warnings.simplefilter("ignore")
runstone.set_tracking_uri(sys.argv[1])
runstone.set_experiment("hooks")
generator = np.random.default_rng(0)
X = generator.random((80, 3))
y = X[:, 0] * 2 + generator.random(80) * 0.1
NOISE = generator.random(80)


def matrix(labels=y):
    return xgboost.DMatrix(X, labels)


def dataset(labels=y):
    return lightgbm.Dataset(X, labels, params={"verbosity": -1})


def fails(round_):
    def callback(env):
        if env.iteration == round_:
            raise ValueError("no more")

    return callback


class Fails(xgboost.callback.TrainingCallback):
    def after_iteration(self, model, epoch, evals_log):
        if epoch == 2:
            raise ValueError("no more")
        return False


TREES = {"verbosity": -1, "num_leaves": 4, "learning_rate": 0.3}


def xgboost_plain():
    hook = ForXGBoost({"mine": {"a": 1}}, run_name="x", log_model=True)
    data = matrix()
    booster = xgboost.train(
        {"max_depth": 2, "eval_metric": ["rmse", "ndcg@3"][:1]},
        *(data, 4),
        evals=[(data, "train"), (matrix(NOISE), "held")],
        callbacks=[hook],
        verbose_eval=False,
    )
    loaded = runstone.xgboost.load_model(f"runs:/{hook.run_id}/model")
    assert np.allclose(loaded.predict(data), booster.predict(data))
    return hook


def xgboost_early():
    hook = ForXGBoost(importance_types=["gain", "weight"])
    xgboost.XGBRegressor(
        n_estimators=40, early_stopping_rounds=2, callbacks=[hook], max_depth=2
    ).fit(X, y, eval_set=[(X, NOISE)], verbose=False)
    return hook


def xgboost_cv():
    hook = ForXGBoost()
    xgboost.cv({"max_depth": 2}, matrix(), 3, nfold=2, metrics=["rmse"], callbacks=[hook])
    return hook


def xgboost_fails():
    hook = ForXGBoost()
    xgboost.train({}, matrix(), 4, evals=[(matrix(), "train")], callbacks=[hook, Fails()])
    return hook


def xgboost_search():
    # Each fit has a copy of the callback, and a run.
    before = len(runs())
    GridSearchCV(
        xgboost.XGBRegressor(n_estimators=2, callbacks=[ForXGBoost()]), {"max_depth": [1, 2]}, cv=2
    ).fit(X, y)
    assert len(runs()) == before + 5, runs()


def runs():
    return runstone.search_runs(output_format="list")


def lightgbm_plain():
    hook = ForLightGBM({"mine": 1}, log_model=True)
    copies = []

    def keeps(env):
        copies.append(pickle.loads(pickle.dumps(env.model)))

    booster = lightgbm.train(
        *(TREES, dataset(), 4),
        valid_sets=[dataset(NOISE)],
        valid_names=["held"],
        callbacks=[hook, keeps],
    )
    pickle.dumps(booster)
    # A copy that was made in the midst is a booster like any other.
    assert copies[-1].free_dataset() is copies[-1]
    assert np.allclose(pickle.loads(pickle.dumps(copies[-1])).predict(X), booster.predict(X))
    loaded = runstone.lightgbm.load_model(f"runs:/{hook.run_id}/model")
    assert np.allclose(loaded.predict(X), booster.predict(X))
    return hook


def lightgbm_early():
    hook = ForLightGBM(importance_types=["split", "gain"])
    lightgbm.LGBMRegressor(n_estimators=60, verbosity=-1).fit(
        X, y, eval_set=[(X, NOISE)], callbacks=[hook, lightgbm.early_stopping(2, verbose=False)]
    )
    return hook


def lightgbm_cv():
    hook = ForLightGBM()
    lightgbm.cv(
        {**TREES, "metric": "l2"}, dataset(), 3, nfold=2, stratified=False, callbacks=[hook]
    )
    return hook


def lightgbm_with():
    with ForLightGBM() as hook:
        lightgbm.train(
            *(TREES, dataset(), 60),
            valid_sets=[dataset(NOISE)],
            keep_training_booster=True,
            callbacks=[hook, lightgbm.early_stopping(2, verbose=False)],
        )
    return hook


def lightgbm_fails():
    hook = ForLightGBM()
    with hook:
        lightgbm.train(TREES, dataset(), 4, valid_sets=[dataset()], callbacks=[hook, fails(2)])
    return hook


def lightgbm_forgotten():
    hook = ForLightGBM()
    lightgbm.train(TREES, dataset(), 4, valid_sets=[dataset()], callbacks=[hook, fails(1)])
    return hook


TRAININGS = (
    *(xgboost_fails, xgboost_plain, xgboost_early, xgboost_cv, xgboost_search),
    *(lightgbm_forgotten, lightgbm_plain, lightgbm_early, lightgbm_cv, lightgbm_with),
    lightgbm_fails,
)


def all_of_them():
    ids = {}
    for train in TRAININGS:
        try:
            hook = train()
            ids[train.__name__] = hook and hook.run_id
        except ValueError:
            ids[train.__name__] = runs()[0].info.run_id
    assert runstone.active_run() is None
    return {name: dataclasses.asdict(held(run_id)) for name, run_id in ids.items() if run_id}


def killed():
    """Trainings of which the first is killed; the second goes on in its run."""
    hook = ForXGBoost(resume="job 7")
    again = runstone.search_runs(
        filter_string="tags.`runstone.resume` = 'job 7'", output_format="list"
    )

    class Kills(xgboost.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 2 and not again:
                os.kill(os.getpid(), signal.SIGKILL)
            return False

    data = matrix()
    xgboost.train(
        {}, data, 4, evals=[(data, "train")], callbacks=[hook, Kills()], verbose_eval=False
    )
    return {"killed": dataclasses.asdict(held(hook.run_id))}


print(json.dumps(killed() if sys.argv[2:] else all_of_them()))

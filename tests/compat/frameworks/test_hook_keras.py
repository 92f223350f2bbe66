"""The callback of Keras, on whichever backend this process has, by what the server holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import runstone
from support.held import held, runs_of

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = np.arange(16.0).reshape(8, 2) / 16


def fit(hook: Any, epochs: int = 2, more: tuple[Any, ...] = ()) -> Any:
    import keras

    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"])
    split = {"validation_data": (ROWS, ROWS[:, 0])}
    model.fit(
        *(ROWS, ROWS[:, 0]),
        epochs=epochs,
        batch_size=4,
        verbose=0,
        callbacks=[hook, *more],
        **split,
    )
    return model


def callback(**arguments: Any) -> Any:
    from runstone.integrations.keras import RunstoneCallback

    return RunstoneCallback(**arguments)


def test_a_training() -> None:
    hook = callback(experiment_name="keras", log_every_n_steps=2, log_model=True)
    model = fit(hook, epochs=3)
    run = held(hook.run_id)
    assert run.status == "FINISHED"
    assert run.params["epochs"] == "3"
    assert run.params["optimizer.name"].lower() == "sgd"
    assert float(run.params["optimizer.learning_rate"]) == pytest.approx(0.1)
    assert run.params["loss"] == "mse"
    for key in ("loss", "mae", "val_loss", "val_mae", "learning_rate"):
        assert run.points[key] == [0, 1, 2], key
    assert run.points["batch/loss"] == [2, 4, 6]
    assert run.files == ["model_summary.txt"]
    assert run.models == [0]
    loaded = runstone.keras.load_model(f"runs:/{hook.run_id}/model", allow_pickle=True)
    assert np.allclose(loaded.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0))
    model.evaluate(ROWS, ROWS[:, 0], verbose=0, callbacks=[hook])
    assert held(hook.run_id).points["test_loss"] == [0]
    assert runstone.active_run() is None


def test_a_training_that_raises_and_the_next_one() -> None:
    import keras

    class Failing(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise RuntimeError("no more")

    hook = callback(experiment_name="keras failing", run_name="k")
    with pytest.raises(RuntimeError):
        fit(hook, more=(Failing(),))
    fit(callback(experiment_name="keras failing", run_name="k"))
    assert [(run.status, run.points["loss"]) for run in runs_of("keras failing")] == [
        ("FAILED", [0]),
        ("FINISHED", [0, 1]),
    ]


def test_inside_a_run_of_ones_own() -> None:
    experiment = runstone.create_experiment("keras inside")
    with runstone.start_run(run_name="outer", experiment_id=experiment):
        fit(callback())
        fit(callback(nested=True, run_name="inner", experiment_name="keras inside"))
        assert runstone.active_run() is not None
    outer, inner = runs_of("keras inside")
    assert (outer.name, inner.name) == ("outer", "inner")
    assert outer.points["loss"] == inner.points["loss"] == [0, 1]

"""What trainings of Keras log by themselves on whichever backend this process has.

``test_keras_autolog`` compares them with MLflow's, which asks TensorFlow about all data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import runstone
from runstone._autolog import guard, switches
from support.held import held

pytestmark = pytest.mark.filterwarnings("ignore")

X = np.linspace(-1, 1, 48, dtype="float32").reshape(16, 3)
Y = X.sum(1, keepdims=True)


@pytest.fixture(autouse=True)
def own_switches() -> Iterator[None]:
    guard.forget()
    yield
    switches.reset()


def trained(data: Any = None) -> Any:
    import keras

    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.1, name="descent"), loss="mse", metrics=["mae"])
    model.fit(
        *((X, Y) if data is None else (data,)),
        epochs=2,
        validation_data=(X[:4], Y[:4]),
        verbose=0,
        **({"batch_size": 4} if data is None else {}),
    )
    return model


def test_a_training_and_its_model() -> None:
    runstone.keras.autolog()
    with runstone.start_run() as run:
        model = trained()
    found = held(run.info.run_id)
    assert found.status == "FINISHED"
    assert (found.params["epochs"], found.params["batch_size"]) == ("2", "4")
    assert (found.params["optimizer_name"], found.params["loss"]) == ("descent", "mse")
    for key in ("loss", "mae", "validation_loss", "validation_mae"):
        assert found.points[key] == [0, 1], key
    assert "model_summary.txt" in found.files
    assert len(found.models) == 1
    loaded = runstone.keras.load_model(f"runs:/{found.id}/model")
    assert np.allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)


def test_batches_of_torch() -> None:
    import torch

    runstone.keras.autolog(log_models=False)
    rows = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    with runstone.start_run() as run:
        trained(torch.utils.data.DataLoader(rows, batch_size=8))
    found = held(run.info.run_id)
    assert found.params["batch_size"] == "8"
    assert found.points["loss"] == [0, 1]
    assert found.models == []


def test_a_training_that_raises_ends_its_run() -> None:
    import keras

    class Failing(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise RuntimeError("on purpose")

    runstone.keras.autolog(log_models=False)
    before = runstone.last_active_run()
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    with pytest.raises(RuntimeError, match="on purpose"):
        model.fit(X, Y, callbacks=[Failing()], verbose=0)
    assert runstone.active_run() is None
    run = runstone.last_active_run()
    assert run is not None
    assert run != before
    assert held(run.info.run_id).status == "FAILED"

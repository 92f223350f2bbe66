"""What trainings of Keras log by themselves is what they log with MLflow.

Runs in the environment ``frameworks-deep`` alone: ``make test-frameworks``. Where Runstone does
otherwise on purpose, ``expected`` says how, and why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import runstone
from compat.frameworks.recorded import Recorded, both, recorded, run_of
from runstone._autolog import guard, switches
from runstone.exceptions import ArtifactNotFound, InvalidField, UntrustedModel

ON_TENSORFLOW = os.environ.get("KERAS_BACKEND") == "tensorflow"
LIBRARIES = ["tensorflow", "keras"] if ON_TENSORFLOW else ["keras"]
STOPPING = {"monitor", "min_delta", "patience", "baseline", "restore_best_weights"}
STOPPED = {"stopped_epoch", "restored_epoch"}

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("place"),
]

X = np.linspace(-1, 1, 48, dtype="float32").reshape(16, 3)
Y = X.sum(1, keepdims=True)


class NoBoard(keras.callbacks.Callback):  # type: ignore[misc]
    """In place of a callback of TensorBoard."""

    def __init__(self, folder: str) -> None:
        super().__init__()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    if ON_TENSORFLOW:
        import mlflow.tensorflow.autologging

        # MLflow has one made, and its trainings fail where TensorBoard is not installed.
        monkeypatch.setattr(mlflow.tensorflow.autologging, "_TensorBoard", NoBoard)
    guard.forget()
    yield tmp_path
    switches.reset()
    assert runstone.active_run() is None


def model() -> Any:
    keras.utils.set_random_seed(3)
    made = keras.Sequential([keras.Input([3]), keras.layers.Dense(2), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.1, name="sgd")
    made.compile(optimizer=optimizer, loss="mse", metrics=["mae"])
    return made


def arrays(_: Any) -> None:
    model().fit(X, Y, epochs=3, batch_size=4, validation_data=(X[:4], Y[:4]), verbose=0)


def with_defaults(_: Any) -> None:
    model().fit(X, Y, verbose=0)


def stopping(_: Any) -> None:
    callback = keras.callbacks.EarlyStopping(
        "val_loss", patience=1, min_delta=0.5, restore_best_weights=True
    )
    model().fit(X, Y, epochs=9, validation_data=(X[:4], Y[:4]), callbacks=[callback], verbose=0)


def in_a_run(module: Any) -> None:
    with module.start_run():
        arrays(module)


def failing(_: Any) -> None:
    class Failing(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise RuntimeError("on purpose")

    model().fit(X, Y, epochs=3, callbacks=[Failing()], verbose=0)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    def __len__(self) -> int:
        return 4

    def __getitem__(self, place: int) -> Any:
        rows = slice(place * 4, place * 4 + 4)
        return X[rows], Y[rows]


def indexed(_: Any) -> None:
    model().fit(Batches(), epochs=2, shuffle=False, verbose=0)


def generated(_: Any) -> None:
    def batches() -> Iterator[Any]:
        while True:
            for place in range(4):
                yield Batches()[place]

    model().fit(batches(), epochs=2, steps_per_epoch=4, verbose=0)


def pipeline(_: Any) -> None:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y))
    model().fit(data.batch(4), epochs=2, validation_data=data.batch(8), verbose=0)


def expected(theirs: Recorded, ours: Recorded, library: str) -> Recorded:
    """What MLflow left, with what is different on purpose as ours is."""
    # What was minimized; MLflow does not say.
    theirs.params["loss"] = "mse"
    # MLflow logs every validation at step 0; ours is where it was done.
    for name in theirs.metrics:
        if name.startswith("validation_"):
            assert len(ours.metrics[name]) == len(theirs.metrics[name])
            theirs.metrics[name] = ours.metrics[name]
    # MLflow makes a callback of TensorBoard, which writes the same metrics and takes time.
    theirs.files = [each for each in theirs.files if not each.startswith("tensorboard_logs/")]
    # HDF5 is Keras' older format, which may hold code, and of which it warns.
    theirs.files = sorted(
        each if "weights" in each else each.replace("checkpoint.h5", "checkpoint.keras")
        for each in theirs.files
    )
    checkpoint = "mlflow.latest_checkpoint_artifact"
    if checkpoint in theirs.tags and "weights" not in theirs.tags[checkpoint]:
        theirs.tags[checkpoint] = theirs.tags[checkpoint].replace(".h5", ".keras")
    if library == "keras":
        # Early stopping is told in both ways.
        theirs.params |= {key: ours.params[key] for key in STOPPING & ours.params.keys()}
        for key in STOPPED & ours.metrics.keys():
            theirs.metrics[key] = ours.metrics[key]
        if "restored_epoch" in ours.metrics:
            stopped = int(ours.metrics["stopped_epoch"][0][1])
            for name in theirs.metrics.keys() & {"loss", "mae", "val_loss", "val_mae"}:
                [restored] = [each for each in ours.metrics[name] if each[0] == stopped + 1]
                theirs.metrics[name].append(restored)
        # MLflow does not look into what has no attribute that says it.
        if theirs.params["batch_size"] == "None":
            theirs.params["batch_size"] = ours.params["batch_size"]
    return theirs


def same(ours: Recorded, theirs: Recorded, library: str) -> None:
    wanted = expected(theirs, ours, library)
    for what in ("status", "params", "metrics", "told", "files", "datasets", "signatures"):
        assert getattr(ours, what) == getattr(wanted, what), what


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "train", [arrays, with_defaults, stopping, in_a_run, failing], ids=lambda each: each.__name__
)
def test_as_mlflow(train: Callable[[Any], None], library: str) -> None:
    ours, theirs = both(train, library, {"log_models": False})
    same(ours, theirs, library)


@pytest.mark.parametrize("library", LIBRARIES)
def test_steps(library: str) -> None:
    options = {"log_models": False, "log_every_epoch": False, "log_every_n_steps": 2}
    ours, theirs = both(arrays, library, options)
    assert [step for step, _ in ours.metrics["loss"]] == [2, 4, 6, 8, 10, 12]
    same(ours, theirs, library)


if ON_TENSORFLOW:

    @pytest.mark.parametrize(
        "options",
        [
            {"checkpoint_monitor": "loss"},
            {"checkpoint_save_best_only": False, "checkpoint_save_freq": 3},
            {"checkpoint_save_best_only": False, "checkpoint_save_weights_only": True},
        ],
    )
    def test_checkpoints_as_mlflow(options: dict[str, Any]) -> None:
        ours, theirs = both(arrays, "tensorflow", {"log_models": False, **options})
        assert "mlflow.latest_checkpoint_artifact" in ours.tags
        same(ours, theirs, "tensorflow")

    @pytest.mark.parametrize("train", [pipeline, indexed], ids=lambda each: each.__name__)
    @pytest.mark.parametrize("library", LIBRARIES)
    def test_other_data_as_mlflow(train: Callable[[Any], None], library: str) -> None:
        ours, theirs = both(train, library, {"log_models": False})
        assert ours.params["batch_size"] == "4"
        same(ours, theirs, library)

    def test_a_model_as_mlflow() -> None:
        for library in LIBRARIES:
            ours, theirs = both(arrays, library, {})
            assert len(ours.signatures) == 1
            same(ours, theirs, library)


def test_a_generator_is_handed_on(place: Path) -> None:
    runstone.keras.autolog(log_input_examples=True)
    found = recorded(runstone, generated)
    assert found.params["batch_size"] == "4"
    assert len(found.metrics["loss"]) == 2
    [signature] = found.signatures
    assert signature["inputs"] is not None
    loaded = runstone.keras.load_model(f"runs:/{found.run_id}/model")
    assert loaded.predict(X, verbose=0).shape == (16, 1)


def test_one_run_whichever_are_on() -> None:
    runstone.autolog(log_models=False)
    found = recorded(runstone, arrays)
    assert found.told == {"mlflow.autologging": "keras"}
    assert "optimizer_learning_rate" in found.params
    runstone.tensorflow.autolog(log_models=False)
    found = recorded(runstone, arrays)
    assert found.told["mlflow.autologging"] == "tensorflow"
    assert "opt_learning_rate" in found.params
    runstone.autolog(disable=True)
    assert run_of(runstone, arrays) is None


def test_left_alone() -> None:
    runstone.keras.autolog(exclusive=True, log_models=False)
    with runstone.start_run() as run:
        arrays(runstone)
    assert runstone.get_run(run.info.run_id).data.params == {}
    runstone.keras.autolog(disable=True)
    before = model()
    before.evaluate(X, Y, verbose=0)
    assert run_of(runstone, arrays) is None


def test_evaluating_and_predicting_are_no_trainings() -> None:
    runstone.keras.autolog(log_models=False)
    made = model()
    assert run_of(runstone, lambda _: (made.evaluate(X, Y, verbose=0), made.predict(X))) is None


def test_what_the_user_gave_stays_as_it_was() -> None:
    runstone.keras.autolog(log_models=False)
    made, mine = model(), [keras.callbacks.History()]
    made.fit(X, Y, 4, 2, 0, mine)
    assert len(mine) == 1
    run = runstone.last_active_run()
    assert run is not None
    assert run.data.params["epochs"] == "2"
    listed = keras.callbacks.CallbackList(mine, model=made)
    before = len(listed.callbacks)
    made.fit(X, Y, callbacks=listed, verbose=0)
    assert len(listed.callbacks) == before
    with pytest.raises(TypeError, match="nonsense"):
        made.fit(X, Y, nonsense=1)


def test_the_training_is_the_same() -> None:
    plain = model().fit(X, Y, epochs=3, verbose=0).history
    runstone.keras.autolog()
    assert model().fit(X, Y, epochs=3, verbose=0).history == plain


def test_a_server_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from runstone._client import Client

    def gone(*_: Any, **__: Any) -> None:
        raise OSError("the server is gone")

    runstone.keras.autolog()
    for name in ("log_batch", "log_text", "log_inputs", "upload"):
        monkeypatch.setattr(Client, name, gone)
    history = model().fit(X, Y, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


def test_a_model_of_several_inputs(place: Path) -> None:
    one, two = keras.Input([3], name="one"), keras.Input([2], name="two")
    made = keras.Model([one, two], keras.layers.Dense(1)(keras.layers.Concatenate()([one, two])))
    made.compile(loss="mse")
    runstone.keras.autolog(log_input_examples=True)
    given = {"one": X, "two": X[:, :2]}
    found = recorded(runstone, lambda _: made.fit(given, Y, verbose=0))
    [signature] = found.signatures
    assert '"name": "one"' in signature["inputs"]
    assert '"name": "two"' in signature["inputs"]
    loaded = runstone.pyfunc.load_model(f"runs:/{found.run_id}/model")
    assert np.asarray(loaded.predict(given)).shape == (16, 1)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"log_every_n_steps": 2}, "log_every_n_steps"),
        ({"log_every_epoch": False}, "log_every_n_steps"),
        ({"log_every_epoch": False, "log_every_n_steps": 0}, "log_every_n_steps"),
        ({"log_models": 1}, "log_models"),
        ({"checkpoint_mode": "best"}, "checkpoint_mode"),
        ({"checkpoint_save_freq": 0}, "checkpoint_save_freq"),
        ({"checkpoint_monitor": ""}, "checkpoint_monitor"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField, match=field):
        runstone.tensorflow.autolog(**options)
    assert switches.of("tensorflow") is None


def test_checkpoints_are_loaded(place: Path) -> None:
    runstone.tensorflow.autolog(
        log_models=False, checkpoint_save_best_only=False, checkpoint_save_weights_only=True
    )
    made = model()
    with runstone.start_run() as run:
        with pytest.raises(ArtifactNotFound, match="no checkpoint"):
            runstone.tensorflow.load_checkpoint(made)
        made.fit(X, Y, epochs=2, verbose=0)
        loaded = runstone.tensorflow.load_checkpoint(model())
    same_weights(loaded, made)
    first = runstone.tensorflow.load_checkpoint(model(), run.info.run_id, epoch=0)
    assert not np.allclose(first.get_weights()[0], made.get_weights()[0])
    with pytest.raises(InvalidField, match="model"):
        runstone.tensorflow.load_checkpoint(run_id=run.info.run_id)
    with pytest.raises(InvalidField, match="epoch"):
        runstone.tensorflow.load_checkpoint(made, run.info.run_id, epoch=0, global_step=1)
    with pytest.raises(ArtifactNotFound):
        runstone.tensorflow.load_checkpoint(made, run.info.run_id, epoch=7)
    with pytest.raises(InvalidField, match="run_id"):
        runstone.tensorflow.load_checkpoint(made)


def test_a_checkpoint_with_code_needs_trust(place: Path) -> None:
    runstone.tensorflow.autolog(log_models=False, checkpoint_monitor="loss")
    made = keras.Sequential([keras.Input([3]), keras.layers.Lambda(lambda rows: rows * 2)])
    made.add(keras.layers.Dense(1))
    made.compile(loss="mse")
    with runstone.start_run() as run:
        made.fit(X, Y, verbose=0)
    with pytest.raises(UntrustedModel, match="Lambda"):
        runstone.tensorflow.load_checkpoint(run_id=run.info.run_id)
    loaded = runstone.tensorflow.load_checkpoint(run_id=run.info.run_id, allow_pickle=True)
    same_weights(loaded, made)


def same_weights(loaded: Any, made: Any) -> None:
    for ours, theirs in zip(loaded.get_weights(), made.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs)

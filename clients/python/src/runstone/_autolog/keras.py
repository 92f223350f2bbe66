"""Keras and TensorFlow: each ``Model.fit`` logs parameters, metrics, a summary and the model.

Both names lead to one class of Keras 3. Which of the two ``autolog`` was called last says of which
flavor the model is and how parameters are named.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from runstone._autolog import patching, switches
from runstone._autolog.checkpoints import Checkpoints, Wish
from runstone._autolog.keras_data import Given, log_datasets
from runstone._autolog.training import Training, arguments, described, quiet, training_of

LIBRARIES = ("tensorflow", "keras")

OPTIMIZER = {"tensorflow": "opt_", "keras": "optimizer_"}
"""Before the names of the optimizer's parameters, as MLflow has them."""

MODEL_OPTIONS = {
    "tensorflow": ("saved_model_kwargs", "keras_model_kwargs"),
    "keras": ("save_exported_model", "save_model_kwargs"),
}

NO_PARAMS = frozenset({"x", "y", "callbacks", "validation_data", "verbose"})
"""Arguments of ``fit`` that are data or code; MLflow leaves the same ones out."""

STOPPING = ("monitor", "min_delta", "patience", "baseline", "restore_best_weights")
"""What is logged of early stopping as parameters."""

ENDINGS = (".keras", ".h5")

BOARD = "tensorboard_logs"


def turn_on() -> None:
    """Patch the method of all models; a second time changes nothing."""
    import keras

    owner = next(each for each in keras.Model.__mro__ if "fit" in vars(each))
    patching.patch(owner, "fit", _fit)


def _fit(original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
    """In place of ``Model.fit``."""
    library = switches.latest(LIBRARIES)
    if library is None:
        return original(model, *args, **kwargs)
    with training_of(library) as training:
        if training is None:
            return original(model, *args, **kwargs)
        fit = training.guarded("anything", _Fit, training, model, original, args, kwargs)
        if fit is None:
            return original(model, *args, **kwargs)
        training.guarded("parameters", fit.log_params)
        args, kwargs = training.guarded("metrics", fit.followed) or ((model, *args), kwargs)
        try:
            history = original(*args, **kwargs)
        finally:
            fit.unfollow()
        fit.log_end(history)
        return history


class _Fit:
    """One call of ``fit``."""

    def __init__(
        self,
        training: Training,
        model: Any,
        original: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        self._training = training
        self._switch = training.switch
        self._model = model
        self._bound = inspect.signature(original).bind(model, *args, **kwargs)
        self._arguments = arguments(original, args, kwargs)
        self._given = Given(self._arguments.get("x"), self._arguments.get("y"))
        self._added: Any = None
        # Before it is trained on, which may change it.
        wants_rows = training.switch.log_models and not self._given.is_told_later
        self._rows = training.guarded("the data", self._given.rows) if wants_rows else None

    def log_params(self) -> None:
        """Log what is known before the training."""
        found = {key: value for key, value in self._arguments.items() if key not in NO_PARAMS}
        if self._given.is_told_later:
            del found["batch_size"]
        else:
            found["batch_size"] = self._given.batch_size() or found["batch_size"]
        stopping = self._callback("EarlyStopping")
        if stopping is not None:
            found |= {name: getattr(stopping, name) for name in STOPPING}
        self._training.log(params={**found, "loss": _name_of(getattr(self._model, "loss", None))})
        if self._switch.log_datasets:
            validation = self._arguments.get("validation_data")
            self._training.guarded(
                "the data set", log_datasets, self._training, self._given, validation
            )

    def followed(self) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The arguments of ``fit``, with a callback of ours besides those that are there."""
        import keras

        follower = _follower(self._training)
        said = self._arguments.get("callbacks")
        if isinstance(said, keras.callbacks.CallbackList):
            follower.set_model(self._model)
            follower.set_params(said.params)
            said.append(follower)
            self._added = (said.callbacks, follower)
            callbacks: Any = said
        else:
            callbacks = [*said] if isinstance(said, list | tuple) else [said] if said else []
            callbacks.append(follower)
        self._bound.arguments["callbacks"] = callbacks
        if "x" in self._bound.arguments:
            self._bound.arguments["x"] = self._given.watched()
        return self._bound.args, self._bound.kwargs

    def unfollow(self) -> None:
        """Take the callback away from a list of the user's."""
        if self._added is not None:
            callbacks, follower = self._added
            callbacks.remove(follower)

    def log_end(self, history: Any) -> None:
        """Log what is known after the training."""
        training = self._training
        if self._given.is_told_later:
            training.guarded("parameters", self._log_batch_size)
        if self._switch.log_models:
            about = training.guarded("the signature", self._described) or {"signature": False}
            names = MODEL_OPTIONS[training.library]
            options = {name: self._switch.others.get(name) for name in names}
            training.guarded(
                "the model", training.log_model, training.library, self._model, about, options
            )
        training.guarded("early stopping", self._log_stopped, history)
        board = self._callback("TensorBoard")
        if board is not None and Path(board.log_dir).is_dir():
            upload = partial(training.client.log_artifacts, training.run_id)
            training.guarded("the logs of TensorBoard", upload, board.log_dir, BOARD)

    def _log_batch_size(self) -> None:
        self._training.log(params={"batch_size": self._given.batch_size()})

    def _callback(self, kind: str) -> Any:
        import keras

        said = self._arguments.get("callbacks")
        found = getattr(said, "callbacks", said)
        found = found if isinstance(found, list | tuple) else [found]
        cls = getattr(keras.callbacks, kind)
        return next((each for each in found if isinstance(each, cls)), None)

    def _described(self) -> dict[str, Any]:
        switch, given = self._switch, self._given
        rows = self._rows
        if switch.log_input_examples:
            rows = given.example() if rows is None else rows
        elif switch.log_model_signatures and rows is None and given.is_told_later:
            rows = given.rows()
        # Keras' own way is by what the model says of itself, as MLflow has it.
        if self._training.library == "tensorflow" and rows is not None:
            return described(switch, rows, partial(self._model.predict, verbose=0))
        found: dict[str, Any] = {"signature": False, "input_example": None}
        if switch.log_input_examples:
            found["input_example"] = rows
        if switch.log_model_signatures:
            if getattr(self._model, "inputs", None):
                found["signature"] = _signature(self._model)
            elif rows is not None:
                found |= described(switch, rows, partial(self._model.predict, verbose=0))
        return found

    def _log_stopped(self, history: Any) -> None:
        stopping = self._callback("EarlyStopping")
        if stopping is None or not self._model.stop_training:
            return
        self._training.log({"stopped_epoch": stopping.stopped_epoch})
        values = history.history.get(stopping.monitor)
        if not stopping.restore_best_weights or stopping.best_weights is None or not values:
            return
        # The first of several that are as good, which is the one that is restored.
        place = values.index(stopping.best)
        self._training.log({"restored_epoch": history.epoch[place]})
        restored = {key: each[place] for key, each in history.history.items() if len(each) > place}
        self._training.log(restored, step=stopping.stopped_epoch + 1)


def _follower(training: Training) -> Any:
    import keras

    others = training.switch.others
    every = others.get("every", {}).get("log_every_n_steps")
    wish = others.get("checkpoint", Wish()) if training.library == "tensorflow" else None
    checkpoints = None if wish is None else Checkpoints(training, wish, ENDINGS)
    by_step = every or (wish is not None and wish.every != "epoch")
    # Keras runs ahead of callbacks that have nothing to do after a step.
    kind = _StepFollower if by_step else _Follower
    made = type("Follower", (kind, keras.callbacks.Callback), {})
    return made(training, every, checkpoints)


class _Follower:
    """A callback of Keras, which is mixed in where that is imported."""

    model: Any

    def __init__(
        self, training: Training, every: int | None, checkpoints: Checkpoints | None
    ) -> None:
        super().__init__()
        self._training = training
        self._every = every
        self._checkpoints = checkpoints
        self._epoch = 0
        self._step = 0
        self._batch = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Log what is known once the model is built."""
        del logs
        self._training.guarded("the optimizer", self._begin)
        self._training.guarded("the summary", self._log_summary)

    def _begin(self) -> None:
        optimizer = self.model.optimizer
        self._step = int(optimizer.iterations)
        prefix = OPTIMIZER[self._training.library]
        config = optimizer.get_config()
        self._training.log(params={f"{prefix}{key}": value for key, value in config.items()})

    def _log_summary(self) -> None:
        lines: list[str] = []
        self.model.summary(print_fn=lambda line, *_, **__: lines.append(line))
        client, run_id = self._training.client, self._training.run_id
        client.log_text(run_id, "\n".join(lines), "model_summary.txt")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Know where the training is."""
        del logs
        self._epoch, self._batch = epoch, 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log the metrics of an epoch, those of its validation among them."""
        if not self._every:
            self._follow(logs, epoch)
        self._leave("epoch", logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Log the metrics of a validation."""
        step = self._step if self._every else self._epoch
        self._follow({f"validation_{key}": each for key, each in (logs or {}).items()}, step)

    def _follow(self, logs: Any, step: int) -> None:
        if logs:
            self._training.guarded("metrics", self._log, logs, step)

    def _log(self, logs: Mapping[str, Any], step: int) -> None:
        self._training.follow({key: float(value) for key, value in logs.items()}, step)

    def _leave(self, when: str, logs: Any) -> None:
        checkpoints = self._checkpoints
        if checkpoints is None or (when == "epoch") != (checkpoints.wish.every == "epoch"):
            return
        metrics = {key: float(value) for key, value in (logs or {}).items()}
        step = self._step if when == "step" else int(self.model.optimizer.iterations)
        write = self._write_weights if checkpoints.wish.weights_only else self._write
        checkpoints.leave(self._epoch, step, metrics, write)

    def _write(self, path: Path) -> None:
        with quiet():
            self.model.save(str(path), overwrite=True)

    def _write_weights(self, path: Path) -> None:
        self.model.save_weights(str(path), overwrite=True)


class _StepFollower(_Follower):
    """One that has something to do after steps."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Log the metrics of every so many steps; Keras may take some of them at once."""
        before, self._step = self._step, self._step + batch + 1 - self._batch
        self._batch = batch + 1
        if self._every and self._step // self._every > before // self._every:
            self._follow(logs, self._step)
        every = self._checkpoints.wish.every if self._checkpoints else None
        if isinstance(every, int) and self._step // every > before // every:
            self._leave("step", logs)


def _signature(model: Any) -> Any:
    """What a model takes and gives, as it says itself; several tensors have its names."""
    import numpy as np

    from runstone._schema.schema import Schema, TensorSpec
    from runstone._schema.signature import ModelSignature

    def schema(tensors: Any) -> Schema:
        tensors = tensors if isinstance(tensors, list | tuple) else [tensors]
        several = len(tensors) > 1
        return Schema([
            TensorSpec(
                np.dtype(str(each.dtype)),
                tuple(-1 if size is None else size for size in each.shape),
                each.name if several else None,
            )
            for each in tensors
        ])  # fmt: skip

    return ModelSignature(inputs=schema(model.inputs), outputs=schema(model.outputs))


def _name_of(loss: Any) -> Any:
    return getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss

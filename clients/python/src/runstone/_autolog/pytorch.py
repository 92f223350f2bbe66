"""PyTorch Lightning: each ``Trainer.fit`` logs parameters, metrics, a summary and the module."""

from __future__ import annotations

import functools
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runstone._autolog import imports, patching
from runstone._autolog.checkpoints import Checkpoints, Wish
from runstone._autolog.training import Training, described, first_rows, training_of

LIBRARY = "pytorch"

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
"""Lightning has two names, with classes of their own."""

ENDINGS = (".pth", ".pth")

STOPPING = ("monitor", "mode", "patience", "min_delta", "stopped_epoch")
"""What is logged of early stopping as parameters."""


def turn_on() -> None:
    """Patch the trainers, once they are imported; a second time changes nothing."""
    for package in PACKAGES:
        module = f"{package}.trainer.trainer"
        imports.when_imported(module, functools.partial(_patch, package, module))


def _patch(package: str, module: str) -> None:
    trainer = importlib.import_module(module).Trainer
    patching.patch(trainer, "fit", functools.partial(_fit, package))


def _fit(
    package: str, original: Callable[..., Any], trainer: Any, *args: Any, **kwargs: Any
) -> Any:
    """In place of ``Trainer.fit``; of several processes the first one logs."""
    if getattr(trainer, "global_rank", 0) != 0:
        return original(trainer, *args, **kwargs)
    with training_of(LIBRARY) as training:
        if training is None:
            return original(trainer, *args, **kwargs)
        seen: dict[str, Any] = {}
        training.guarded("early stopping", _log_stopping, training, trainer)
        training.guarded("metrics", _follow, training, package, trainer, seen)
        try:
            result = original(trainer, *args, **kwargs)
        finally:
            added = seen.get("followers", ())
            trainer.callbacks = [
                each for each in trainer.callbacks if all(each is not one for one in added)
            ]
            hook = seen.pop("hook", None)
            if hook is not None:  # the module was never called as a whole
                hook.remove()
        training.guarded("early stopping", _log_stopped, training, trainer)
        training.guarded("the summary", _log_summary, training, package, trainer)
        if training.switch.log_models:
            about = training.guarded("the signature", _described, training, seen)
            training.guarded(
                "the model",
                training.log_model,
                LIBRARY,
                trainer.lightning_module,
                about or {"signature": False},
            )
        return result


def _follow(training: Training, package: str, trainer: Any, seen: dict[str, Any]) -> None:
    launcher = type(getattr(trainer.strategy, "launcher", None)).__name__
    if "MultiProcessing" in launcher:
        return  # it pickles its callbacks, which an open run does not survive
    base = importlib.import_module(f"{package}.callbacks").Callback
    followers = [type("Follower", (_Follower, base), {})(training, seen)]
    wish = training.switch.others.get("checkpoint", Wish())
    if wish is not None:
        checkpoints = Checkpoints(training, wish, ENDINGS)
        followers.append(type("Checkpointer", (_Checkpointer, base), {})(checkpoints))
    seen["followers"] = followers
    trainer.callbacks.extend(followers)


class _Follower:
    """A callback of Lightning, which is mixed in where that is imported."""

    def __init__(self, training: Training, seen: dict[str, Any]) -> None:
        self._training = training
        self._seen = seen
        # Not named like the switches, which are True or False.
        every = training.switch.others.get("every", {})
        self._epochs: int = every.get("log_every_n_epoch") or 1
        self._steps: int | None = every.get("log_every_n_step")
        self._by_step: set[str] = set()
        self._by_epoch: set[str] = set()

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Log what is trained with, and look at the first rows."""
        self._training.guarded("parameters", self._log_params, trainer)
        self._training.guarded("the signature", self._look, module)

    def _log_params(self, trainer: Any) -> None:
        params: dict[str, Any] = {"epochs": trainer.max_epochs}
        if trainer.optimizers:
            # Lightning may wrap it.
            optimizer = getattr(trainer.optimizers[0], "_optimizer", trainer.optimizers[0])
            params |= {"optimizer_name": type(optimizer).__name__, **optimizer.defaults}
        self._training.log(params=params, tags={"Mode": "training"})

    def _look(self, module: Any) -> None:
        def look(_: Any, inputs: Any, result: Any) -> None:
            self._seen.pop("hook").remove()
            self._training.guarded("the signature", self._keep, inputs, result)

        self._seen["hook"] = module.register_forward_hook(look)

    def _keep(self, inputs: Any, result: Any) -> None:
        if len(inputs) == 1:
            some = (inputs[0].detach().cpu().numpy(), result.detach().cpu().numpy())
            self._seen["rows"], self._seen["answer"] = map(first_rows, some)

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Log the metrics of a step, when that is wanted."""
        del module
        if self._steps:
            self._training.guarded("metrics", self._log_step, trainer, self._steps)

    def _log_step(self, trainer: Any, every: int) -> None:
        # One that is logged by step and by epoch has names for both, and a third for the epoch.
        found = {
            key: value
            for key, value in trainer.callback_metrics.items()
            if key not in self._by_epoch and f"{key}_step" not in trainer.callback_metrics
        }
        self._by_step.update(found)
        # Lightning counts the steps of each optimizer.
        step = trainer.global_step
        if (step // max(1, len(trainer.optimizers)) + 1) % every == 0:
            self._log(trainer, found, step)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Log the metrics of an epoch, those of its validation among them."""
        self._training.guarded("metrics", self._log_epoch, trainer, module.current_epoch)

    def _log_epoch(self, trainer: Any, epoch: int) -> None:
        metrics = trainer.callback_metrics.items()
        found = {key: value for key, value in metrics if key not in self._by_step}
        self._by_epoch.update(found)
        if (epoch + 1) % self._epochs == 0:
            self._log(trainer, found, epoch)

    def _log(self, trainer: Any, metrics: dict[str, Any], step: int) -> None:
        if metrics and not trainer.sanity_checking:
            self._training.follow({key: float(value) for key, value in metrics.items()}, step)


class _Checkpointer:
    """A callback of Lightning that leaves checkpoints, mixed in likewise."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Leave one after every so many steps."""
        every = self._checkpoints.wish.every
        if isinstance(every, int) and trainer.global_step and trainer.global_step % every == 0:
            self._leave(trainer, module)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Leave one at the end of an epoch."""
        if self._checkpoints.wish.every == "epoch":
            self._leave(trainer, module)

    def _leave(self, trainer: Any, module: Any) -> None:
        def write(path: Path) -> None:
            # Not the trainer's own method, which waits for processes that are not here.
            state = trainer._checkpoint_connector.dump_checkpoint(  # noqa: SLF001
                self._checkpoints.wish.weights_only
            )
            trainer.strategy.save_checkpoint(state, path)

        metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
        self._checkpoints.leave(module.current_epoch, trainer.global_step, metrics, write)


def _stopping(trainer: Any) -> Any:
    found = (each for each in trainer.callbacks if hasattr(each, "stopped_epoch"))
    return next(found, None)


def _log_stopping(training: Training, trainer: Any) -> None:
    stopping = _stopping(trainer)
    if stopping is not None:
        training.log(
            params={name: getattr(stopping, name) for name in STOPPING if hasattr(stopping, name)}
        )


def _log_stopped(training: Training, trainer: Any) -> None:
    stopping = _stopping(trainer)
    if stopping is None or stopping.stopped_epoch == 0:
        return
    stopped = stopping.stopped_epoch
    training.log({
        "stopped_epoch": stopped,
        "restored_epoch": stopped - max(1, stopping.patience),
        "best_score": float(stopping.best_score),
        "wait_count": stopping.wait_count,
    })  # fmt: skip


def _log_summary(training: Training, package: str, trainer: Any) -> None:
    summary = importlib.import_module(f"{package}.utilities.model_summary").ModelSummary
    with tempfile.TemporaryDirectory(prefix="runstone-autolog-") as place:
        path = Path(place) / "model_summary.txt"
        path.write_text(str(summary(trainer.lightning_module, max_depth=-1)), "utf-8")
        training.client.log_artifact(training.run_id, path)


def _described(training: Training, seen: dict[str, Any]) -> dict[str, Any]:
    about = described(training.switch, seen.get("rows"), lambda _: seen["answer"])
    return {**about, "input_example": None}

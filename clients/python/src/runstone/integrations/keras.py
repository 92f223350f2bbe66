"""Keras: a callback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from runstone._flavors.libraries import library
from runstone._integrations.report import Report
from runstone._integrations.where import Choice, Where
from runstone._values import invalid

__all__ = ["RunstoneCallback"]

_Base: Any = library("keras").callbacks.Callback


class RunstoneCallback(_Base):
    """A callback for ``fit`` and ``evaluate`` of Keras, on any of its backends.

    Logged are what it trains with and the optimizer's configuration as parameters, the model's
    summary as a file, and the metrics of each epoch; of an ``evaluate`` of its own with ``test_``
    before their names. The model is logged if that is wanted.

    Keras does not say when a training raises: its run is FAILED at the end of the program, or when
    the next one begins; inside ``with runstone.start_run()`` it is at once.

    Args:
        log_every_epoch: Log the metrics of each epoch; the step is the epoch.
        log_every_n_steps: Log those of each so many batches too; the step counts batches, and
            ``batch/`` stands before their names.
        log_model: Log the model at the end, as ``runstone.keras.log_model`` does.
        where: Which run; see ``runstone.integrations.Where``.

    Example:
        >>> import keras, numpy
        >>> from runstone.integrations.keras import RunstoneCallback
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> rows, callback = numpy.ones((8, 2)), RunstoneCallback()
        >>> _ = model.fit(rows, rows[:, 0], epochs=2, verbose=0, callbacks=[callback])
        >>> import runstone
        >>> points = runstone.Client().get_metric_history(callback.run_id, "loss")
        >>> [point.step for point in points]
        [0, 1]
    """

    def __init__(
        self,
        log_every_epoch: bool = True,
        log_every_n_steps: int | None = None,
        *,
        log_model: bool = False,
        **where: Unpack[Where],
    ) -> None:
        super().__init__()
        every = log_every_n_steps
        if every is not None and (
            isinstance(every, bool) or not isinstance(every, int) or every < 1
        ):
            raise invalid(
                "log_every_n_steps", f"must be a positive whole number, not {every!r:.50}"
            )
        self._by_epoch = log_every_epoch
        self._by_steps = every
        self._log_model = log_model
        self._choice = Choice.of(where)
        self._report: Report | None = None
        self._training = False
        self._batches = 0

    def __getstate__(self) -> dict[str, Any]:
        # Whoever copies the callback has a model of its own, which it will be told of.
        return {**self.__dict__, "_report": None, "_model": None}

    @property
    def run_id(self) -> str | None:
        """The run of the last training; None before one."""
        return self._report.run_id if self._report is not None else None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Begin the run, and log what is trained with."""
        del logs
        if self._report is not None and self._training:
            self._report.end("FAILED")  # it raised
        self._report = Report.begin("keras", self._choice)
        self._training, self._batches = True, 0
        self._report.params(self._report.guarded("parameters", self._params) or {})
        text = self._report.guarded("the summary", self._summary)
        if text:
            self._report.text(text, "model_summary.txt")

    def _params(self) -> dict[str, Any]:
        found = {key: value for key, value in (self.params or {}).items() if key != "verbose"}
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            found["optimizer"] = {
                key: value.item() if hasattr(value, "item") else value
                for key, value in optimizer.get_config().items()
            }
        for name in ("loss", "compiled_loss"):
            loss = getattr(self.model, name, None)
            if isinstance(loss, str) or callable(loss):
                found["loss"] = getattr(loss, "name", None) or loss
                break
        return found

    def _summary(self) -> str:
        lines: list[str] = []
        self.model.summary(print_fn=lambda line, *_, **__: lines.append(line))
        return "\n".join(lines)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of a batch, when that is wanted."""
        del batch
        self._batches += 1
        if self._report is not None and self._by_steps and self._batches % self._by_steps == 0:
            values = {f"batch/{key}": value for key, value in (logs or {}).items()}
            self._report.metrics(values, self._batches)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of an epoch, those of its validation and the learning rate among them."""
        if self._report is not None and self._by_epoch:
            rate = self._report.guarded("the learning rate", self._rate)
            self._report.metrics({**(logs or {}), "learning_rate": rate}, epoch)

    def _rate(self) -> float | None:
        optimizer = getattr(self.model, "optimizer", None)
        return float(optimizer.learning_rate) if optimizer is not None else None

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Log the model, if that is wanted, and end the run."""
        del logs
        self._training = False
        if self._report is not None:
            if self._log_model:
                self._report.log_model("keras", self.model)
            self._report.end()

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of an ``evaluate`` that is no part of a training."""
        if self._training:
            return
        if self._report is None:
            self._report = Report.begin("keras", self._choice, endless=False)
            self._report.metrics({f"test_{key}": value for key, value in (logs or {}).items()})
            self._report.end()
        else:
            self._report.metrics({f"test_{key}": value for key, value in (logs or {}).items()})

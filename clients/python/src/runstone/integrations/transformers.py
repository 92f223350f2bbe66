"""Hugging Face Transformers: a callback of its ``Trainer``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Literal, Unpack

from runstone import _settings
from runstone._flavors.libraries import library
from runstone._integrations import flatten
from runstone._integrations.report import Report
from runstone._integrations.where import TRUE, Choice, Where
from runstone._values import invalid

__all__ = ["RunstoneCallback"]

_callbacks = library("transformers.trainer_callback", "transformers")
_Base: Any = _callbacks.TrainerCallback
_State: Any = _callbacks.ExportableState


class RunstoneCallback(_Base, _State):
    """A callback of Transformers' ``Trainer`` and of those made of it, as TRL's.

    Pass it to the trainer, with ``report_to="none"`` when MLflow or others are installed:
    Transformers finds the reporters of ``report_to`` in a list of its own, which has no room for
    others.

    Logged are the arguments of the training and the model's configuration as parameters, what the
    trainer logs as metrics by global step, and with ``log_model`` checkpoints or the model. A
    training that is taken up from a checkpoint (``resume_from_checkpoint``) goes on in the run that
    wrote it, if that was not FINISHED. Each training of ``hyperparameter_search`` is a run.

    The trainer does not say when a training raises: its run is FAILED at the end of the program, or
    when the next one begins; inside ``with runstone.start_run()`` it is at once.

    Args:
        log_model: "checkpoint": each saved checkpoint, as files below its name; "end": the model
            that is left, below ``model``; True: both. RUNSTONE_LOG_MODEL otherwise.
        where: Which run; see ``runstone.integrations.Where``. Without ``run_name``, the one of the
            training's arguments. Every one of them has a variable of the environment.

    Raises:
        InvalidField: an argument is wrong.

    Example:
        >>> from transformers import TrainingArguments
        >>> from runstone.integrations.transformers import RunstoneCallback
        >>> callback = RunstoneCallback(experiment_name="spam", log_model="end")
        >>> arguments = TrainingArguments("out", report_to="none", use_cpu=True)

        ``Trainer(model, arguments, train_dataset=rows, callbacks=[callback]).train()``
    """

    def __init__(
        self,
        log_model: bool | Literal["checkpoint", "end"] | None = None,
        **where: Unpack[Where],
    ) -> None:
        said = os.environ.get(_settings.LOG_MODEL, "") if log_model is None else log_model
        if isinstance(said, str) and said.lower() in ("", "false", "no", "0", "off", *TRUE):
            said = said.lower() in TRUE
        if said not in (True, False, "checkpoint", "end"):
            raise invalid(
                "log_model", f"must be True, False, 'checkpoint' or 'end', not {said!r:.50}"
            )
        self._log_model = said
        self._choice = Choice.of(where)
        self._where = where
        self._report: Report | None = None
        self._training = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_report": None}

    @property
    def run_id(self) -> str | None:
        """The run of the last training; None before one, and on ranks that do not log."""
        return self._report.run_id if self._report is not None else None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the run that goes on with it."""
        # Transformers writes it as JSON, and a training must not fail of that.
        tags = {
            str(key): flatten.text(each) for key, each in (self._where.get("tags") or {}).items()
        }
        arguments = {"log_model": self._log_model, **self._where, "tags": tags}
        return {"args": arguments, "attributes": {"resumed_run_id": self.run_id}}

    resumed_run_id: str | None = None
    """The run that wrote the checkpoint that a training is taken up from."""

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        """Begin the run, and log what is trained with."""
        del control, kwargs
        if not state.is_world_process_zero:
            return
        if self._report is not None and self._training:
            self._report.end("FAILED")  # it raised
        self._training = True
        self._report = self._begin(args, state)
        self._log_params(self._report, args, state, model)

    def _begin(self, args: Any, state: Any) -> Report:
        name = state.trial_name if state.is_hyper_param_search else getattr(args, "run_name", None)
        if name == args.output_dir:  # what older releases make of no name
            name = None
        before = self._before(state)
        if before is not None and not (self._choice.run_id or self._choice.resume):
            found = Report.rejoin("transformers", before, self._choice)
            if found is not None:
                return found
        return Report.begin("transformers", self._choice, run_name=name)

    def _before(self, state: Any) -> str | None:
        """The run that wrote the checkpoint, when this training goes on from one."""
        if not state.global_step:
            return None
        kept = (state.stateful_callbacks or {}).get(type(self).__name__) or {}
        kept = kept[0] if isinstance(kept, list) else kept
        found = kept.get("attributes", {}).get("resumed_run_id") or self.resumed_run_id
        return found if isinstance(found, str) else None

    def _log_params(self, report: Report, args: Any, state: Any, model: Any) -> None:
        report.params(report.guarded("parameters", _params, args, state, model) or {})
        adapters = getattr(model, "peft_config", None)
        if adapters:
            report.params({"peft": adapters})

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Log what the trainer logs, of an ``evaluate`` without a training too."""
        del control, kwargs
        if not state.is_world_process_zero:
            return
        if self._report is None:
            self._report = Report.begin(
                "transformers",
                self._choice,
                endless=False,
                run_name=getattr(args, "run_name", None),
            )
        self._report.metrics(logs or {}, state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log the checkpoint that was saved, if that is wanted."""
        del control, kwargs
        if self._report is not None and self._log_model in (True, "checkpoint"):
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if state.trial_params is not None and not folder.is_dir():
                return  # in a folder of its trial, which is told to nobody
            self._report.artifact(folder)

    def on_train_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        """Log the model, if that is wanted, and end the run."""
        del args, state, control
        self._training = False
        if self._report is None:
            return
        if self._log_model in (True, "end") and model is not None:
            tokenizer = kwargs.get("processing_class")
            self._report.guarded("the model", _send_model, self._report, model, tokenizer)
        self._report.end()


def _params(args: Any, state: Any, model: Any) -> dict[str, Any]:
    config = getattr(model, "config", None)
    found: dict[str, Any] = {}
    if config is not None:
        found |= config.to_dict() if hasattr(config, "to_dict") else dict(config)
    found |= args.to_dict() if hasattr(args, "to_dict") else vars(args)
    return found | dict(state.trial_params or {})


def _send_model(report: Report, model: Any, tokenizer: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="runstone-model-") as folder:
        model.save_pretrained(folder)
        if hasattr(tokenizer, "save_pretrained"):
            tokenizer.save_pretrained(folder)
        report.artifacts(folder, "model")

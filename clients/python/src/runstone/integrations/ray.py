"""Ray Tune and Ray Train: a callback of the driver, and a run for code in workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, Unpack

from runstone._flavors.libraries import library
from runstone._fluent._runs import flush
from runstone._integrations import where as places
from runstone._integrations.report import END_SECONDS, Report, status_of_error
from runstone._integrations.where import Choice, Where

__all__ = ["RunstoneLoggerCallback", "Session", "setup_runstone"]

_tune = library("ray.tune", "ray[tune]")

_Base: Any = _tune.logger.LoggerCallback

_TRIAL = "runstone.ray"
"""Tag of a run: the trial or the training that it is of, by which a restarted worker finds it."""

_WORKERS = "runstone.ray.workers"
"""Tag of a run: the placement group of its workers, by which the others find the first one's."""

_NO_METRICS = frozenset({"config", "pid", "timestamp", "should_checkpoint"})
"""Of a result: what is no measurement."""


class RunstoneLoggerCallback(_Base):
    """A callback of Ray Tune's ``RunConfig``: each trial is a run, written by the driver.

    Logged are a trial's configuration as parameters, each number of its results by training
    iteration (by ``timesteps_total`` where there is one), and if that is wanted its checkpoints. A
    trial that fails and is tried again, or that ``Tuner.restore`` takes up, goes on in its run.

    Args:
        save_checkpoints: Log each checkpoint as files of the run, below its name.
        where: Of the runs; see ``runstone.integrations.Where``. Without ``experiment_name`` they go
            to the active experiment.

    Raises:
        InvalidField: an argument is wrong.

    Example:
        >>> from ray import tune
        >>> from runstone.integrations.ray import RunstoneLoggerCallback
        >>> callback = RunstoneLoggerCallback(experiment_name="grid")
        >>> config = tune.RunConfig(callbacks=[callback])

        ``tune.Tuner(train, param_space={"lr": tune.grid_search([0.1, 0.2])},
        run_config=config).fit()``
    """

    def __init__(self, *, save_checkpoints: bool = False, **where: Unpack[Where]) -> None:
        super().__init__()
        self._checkpoints = save_checkpoints
        self._choice = Choice.of(where)
        self._reports: dict[str, Report] = {}
        self._runs: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reports": {}}

    def get_state(self) -> dict[str, Any]:
        """What ``Tuner.restore`` needs: the trials' runs."""
        return {"runs": dict(self._runs)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the runs of an experiment that is restored."""
        self._runs = dict(state.get("runs", {}))

    def run_id(self, trial: Any) -> str | None:
        """The run of a trial, or of its id."""
        return self._runs.get(getattr(trial, "trial_id", trial))

    def setup(
        self, stop: Any = None, num_samples: Any = None, total_num_samples: Any = None, **info: Any
    ) -> None:
        """Make sure that there is a server before anything is trained."""
        del stop, num_samples, total_num_samples, info
        places.reach(self._choice)

    def log_trial_start(self, trial: Any) -> None:
        """Begin the trial's run, or go on with it."""
        self._of(trial)

    def _of(self, trial: Any) -> Report | None:
        name = trial.trial_id
        found = self._reports.get(name)
        if found is None:
            try:
                found = self._begin(trial)
            except Exception as error:
                places.say("ray", f"the run of trial {trial}", error)
                return None
            self._reports[name] = found
            self._runs[name] = found.run_id
            found.params(trial.config, "/")
        return found

    def _begin(self, trial: Any) -> Report:
        before = self._runs.get(trial.trial_id)
        found = (
            Report.rejoin("ray", before, self._choice, active=False, endless=False)
            if before
            else None
        )
        return found or Report.begin(
            "ray",
            self._choice.alone(),
            active=False,
            endless=False,
            run_name=str(trial),
            tags={"trial_name": str(trial), _TRIAL: trial.trial_id},
        )

    def log_trial_result(self, iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        """Log the numbers of a result."""
        del iteration
        report = self._of(trial)
        if report is not None:
            step = result.get("timesteps_total") or result.get("training_iteration", 0)
            report.metrics(report.guarded("metrics", _numbers, result) or {}, step)

    def log_trial_save(self, trial: Any) -> None:
        """Log a checkpoint, if that is wanted."""
        report = self._of(trial) if self._checkpoints else None
        if report is not None and trial.checkpoint is not None:
            report.guarded("checkpoints", _send, report, trial.checkpoint)

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """End the trial's run."""
        report = self._of(trial)
        if report is not None:
            report.end("FAILED" if failed else "FINISHED")
            self._reports.pop(trial.trial_id, None)

    def on_experiment_end(self, trials: Any, **info: Any) -> None:
        """End what was left, as trials of a tuning that was stopped by Ctrl-C."""
        del trials, info
        for report in list(self._reports.values()):
            report.end("KILLED")
        self._reports.clear()


def _numbers(result: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in result.items():
        if not above and key in _NO_METRICS:
            continue
        name = f"{above}/{key}" if above else str(key)
        if isinstance(value, Mapping):
            found |= _numbers(value, name)
        elif isinstance(value, int | float) or getattr(value, "shape", None) == ():
            found[name] = value
    return found


def _send(report: Report, checkpoint: Any) -> None:
    with checkpoint.as_directory() as folder:
        report.artifacts(folder, f"checkpoints/{Path(checkpoint.path).name}")


class Session:
    """``runstone`` with a run: what ``setup_runstone`` gives. On ranks that do not log, nothing.

    Its attributes are those of the module ``runstone``; at the end of its ``with`` block the run
    ends, FINISHED, or FAILED by what the block raises.
    """

    def __init__(self, report: Report | None) -> None:
        self._report = report

    @property
    def run_id(self) -> str | None:
        """The run; None on ranks that do not log."""
        return self._report.run_id if self._report is not None else None

    def __getattr__(self, name: str) -> Any:
        found = getattr(sys.modules["runstone"], name)
        return found if self._report is not None or not callable(found) else _nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._report is not None:
            self._report.end("FINISHED" if error is None else status_of_error())
            if not self._report.own:
                # Ray ends a worker without a word, and with the machine's last one its sender.
                self._report.guarded("the last points", flush, END_SECONDS)


def setup_runstone(
    config: Mapping[str, Any] | None = None,
    *,
    rank_zero_only: bool = True,
    **where: Unpack[Where],
) -> Session:
    """Begin a run in a function that Ray Tune or Ray Train calls; the active one, until its end.

    In a training of several workers the first one logs. A worker that Ray starts again goes on with
    the run, unless ``where`` says which one.

    Args:
        config: Logged as parameters.
        rank_zero_only: Else every worker logs to the one run, its metrics with its rank.
        where: Which run; see ``runstone.integrations.Where``. Where the cluster has several
            machines, ``tracking_uri`` or RUNSTONE_TRACKING_URI must name a server that all reach.

    Returns:
        What to log with; use it with ``with``, which ends the run. Without, it ends with the
        worker.

    Raises:
        Unavailable, RunNotFound: there is no run to log to.

    Example:
        >>> from runstone.integrations.ray import setup_runstone
        >>> def train(config):
        ...     with setup_runstone(config) as runstone:
        ...         for step in range(3):
        ...             runstone.log_metric("loss", config["lr"] / (step + 1), step=step)
        >>> train({"lr": 0.1})

        ``tune.Tuner(train, param_space={"lr": tune.grid_search([0.1, 0.2])}).fit()``
    """
    choice = Choice.of(where)
    name, trial, workers, rank, size, one_of_many = _place()
    if rank != 0 and rank_zero_only:
        return Session(None)
    if size > 1 and not rank_zero_only:
        # By these the points have their rank.
        os.environ.setdefault("RANK", str(rank))
        os.environ.setdefault("WORLD_SIZE", str(size))
    report: Report | None = None
    said = choice.run_id or choice.resume
    if rank != 0:
        run_id = choice.run_id or _awaited(choice, trial, workers)
        return Session(Report.join("ray", run_id, choice, own=False, active=True))
    marks = {_TRIAL: trial, _WORKERS: workers} if not said else {}
    marks = {key: each for key, each in marks.items() if each}
    if trial and not said:
        before = places.tagged(_TRIAL, trial, choice)
        report = Report.rejoin("ray", before, choice, endless=False) if before else None
        if report is not None:
            report.tags(marks)
    if report is None:
        if one_of_many and not said:
            choice = choice.alone(choice.run_name)
        report = Report.begin("ray", choice, endless=False, run_name=name or None, tags=marks)
    if config:
        report.params(config, "/")
    return Session(report)


def _awaited(choice: Choice, trial: str, workers: str) -> str:
    """The run that the first worker begins, which may have ended it before this one came here."""
    if choice.resume:
        return places.awaited(choice)
    if workers:
        return places.awaited(choice, _WORKERS, workers)
    return places.awaited(choice, _TRIAL, trial, finished=False)


class _Place(NamedTuple):
    """Name and mark of the trial or training that this is in, mark of its workers, rank, size."""

    name: str
    mark: str
    workers: str
    rank: int
    size: int
    one_of_many: bool


def _place() -> _Place:
    from ray.tune.trainable.trainable_fn_utils import _in_tune_session

    if _in_tune_session():
        trial = _tune.get_context()
        return _Place(trial.get_trial_name() or "", trial.get_trial_id() or "", "", 0, 1, True)
    try:
        training = library("ray.train", "ray[train]").get_context()
        name = training.get_experiment_name() or ""
        rank, size = training.get_world_rank() or 0, training.get_world_size() or 1
        workers = library("ray", "ray").get_runtime_context().get_placement_group_id() or ""
    except Exception:  # outside of Ray
        return _Place("", "", "", 0, 1, False)
    # The mark is looked for by a filter, where ' ends a text.
    return _Place(name, name.replace("'", "%27"), workers if size > 1 else "", rank, size, False)


def _nothing(*args: Any, **kwargs: Any) -> None:
    del args, kwargs

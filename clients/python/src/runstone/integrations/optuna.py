"""Optuna: a callback of ``study.optimize``, a run for each trial."""

from __future__ import annotations

import atexit
import contextvars
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Unpack

from runstone._flavors.libraries import library
from runstone._fluent._runs import EXIT_SECONDS
from runstone._integrations.report import LATER, Report, status_of_error
from runstone._integrations.where import Choice, Where, around, say
from runstone._values import invalid
from runstone.exceptions import NotFound

__all__ = ["RunstoneCallback"]

_optuna = library("optuna")

RUN_ID = "runstone.run_id"
"""User attribute of a trial: its run, for whoever looks at the study."""

_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
"""A trial's state to its run's status; others are FAILED."""


class RunstoneCallback:
    """A callback of Optuna: ``study.optimize(objective, callbacks=[callback])``.

    Each trial is a run, called by its number: FINISHED, KILLED when it was pruned, FAILED when it
    raised. Logged are its parameters, the values of the objective, what was reported on the way as
    ``intermediate_value`` by step, and as tags its state, times, distributions and user attributes.

    With ``@callback.track_in_runstone()`` over the objective the run is there, and active, while it
    is
    computed: what it logs by ``runstone.log_metric`` or by the hook of a framework is the trial's,
    and a trial that raises is FAILED though Optuna calls no callback for it. Trials may run in
    parallel.

    Args:
        metric_name: The objective's name, or a list of names of several objectives; one name for
            several gets their numbers: ``value_0``, ``value_1``.
        create_experiment: Log to the experiment that is called like the study, made when missing;
            else to ``experiment_name`` or the active one.
        tag_study_user_attrs, tag_trial_user_attrs: Log their user attributes as tags.
        where: Of the runs; see ``runstone.integrations.Where``. They are children of the run that
            is active when the callback is made, or when the study begins.

    Raises:
        InvalidField: an argument is wrong.

    Example:
        >>> import optuna
        >>> from runstone.integrations.optuna import RunstoneCallback
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> callback = RunstoneCallback(metric_name="distance")
        >>> @callback.track_in_runstone()
        ... def objective(trial):
        ...     x = trial.suggest_float("x", -1, 1)
        ...     runstone.log_metric("half", x / 2)
        ...     return x**2
        >>> import runstone
        >>> study = optuna.create_study(study_name="square")
        >>> study.optimize(objective, n_trials=3, callbacks=[callback])
        >>> experiment = runstone.get_experiment_by_name("square")
        >>> len(runstone.search_runs([experiment.experiment_id], output_format="list"))
        3
    """

    def __init__(
        self,
        metric_name: str | Sequence[str] = "value",
        *,
        create_experiment: bool = True,
        tag_study_user_attrs: bool = False,
        tag_trial_user_attrs: bool = True,
        **where: Unpack[Where],
    ) -> None:
        if not isinstance(metric_name, str) and not (
            isinstance(metric_name, Sequence) and all(isinstance(each, str) for each in metric_name)
        ):
            raise invalid(
                "metric_name", f"must be text or a list of texts, not {metric_name!r:.50}"
            )
        if where.get("run_id") or where.get("resume"):
            raise invalid("run_id", "cannot be said: each trial has a run of its own")
        self._names = metric_name
        self._create = create_experiment
        self._study_attrs = tag_study_user_attrs
        self._trial_attrs = tag_trial_user_attrs
        choice = Choice.of(where)
        self._choice = choice.alone(choice.run_name)
        # Threads of `n_jobs` have no active run.
        self._parent = around()
        self._lock = threading.Lock()
        self._reports: dict[tuple[str, int], Report] = {}
        self._over: deque[tuple[Any, Any]] = deque()
        self._begun = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_reports": {}, "_over": deque()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __call__(self, study: Any, trial: Any) -> None:
        """Log a trial that is over, and those before it that found no server."""
        with self._lock:
            self._over.append((study, trial))
            self._log_all()

    def _log_all(self, wait: bool | float = True) -> None:
        while self._over:
            study, trial = self._over[0]
            try:
                self._log(study, trial, wait)
            except LATER as error:
                say("optuna", f"the run of trial {trial.number}", f"{error}; it is kept")
                _unfinished[self._log_at_exit] = os.getpid()
                return
            except Exception as error:
                say("optuna", f"the run of trial {trial.number}", error)
            self._over.popleft()
        _unfinished.pop(self._log_at_exit, None)

    def _log_at_exit(self) -> None:
        with self._lock:
            self._log_all(EXIT_SECONDS / 2)
            if self._over:
                numbers = ", ".join(str(trial.number) for _, trial in self._over)
                say("optuna", f"runs of trials {numbers}", "the program ends, and they are lost")

    def _log(self, study: Any, trial: Any, wait: bool | float) -> None:
        report = self._reports.pop((study.study_name, trial.number), None)
        if report is None:
            report = self._of_trial(study, trial)
        report.params(trial.params)
        for step, value in trial.intermediate_values.items():
            report.metrics({"intermediate_value": value}, step)
        report.metrics(report.guarded("values", self._values, trial) or {})
        report.tags(report.guarded("tags", self._tags, study, trial) or {})
        report.end(_STATUS.get(trial.state.name, "FAILED"), wait)

    def track_in_runstone(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator of objectives: the trial's run is active while they are computed."""

        def decorated(objective: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(objective)
            def tracked(trial: Any, *args: Any, **kwargs: Any) -> Any:
                # The run is active in there alone, so that trials may run beside each other.
                inside = contextvars.copy_context()
                try:
                    report = inside.run(self._begin, trial.study, trial, active=True)
                except LATER as error:
                    if not self._begun:
                        raise  # nothing has been computed yet
                    say("optuna", f"the run of trial {trial.number}", error)
                    return objective(trial, *args, **kwargs)
                report.guarded("the run's id", trial.set_user_attr, RUN_ID, report.run_id)
                with self._lock:
                    self._reports[trial.study.study_name, trial.number] = report
                try:
                    return inside.run(objective, trial, *args, **kwargs)
                except _optuna.TrialPruned:
                    raise
                except BaseException:
                    report.end(status_of_error())
                    raise

            return tracked

        return decorated

    def _of_trial(self, study: Any, trial: Any) -> Report:
        """The report of a trial that was not tracked here: in another process, or not at all."""
        run_id = trial.user_attrs.get(RUN_ID)
        if run_id is not None:
            with suppress(NotFound):
                return Report.join("optuna", run_id, self._choice, own=True)
        return self._begin(study, trial, active=False)

    def _begin(self, study: Any, trial: Any, *, active: bool) -> Report:
        report = Report.begin(
            "optuna",
            self._choice.within(study.study_name if self._create else None),
            active=active,
            endless=False,
            run_name=str(trial.number),
            parent_run_id=self._parent or around(),
        )
        self._begun = True
        return report

    def _values(self, trial: Any) -> dict[str, Any]:
        values = trial.values
        if values is None or trial.state.name == "PRUNED":
            return {}
        names = self._names
        if isinstance(names, str):
            names = [names] if len(values) == 1 else [f"{names}_{i}" for i in range(len(values))]
        if len(names) != len(values):
            raise ValueError(f"metric_name has {len(names)} names for {len(values)} objectives")
        return dict(zip(names, values, strict=True))

    def _tags(self, study: Any, trial: Any) -> dict[str, Any]:
        directions = [each.name for each in study.directions]
        found: dict[str, Any] = {
            "number": trial.number,
            "state": trial.state.name,
            "datetime_start": trial.datetime_start,
            "datetime_complete": trial.datetime_complete,
            "direction": directions[0] if len(directions) == 1 else directions,
        }
        found |= {f"{name}_distribution": str(each) for name, each in trial.distributions.items()}
        if self._trial_attrs:
            found |= {key: value for key, value in trial.user_attrs.items() if key != RUN_ID}
        if self._study_attrs:
            found |= study.user_attrs
        return found


_unfinished: dict[Callable[[], None], int] = {}
"""Last attempts of callbacks that keep trials for a server, and their processes.

By these they live until the program ends, though the function that made them has returned.
"""


@atexit.register
def _end_left_over() -> None:
    """Log what no later trial did. Runs before what ends runs and delivers their points."""
    from runstone._embedded import no_longer_than

    for attempt, pid in tuple(_unfinished.items()):
        if pid == os.getpid():
            with no_longer_than(EXIT_SECONDS):
                attempt()
    _unfinished.clear()

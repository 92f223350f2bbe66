"""Hydra: a callback, a run for each job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Unpack

from runstone import _settings
from runstone._flavors.libraries import library
from runstone._integrations.report import Report
from runstone._integrations.where import Choice, Where

__all__ = ["RunstoneCallback"]

_Base: Any = library("hydra.experimental.callback", "hydra-core").Callback

_FOLDER = "hydra"
"""Of a run's files: the configuration as Hydra composed it, and the job's log."""


class RunstoneCallback(_Base):
    """A callback of Hydra: each job is a run, and the jobs of a multirun are children of one.

    The configuration becomes parameters (``optimizer.lr``), and with the overrides, Hydra's own
    configuration and the job's log files of the run, below ``hydra``. In the job
    ``runstone.log_metric`` and the hooks of frameworks log to the run, whether the job calls
    ``runstone.start_run()`` or not: its id is in RUNSTONE_RUN_ID, for processes that the job starts
    too. A job that raises is FAILED.

    In the configuration::

        hydra:
          callbacks:
            runstone:
              _target_: runstone.integrations.hydra.RunstoneCallback
              experiment_name: digits

    Args:
        log_files: Log the files of the job's output folder that end so when it is over.
        where: Which run; see ``runstone.integrations.Where``. Of a multirun they are about its run,
            and tags and experiment about its jobs' too. Hydra makes a warning of what is wrong.

    Example:
        >>> from runstone.integrations.hydra import RunstoneCallback
        >>> callback = RunstoneCallback(experiment_name="digits", log_files=[".log", ".csv"])
    """

    def __init__(self, *, log_files: Any = (".log",), **where: Unpack[Where]) -> None:
        # Hydra hands over a dict of its own.
        tags = where.get("tags")
        self._choice = Choice.of({**where, "tags": dict(tags) if tags is not None else None})
        self._endings = tuple(log_files)
        self._parent: str | None = None
        self._sweep: Report | None = None
        self._job: Report | None = None

    def __getstate__(self) -> dict[str, Any]:
        # To a launcher's process, where the jobs are.
        return {**self.__dict__, "_sweep": None, "_job": None}

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        """Begin the run whose children the jobs are."""
        del kwargs
        self._sweep = Report.begin(
            "hydra",
            self._choice,
            active=False,
            run_name=_name(config),
            tags={"hydra.mode": "MULTIRUN"},
        )
        self._parent = self._sweep.run_id
        self._sweep.params(_overridden(config))

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        """End it."""
        del kwargs
        if self._sweep is not None:
            folder = Path(str(config.hydra.sweep.dir)) / "multirun.yaml"
            if folder.is_file():
                self._sweep.artifact(folder, _FOLDER)
            self._sweep.end()

    def on_job_start(self, config: Any, **kwargs: Any) -> None:
        """Begin a job's run, and log its configuration."""
        del kwargs
        choice = self._choice if self._parent is None else self._choice.alone()
        name = _name(config) if self._parent is None else _name_of_job(config)
        self._job = Report.begin(
            "hydra", choice, active=False, run_name=name, parent_run_id=self._parent
        )
        if self._job.own:
            # For `start_run` in the job, which resumes it, and for programs that it starts.
            os.environ[_settings.RUN_ID] = self._job.run_id
        overrides = [str(each) for each in config.hydra.overrides.task]
        self._job.tags({"hydra.overrides": ",".join(overrides)} if overrides else {})
        self._job.params(self._job.guarded("parameters", _own, config) or {})
        composed = _output(config) / str(config.hydra.output_subdir)
        if config.hydra.output_subdir is not None and composed.is_dir():
            self._job.artifacts(composed, _FOLDER)

    def on_job_end(self, config: Any, job_return: Any, **kwargs: Any) -> None:
        """Log the job's log files, and end its run."""
        del kwargs
        report, self._job = self._job, None
        if report is None:
            return
        if os.environ.get(_settings.RUN_ID) == report.run_id:
            del os.environ[_settings.RUN_ID]
        report.guarded("log files", self._send_logs, report, _output(config))
        error = getattr(job_return, "_return_value", None)
        failed = getattr(job_return.status, "name", "") == "FAILED"
        if failed and isinstance(error, BaseException):
            report.tags({"hydra.error": f"{type(error).__name__}: {error}"})
        report.end("FAILED" if failed else "FINISHED")

    def _send_logs(self, report: Report, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name.endswith(self._endings):
                report.artifact(path, _FOLDER)


def _name(config: Any) -> str | None:
    return str(config.hydra.job.name) if config.hydra.job.get("name") else None


def _name_of_job(config: Any) -> str:
    return f"{_name(config) or 'job'} {config.hydra.job.num}"


def _output(config: Any) -> Path:
    return Path(str(config.hydra.runtime.output_dir))


def _own(config: Any) -> dict[str, Any]:
    """The task's part of a configuration, with interpolations resolved where they can be."""
    from omegaconf import OmegaConf

    found: dict[str, Any] = {}
    for key in config:
        if key != "hydra":
            try:
                found[key] = config[key]
            except Exception:  # a value that is missing, or an interpolation that leads nowhere
                found[key] = OmegaConf.to_container(config, resolve=False)[key]
    return found


def _overridden(config: Any) -> dict[str, str]:
    """What was swept over, by key: "lr" -> "0.1,0.2"."""
    found: dict[str, str] = {}
    for each in config.hydra.overrides.task:
        key, _, value = str(each).lstrip("+~").partition("=")
        found[key] = value
    return found

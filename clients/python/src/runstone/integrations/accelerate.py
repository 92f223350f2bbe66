"""Hugging Face Accelerate: a tracker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Unpack

from runstone._flavors.libraries import library
from runstone._integrations.report import Report
from runstone._integrations.where import Choice, Where

__all__ = ["RunstoneTracker"]

_Base: Any = library("accelerate.tracking", "accelerate").GeneralTracker


class RunstoneTracker(_Base):
    """A tracker for ``Accelerator(log_with=…)``.

    ``init_trackers`` begins the run and makes it the active one, its ``config`` becomes parameters;
    ``accelerator.log`` logs metrics, and ``end_training`` ends the run. Where that is not called,
    it ends with the program: FINISHED, FAILED after an error, KILLED by Ctrl-C.

    Accelerate calls its trackers in the main process alone.

    Args:
        where: Which run; see ``runstone.integrations.Where``. The project's name that
            ``init_trackers`` takes is not told to a tracker: say ``experiment_name`` here.

    Example:
        >>> from accelerate import Accelerator
        >>> from runstone.integrations.accelerate import RunstoneTracker
        >>> accelerator = Accelerator(log_with=[RunstoneTracker(run_name="first")], cpu=True)
        >>> accelerator.init_trackers("digits", config={"lr": 0.1})
        >>> accelerator.log({"loss": 0.5}, step=1)
        >>> accelerator.get_tracker("runstone").tracker.info.run_name
        'first'
        >>> accelerator.end_training()
    """

    name = "runstone"
    requires_logging_directory = False

    def __init__(self, **where: Unpack[Where]) -> None:
        super().__init__()
        self._choice = Choice.of(where)
        self._report: Report | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_report": None}

    @property
    def tracker(self) -> Any:
        """The run; None before it is begun, and in processes that do not log."""
        return self._report.run if self._report is not None else None

    @property
    def run_id(self) -> str | None:
        """The run's id; None before it is begun, and in processes that do not log."""
        return self._report.run_id if self._report is not None else None

    def start(self) -> None:
        """Begin the run, in the main process."""
        if library("accelerate.state", "accelerate").PartialState().is_main_process:
            if self._report is not None and not self._report.ended:
                self._report.end("FAILED")  # a cell of a notebook that raised, and is run again
            self._report = Report.begin("accelerate", self._choice, endless=False)

    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Log a configuration as parameters."""
        if self._report is not None:
            self._report.params(values)

    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log numbers at a step; texts become tags."""
        del kwargs
        if self._report is None:
            return
        texts = {key: value for key, value in values.items() if isinstance(value, str)}
        self._report.tags(texts)
        self._report.metrics({k: v for k, v in values.items() if k not in texts}, step)

    def log_images(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log images, one or a list of them under each key, as arrays or of PIL."""
        del kwargs
        report = self._report
        if report is None:
            return
        for key, found in values.items():
            for image in found if isinstance(found, list | tuple) else [found]:
                call = report.client.log_image
                report.guarded(
                    "images", call, report.run_id, image, key=key, step=0 if step is None else step
                )

    def log_figure(self, figure: Any, artifact_file: str, **save_kwargs: Any) -> None:
        """Log a figure of matplotlib or plotly."""
        report = self._report
        if report is not None:
            call = report.client.log_figure
            report.guarded(
                "figures", call, report.run_id, figure, artifact_file, save_kwargs=save_kwargs
            )

    def log_artifact(
        self, local_path: str | os.PathLike[str], artifact_path: str | None = None
    ) -> None:
        """Log a file, or a folder under its own name."""
        if self._report is not None:
            self._report.artifact(local_path, artifact_path)

    def log_artifacts(
        self, local_dir: str | os.PathLike[str], artifact_path: str | None = None
    ) -> None:
        """Log what stands in a folder."""
        if self._report is not None:
            self._report.artifacts(local_dir, artifact_path)

    def finish(self) -> None:
        """End the run."""
        if self._report is not None:
            self._report.end()

"""PyTorch Lightning: a logger."""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import yaml

from runstone._flavors.libraries import library
from runstone._integrations import where
from runstone._integrations.report import Report, status_of_error
from runstone._integrations.where import Choice, Rest
from runstone._values import invalid

if TYPE_CHECKING:
    from runstone._client import Client

__all__ = ["RunstoneLogger"]

_NAMES = ("lightning.pytorch", "pytorch_lightning")
"""Lightning has two, with classes of their own; the one that is in use is taken."""

_package = next((name for name in _NAMES if name in sys.modules), None)
if _package is None:
    try:
        library("lightning.pytorch", "lightning")
        _package = _NAMES[0]
    except Exception:
        library("pytorch_lightning", "lightning")
        _package = _NAMES[1]
_Base: Any = library(f"{_package}.loggers.logger", "lightning").Logger
_rank_zero = library(f"{_package}.utilities.rank_zero", "lightning").rank_zero_only
_scan = library(f"{_package}.loggers.utilities", "lightning")._scan_checkpoints  # noqa: SLF001

_SHARED = "runstone.logger"
"""Tag by which the processes of one training find the run that one of them began."""

_STATUS = {"success": "FINISHED", "finished": "FINISHED"}

_OF_CHECKPOINTS = (
    *("monitor", "mode", "save_last", "save_top_k", "save_weights_only"),
    *("_every_n_train_steps", "_every_n_val_epochs"),
)
"""What is told of the callback that saved a checkpoint; MLFlowLogger tells the same."""


class RunstoneLogger(_Base):
    """A logger of Lightning whose runs are Runstone's.

    Hyperparameters become parameters (``model/layers``), what the module logs metrics by step, and
    with ``log_model`` checkpoints files of the run: ``<name>/<name>.ckpt`` beside ``metadata.yaml``
    and ``aliases.txt``, as ``MLFlowLogger`` lays them out. In the module ``self.logger.experiment``
    is a ``runstone.Client`` and ``self.logger.run_id`` the run. The run is not the active one. It
    ends with each ``fit`` or ``test``; what is logged after that is kept all the same.

    Of several processes the first one logs, whatever starts them.

    Args:
        log_model: True: log checkpoints at the end, those that are left then; "all", or True where
            all are kept (``save_top_k=-1``): log each when it is saved.
        checkpoints_as: "artifacts" of the run, or "models": logged models, with their step.
        prefix: Put before the keys of metrics, with a dash.
        save_dir: Where Lightning puts checkpoints; its ``default_root_dir`` when absent.
        every_rank: Have each process log its metrics, with its rank. All must know the run: by
            ``run_id`` or ``resume``.
        where: Which run; see ``runstone.integrations.Where``.

    Raises:
        InvalidField: an argument is wrong.

    Example:
        >>> import lightning
        >>> from runstone.integrations.lightning import RunstoneLogger
        >>> logger = RunstoneLogger(experiment_name="digits", run_name="first")
        >>> trainer = lightning.Trainer(logger=logger, max_epochs=1, enable_checkpointing=False)
        >>> logger.log_hyperparams({"model": {"layers": [4, 2]}})
        >>> logger.experiment.get_run(logger.run_id).data.params
        {'model/layers': '[4, 2]'}
        >>> logger.finalize("success")
    """

    LOGGER_JOIN_CHAR = "-"

    def __init__(
        self,
        experiment_name: str | None = None,
        run_name: str | None = None,
        *,
        log_model: bool | Literal["all"] = False,
        checkpoints_as: Literal["artifacts", "models"] = "artifacts",
        prefix: str = "",
        save_dir: str | os.PathLike[str] | None = None,
        every_rank: bool = False,
        **where: Unpack[Rest],
    ) -> None:
        super().__init__()
        if log_model not in (True, False, "all"):
            raise invalid("log_model", f"must be True, False or 'all', not {log_model!r:.50}")
        if checkpoints_as not in ("artifacts", "models"):
            raise invalid(
                "checkpoints_as", f"must be 'artifacts' or 'models', not {checkpoints_as!r:.50}"
            )
        self._choice = Choice.of(where, experiment_name=experiment_name, run_name=run_name)
        if every_rank and not (self._choice.run_id or self._choice.resume):
            raise invalid("every_rank", "needs run_id or resume, by which all find one run")
        self._log_model = log_model
        self._checkpoints_as = checkpoints_as
        self._prefix = prefix
        self._save_dir = os.fspath(save_dir) if save_dir is not None else None
        self._every_rank = every_rank
        self._token = uuid.uuid4().hex
        self._shared = False
        self._report: Report | None = None
        self._last: Any = None
        self._sent: dict[str, float] = {}

    def __getstate__(self) -> dict[str, Any]:
        # To a process of `ddp_spawn`, which may be the one that begins the run, or goes on with it.
        self._shared = True
        return {**self.__dict__, "_report": None}

    @property
    def experiment(self) -> Client | Any:
        """The client that the run is logged with; on ranks that do not log, a dummy."""
        report = self._begun()
        return report.client if report is not None else _Dummy()

    @property
    def run_id(self) -> str | None:
        """The run, begun now if need be; None on ranks that do not log."""
        report = self._begun()
        return report.run_id if report is not None else None

    @property
    def experiment_id(self) -> str | None:
        """The run's experiment; None on ranks that do not log."""
        report = self._begun()
        return report.experiment_id if report is not None else None

    @property
    def name(self) -> str | None:
        """The experiment's id; a folder of Lightning's checkpoints is called so."""
        return self.experiment_id

    @property
    def version(self) -> str | None:
        """The run's id; the folder below is called so."""
        return self.run_id

    @property
    def save_dir(self) -> str | None:
        """Where Lightning puts checkpoints; None: its ``default_root_dir``."""
        return self._save_dir

    def _begun(self) -> Report | None:
        first = getattr(_rank_zero, "rank", 0) == 0
        if self._report is None and (first or self._every_rank):
            self._report = self._begin() if first else self._join()
        return self._report

    def _begin(self) -> Report:
        choice = self._choice
        if self._shared and choice.run_id is None and choice.resume is None:
            found = where.tagged(_SHARED, self._token, choice)
            if found is not None:
                return Report.join("lightning", found, choice, own=True)
        return Report.begin(
            "lightning", choice, active=False, endless=False, tags={_SHARED: self._token}
        )

    def _join(self) -> Report:
        run_id = self._choice.run_id or where.awaited(self._choice)
        return Report.join("lightning", run_id, self._choice, own=False)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Log a dict, namespace, dataclass or configuration as parameters."""
        del args, kwargs
        if getattr(_rank_zero, "rank", 0) == 0 and (report := self._begun()) is not None:
            report.params(params, "/")

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers at a step."""
        report = self._begun()
        if report is not None:
            prefix = f"{self._prefix}{self.LOGGER_JOIN_CHAR}" if self._prefix else ""
            report.metrics({f"{prefix}{key}": value for key, value in metrics.items()}, step)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Log checkpoints, as ``log_model`` says."""
        if getattr(_rank_zero, "rank", 0) != 0:
            return
        every = getattr(checkpoint_callback, "save_top_k", None) == -1
        if self._log_model == "all" or (self._log_model and every):
            self._send_checkpoints(checkpoint_callback)
        elif self._log_model:
            self._last = checkpoint_callback

    def _send_checkpoints(self, callback: Any) -> None:
        report = self._begun()
        found = report.guarded("checkpoints", _scan, callback, self._sent) if report else None
        for when, path, score, _ in found or ():
            if report is not None:
                report.guarded("checkpoints", self._send, report, callback, path, score)
            self._sent[path] = when

    def _send(self, report: Report, callback: Any, path: str, score: Any) -> None:
        local = Path(path)
        if self._checkpoints_as == "models":
            report.model(local, local.stem, _step_of(local))
            return
        best = path == getattr(callback, "best_model_path", None)
        about = {
            "score": score.item() if hasattr(score, "item") else score,
            "original_filename": local.name,
            "Checkpoint": {
                key: getattr(callback, key) for key in _OF_CHECKPOINTS if hasattr(callback, key)
            },
        }
        report.artifact(local, local.stem)
        report.text(yaml.safe_dump(about), f"{local.stem}/metadata.yaml")
        aliases = ["latest", "best"] if best else ["latest"]
        report.text(str(aliases), f"{local.stem}/aliases.txt")

    def finalize(self, status: str = "success") -> None:
        """End the run: FINISHED, FAILED after an error, KILLED by Ctrl-C."""
        if getattr(_rank_zero, "rank", 0) != 0 or (self._report is None and not self._shared):
            return
        report = self._begun()
        if report is not None:
            if self._last is not None:
                self._send_checkpoints(self._last)
            report.end(_STATUS.get(status) or status_of_error())


class _Dummy:
    """Takes every call and does nothing: what a rank has that does not log."""

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*args: Any, **kwargs: Any) -> None:
    del args, kwargs


def _step_of(path: Path) -> int:
    """The step in a checkpoint's name, as Lightning writes it; 0 without one."""
    found = re.search(r"step=(\d+)", path.stem)
    return int(found[1]) if found else 0

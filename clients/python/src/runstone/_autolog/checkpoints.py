"""Checkpoints in the midst of a training: files of its run, and the way back from them.

Their names are MLflow's, so that what one left is found by the other.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runstone._autolog import guard
from runstone._autolog.training import Training
from runstone._fluent import _state
from runstone._fluent._runs import active_run
from runstone._values import invalid
from runstone.exceptions import ArtifactNotFound

FOLDER = "checkpoints"

LATEST = "mlflow.latest_checkpoint_artifact"
"""Tag of a run: the path of the checkpoint that was left last."""

WEIGHTS = ".weights"
"""In the name of a checkpoint that holds weights alone."""

MONITOR = "val_loss"


@dataclass(frozen=True, slots=True)
class Wish:
    """Which checkpoints are left.

    Attributes:
        monitor: The metric that says which is best.
        mode: "min" or "max", whichever of it is better.
        best_only: Leave one that is better than all before, in place of the last.
        weights_only: Leave weights without the rest of the training's state.
        every: "epoch", or so many steps.
    """

    monitor: str = MONITOR
    mode: str = "min"
    best_only: bool = True
    weights_only: bool = False
    every: str | int = "epoch"


def wished(
    monitor: str,
    mode: str,
    best_only: bool,
    weights_only: bool,
    every: str | int,
) -> Wish:
    """What the arguments of an ``autolog`` say.

    Raises:
        InvalidField: one is none of those that it may be.
    """
    if not isinstance(monitor, str) or not monitor:
        raise invalid("checkpoint_monitor", f"must be the name of a metric, not {monitor!r:.50}")
    if mode not in {"min", "max"}:
        raise invalid("checkpoint_mode", f'must be "min" or "max", not {mode!r:.50}')
    for name, value in (("best_only", best_only), ("weights_only", weights_only)):
        if not isinstance(value, bool):
            raise invalid(f"checkpoint_save_{name}", f"must be True or False, not {value!r:.50}")
    if every != "epoch" and (type(every) is not int or every < 1):
        raise invalid("checkpoint_save_freq", f'must be "epoch", or 1 or more, not {every!r:.50}')
    return Wish(monitor, mode, best_only, weights_only, every)


class Checkpoints:
    """Those of one training.

    Args:
        endings: Of a file with all, and of one with weights alone.
    """

    def __init__(self, training: Training, wish: Wish, endings: tuple[str, str]) -> None:
        self._training = training
        self.wish = wish
        self._ending = endings[wish.weights_only]
        self._best: float | None = None

    def leave(
        self, epoch: int, step: int, metrics: Mapping[str, float], write: Callable[[Path], None]
    ) -> None:
        """Leave one if it is wanted, guarded; ``write`` puts it into a file."""
        self._training.guarded("a checkpoint", self._leave, epoch, step, metrics, write)

    def _leave(
        self, epoch: int, step: int, metrics: Mapping[str, float], write: Callable[[Path], None]
    ) -> None:
        best = metrics.get(self.wish.monitor)
        if self.wish.best_only and not self._is_better(best):
            return
        folder, prefix = FOLDER, "latest_"
        if not self.wish.best_only:
            at = f"epoch_{epoch}" if self.wish.every == "epoch" else f"global_step_{step}"
            folder, prefix = f"{FOLDER}/{at}", ""
        name = f"{prefix}checkpoint{WEIGHTS if self.wish.weights_only else ''}{self._ending}"
        facts = {**metrics, "epoch": epoch, "global_step": step}
        client, run_id = self._training.client, self._training.run_id
        with tempfile.TemporaryDirectory(prefix="runstone-autolog-") as place:
            write(Path(place) / name)
            told = Path(place) / f"{prefix}checkpoint_metrics.json"
            told.write_text(json.dumps(facts, indent=2), "utf-8")
            client.log_artifacts(run_id, place, folder)
        # Not before it is there: who follows the tag finds a whole one.
        client.set_tag(run_id, LATEST, f"{folder}/{name}")
        self._best = best

    def _is_better(self, value: float | None) -> bool:
        if value is None:
            if self.wish.monitor != MONITOR:  # a wish of the user, who may have mistyped it
                guard.say(
                    self._training.library,
                    "a checkpoint",
                    KeyError(f"there is no metric {self.wish.monitor!r}"),
                )
            return False
        if self._best is None:
            return True
        return value < self._best if self.wish.mode == "min" else value > self._best


def fetched(
    run_id: str | None, epoch: int | None, global_step: int | None, folder: str
) -> tuple[Path, str]:
    """A checkpoint of a run, in a folder of this machine, and how it is named to people.

    Raises:
        InvalidField: no run is named, and none is active; or both epoch and step are.
        RunNotFound: there is no such run.
        ArtifactNotFound: it has no such checkpoint.
    """
    if epoch is not None and global_step is not None:
        raise invalid("epoch", "cannot stand beside global_step; give one of them")
    client = _state.client()
    if run_id is None:
        run = active_run()
        if run is None:
            raise invalid("run_id", "must be given, for no run is active")
        run_id = run.info.run_id
    path = client.get_run(run_id).data.tags.get(LATEST)
    if path is None:
        raise ArtifactNotFound(f"run {run_id} has no checkpoint")
    name = path.rpartition("/")[2]
    if global_step is not None:
        path = f"{FOLDER}/global_step_{global_step}/{name}"
    elif epoch is not None:
        path = f"{FOLDER}/epoch_{epoch}/{name}"
    return Path(client.download_artifacts(run_id, path, folder)), f"runs:/{run_id}/{path}"

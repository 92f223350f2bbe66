"""What PyTorch Lightning logs by itself is what it logs with MLflow.

Runs in the environment ``frameworks-deep`` alone: ``make test-frameworks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

import runstone
from compat.frameworks.recorded import both, recorded
from runstone._autolog import guard, switches
from runstone.exceptions import InvalidField, UntrustedModel

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("place")]


class Line(lightning.LightningModule):  # type: ignore[misc]
    def __init__(self, rate: float = 0.3, kept: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.rate = rate
        self.line = torch.nn.Linear(2, 1)

    def forward(self, rows: Any) -> Any:
        return self.line(rows)

    def training_step(self, batch: Any, _: int) -> Any:
        loss = ((self(batch[0]) - batch[1]) ** 2).mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("val_loss", ((self(batch[0]) - batch[1]) ** 2).mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


class Thing:
    """What a checkpoint holds only by a pickle."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    guard.forget()
    yield tmp_path
    switches.reset()


def train(_: Any, kept: Any = None) -> lightning.Trainer:
    torch.manual_seed(1)
    rows = torch.randn(32, 2)
    data = DataLoader(TensorDataset(rows, rows.sum(1, keepdim=True)), batch_size=8)
    stopping = lightning.callbacks.EarlyStopping("val_loss", patience=1, min_delta=0.5)
    trainer = lightning.Trainer(
        max_epochs=6,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[stopping],
    )
    trainer.fit(Line(kept=kept), data, data)
    return trainer


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"log_every_n_step": 2, "checkpoint": False},
        {"checkpoint_monitor": "loss", "checkpoint_mode": "max"},
        {"checkpoint_save_best_only": False, "checkpoint_save_freq": 3},
        {"checkpoint_save_best_only": False, "checkpoint_save_weights_only": True},
    ],
)
def test_as_mlflow(options: dict[str, Any]) -> None:
    ours, theirs = both(train, "pytorch", {"log_models": False, **options})
    for what in ("status", "params", "metrics", "told", "files", "datasets", "signatures"):
        assert getattr(ours, what) == getattr(theirs, what), what
    assert ("mlflow.latest_checkpoint_artifact" in ours.tags) == options.get("checkpoint", True)


def test_the_users_callbacks_stay() -> None:
    runstone.pytorch.autolog(log_models=False)
    kinds = [type(each).__name__ for each in train(runstone).callbacks]
    assert "EarlyStopping" in kinds
    assert not {"Follower", "Checkpointer"} & set(kinds)


def test_checkpoints_are_loaded() -> None:
    runstone.pytorch.autolog(log_models=False, checkpoint_save_best_only=False)
    trained: list[Any] = []
    found = recorded(runstone, lambda _: trained.append(train(_)))
    last = runstone.pytorch.load_checkpoint(Line, found.run_id)
    assert torch.equal(last.line.weight, trained[0].lightning_module.line.weight)
    first = runstone.pytorch.load_checkpoint(Line, found.run_id, epoch=0, kwargs={"rate": 0.5})
    assert not torch.equal(first.line.weight, last.line.weight)
    assert first.rate == pytest.approx(0.5)
    with pytest.raises(InvalidField, match="run_id"):
        runstone.pytorch.load_checkpoint(Line)


def test_a_checkpoint_with_code_needs_trust() -> None:
    runstone.pytorch.autolog(log_models=False)
    found = recorded(runstone, lambda _: train(_, Thing()))
    with pytest.raises(UntrustedModel, match="allow_pickle"):
        runstone.pytorch.load_checkpoint(Line, found.run_id)
    loaded = runstone.pytorch.load_checkpoint(Line, found.run_id, allow_pickle=True)
    assert isinstance(loaded.hparams["kept"], Thing)

"""What PyTorch Lightning logs by itself is what it logs with MLflow.

Runs in the environment ``frameworks-deep`` alone, where no suite is: what is logged is kept here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone.pytorch
from runstone._autolog import switches
from runstone._autolog import training as trainings


class Kept(trainings.Training):
    """A training whose run is a few dicts."""

    params: dict[str, str]
    metrics: dict[str, list[tuple[int, float]]]
    tags: dict[str, str]
    files: list[str]

    def __init__(self, switch: switches.Switch) -> None:
        self.library, self.switch, self.run_id, self.own = "pytorch", switch, "run", False
        self.params, self.metrics, self.tags, self.files = {}, {}, {}, []
        self.client = self  # type: ignore[assignment]

    def log(self, metrics: Any = None, params: Any = None, tags: Any = None, step: int = 0) -> None:
        self.params |= {key: str(value) for key, value in (params or {}).items()}
        self.tags |= tags or {}
        self.follow(metrics or {}, step)

    def follow(self, metrics: Any, step: int) -> None:
        for key, value in metrics.items():
            self.metrics.setdefault(key, []).append((step, round(value, 5)))

    def log_artifact(self, run_id: str, path: Path) -> None:
        assert run_id == self.run_id
        self.files.append(path.name)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Kept]]:
    found: list[Kept] = []

    def begin(_: str, switch: switches.Switch) -> Kept:
        found.append(Kept(switch))
        return found[-1]

    monkeypatch.setattr(trainings.Training, "begin", begin)
    yield found
    switches.reset()


def train() -> None:
    import pytorch_lightning as lightning
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    class Line(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
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
            return torch.optim.SGD(self.parameters(), lr=0.3)

    torch.manual_seed(1)
    rows = torch.randn(32, 2)
    data = DataLoader(TensorDataset(rows, rows.sum(1, keepdim=True)), batch_size=8)
    stopping = lightning.callbacks.EarlyStopping("val_loss", patience=1, min_delta=0.5)
    lightning.Trainer(
        max_epochs=6,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[stopping],
    ).fit(Line(), data, data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{}, {"log_every_n_step": 2}])
def test_lightning(
    options: dict[str, Any], kept: list[Kept], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    runstone.pytorch.autolog(log_models=False, **options)
    train()
    runstone.pytorch.autolog(disable=True)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.pytorch.autolog(log_models=False, checkpoint=False, **options)
    train()
    mlflow.pytorch.autolog(disable=True)
    client, [ours] = mlflow.MlflowClient(), kept
    run = client.get_run(mlflow.last_active_run().info.run_id)
    assert ours.params == run.data.params
    assert ours.tags["Mode"] == run.data.tags["Mode"]
    assert ours.files == [each.path for each in client.list_artifacts(run.info.run_id)]
    assert ours.metrics.keys() == run.data.metrics.keys()
    for key, points in ours.metrics.items():
        history = client.get_metric_history(run.info.run_id, key)
        assert points == [(each.step, round(each.value, 5)) for each in history], key

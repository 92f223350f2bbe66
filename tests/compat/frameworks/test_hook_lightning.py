"""The logger of PyTorch Lightning, by what the server holds."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runstone
from support.held import held, runs_of

pytestmark = pytest.mark.filterwarnings("ignore")


def line(fail_at: int | None = None, error: type[BaseException] = ValueError) -> Any:
    import torch
    from lightning import LightningModule

    class Line(LightningModule):
        def __init__(self, rate: float, model: dict[str, Any]) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, place: int) -> Any:
            if self.global_step == fail_at:
                raise error("no more")
            loss = ((self.layer(batch[0]) - batch[0]) ** 2).mean()
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, place: int) -> None:
            self.log("val_loss", ((self.layer(batch[0]) - batch[0]) ** 2).mean())

        test_step = training_step

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.hparams.rate)

    return Line(0.1, {"layers": [4, 2], "act": "relu"})


def fit(logger: Any, folder: Path, module: Any = None, **settings: Any) -> Any:
    import torch
    from lightning import Trainer

    rows = torch.utils.data.TensorDataset(torch.arange(8.0).reshape(8, 1) / 8)
    loader = torch.utils.data.DataLoader(rows, batch_size=4)
    given = {"max_epochs": 2, **settings}
    path = given.pop("ckpt_path", None)
    trainer = Trainer(
        logger=logger,
        log_every_n_steps=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder),
        **given,
    )
    trainer.fit(module or line(), loader, loader, ckpt_path=path)
    return trainer, loader


def made(*arguments: Any, **named: Any) -> Any:
    from runstone.integrations.lightning import RunstoneLogger

    return RunstoneLogger(*arguments, **named)


def test_a_training(tmp_path: Path) -> None:
    logger = made("lit", "fit", log_model=True, prefix="a", tags={"team": "vision"})
    trainer, loader = fit(logger, tmp_path)
    run = held(logger.run_id)
    assert (run.name, run.status) == ("fit", "FINISHED")
    assert run.params["rate"] == "0.1"
    assert run.params["model/layers"] == "[4, 2]"
    assert run.params["model/act"] == "relu"
    assert run.points["a-train_loss"] == [0, 1, 2, 3]
    assert run.points["a-val_loss"] == [1, 3]
    folder = "epoch=1-step=4"
    names = ("aliases.txt", f"{folder}.ckpt", "metadata.yaml")
    assert run.files == [f"{folder}/{name}" for name in names]
    about = runstone.artifacts.load_text(f"runs:/{logger.run_id}/{folder}/aliases.txt")
    assert about == "['latest', 'best']"
    assert run.tags["team"] == "vision"
    assert f"{logger.experiment_id}/{logger.run_id}" in trainer.checkpoint_callback.best_model_path
    trainer.test(line(), loader, verbose=False)
    run = held(logger.run_id)
    assert run.status == "FINISHED"
    assert "a-epoch" in run.points
    assert runstone.active_run() is None


def test_every_checkpoint_as_a_logged_model(tmp_path: Path) -> None:
    from lightning.pytorch.callbacks import ModelCheckpoint

    logger = made("lit models", log_model="all", checkpoints_as="models")
    fit(logger, tmp_path, callbacks=[ModelCheckpoint(save_top_k=-1)])
    assert held(logger.run_id).models == [2, 4]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_a_training_that_stops(error: Any, status: str, tmp_path: Path) -> None:
    logger = made("lit stops")
    with pytest.raises((error, SystemExit)):
        fit(logger, tmp_path, line(3, error))
    run = held(logger.run_id)
    assert run.status == status
    assert run.points["train_loss"] == [0, 1, 2]


def test_resumed_by_a_key(tmp_path: Path) -> None:
    first = made("lit resumed", resume="job 1")
    with pytest.raises(ValueError, match="no more"):
        fit(first, tmp_path, line(3))
    [checkpoint] = tmp_path.rglob("*.ckpt")
    second = made("lit resumed", resume="job 1")
    fit(second, tmp_path, ckpt_path=checkpoint)
    assert second.run_id == first.run_id
    run = held(first.run_id)
    assert run.status == "FINISHED"
    assert run.points["train_loss"] == [0, 1, 2, 2, 3]


def test_in_the_active_run(tmp_path: Path) -> None:
    with runstone.start_run() as active:
        logger = made()
        fit(logger, tmp_path)
        assert logger.run_id == active.info.run_id
        assert runstone.get_run(active.info.run_id).info.status == "RUNNING"


def test_a_copy_has_the_same_run(tmp_path: Path) -> None:
    logger = made("lit copies")
    copy = pickle.loads(pickle.dumps(logger))
    copy.log_metrics({"loss": 1.0}, 3)
    copy.finalize("success")
    assert logger.run_id == copy.run_id
    assert held(logger.run_id).points == {"loss": [3]}


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_of_two_processes_one_logs(strategy: str, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from lightning import LightningModule\n"
        "from compat.frameworks.test_hook_lightning import fit, made\n"
        "class Line(LightningModule):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Linear(1, 1)\n"
        "    def training_step(self, batch, place):\n"
        "        loss = self.layer(batch[0]).mean()\n"
        "        self.log('train_loss', loss)\n"
        "        return loss\n"
        "    def validation_step(self, batch, place):\n"
        "        pass\n"
        "    def configure_optimizers(self):\n"
        "        return torch.optim.SGD(self.parameters(), lr=0.1)\n"
        "if __name__ == '__main__':\n"
        f"    logger = made('lit {strategy}', log_model=True)\n"
        f"    fit(logger, Path({str(tmp_path)!r}), Line(), strategy={strategy!r}, devices=2)\n"
        "    if logger.run_id is not None:\n"
        "        print(logger.run_id)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [run] = runs_of(f"lit {strategy}")
    assert run.status == "FINISHED"
    assert run.points["train_loss"] == [0, 1]
    assert held(done.stdout.split()[-1]) == run


def test_the_other_name_of_lightning(tmp_path: Path) -> None:
    script = (
        "import pytorch_lightning\n"
        "from runstone.integrations.lightning import RunstoneLogger\n"
        "assert issubclass(RunstoneLogger, pytorch_lightning.loggers.Logger)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]

"""Lightning: its MLFlowLogger through a small fit, with checkpoints as artifacts."""

import logging
import warnings

import lightning
import mlflow
import torch
from _recorder import Recorder
from lightning.pytorch.loggers import MLFlowLogger

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
r = Recorder()
client = mlflow.MlflowClient()
lightning.seed_everything(0)


class Line(lightning.LightningModule):
    def __init__(self, rate=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, place):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.layer(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, place):
        x, y = batch
        self.log("val_loss", torch.nn.functional.mse_loss(self.layer(x), y))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.rate)


x = torch.arange(8.0).reshape(8, 1) / 8
rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 2 * x), batch_size=4)
logger = MLFlowLogger(
    experiment_name=r.name,
    run_name="fit",
    tags={"t": "u"},
    log_model=True,
    tracking_uri=mlflow.get_tracking_uri(),
)
trainer = lightning.Trainer(
    max_epochs=2,
    logger=logger,
    log_every_n_steps=1,
    accelerator="cpu",
    enable_progress_bar=False,
    enable_model_summary=False,
    default_root_dir=str(r.folder),
)
trainer.fit(Line(), rows, rows)

# --- What it left -----------------------------------------------------------------------------

r.experiment(logger.experiment_id)
run = client.get_run(logger.run_id)
r.note("experiment", client.get_experiment(logger.experiment_id))
r.note("info", run.info)
r.note("data", run.data)
for key in sorted(run.data.metrics):
    history = client.get_metric_history(logger.run_id, key)
    r.note(f"history of {key}", [[each.step, round(each.value, 4)] for each in history])


def files(path=None):
    found = []
    for each in client.list_artifacts(logger.run_id, path):
        found += files(each.path) if each.is_dir else [each.path]
    return found


r.note("artifacts", sorted(files()))

r.finish()

"""Hugging Face Transformers: a Trainer that reports to MLflow by itself."""

import mlflow
import torch
from _recorder import Recorder
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

r = Recorder()
client = mlflow.MlflowClient()
mlflow.set_experiment(r.name)
experiment = mlflow.get_experiment_by_name(r.name).experiment_id
r.experiment(experiment)
torch.manual_seed(0)


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, place):
        return {"input_ids": torch.tensor([place, 1, 2]), "labels": torch.tensor(place % 2)}


config = BertConfig(
    vocab_size=10,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=1,
    intermediate_size=8,
    max_position_embeddings=8,
)
arguments = TrainingArguments(
    output_dir=str(r.folder),
    max_steps=2,
    per_device_train_batch_size=4,
    logging_steps=1,
    report_to=["mlflow"],
    run_name="trainer",
    use_cpu=True,
    save_strategy="no",
    eval_strategy="steps",
    eval_steps=1,
    disable_tqdm=True,
)
trainer = Trainer(
    BertForSequenceClassification(config), arguments, train_dataset=Rows(), eval_dataset=Rows()
)
trainer.train()
mlflow.end_run()

# --- What it left -----------------------------------------------------------------------------

(run,) = client.search_runs([experiment])
measured = ("loss", "learning_rate", "epoch", "eval_loss")
r.note("info", run.info)
r.note("params", run.data.params)
r.note("tags", run.data.tags)
r.note("metric names", sorted(run.data.metrics))
for key in measured:
    history = client.get_metric_history(run.info.run_id, key)
    r.note(f"history of {key}", [[each.step, round(each.value, 4)] for each in history])

r.finish()

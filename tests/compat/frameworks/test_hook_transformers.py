"""The callback of Transformers and the tracker of Accelerate, by what the server holds."""

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


def trainer(folder: Path, callback: Any, fail_at: int | None = None, **settings: Any) -> Any:
    import torch
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class Rows(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, place: int) -> dict[str, Any]:
            return {"input_ids": torch.tensor([place, 1, 2]), "labels": torch.tensor(place % 2)}

    class Failing(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == fail_at:
                raise RuntimeError("no more")

    def model() -> Any:
        return BertForSequenceClassification(
            BertConfig(
                vocab_size=10,
                hidden_size=8,
                num_hidden_layers=1,
                num_attention_heads=1,
                intermediate_size=8,
                max_position_embeddings=8,
            )
        )

    arguments = TrainingArguments(
        output_dir=str(folder),
        **{"max_steps": 4, "save_strategy": "no", **settings},
        per_device_train_batch_size=4,
        logging_steps=1,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        eval_strategy="steps",
        eval_steps=2,
    )
    return Trainer(
        args=arguments,
        model_init=model,
        train_dataset=Rows(),
        eval_dataset=Rows(),
        callbacks=[callback, Failing()],
    )


def callback(**arguments: Any) -> Any:
    from runstone.integrations.transformers import RunstoneCallback

    return RunstoneCallback(**arguments)


def test_a_training(tmp_path: Path) -> None:
    hook = callback(
        experiment_name="hf", run_name="first", log_model="end", tags={"team": "nlp", "n": 1}
    )
    trained = trainer(tmp_path, hook)
    trained.train()
    run = held(hook.run_id)
    assert (run.name, run.status) == ("first", "FINISHED")
    assert run.params["hidden_size"] == "8"
    assert run.params["per_device_train_batch_size"] == "4"
    assert run.params["max_steps"] == "4"
    assert run.points["loss"] == run.points["learning_rate"] == [1, 2, 3, 4]
    assert run.points["eval_loss"] == [2, 4]
    assert run.points["train_runtime"] == [4]
    assert run.tags == {"team": "nlp", "n": "1"}
    assert {"model/config.json", "model/model.safetensors"} <= set(run.files)
    assert runstone.active_run() is None
    # What is judged afterwards belongs to it, too.
    trained.evaluate()
    assert held(hook.run_id).points["eval_loss"] == [2, 4, 4]
    again = pickle.loads(pickle.dumps(hook))
    assert again.run_id is None


def test_a_training_that_raises_and_the_next_one(tmp_path: Path) -> None:
    hook = callback(experiment_name="hf failing")
    with pytest.raises(RuntimeError):
        trainer(tmp_path, hook, fail_at=3).train()
    failed = hook.run_id
    trainer(tmp_path, hook).train()
    assert held(failed).status == "FAILED"
    assert held(failed).points["loss"] == [1, 2]
    assert held(hook.run_id).status == "FINISHED"
    other = callback(experiment_name="hf failing")
    with pytest.raises(RuntimeError), runstone.start_run() as run:
        trainer(tmp_path, other, fail_at=2).train()
    assert held(run.info.run_id).status == "FAILED"
    assert other.run_id == run.info.run_id


def test_a_training_is_resumed_from_its_checkpoint(tmp_path: Path) -> None:
    hook = callback(experiment_name="hf resumed", log_model="checkpoint")
    saved = {"save_strategy": "steps", "save_steps": 2}
    with pytest.raises(RuntimeError):
        trainer(tmp_path, hook, fail_at=3, **saved).train()
    second = callback(experiment_name="hf resumed")
    trainer(tmp_path, second, **saved).train(resume_from_checkpoint=True)
    assert second.run_id == hook.run_id
    run = held(hook.run_id)
    assert run.status == "FINISHED"
    assert run.points["loss"] == [1, 2, 3, 4]
    assert "checkpoint-2/trainer_state.json" in run.files
    # It is whole: training goes on from what the server has.
    third = callback(experiment_name="hf resumed")
    folder = runstone.Client().download_artifacts(hook.run_id, "checkpoint-2", str(tmp_path / "x"))
    trainer(tmp_path, third, **saved).train(resume_from_checkpoint=folder)
    assert third.run_id != hook.run_id, "a run that is FINISHED is not written to"


def test_a_program_that_ends_in_the_midst(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; sys.path[:0] = ['tests'];"
        "from compat.frameworks.test_hook_transformers import callback, trainer;"
        "hook = callback(experiment_name='hf ends');"
        f"t = trainer(pathlib.Path({str(tmp_path)!r}), hook, fail_at=3)\n"
    )
    caught = script + "try: t.train()\nexcept RuntimeError: pass\n"
    for text, code in ((caught, 0), (script + "t.train()\n", 1)):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()[-2000:]
    assert [run.status for run in runs_of("hf ends")] == ["FAILED", "FAILED"]
    assert [run.points["loss"] for run in runs_of("hf ends")] == [[1, 2], [1, 2]]


def test_each_trial_of_a_search_is_a_run(tmp_path: Path) -> None:
    hook = callback(experiment_name="hf search")
    trainer(tmp_path, hook, max_steps=2).hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)},
        n_trials=2,
        backend="optuna",
    )
    first, second = runs_of("hf search")
    assert first.status == second.status == "FINISHED"
    assert first.params["learning_rate"] != second.params["learning_rate"]


def test_settings_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_EXPERIMENT_NAME", "hf env")
    monkeypatch.setenv("RUNSTONE_RUN_TAGS", '{"team": "vision"}')
    monkeypatch.setenv("RUNSTONE_RESUME", "job-17")
    monkeypatch.setenv("RUNSTONE_LOG_MODEL", "end")
    for steps in (1, 2):
        trainer(tmp_path, callback(), max_steps=steps).train()
    [run] = runs_of("hf env")
    assert run.tags == {"team": "vision", "runstone.resume": "job-17"}
    assert run.params["max_steps"] == "1", "as it was begun"
    assert run.points["loss"] == [1, 1, 2]
    assert "model/config.json" in run.files


def test_accelerate() -> None:
    from accelerate import Accelerator

    from runstone.integrations.accelerate import RunstoneTracker

    tracker = RunstoneTracker(experiment_name="accelerate", run_name="loop")
    accelerator = Accelerator(log_with=[tracker], cpu=True)
    accelerator.init_trackers("ignored", config={"lr": 0.1, "model": {"layers": [1, 2]}})
    for step in range(3):
        accelerator.log({"loss": 1 / (step + 1), "phase": "train", "none": None}, step=step)
    runstone.log_metric("own", 1.0, step=7)
    accelerator.get_tracker("runstone").log_artifact(__file__, "code")
    accelerator.end_training()
    run = held(tracker.run_id)
    assert (run.name, run.status) == ("loop", "FINISHED")
    assert run.params == {"lr": "0.1", "model.layers": "[1, 2]"}
    assert run.points == {"loss": [0, 1, 2], "own": [7]}
    assert run.tags == {"phase": "train"}
    assert run.files == ["code/test_hook_transformers.py"]
    assert runstone.active_run() is None


def test_accelerate_in_two_processes(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(
        "from accelerate import Accelerator\n"
        "from runstone.integrations.accelerate import RunstoneTracker\n"
        "tracker = RunstoneTracker(experiment_name='ranks')\n"
        "accelerator = Accelerator(log_with=[tracker], cpu=True)\n"
        "accelerator.init_trackers('x', config={'lr': 0.1})\n"
        "accelerator.log({'loss': float(accelerator.process_index)}, step=1)\n"
        "accelerator.end_training()\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", str(script)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    experiment = runstone.get_experiment_by_name("ranks")
    assert experiment is not None
    client = runstone.Client()
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    points = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.rank, point.value) for point in points] == [(0, 0.0)]

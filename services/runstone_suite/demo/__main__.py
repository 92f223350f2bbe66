"""`make demo`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

EXPERIMENT = "Handwritten digits"
COMMAND = Path(sys.executable).with_name("runstone")


def main() -> int:
    """Run the demo; 0 when the model that was loaded back predicts the same."""
    console = Console(highlight=False)
    started = time.time()
    console.print("Loading scikit-learn ...")
    try:
        import numpy as np

        from runstone_suite.demo import registering, training
    except ModuleNotFoundError as error:
        console.print(f"The demo needs {error.name}: pip install scikit-learn skops matplotlib")
        return 1
    import runstone

    console.print("Starting the embedded suite in ./runstone-data ...")
    runstone.set_experiment(EXPERIMENT)
    digits = training.Digits.load()
    kinds = (
        ("a linear model", training.train_linear),
        ("a search over random forests", training.search_forest),
        ("gradient boosting", training.train_boosting),
    )
    run_ids = []
    for what, train in kinds:
        console.print(f"Training {what} ...")
        run_ids.append(train(digits))
    best = max((runstone.get_run(run_id) for run_id in run_ids), key=_accuracy)
    console.print(f"The best is {best.info.run_name}: registering it and asking for Production ...")
    number = registering.register_and_promote(best.info.run_id, _accuracy(best))

    console.print(f"Loading models:/{registering.MODEL_NAME}/Production back ...")
    loaded = registering.load_production()
    trained = training.load_model(
        runstone.artifacts.download_artifacts(f"runs:/{best.info.run_id}/model")
    )
    expected = trained.predict(digits.test_x)
    if not np.array_equal(loaded.predict(digits.test_x), expected):
        console.print("[red]It predicts something else than the model that was trained.[/]")
        return 1
    console.print(f"It predicts the same on all {len(expected)} test images.\n")

    console.print(_table(started, console.width))
    console.print(_next(best.info.run_id, number), soft_wrap=True)
    console.print(f"Done in {time.time() - started:.0f} s.")
    return 0


def _accuracy(run: object) -> float:
    return float(run.data.metrics["test_accuracy"])  # type: ignore[attr-defined]


def _table(since: float, width: int) -> Table:
    import runstone

    experiment = runstone.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = runstone.search_runs(
        [experiment.experiment_id],
        filter_string=f"attributes.start_time >= {int(since * 1000)}",
        order_by=["metrics.test_accuracy DESC"],
        output_format="list",
    )
    headings = ("run", "name", "accuracy", "F1")
    rows = [
        (
            run.info.run_id[:8],
            run.info.run_name,
            *(f"{run.data.metrics[key]:.4f}" if key in run.data.metrics else "" for key in METRICS),
        )
        for run in runs
    ]
    table = Table(title="The runs of this demo, best first", title_justify="left")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    # A line for each run: params have what the others leave, and are cut at its end.
    taken = sum(max(map(len, each)) for each in zip(headings, *rows, strict=True))
    room = width - taken - FRAME * (len(headings) + 1) - 1
    table.add_column("params", no_wrap=True, max_width=max(room, len("params")))
    for run, row in zip(runs, rows, strict=True):
        params = ", ".join(f"{key}={value}" for key, value in sorted(run.data.params.items()))
        table.add_row(*row, params)
    return table


FRAME = 3
"""What a column's border and padding take."""

METRICS = ("test_accuracy", "test_f1")


def _next(run_id: str, number: int) -> str:
    command = COMMAND.relative_to(Path.cwd()) if COMMAND.is_relative_to(Path.cwd()) else COMMAND
    return f"""
Type next:
  {command} runs search --filter "metrics.test_accuracy > 0.95"
  {command} runs get {run_id}
  {command} artifacts list {run_id} -r
  {command} models get digits {number}
  {command} models audit digits
  {command} server
"""


if __name__ == "__main__":
    sys.exit(main())

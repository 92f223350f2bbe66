"""Lesson 19: metrics and artifacts of your own in an evaluation."""

import pandas as pd
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

import runstone
from runstone.metrics import make_metric

X, y = load_diabetes(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7)
model = LinearRegression().fit(X_train, y_train)


def within_fifty(predictions, targets):
    """The share of predictions that are less than 50 off."""
    return float(((predictions - targets).abs() < 50).mean())


def cost(predictions, targets, metrics):
    """Too low costs twice; other metrics can be used by their names."""
    too_low = (targets - predictions).clip(lower=0).mean()
    return too_low + metrics["mean_absolute_error"].aggregate_results["mean_absolute_error"]


def residuals(frame, metrics, folder):
    """Artifacts: figures, tables, dicts, texts, or paths of files in the folder."""
    figure = Figure()
    figure.subplots().scatter(frame["prediction"], frame["target"] - frame["prediction"])
    worst = (frame["target"] - frame["prediction"]).abs().nlargest(3)
    return {"residuals": figure, "worst": pd.DataFrame({"row": worst.index, "off": worst.values})}


runstone.set_experiment("own metrics")
with runstone.start_run(run_name="linear") as run:
    result = runstone.evaluate(
        model,
        X_test.assign(progress=y_test),
        targets="progress",
        model_type="regressor",
        extra_metrics=[
            make_metric(eval_fn=within_fifty, greater_is_better=True),
            make_metric(eval_fn=cost, greater_is_better=False),
        ],
        custom_artifacts=[residuals],
        evaluator_config={"log_model_explainability": False},
    )

for name in ("mean_absolute_error", "r2_score", "within_fifty", "cost"):
    print(f"{name:20} {result.metrics[name]:.3f}")
print("worst rows:", result.artifacts["worst"].content["row"].tolist())
print("files:", [file.path for file in runstone.artifacts.list_artifacts(run_id=run.info.run_id)])
